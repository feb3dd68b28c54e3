"""The next-token law at final hidden states, on the likeliest tokens: p_λ(y) ∝ exp(λᵀγ(y)) for y in a set S."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.causal import CausalSpace
from geometry.errors import SteeringError, shown
from geometry.models import Unembedding

Array = NDArray[np.float64]
_TINY = np.finfo(np.float64).tiny
_BLOCK = 1 << 13  # rows of γ that are multiplied at a time in float64


@dataclass(frozen=True, eq=False)
class OutputLaws:
    """The laws of n states, each on a set S of its own: its likeliest tokens and the target's.

    Attributes:
        unembedding: γ.
        states: λ0, shape (n, d).
        tokens: the union of the sets, ascending, shape (m,).
        centre: mean of γ over the union, which no law heeds, shape (d,).
        gamma: γ of the union less that, shape (m, d).
        logits: λ0ᵀγ, -inf outside the state's own set, shape (n, m).
        target: which of the union are the target's, shape (m,).
        law: p at λ0, shape (n, m).
        mean: E[γ] under it, less the centre, shape (n, d).
    """

    unembedding: Unembedding
    states: Array
    tokens: NDArray[np.int64]
    centre: Array
    gamma: Array
    logits: Array
    target: NDArray[np.bool_]
    law: Array
    mean: Array

    @classmethod
    def at(cls, unembedding: Unembedding, states: Array, target: NDArray[np.int64], n_tokens: int) -> "OutputLaws":
        """Of states (n, d); every row of γ that text can produce competes for the n_tokens places."""
        rows = unembedding.rows
        logits = full_logits(unembedding, states)
        n_tokens = min(n_tokens, len(rows))
        likeliest = np.argpartition(-logits, n_tokens - 1, axis=1)[:, :n_tokens]
        member = np.zeros(logits.shape, dtype=bool)
        np.put_along_axis(member, likeliest, values=True, axis=1)
        member[:, np.searchsorted(rows, target)] = True
        union = np.flatnonzero(member.any(axis=0))
        gamma = _rows_of(unembedding, rows[union])
        centre = gamma.mean(axis=0)
        gamma -= centre
        kept = np.where(member[:, union], logits[:, union], -np.inf)
        law = softmax(kept)
        mine = np.isin(rows[union], target)
        return cls(unembedding, states, rows[union], centre, gamma, kept, mine, law, law @ gamma)

    def moved(self, shift: Array, subset: NDArray[np.int64] | slice = slice(None)) -> Array:
        """The laws at λ0 + shift, of a subset of the states."""
        return softmax(self.logits[subset] + shift @ self.gamma.T)

    def left_out(self, states: Array) -> Array:
        """Probability of all tokens outside S at other states (n, d), under the law of the whole vocabulary."""
        logits = full_logits(self.unembedding, states)
        top = logits.max(axis=1, keepdims=True)
        weights = np.exp(logits - top)
        # In the order of `rows`, of which the union is a part.
        own = weights[:, np.searchsorted(self.unembedding.rows, self.tokens)] * np.isfinite(self.logits)
        return np.asarray(np.maximum(1 - own.sum(axis=1) / weights.sum(axis=1), 0.0))


def softmax(logits: Array) -> Array:
    """Along the last axis, float64."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def divergence(first: Array, second: Array) -> Array:
    """KL(first ‖ second) in nats of laws (n, m), shape (n,)."""
    ratio = np.log(np.maximum(first, _TINY) / np.maximum(second, _TINY))
    return np.asarray(np.maximum((first * ratio).sum(axis=1), 0.0))


def full_logits(unembedding: Unembedding, states: Array) -> Array:
    """λᵀγ of every row that text can produce, float64, shape (n, rows)."""
    return np.concatenate([states @ block.T for block in _blocks(unembedding, unembedding.rows)], axis=1)


def _rows_of(unembedding: Unembedding, ids: NDArray[np.int64]) -> Array:
    return np.concatenate(list(_blocks(unembedding, ids)))


def _blocks(unembedding: Unembedding, ids: NDArray[np.int64]) -> Iterator[Array]:
    matrix = unembedding.matrix
    for start in range(0, len(ids), _BLOCK):
        index = torch.from_numpy(ids[start : start + _BLOCK]).to(matrix.device)
        yield matrix[index].double().cpu().numpy()


def checked_unembedding(space: CausalSpace | Unembedding) -> Unembedding:
    """γ of a space or of itself."""
    return space.unembedding if isinstance(space, CausalSpace) else space


def checked_states(hidden: ArrayLike, unembedding: Unembedding) -> Array:
    """Final hidden states as float64, shape (n, d).

    Raises SteeringError: another shape, NaN or infinity.
    """
    width = unembedding.matrix.shape[1]
    states = np.asarray(hidden.detach().cpu() if isinstance(hidden, torch.Tensor) else hidden, dtype=np.float64)
    if states.ndim != 2 or states.shape[1] != width or not len(states):
        raise SteeringError(f"hidden must have shape (n, {width}), one final hidden state a row, not {states.shape}")
    if not np.isfinite(states).all():
        raise SteeringError("hidden holds NaN or infinity; read the states again")
    return states


def checked_target(target: ArrayLike, unembedding: Unembedding) -> NDArray[np.int64]:
    """Ids of tokens, ascending.

    Raises SteeringError: none, not ids, the same twice, all of the vocabulary, or an id that no text can produce.
    """
    ids, rows = np.asarray(target), unembedding.rows
    if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu" or len(np.unique(ids)) < len(ids):
        raise SteeringError(f"target must be ids of tokens, each once, at least one, not {shown(target)}")
    if len(foreign := np.setdiff1d(ids, rows)):
        raise SteeringError(f"target: token {foreign[0]} is none that text can produce; vocabulary.word_id gives some")
    if len(ids) == len(rows):
        raise SteeringError("target is the whole vocabulary, whose probability is 1; take fewer tokens")
    return np.sort(ids).astype(np.int64)
