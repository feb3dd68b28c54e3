"""Two models' concepts measured against each other, each measure beside permuted concepts and shuffled rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from geometry.compare.alignment import Fold, alignment_error, subtree_folds
from geometry.compare.profile import ModelProfile, check_common
from geometry.compare.similarity import cka, representational_similarity, word_disjoint
from geometry.compare.trees import cophenetic, tree_agreement
from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError
from geometry.evidence import TestResult, permutation_p, stream

__all__ = ["PAIR_MEASURES", "PairMeasure", "claim_agreement", "compare_pair", "pair_p_value"]

Matrix = NDArray[np.float64]
Order = NDArray[np.int64]
_FEWEST_UNITS = 3


@dataclass(frozen=True)
class CommonConcepts:
    """What every measure needs of the common hierarchy, worked out once."""

    hierarchy: ConceptHierarchy

    @cached_property
    def disjoint(self) -> NDArray[np.bool_]:
        """Pairs without a common word."""
        return word_disjoint(self.hierarchy)

    def counted(self, order: Order) -> NDArray[np.bool_]:
        """Pairs without a common word in the first model, nor in the second with its concepts in this order."""
        return self.disjoint & self.disjoint[np.ix_(order, order)]

    @cached_property
    def folds(self) -> list[Fold]:
        """Subtrees to leave out of an alignment."""
        return subtree_folds(self.hierarchy)


@dataclass(frozen=True)
class PairMeasure:
    """One way to compare two models' cosine matrices.

    Attributes
    ----------
    says : what the number is, for an axis.
    unrelated, alike : its value for models that have nothing, and everything, in common.
    measure : from the concepts, both matrices and an order of the second model's concepts, to values. Any
        order but their own is a permuted null. Pairs that share words in either order do not count, but in
        "alignment", for which see `subtree_folds`.
    """

    name: str
    says: str
    unrelated: float
    alike: float
    measure: Callable[[CommonConcepts, Matrix, Matrix, Order], NDArray[np.float64]]


def _similarity(common: CommonConcepts, one: Matrix, other: Matrix, order: Order) -> NDArray[np.float64]:
    return np.array([representational_similarity(one, _swapped(other, order), common.counted(order))])


def _cka(common: CommonConcepts, one: Matrix, other: Matrix, order: Order) -> NDArray[np.float64]:
    return np.array([cka(one, _swapped(other, order), common.counted(order))])


def _alignment(common: CommonConcepts, one: Matrix, other: Matrix, order: Order) -> NDArray[np.float64]:
    return alignment_error(one, _swapped(other, order), common.folds)


def _tree(common: CommonConcepts, one: Matrix, other: Matrix, order: Order) -> NDArray[np.float64]:
    return np.array([tree_agreement(cophenetic(one), _swapped(cophenetic(other), order), common.counted(order))])


def _swapped(matrix: Matrix, order: Order) -> Matrix:
    return matrix[np.ix_(order, order)]


PAIR_MEASURES: tuple[PairMeasure, ...] = (
    PairMeasure("similarity", "Spearman's ρ of cosines, word-disjoint pairs", 0.0, 1.0, _similarity),
    PairMeasure("cka", "debiased CKA, word-disjoint pairs", 0.0, 1.0, _cka),
    PairMeasure("alignment", "Procrustes error on a left-out subtree, 1 − cos", 1.0, 0.0, _alignment),
    PairMeasure("tree", "correlation of the two recovered trees", 0.0, 1.0, _tree),
)


def compare_pair(
    one: ModelProfile, other: ModelProfile, *, permutations: int = 19, seed: int = 0
) -> dict[str, TestResult]:
    """Every measure of `PAIR_MEASURES` between two models, beside two nulls.

    "shuffled" takes both models' vectors from shuffled rows, which keeps sizes, nesting and common words, and gives
    the p-value (`pair_p_value`). "permuted" puts the second model's concepts in random order: concepts that share
    words are not exchangeable, so it shows where no pairing leads and tests nothing.

    Raises
    ------
    EstimationError
        The models were measured on different concepts, or with fewer than 2 draws of shuffled rows.
    """
    check_common([one, other])
    if min(len(one.shuffled), len(other.shuffled)) < 2:
        raise EstimationError("two models are compared with at least 2 draws of shuffled rows")
    common = CommonConcepts(one.hierarchy)
    own = np.arange(len(one.hierarchy))
    rng = generator(seed, "pair-permutations")
    orders = [rng.permutation(own) for _ in range(permutations)]
    noise = _paired(one.shuffled, other.shuffled)
    a, b = one.matrix, other.matrix
    found = {}
    for measure in PAIR_MEASURES:
        values = measure.measure(common, a, b, own)
        nulls = {
            "permuted": np.array([measure.measure(common, a, b, order) for order in orders]),
            "shuffled": np.array([measure.measure(common, x, y, own) for x, y in noise]),
        }
        single = len(values) == 1
        found[measure.name] = TestResult(
            measure.name,
            (f"{one.name} | {other.name}",) if single else one.hierarchy.names,
            values,
            nulls,
            measure.unrelated,
            np.array([np.nan]) if single else None,
        )
    return found


def pair_p_value(test: TestResult) -> float:
    """Share of draws of shuffled rows that are as alike as the models, which count as one of them."""
    measure = next(one for one in PAIR_MEASURES if one.name == test.name)
    return test.p_value("shuffled", "greater" if measure.alike > measure.unrelated else "less")


def claim_agreement(one: ModelProfile, other: ModelProfile) -> dict[str, dict[str, Any]]:
    """For each claim about the common concepts: both verdicts, and whether it holds of the same concepts in both.

    The latter is Spearman's ρ of the claim's values over concepts or edges, beside the same of shuffled rows, which
    have the same concepts, sizes and families; p is from these. None where a claim has fewer than 3 values in both.
    """
    check_common([one, other])
    agreement: dict[str, dict[str, Any]] = {}
    for mine, theirs in zip(one.claims, other.claims, strict=True):
        rho = _rank_correlation(mine.test.values, theirs.test.values)
        draws = _paired(list(mine.test.nulls["shuffled"]), list(theirs.test.nulls["shuffled"]))
        noise = np.array([_rank_correlation(x, y) for x, y in draws])
        measured = bool(np.isfinite(rho))
        agreement[mine.claim.name] = {
            "verdicts": [mine.verdict, theirs.verdict],
            "n": int((np.isfinite(mine.test.values) & np.isfinite(theirs.test.values)).sum()),
            "rho": rho if measured else None,
            "shuffled": float(np.nanmean(noise)) if np.isfinite(noise).any() else None,
            "p": permutation_p(rho, noise, "greater") if measured else None,
        }
    return agreement


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    x, y = rankdata(one[both]), rankdata(other[both])
    if both.sum() < _FEWEST_UNITS or x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _paired(one: list[Matrix], other: list[Matrix]) -> list[tuple[Matrix, Matrix]]:
    """Each draw of one with the next of the other.

    Draws are numbered alike, so that models of one tokenizer got the same shuffle, whose words are no noise.
    """
    return list(zip(one, [*other[1:], other[0]], strict=False))
