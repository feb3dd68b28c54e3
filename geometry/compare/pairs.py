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
from geometry.structure import Comparison, permutation_p, stream

__all__ = ["PAIR_MEASURES", "PairMeasure", "claim_agreement", "compare_pair"]

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
        order but their own is a permuted null; pairs that share words in either order do not count.
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
    one: ModelProfile, other: ModelProfile, *, permutations: int = 99, seed: int = 0
) -> dict[str, Comparison]:
    """Every measure of `PAIR_MEASURES` between two models, beside two nulls.

    "permuted" puts the second model's concepts in random order and gives the p-value; "shuffled" takes both models'
    vectors from shuffled rows, which keeps sizes, nesting and common words.

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
    rng = stream(seed, "pair-permutations")
    orders = [rng.permutation(own) for _ in range(permutations)]
    # Draws are numbered alike, and models of one tokenizer would get the same shuffle: its words are no noise.
    noise = list(zip(one.shuffled, [*other.shuffled[1:], other.shuffled[0]], strict=False))
    a, b = one.matrix, other.matrix
    found = {}
    for measure in PAIR_MEASURES:
        values = measure.measure(common, a, b, own)
        nulls = {
            "permuted": np.array([measure.measure(common, a, b, order) for order in orders]),
            "shuffled": np.array([measure.measure(common, x, y, own) for x, y in noise]),
        }
        single = len(values) == 1
        found[measure.name] = Comparison(
            measure.name,
            (f"{one.name} | {other.name}",) if single else one.hierarchy.names,
            values,
            nulls,
            measure.unrelated,
            np.array([np.nan]) if single else None,
        )
    return found


def claim_agreement(
    one: ModelProfile, other: ModelProfile, *, permutations: int = 199, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """For each claim about the common concepts: both verdicts, and whether it holds of the same concepts in both.

    The latter is Spearman's ρ of the claim's values over concepts or edges, with a permutation p; None where a
    claim has fewer than 3 values that both models have.
    """
    check_common([one, other])
    rng = stream(seed, "claim-permutations")
    agreement: dict[str, dict[str, Any]] = {}
    for mine, theirs in zip(one.claims, other.claims, strict=True):
        x, y = mine.test.values, theirs.test.values
        both = np.isfinite(x) & np.isfinite(y)
        entry: dict[str, Any] = {
            "verdicts": [mine.verdict, theirs.verdict],
            "n": int(both.sum()),
            "rho": None,
            "p": None,
        }
        ranks = rankdata(x[both]), rankdata(y[both])
        if both.sum() >= _FEWEST_UNITS and all(rank.std() > 0 for rank in ranks):
            drawn = [np.corrcoef(ranks[0], rng.permutation(ranks[1]))[0, 1] for _ in range(permutations)]
            entry["rho"] = float(np.corrcoef(*ranks)[0, 1])
            entry["p"] = permutation_p(entry["rho"], np.array(drawn), "greater")
        agreement[mine.claim.name] = entry
    return agreement
