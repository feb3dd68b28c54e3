"""The next-token law at final hidden states, on the likeliest tokens: p_λ(y) ∝ exp(λᵀγ(y)) for y in a set S."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.causal import CausalSpace
from geometry.errors import SteeringError, shown
from geometry.models import Unembedding

Array = NDArray[np.float64]
_TINY = np.finfo(np.float64).tiny
_TOKENS = 3000  # the likeliest, of which the preconditioner is made
_RIDGE = 1e-3  # of its mean eigenvalue
_BLOCK = 1 << 13  # rows of γ that are multiplied at a time in float64


@dataclass(frozen=True, eq=False)
class OutputLaws:
    """The laws of n states, each on a set S of its own: its likeliest tokens and the target's.

    Attributes:
        unembedding: γ.
        states: λ0, shape (n, d).
        tokens: the union of the sets, those of the target last that are not among the likeliest, shape (m,).
        centre: mean of γ over the union, which no law heeds, shape (d,).
        gamma: γ of the union less that, shape (m, d).
        logits: λ0ᵀγ, -inf outside the state's own set, shape (n, m).
        target: which of the union are the target's, shape (m,).
        law: p at λ0, shape (n, m).
        mean: E[γ] under it, less the centre, shape (n, d).
        batch: what all targets share.
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
    batch: "StateBatch"

    @classmethod
    def at(cls, unembedding: Unembedding, states: Array, target: NDArray[np.int64], n_tokens: int) -> "OutputLaws":
        """Of states (n, d); every row of γ that text can produce competes for the n_tokens places."""
        return StateBatch(unembedding, states, n_tokens).laws(target)

    def moved(self, shift: Array, subset: NDArray[np.int64] | slice = slice(None)) -> Array:
        """The laws at λ0 + shift, of a subset of the states."""
        return softmax(self.logits[subset] + shift @ self.gamma.T)

    def left_out(self, states: Array) -> Array:
        """Probability of all tokens outside S at other states (n, d), under the law of the whole vocabulary."""
        places = np.searchsorted(self.unembedding.rows, self.tokens)
        return self.batch.left_out(np.isfinite(self.logits), places, states)


class StateBatch:
    """Some states, solved together.

    Attributes:
        logits: λ0ᵀγ of every row that text can produce, shape (n, rows).
        member: which of these are among a state's likeliest, shape (n, rows).
        union: positions of those that are among any state's, shape (m,).
        centre, gamma: mean of γ over the union, which no law heeds, and γ less that, shapes (d,) and (m, d).
    """

    def __init__(self, unembedding: Unembedding, states: Array, n_tokens: int) -> None:
        self.unembedding, self.states = unembedding, states
        self.logits = full_logits(unembedding, states)
        count = min(n_tokens, self.logits.shape[1])
        likeliest = np.argpartition(-self.logits, count - 1, axis=1)[:, :count]
        self.member = np.zeros(self.logits.shape, dtype=bool)
        np.put_along_axis(self.member, likeliest, values=True, axis=1)
        self.union = np.flatnonzero(self.member.any(axis=0))
        gamma = rows_of(unembedding, unembedding.rows[self.union])
        self.centre = gamma.mean(axis=0)
        self.gamma = gamma - self.centre

    def laws(self, target: NDArray[np.int64]) -> OutputLaws:
        """Of each state on its likeliest tokens and the target's (ids, ascending)."""
        rows = self.unembedding.rows
        own = np.searchsorted(rows, target)
        further = np.setdiff1d(own, self.union)
        places = np.concatenate([self.union, further])
        gamma = self.gamma
        if len(further):
            gamma = np.concatenate([gamma, rows_of(self.unembedding, rows[further]) - self.centre])
        mine = np.isin(places, own)
        logits = np.where(self.member[:, places] | mine, self.logits[:, places], -np.inf)
        law = softmax(logits)
        return OutputLaws(
            self.unembedding, self.states, rows[places], self.centre, gamma, logits, mine, law, law @ gamma, self
        )

    @cached_property
    def inverses(self) -> NDArray[np.float32]:
        """Of Cov at λ0 of each state's likeliest tokens, with a ridge: what solves for steps are preconditioned by."""
        gamma = self.gamma.astype(np.float32)
        law = softmax(np.where(self.member[:, self.union], self.logits[:, self.union], -np.inf))
        count = min(_TOKENS, law.shape[1])
        inverses = []
        for own in law:
            likeliest = np.argpartition(-own, count - 1)[:count]
            weights, rows = own[likeliest].astype(np.float32), gamma[likeliest]
            rows = rows - weights @ rows / weights.sum()
            covariance = (rows * weights[:, None]).T @ rows
            scale = float(np.trace(covariance)) / len(covariance) or 1.0
            covariance.flat[:: len(covariance) + 1] += np.float32(_RIDGE * scale)
            inverses.append(np.linalg.inv(covariance))
        return np.stack(inverses)

    def left_out(self, inside: NDArray[np.bool_], places: NDArray[np.int64], states: Array) -> Array:
        """Probability of all tokens outside each state's set at other states (n, d): of the whole vocabulary.

        The set is those of `places` (positions among the rows) that are inside, shape (n, m).
        """
        logits = self.logits if states is self.states else _quick_logits(self.unembedding, states)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        own = (weights[:, places] * inside).sum(axis=1)
        return np.asarray(np.maximum(1 - own / weights.sum(axis=1), 0.0))


def _quick_logits(unembedding: Unembedding, states: Array) -> Array:
    """In the matrix's own precision, where that is single or double: enough for a share of the whole."""
    matrix = unembedding.matrix
    if matrix.dtype not in (torch.float32, torch.float64):
        return full_logits(unembedding, states)
    logits = (matrix @ torch.from_numpy(states.T.copy()).to(matrix)).cpu().double().numpy().T
    return np.asarray(logits[:, unembedding.rows])


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


def rows_of(unembedding: Unembedding, ids: NDArray[np.int64]) -> Array:
    """γ of some tokens in float64, shape (m, d)."""
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
