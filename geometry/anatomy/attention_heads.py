"""What each attention head adds to the residual stream at a prompt's last token, where the architecture shows it.

A head's output is its slice of what enters the attention's output projection, times that projection's columns.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from geometry.errors import SteeringError
from geometry.steering import Architecture
from geometry.steering.architecture import evaluating
from geometry.steering.prompts import LanguageModel, Tokenizer, encode
from geometry.steering.vector import Site

_PROJECTIONS = ("o_proj", "c_proj", "out_proj", "dense", "wo")
_ROWS = 16


def output_projections(model: LanguageModel) -> list[nn.Module]:
    """Of every block's attention.

    Raises SteeringError: a block whose attention or output projection cannot be told.
    """
    architecture = Architecture.of(model)
    found = []
    for block in range(len(architecture.blocks)):
        attention = architecture.module_at(Site("attention", block))
        own = [module for name, module in attention.named_children() if name in _PROJECTIONS]
        if len(own) != 1:
            raise SteeringError(
                f"{type(model).__name__}: the attention of block {block} has no one output projection"
                f" ({', '.join(_PROJECTIONS)}), so that its heads cannot be told apart"
            )
        found.append(own[0])
    return found


def mean_head_outputs(model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str]) -> torch.Tensor:
    """Mean over prompts of what every head adds at the last token, float32, shape (blocks, heads, d).

    Raises SteeringError: see `output_projections`; a head size that does not divide the projection's input.
    """
    projections, architecture = output_projections(model), Architecture.of(model)
    heads = getattr(model.config.get_text_config(), "num_attention_heads", 0)
    sums: list[torch.Tensor] = []
    with torch.no_grad(), evaluating(model), _inputs(projections) as seen:
        for start in range(0, len(prompts), _ROWS):
            batch = encode(tokenizer, prompts[start : start + _ROWS], device=architecture.device)
            model(**architecture.accepted(batch.arguments))
            # Padded on the left, so that the last column is each prompt's last token.
            rows = [part[:, -1].float() for part in seen]
            sums = [each.sum(dim=0) for each in rows] if not sums else [
                total + each.sum(dim=0) for total, each in zip(sums, rows, strict=True)
            ]  # fmt: skip
        outputs = []
        for projection, total in zip(projections, sums, strict=True):
            width = len(total)
            if not heads or width % heads:
                raise SteeringError(f"{type(model).__name__}: {width} inputs are not those of {heads} heads")
            means = total.reshape(heads, -1) / len(prompts)
            slices = torch.zeros((heads, width), device=means.device)
            for head, row in enumerate(means):
                slices[head, head * len(row) : (head + 1) * len(row)] = row
            dtype = next(projection.parameters()).dtype
            zero = projection.forward(torch.zeros_like(slices[:1]).to(dtype))
            outputs.append((projection.forward(slices.to(dtype)) - zero).float().cpu())
    return torch.stack(outputs)


@contextmanager
def _inputs(projections: Sequence[nn.Module]) -> Iterator[list[torch.Tensor]]:
    seen: list[torch.Tensor] = [torch.empty(0)] * len(projections)

    def keep(index: int) -> Any:
        def hook(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            seen[index] = args[0].detach()

        return hook

    hooks = [module.register_forward_pre_hook(keep(index)) for index, module in enumerate(projections)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
