"""Texts of one length that are steered at one token of theirs and then go on: what comes before it is run once."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from geometry.errors import SteeringError
from geometry.layers.key_values import keys_and_values, text_arguments
from geometry.steering import Architecture, SteeringVector, steer_each
from geometry.steering.architecture import evaluating

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class SteeredToken:
    """n texts of t tokens each, of which the one at `place` is steered and the next token after the last is looked at.

    Raises SteeringError: a model that does not keep plain keys and values.
    """

    def __init__(self, model: "PreTrainedModel", ids: torch.Tensor, place: int) -> None:
        self._model, self._architecture = model, Architecture.of(model)
        self._ids, self._place = ids.to(self._architecture.device), place
        with evaluating(model):
            self._past: Any = keys_and_values(self._architecture, self._ids[:, :place])
        if self._past is None:
            raise SteeringError(
                f"{type(model).__name__} keeps no plain keys and values, without which no token is steered alone"
            )

    def law(self, vectors: Sequence[SteeringVector] | None = None) -> torch.Tensor:
        """log P(y | text) with a vector of its own for every text, or unsteered; float32 on the CPU, shape (n, V)."""
        past, place = copy.deepcopy(self._past), self._place
        with torch.no_grad(), evaluating(self._model):
            with nullcontext() if vectors is None else steer_each(self._model, vectors, positions="all"):
                output = self._call(self._ids[:, place : place + 1], place, past)
            if place + 1 < self._ids.shape[1]:
                output = self._call(self._ids[:, place + 1 :], place + 1, output.past_key_values)
        return torch.as_tensor(output.logits)[:, -1].float().cpu().log_softmax(dim=-1)

    def _call(self, ids: torch.Tensor, start: int, past: Any) -> Any:
        arguments = self._architecture.accepted(text_arguments(ids, start))
        return self._model(**arguments, past_key_values=past, use_cache=True)


def matched(vectors: Sequence[SteeringVector], norms: Sequence[float]) -> list[SteeringVector]:
    """Each at a norm."""
    return [vector.with_norm(norm) for vector, norm in zip(vectors, norms, strict=True)]
