"""A small random GPT-2 run block by block, and a vector added on the way: no hooks, no batches, none of our code."""

from typing import Any

import torch


def logits_by_hand(
    model: Any, ids: list[int], block: int = 0, rows: torch.Tensor | None = None, start: int = 0
) -> torch.Tensor:
    """Logits (tokens, V) of one text, `rows` (p, d) added before a block at p tokens from `start` on."""
    transformer = model.transformer
    with torch.no_grad():
        hidden = transformer.wte(torch.tensor([ids])) + transformer.wpe(torch.arange(len(ids)))[None]
        for index, layer in enumerate(transformer.h):
            if index == block and rows is not None:
                hidden = hidden.clone()
                hidden[0, start : start + len(rows)] += rows
            output = layer(hidden)
            hidden = output[0] if isinstance(output, tuple) else output
        return torch.as_tensor(model.lm_head(transformer.ln_f(hidden))[0])


def stream_by_hand(model: Any, ids: list[int], block: int) -> torch.Tensor:
    """The residual stream (tokens, d) before a block."""
    transformer = model.transformer
    with torch.no_grad():
        hidden = transformer.wte(torch.tensor([ids])) + transformer.wpe(torch.arange(len(ids)))[None]
        for layer in transformer.h[:block]:
            output = layer(hidden)
            hidden = output[0] if isinstance(output, tuple) else output
    return torch.as_tensor(hidden[0])
