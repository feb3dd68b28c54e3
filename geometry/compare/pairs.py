"""Two models' concepts measured against each other, each measure beside permuted lemmas and permuted concepts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from geometry.arguments import checked
from geometry.compare.alignment import FEWEST_TO_ALIGN, alignment_error, subtree_folds
from geometry.compare.profile import ModelProfile, check_common
from geometry.compare.similarity import DISJOINT_PAIRS, cka, pearson, representational_similarity, word_disjoint
from geometry.compare.trees import RECOVERABLE, beside, cophenetic, tree_agreement
from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.evidence import Requirement, lacking
from geometry.randomness import generator
from geometry.results import Results, TestResult

Matrix = NDArray[np.float64]
Order = NDArray[np.int64]
_NO_BOOTSTRAP = np.array([np.nan])  # of one number


class CommonConcepts:
    """What every measure needs of the common hierarchy: pairs without a common word, subtrees to hold out."""

    def __init__(self, hierarchy: ConceptHierarchy) -> None:
        self.disjoint, self.folds = word_disjoint(hierarchy), subtree_folds(hierarchy)

    def counted(self, order: Order) -> NDArray[np.bool_]:
        """Pairs without a common word in the first model, nor in the second with its concepts in this order."""
        return self.disjoint & self.disjoint[np.ix_(order, order)]


@dataclass(frozen=True)
class PairMeasure:
    """One way to compare two models' cosine matrices.

    Attributes:
        name: of its function in this room.
        measure: what the number is, for an axis.
        unrelated, identical: its value for models that have nothing, and everything, in common.
        requires: what a hierarchy must have for anything to be compared.
        evaluate: from the concepts, both matrices and an order of the second model's concepts, to values. Any order but
            their own is a permuted null. Pairs that share words in either order do not count, but in "alignment_error",
            for which see `subtree_folds`.
    """

    name: str
    measure: str
    unrelated: float
    identical: float
    evaluate: Callable[[CommonConcepts, Matrix, Matrix, Order], NDArray[np.float64]]
    requires: tuple[Requirement, ...] = ()

    __repr__ = short_repr


def _similarity(common: CommonConcepts, first: Matrix, second: Matrix, order: Order) -> NDArray[np.float64]:
    return np.array([representational_similarity(first, _reordered(second, order), common.counted(order))])


def _cka(common: CommonConcepts, first: Matrix, second: Matrix, order: Order) -> NDArray[np.float64]:
    return np.array([cka(first, _reordered(second, order), common.counted(order))])


def _alignment(common: CommonConcepts, first: Matrix, second: Matrix, order: Order) -> NDArray[np.float64]:
    return alignment_error(first, _reordered(second, order), common.folds)


def _tree(common: CommonConcepts, first: Matrix, second: Matrix, order: Order) -> NDArray[np.float64]:
    heights = _reordered(cophenetic(second), order)
    return np.array([tree_agreement(cophenetic(first), heights, common.counted(order))])


def _reordered(matrix: Matrix, order: Order) -> Matrix:
    return matrix[np.ix_(order, order)]


def _free_pairs(hierarchy: ConceptHierarchy) -> int:
    """Pairs without a common word beyond the effects aᵢ + aⱼ that centring takes away."""
    counted = word_disjoint(hierarchy) & ~np.eye(len(hierarchy), dtype=bool)
    return int(counted.sum()) // 2 - int(np.linalg.matrix_rank(np.diag(counted.sum(axis=1)) + counted))


def _n_folds(hierarchy: ConceptHierarchy) -> int:
    return len(subtree_folds(hierarchy))


_FREE = Requirement(
    "pair of concepts without a common word beyond what centring takes, about one for each concept", 1, _free_pairs
)
_FOLD = Requirement(
    f"subtree to hold out beside {FEWEST_TO_ALIGN} concepts that hardly share a word with it", 1, _n_folds
)

PAIR_MEASURES: tuple[PairMeasure, ...] = (
    PairMeasure(
        "representational_similarity",
        "RSA: Spearman's ρ of cosines, word-disjoint pairs",
        0.0,
        1.0,
        _similarity,
        (DISJOINT_PAIRS,),
    ),
    PairMeasure("cka", "debiased CKA, word-disjoint pairs", 0.0, 1.0, _cka, (_FREE,)),
    PairMeasure("alignment_error", "Procrustes error on a held-out subtree, 1 − cos", 1.0, 0.0, _alignment, (_FOLD,)),
    PairMeasure(
        "tree_agreement", "cophenetic correlation of the two recovered trees", 0.0, 1.0, _tree, (DISJOINT_PAIRS,)
    ),
)


@checked
def incomparable(hierarchy: ConceptHierarchy) -> dict[str, str]:
    """What two models cannot be compared by on a hierarchy of common concepts, and what it would take.

    >>> hierarchy = geo.load_hierarchy({"animal": {"mammal": ["dog"], "bird": ["owl"]}}, vocabulary)  # doctest: +SKIP
    >>> incomparable(hierarchy)["representational_similarity"]  # doctest: +SKIP
    'needs at least 3 pairs of concepts without a common word, has 1'
    """
    reasons = {measure.name: lacking(measure.requires, hierarchy, in_full=True) for measure in PAIR_MEASURES}
    reasons["recovered_tree"] = lacking(RECOVERABLE, hierarchy, in_full=True)
    return {name: reason for name, reason in reasons.items() if reason}


@checked
def compare_pair(first: ModelProfile, second: ModelProfile, *, n_permutations: int = 19, seed: int = 0) -> Results:
    """Every measure of `PAIR_MEASURES` between two models, beside two nulls.

    >>> results = compare_pair(first, second)  # doctest: +SKIP
    >>> results["cka"].value, results["cka"].nulls["permuted"].mean, results["cka"].p_value  # doctest: +SKIP

    "permuted" takes both models' vectors from permuted lemmas, which keeps sizes, nesting, common words and shares of
    frequent ones, and gives the p-value. "concepts" puts the second model's concepts in random order
    (`n_permutations` of them): concepts that share words are not exchangeable, so it shows where no pairing leads and
    tests nothing.

    Raises EstimationError: the models were measured on different concepts, or with fewer than 2 permutations of
        lemmas.
    """
    check_common([first, second])
    if min(len(first.permuted), len(second.permuted)) < 2:
        raise EstimationError("two models are compared with at least 2 permutations of lemmas")
    common, pair = CommonConcepts(first.hierarchy), f"{first.name} | {second.name}"
    own = np.arange(len(first.hierarchy))
    rng = generator(seed, "pair-permutations")
    orders = [rng.permutation(own) for _ in range(n_permutations)]
    noise = _paired(first.permuted, second.permuted)
    x, y = first.matrix, second.matrix
    results = []
    for measure in PAIR_MEASURES:
        values = measure.evaluate(common, x, y, own)
        single = len(values) == 1
        result = TestResult(
            name=measure.name,
            labels=(pair,) if single else first.hierarchy.names,
            values=values,
            nulls=beside(
                [measure.evaluate(common, *matrices, own) for matrices in noise],
                [measure.evaluate(common, x, y, order) for order in orders],
            ),
            measure=measure.measure,
            subject=pair,
            lost=_lost(first, second),
            alternative="greater" if measure.identical > measure.unrelated else "less",
            unstructured=measure.unrelated,
            predicted=measure.identical,
            resampled=_NO_BOOTSTRAP if single else None,
            lacking="" if np.isfinite(values).any() else lacking(measure.requires, first.hierarchy),
        )
        results.append(result)
    return Results(results)


def _lost(first: ModelProfile, second: ModelProfile) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first.hierarchy.lost + second.hierarchy.lost))


@checked
def claim_agreement(first: ModelProfile, second: ModelProfile) -> Results:
    """For each claim about the common concepts, whether it holds of the same concepts in both models.

    >>> claim_agreement(first, second)["existence"].value  # doctest: +SKIP

    Spearman's ρ of the claim's values over concepts or edges, beside the same of permuted lemmas, which have the same
    concepts, sizes and families; p is from these. nan where a claim has fewer than 3 values in both. Claims of
    orthogonality are left out: their cosines are pooled, and those of single families are mostly noise.
    """
    check_common([first, second])
    pair = f"{first.name} | {second.name}"
    results = []
    for mine, theirs in zip(first.claims, second.claims, strict=True):
        if "permuted" not in mine.nulls:
            continue
        noise = _paired(list(mine.nulls["permuted"].values), list(theirs.nulls["permuted"].values))
        result = TestResult(
            name=mine.name,
            labels=(pair,),
            values=np.array([_rank_correlation(mine.values, theirs.values)]),
            nulls=beside([_rank_correlation(x, y) for x, y in noise], []),
            title=mine.title,
            measure="Spearman's ρ of the claim's values in the two models",
            subject=pair,
            lost=_lost(first, second),
            predicted=1.0,
            resampled=_NO_BOOTSTRAP,
        )
        results.append(result)
    return Results(results)


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    both = np.isfinite(first) & np.isfinite(second)
    return pearson(rankdata(first[both]), rankdata(second[both]))


def _paired(first: Sequence[Matrix], second: Sequence[Matrix]) -> list[tuple[Matrix, Matrix]]:
    """Each permutation of the first with the next of the second.

    Permutations are numbered alike, so that both models may have got the same one, which keeps what they agree on.
    """
    return list(zip(first, [*second[1:], second[0]], strict=False))
