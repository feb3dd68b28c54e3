"""Next-token laws under vectors, read for KL divergence and for the log-odds of every concept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from geometry.concepts.hierarchy import incidence
from geometry.display import short_repr
from geometry.experiments.search.setup import Bench
from geometry.layers import EqualKL
from geometry.steering import SteeringVector, kl_divergence

Array = NDArray[np.float64]
NATS = 0.5  # at which vectors are compared at equal KL
_ROWS = 192
_N_TOKENS = 5
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Read:
    """k vectors after n prompts.

    Attributes:
        kl: KL(steered ‖ unsteered) in nats, shape (k, n).
        odds: change of the log-odds of each of c concepts' words, in nats, shape (k, n, c).
        tokens: those whose mean probability grows most under each vector.
        coefficients: of each vector; nan where the KL was not reached.
    """

    kl: Array
    odds: Array
    tokens: tuple[tuple[str, ...], ...]
    coefficients: Array

    __repr__ = short_repr

    @property
    def profile(self) -> Array:
        """Mean change of log-odds over prompts, shape (k, c)."""
        return np.asarray(self.odds.mean(axis=1))


class LawReader:
    """The laws after some prompts, asked for again and again."""

    def __init__(self, bench: Bench, prompts: Sequence[str]) -> None:
        self._equal = EqualKL(bench.model, bench.tokenizer, prompts, NATS, tolerance=0.02, most_rows=_ROWS)
        self._tokenizer, self._count = bench.tokenizer, len(prompts)
        self._words = torch.from_numpy(bench.hierarchy.tokens)
        self._sets: csr_array = incidence(bench.hierarchy.members, len(bench.hierarchy.tokens)).astype(np.float64)
        self._before = self._odds(self._equal.unsteered)

    def at(self, vectors: Sequence[SteeringVector]) -> Read:
        """Under vectors as they are."""
        size = max(1, _ROWS // self._count)
        laws = (
            law for start in range(0, len(vectors), size) for law in self._equal.laws(vectors[start : start + size])
        )
        rows = [self._read(law) for law in laws]
        return self._together(rows, [1.0] * len(vectors))

    def at_equal_kl(self, vectors: Sequence[SteeringVector]) -> Read:
        """Each at the coefficient at which the mean KL over prompts is 0.5 nats."""
        rows: dict[int, tuple[Array, Array, tuple[str, ...]]] = {}
        coefficients = np.full(len(vectors), np.nan)
        for found in self._equal.find(vectors):
            if found.log_probabilities is not None:
                rows[found.index] = self._read(found.log_probabilities)
                coefficients[found.index] = found.coefficient
        lacking = np.full(self._count, np.nan), np.full((self._count, len(self._before[0])), np.nan), ("–",)
        return self._together([rows.get(index, lacking) for index in range(len(vectors))], coefficients)

    def _together(
        self, rows: Sequence[tuple[Array, Array, tuple[str, ...]]], coefficients: Sequence[float] | Array
    ) -> Read:
        kl, odds, tokens = zip(*rows, strict=True)
        return Read(np.stack(kl), np.stack(odds), tuple(tokens), np.asarray(coefficients, dtype=np.float64))

    def _read(self, law: torch.Tensor) -> tuple[Array, Array, tuple[str, ...]]:
        gained = (law.exp() - self._equal.unsteered.exp()).mean(dim=0).topk(_N_TOKENS).indices.tolist()
        words = tuple(str(self._tokenizer.decode([token])) for token in gained)
        return kl_divergence(law, self._equal.unsteered), self._odds(law) - self._before, words

    def _odds(self, law: torch.Tensor) -> Array:
        """log P(Y)/(1 − P(Y)) of every concept's words, shape (n, c)."""
        inside = (self._sets @ law[:, self._words].double().exp().numpy().T).T
        return np.asarray(np.log(np.maximum(inside, _TINY)) - np.log(np.maximum(1.0 - inside, _TINY)))


def agreement(odds: Array, reference: Array) -> Array:
    """Pearson correlation over concepts of each prompt's change with the mean of `reference` over all other prompts.

    Shapes (k, n, c), gives (k, n): noise of a prompt is in one of the two alone.
    """
    n = odds.shape[1]
    others = (reference.sum(axis=1, keepdims=True) - reference) / (n - 1)
    first, second = (rows - rows.mean(axis=2, keepdims=True) for rows in (odds, others))
    lengths = np.linalg.norm(first, axis=2) * np.linalg.norm(second, axis=2)
    return np.asarray((first * second).sum(axis=2) / np.maximum(lengths, _TINY))
