"""Which tree does a model suggest? Clustered concept vectors against the hierarchy and against other models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from geometry.arguments import checked
from geometry.compare.similarity import DISJOINT_PAIRS, pearson, squares, word_disjoint
from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError
from geometry.evidence import NULLS, Requirement, lacking
from geometry.randomness import generator
from geometry.results import NullValues, TestResult

Matrix = NDArray[np.float64]


@checked(cosines=ArrayLike)
def dendrogram(cosines: Matrix) -> NDArray[np.float64]:
    """Average-linkage clustering (UPGMA) of concepts by 1 − cos, as SciPy's linkage matrix, shape (k − 1, 4)."""
    (cosines,) = squares(cosines=cosines)
    if len(cosines) < 2 or not np.isfinite(cosines).all():
        raise EstimationError("concepts are clustered by finite cosines of at least 2 of them")
    distance = np.clip(1 - (cosines + cosines.T) / 2, 0, None)
    np.fill_diagonal(distance, 0)
    return linkage(squareform(distance, checks=False), "average")


@checked(cosines=ArrayLike)
def cophenetic(cosines: Matrix) -> Matrix:
    """The height at which every two concepts are joined in the `dendrogram`, shape (k, k)."""
    return squareform(cophenet(dendrogram(cosines)))


@checked(cosines=Sequence[Any])
def consensus(cosines: Sequence[Matrix]) -> Matrix:
    """Mean rank of every cosine over the models, scaled to −1 … 1, shape (k, k): cluster it for their common tree.

    Ranks, so that a model whose cosines are small throughout has the same say.
    """
    cosines = list(cosines)
    if not cosines:
        raise EstimationError("a consensus needs the cosines of at least one model")
    cosines = squares(**{f"cosines[{index}]": matrix for index, matrix in enumerate(cosines)})
    upper = np.triu_indices(len(cosines[0]), 1)
    ranks = np.mean([rankdata(matrix[upper]) for matrix in cosines], axis=0)
    together = np.eye(len(cosines[0]))
    together[upper] = 2 * (ranks - 1) / max(1, len(ranks) - 1) - 1
    return together + np.triu(together, 1).T


@checked(heights=ArrayLike, distance=ArrayLike, counted=ArrayLike)
def tree_agreement(heights: Matrix, distance: Matrix, counted: NDArray[np.bool_]) -> float:
    """Cophenetic correlation: Pearson's r of joining heights with another tree's distances over the pairs that count.

    The other tree may be a hierarchy's path lengths or another model's heights; pairs at an infinite
    distance do not count. nan for fewer than 3 pairs or a constant side. Source: Sokal & Rohlf, Taxon 11 (1962).
    """
    heights, distance, counts = squares(heights=heights, distance=distance, counted=counted)
    upper = np.triu((counts != 0) & np.isfinite(distance), 1)
    return pearson(heights[upper], distance[upper])


@checked(cosines=ArrayLike, permuted=Sequence[Any])
def recovered_tree(
    cosines: Matrix,
    permuted: Sequence[Matrix],
    hierarchy: ConceptHierarchy,
    *,
    n_permutations: int = 199,
    seed: int = 0,
) -> TestResult:
    """Cophenetic correlation of the clustered concepts with the hierarchy, word-disjoint pairs alone.

    >>> result = recovered_tree(profile.matrix, profile.permuted, profile.hierarchy)  # doctest: +SKIP
    >>> result.value, result.nulls["permuted"].mean, result.p_value  # doctest: +SKIP

    Beside it the vectors of permuted lemmas ("permuted"), which test it: nested concepts share words and are joined
    in any model, and their neighbours with them. In random order ("concepts") concepts lose their nesting too.

    Parameters:
        cosines: shape (k, k), of the hierarchy's concepts.
        permuted: the same on permutations of lemmas.
        n_permutations: of the concepts.
    """
    counted, distance = word_disjoint(hierarchy), hierarchy.tree_distance()
    squares(cosines=cosines, hierarchy=distance)
    heights, rng = cophenetic(cosines), generator(seed, "tree-permutations")
    orders = [np.ix_(*[rng.permutation(len(counted))] * 2) for _ in range(n_permutations)]
    reordered = [tree_agreement(heights, distance[order], counted & counted[order]) for order in orders]
    return TestResult(
        name="recovered_tree",
        labels=(hierarchy.name,),
        values=np.array([tree_agreement(heights, distance, counted)]),
        nulls=beside([tree_agreement(cophenetic(matrix), distance, counted) for matrix in permuted], reordered),
        measure="cophenetic correlation with the hierarchy",
        subject=hierarchy.name,
        lost=hierarchy.lost,
        predicted=1.0,
        resampled=np.array([np.nan]),  # of one number there is no bootstrap
        lacking=lacking(RECOVERABLE, hierarchy),
    )


def _distances(hierarchy: ConceptHierarchy) -> int:
    counted = np.triu(word_disjoint(hierarchy), 1)
    distance = hierarchy.tree_distance()[counted]
    return len(np.unique(distance[np.isfinite(distance)]))


RECOVERABLE = (
    DISJOINT_PAIRS,
    Requirement("different tree distances between connected concepts without a common word", 2, _distances),
)


def beside(permuted: Sequence[ArrayLike], reordered: Sequence[ArrayLike]) -> dict[str, NullValues]:
    """The two nulls of every comparison, an entry a permutation. The first, of lemmas, gives the p-value."""
    own = NULLS["permuted"]
    drawn = {"permuted": (permuted, own.label, own.marker), "concepts": (reordered, "permuted concepts", "x")}
    return {
        name: NullValues(np.array(values, dtype=np.float64).reshape(len(values), -1), label, marker)
        for name, (values, label, marker) in drawn.items()
        if len(values)
    }
