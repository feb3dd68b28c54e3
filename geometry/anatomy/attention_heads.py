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


@contextmanager
def summed_head_outputs(model: LanguageModel) -> Iterator["HeadSums"]:
    """What heads add at the last column of every call within, padded on the left, summed over prompts and calls.

    Raises SteeringError: see `output_projections`.
    """
    sums = HeadSums(model)
    hooks = [module.register_forward_pre_hook(sums.hook(index)) for index, module in enumerate(sums.projections)]
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()


class HeadSums:
    """Sums of what entered every block's output projection at last tokens, each of shape (width,)."""

    def __init__(self, model: LanguageModel) -> None:
        self.projections = output_projections(model)
        self._model = model
        self._sums: dict[int, torch.Tensor] = {}
        self._seen = 0

    def hook(self, index: int) -> Any:
        """Of the projection of one block."""

        def add(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            rows = args[0].detach()[:, -1].float().sum(dim=0)
            self._seen += len(args[0]) * (index == 0)
            self._sums[index] = self._sums[index] + rows if index in self._sums else rows

        return add

    def mean(self, count: int) -> torch.Tensor:
        """Of so many prompts, float32 on the CPU, shape (blocks, heads, d).

        Raises SteeringError: a head size that does not divide the projection's input.
        """
        if self._seen != count:
            raise SteeringError(f"{type(self._model).__name__}: its blocks saw {self._seen} prompts and not {count}")
        heads = getattr(self._model.config.get_text_config(), "num_attention_heads", 0)
        outputs = []
        with torch.no_grad():
            for projection, (_, total) in zip(self.projections, sorted(self._sums.items()), strict=True):
                width = len(total)
                if not heads or width % heads:
                    raise SteeringError(f"{type(self._model).__name__}: {width} inputs are not those of {heads} heads")
                means = total.reshape(heads, -1) / count
                slices = torch.zeros((heads, width), device=means.device)
                for head, row in enumerate(means):
                    slices[head, head * len(row) : (head + 1) * len(row)] = row
                dtype = next(projection.parameters()).dtype
                zero = projection.forward(torch.zeros_like(slices[:1]).to(dtype))
                outputs.append((projection.forward(slices.to(dtype)) - zero).float().cpu())
        return torch.stack(outputs)


def mean_head_outputs(model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str]) -> torch.Tensor:
    """Mean over prompts of what every head adds at the last token, float32, shape (blocks, heads, d).

    Raises SteeringError: see `output_projections`; a head size that does not divide the projection's input.
    """
    architecture = Architecture.of(model)
    with torch.no_grad(), evaluating(model), summed_head_outputs(model) as sums:
        for start in range(0, len(prompts), _ROWS):
            batch = encode(tokenizer, prompts[start : start + _ROWS], device=architecture.device)
            model(**architecture.accepted(batch.arguments))
    return sums.mean(len(prompts))
