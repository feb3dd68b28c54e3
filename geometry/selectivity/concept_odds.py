"""Log-odds of every concept under a next-token law, told apart from what the target itself gained."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from geometry.concepts import ConceptHierarchy
from geometry.concepts.hierarchy import incidence
from geometry.display import short_repr
from geometry.selectivity.relations import TreeRelations

Array = NDArray[np.float64]
_TINY = np.finfo(np.float64).tiny
_ROUNDING = 1e-13  # of sums of probabilities


@dataclass(frozen=True, eq=False)
class Odds:
    """Log-odds of k concepts after each of n prompts, in nats; nan where a concept has no words left, or all.

    Attributes:
        raw: log P(Y)/(1 − P(Y)), Y a concept's words, and outside the target and its descendants those of them that are
            not the target's; shape (k, n).
        off_target: the same under the law of all tokens but the target's words, renormalised; nan for the target and
            what is below it. A vector that only takes mass for its target, from all others alike, leaves it as it is.
    """

    raw: Array
    off_target: Array

    __repr__ = short_repr

    def __sub__(self, other: "Odds") -> "Odds":
        return Odds(self.raw - other.raw, self.off_target - other.off_target)


@dataclass(frozen=True, eq=False)
class ConceptOdds:
    """The words of a hierarchy's concepts, by which laws are measured.

    Attributes:
        hierarchy: k concepts.
        relations: of these.
        tokens: ids in the model's vocabulary of `hierarchy.tokens`; another order of theirs makes concepts that mean
            nothing, shape (T,).
    """

    hierarchy: ConceptHierarchy
    relations: TreeRelations
    tokens: NDArray[np.int64]

    __repr__ = short_repr

    @classmethod
    def of(cls, hierarchy: ConceptHierarchy, relations: TreeRelations | None = None) -> "ConceptOdds":
        """With the hierarchy's own words."""
        return cls(hierarchy, relations or TreeRelations.of(hierarchy), hierarchy.tokens)

    def permuted(self, rows: NDArray[np.int64]) -> "ConceptOdds":
        """Every word gets another's place among the concepts: of `LemmaBlocks.permutation`, shape (T,)."""
        return ConceptOdds(self.hierarchy, self.relations, self.tokens[rows])

    @cached_property
    def _sets(self) -> csr_array:
        return incidence(self.hierarchy.members, len(self.hierarchy.tokens)).astype(np.float64)

    def words(self, target: int) -> NDArray[np.int64]:
        """Ids of a concept's words."""
        return self.tokens[self.hierarchy.members[target]]

    def at(self, probabilities: Array, target: int) -> Odds:
        """Under laws of which those of `tokens` are given, shape (T, n); `target` is a position among the concepts."""
        own = self.hierarchy.members[target]
        inside = np.flatnonzero(self.relations.codes[target] <= 1)  # itself and what is below it
        outside = probabilities.copy()
        outside[own] = 0.0
        sums = np.asarray(self._sets @ outside)
        rest = 1.0 - probabilities[own].sum(axis=0)
        off_target = _log_odds(sums, np.maximum(rest - sums, 0.0))
        sums[inside] = self._sets[inside] @ probabilities
        raw = _log_odds(sums, np.maximum(1.0 - sums, 0.0))
        off_target[inside] = np.nan
        empty = ~self._has_words(target)
        raw[empty], off_target[empty] = np.nan, np.nan
        return Odds(raw, off_target)

    def _has_words(self, target: int) -> NDArray[np.bool_]:
        left = np.ones(len(self.tokens))
        left[self.hierarchy.members[target]] = 0
        has: NDArray[np.bool_] = np.asarray(self._sets @ left) > 0
        has[self.relations.codes[target] <= 1] = True
        return has


def _log_odds(inside: Array, outside: Array) -> Array:
    """nan where what is outside is no more than rounding: log-odds of what holds everything are none."""
    odds = np.log(np.maximum(inside, _TINY)) - np.log(np.maximum(outside, _TINY))
    return np.asarray(np.where(outside > _ROUNDING, odds, np.nan))
