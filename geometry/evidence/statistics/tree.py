"""Tree structure: rank correlation of cosine with tree proximity, quartet topology, four-point condition."""

from functools import lru_cache, partial
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.evidence.requirements import FEWEST, Requirement
from geometry.evidence.statistics.statistic import Statistic, concept_families, keyed
from geometry.intervals import FEWEST_CLUSTERS

Pairs = Literal["all", "word-disjoint"]
_RESAMPLES = 500
_QUARTETS_PER_CONCEPT = 20
_NOT_BESIDE = ("random_subset", "random_parent")


def tree_correlation(pairs: Pairs = "word-disjoint") -> Statistic:
    """Spearman's ρ between cos(ℓ_w, ℓ_z) and 1/(1 + tree distance) over pairs of concepts.

    Shared words make two vectors alike in any model, and nested concepts share them, so "all" pairs
    are correlated in noise as well; "word-disjoint" pairs have no token in common. Where these are all equally far, as
    in a flat tree, nothing is measured, of "all" pairs neither: they would say what every null model does, that nested
    concepts are alike.
    """
    name, labels = keyed("tree_correlation", pairs, "word-disjoint"), partial(_pairs_label, pairs)
    evaluate, resample = partial(_correlation, pairs), partial(_resampled_correlation, pairs)
    return Statistic(name, "whole", 0.0, evaluate, labels, _NOT_BESIDE, resample, requires=_requires(pairs))


def _requires(pairs: Pairs) -> tuple[Requirement, ...]:
    what = "pairs of concepts" if pairs == "all" else "pairs of concepts without a common word"
    different = "different tree distances between concepts without a common word"
    counted = Requirement(what, 2 * FEWEST, partial(_n_pairs, pairs))
    return Requirement(different, 2, _distances_apart), counted


def _n_pairs(pairs: Pairs, hierarchy: ConceptHierarchy) -> int:
    return len(_pairs(hierarchy, pairs)[0])


def _distances_apart(hierarchy: ConceptHierarchy) -> int:
    first, second = np.triu_indices(len(hierarchy), 1)
    return len(np.unique(_closeness(hierarchy)[first, second][shared_words(hierarchy)[first, second] == 0]))


def _pairs_label(pairs: Pairs, directions: ConceptDirections) -> tuple[str, ...]:  # noqa: ARG001 (as of any statistic)
    return (f"{pairs} pairs",)


def _ranked(pairs: Pairs, directions: ConceptDirections) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.float64]]:
    """The pairs that count, and the centred ranks of their cosine and closeness, shape (2, n)."""
    hierarchy = directions.hierarchy
    first, second = _pairs(hierarchy, pairs)
    values = directions.cosines()[first, second]
    if (missing := ~np.isfinite(values)).any():
        first, second, values = first[~missing], second[~missing], values[~missing]
        closeness = _centred_ranks(_closeness(hierarchy)[first, second])
    else:
        closeness = _closeness_ranks(hierarchy, pairs)
    return (first, second), np.stack([_centred_ranks(values), closeness])


def _as_matrix(k: int, where: tuple[NDArray[np.int64], ...], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric, shape (k, k); 0 where there is no pair."""
    first, second = where
    matrix = np.zeros((k, k))
    matrix[first, second] = matrix[second, first] = values
    return matrix


def _centred_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of `scipy.stats.rankdata`, which takes several times as long, less their mean."""
    order = np.argsort(values)
    ascending = values[order]
    first = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]])[: len(values)])  # of equals
    ends = np.append(first[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((first + ends - len(values)) / 2, ends - first)
    return ranks


# Row nulls share the model's hierarchy, so these are worked out once for all of their permutations.
@lru_cache(maxsize=8)
def _pairs(hierarchy: ConceptHierarchy, pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """None of a flat tree, whose word-disjoint pairs are equally far: what is left is nesting, which all nulls have."""
    first, second = np.triu_indices(len(hierarchy), 1)
    counted = shared_words(hierarchy)[first, second] == 0
    apart = _closeness(hierarchy)[first[counted], second[counted]]
    if not len(apart) or apart.min() == apart.max():
        counted[:] = False
    elif pairs == "all":
        counted[:] = True
    return first[counted], second[counted]


@lru_cache(maxsize=8)
def _closeness_ranks(hierarchy: ConceptHierarchy, pairs: Pairs) -> NDArray[np.float64]:
    return _centred_ranks(_closeness(hierarchy)[_pairs(hierarchy, pairs)])


def _correlation(pairs: Pairs, directions: ConceptDirections) -> NDArray[np.float64]:
    _, (cosine, closeness) = _ranked(pairs, directions)
    scale = np.sqrt((cosine @ cosine) * (closeness @ closeness))
    enough = len(cosine) >= FEWEST and scale > 0
    return np.array([cosine @ closeness / scale if enough else np.nan])


def _resampled_correlation(
    pairs: Pairs, directions: ConceptDirections, rng: np.random.Generator
) -> NDArray[np.float64]:
    """ρ with families of concepts drawn again; a pair weighs the product of its families' counts, ranks stay.

    Of fewer than 5 families, which cannot say how families vary, concepts are drawn.
    """
    where, ranks = _ranked(pairs, directions)
    values = np.concatenate([ranks, np.ones_like(ranks[:1])])
    cosine, closeness, counted = (_as_matrix(len(directions), where, row) for row in values)
    family = np.unique(directions.hierarchy.above, return_inverse=True)[1]
    if family.max() + 1 < FEWEST_CLUSTERS:
        family = np.arange(len(family))
    k = int(family.max()) + 1
    weights = rng.multinomial(k, np.full(k, 1 / k), size=_RESAMPLES).astype(np.float64)[:, family]

    def total(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("ri,ri->r", weights @ matrix, weights))

    n, x, y = total(counted), total(cosine), total(closeness)
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = total(cosine * closeness) - x * y / n
        variances = (total(cosine**2) - x**2 / n) * (total(closeness**2) - y**2 / n)
        return covariance / np.sqrt(variances)


def quartets() -> Statistic:
    """Quartet agreement: of four concepts without a common word, are the two pairs most alike those of the tree?

    The four-point condition: on a tree the smallest of d(a,b) + d(c,d), d(a,c) + d(b,d), d(a,d) + d(b,c)
    names the pairs, with d = ‖ℓ_a − ℓ_b‖², which adds up along a tree whose levels are orthogonal.
    One number a concept, the mean over its quartets; chance is ⅓.
    """
    return Statistic(
        "quartets", "whole", 1 / 3, _agreement, _names, _NOT_BESIDE, clusters=concept_families, requires=_QUARTET
    )


def four_points() -> Statistic:
    """Holland's δ: (s₁ − s₂)/(s₁ − s₃) of the sums s₁ ≥ s₂ ≥ s₃ of `quartets`, averaged over a concept's quartets.

    Gromov's four-point condition on each quartet's own scale: 0 on any tree, whichever it is. Source:
    Holland et al., Mol. Biol. Evol. 19 (2002).
    """
    return Statistic(
        "four_points", "whole", 0.5, _delta, _names, _NOT_BESIDE, clusters=concept_families, requires=_QUARTET
    )


def _names(directions: ConceptDirections) -> tuple[str, ...]:
    return directions.hierarchy.names


def _agreement(directions: ConceptDirections) -> NDArray[np.float64]:
    drawn, sums = _sums(directions)
    agree = (sums[:, 0] < sums[:, 1:].min(axis=1)).astype(np.float64)
    return _per_concept(len(directions), drawn, np.where(np.isfinite(sums).all(axis=1), agree, np.nan))


def _delta(directions: ConceptDirections) -> NDArray[np.float64]:
    drawn, sums = _sums(directions)
    low, middle, high = np.sort(sums, axis=1).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return _per_concept(len(directions), drawn, (high - middle) / (high - low))


def _sums(directions: ConceptDirections) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    drawn = _drawn_quartets(directions.hierarchy)
    products = directions.inner_products
    squares = products.diagonal()
    return drawn, pair_sums(squares[:, None] + squares - 2 * products, drawn)


def pair_sums(distance: NDArray[np.float64], quartet: NDArray[np.int64]) -> NDArray[np.float64]:
    """d(a,b) + d(c,d), d(a,c) + d(b,d), d(a,d) + d(b,c), shape (q, 3)."""
    a, b, c, d = quartet.T
    pairings = (((a, b), (c, d)), ((a, c), (b, d)), ((a, d), (b, c)))
    return np.stack([distance[first] + distance[second] for first, second in pairings], axis=1)


def _per_concept(k: int, drawn: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.isfinite(values)
    indices, repeated = drawn[kept].ravel(), np.repeat(values[kept], 4)
    counts = np.bincount(indices, minlength=k)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.bincount(indices, weights=repeated, minlength=k) / counts


# Row nulls share the model's hierarchy, so these are worked out once for all of their permutations.
@lru_cache(maxsize=8)
def _drawn_quartets(hierarchy: ConceptHierarchy) -> NDArray[np.int64]:
    """Quartets of word-disjoint concepts which the tree parts into ab|cd, about 20 a concept, shape (q, 4)."""
    k, wanted = len(hierarchy), _QUARTETS_PER_CONCEPT * len(hierarchy) // 4
    if k < 4:
        return np.empty((0, 4), dtype=np.int64)
    rng = np.random.default_rng(0)
    drawn = rng.integers(k, size=(200 * wanted, 4))
    shared, distance = shared_words(hierarchy) + np.eye(k, dtype=np.int64), hierarchy.tree_distance()
    drawn = drawn[sum(shared[drawn[:, i], drawn[:, j]] for i, j in combinations(range(4), 2)) == 0]
    sums = pair_sums(distance, drawn)
    parted = np.less(*np.sort(sums, axis=1)[:, :2].T)
    drawn, first = drawn[parted], sums[parted].argmin(axis=1)
    pairings = np.array([[0, 1, 2, 3], [0, 2, 1, 3], [0, 3, 1, 2]])
    # The tree's own pairing is written first, so that sum 0 is the one that ought to be smallest.
    drawn = np.take_along_axis(drawn, pairings[first], axis=1)
    # The same four in another order are one quartet.
    _, kept = np.unique(np.sort(drawn, axis=1), axis=0, return_index=True)
    return drawn[np.sort(kept)][:wanted]


def _n_quartets(hierarchy: ConceptHierarchy) -> int:
    return len(_drawn_quartets(hierarchy))


_QUARTET = (Requirement("quartet of concepts without a common word that the tree parts two from two", 1, _n_quartets),)
shared_words = lru_cache(maxsize=8)(ConceptHierarchy.shared_tokens)


@lru_cache(maxsize=8)
def _closeness(hierarchy: ConceptHierarchy) -> NDArray[np.float64]:
    return 1 / (1 + hierarchy.tree_distance())


def pairwise_cosines() -> Statistic:
    """cos(ℓ_w, ℓ_z) of every two concepts, in the order of `scipy.spatial.distance.squareform`."""
    return Statistic("pairwise_cosines", "whole", 0.0, _cosines, _pair_labels, _NOT_BESIDE)


def _cosines(directions: ConceptDirections) -> NDArray[np.float64]:
    return directions.cosines()[np.triu_indices(len(directions), 1)]


def _pair_labels(directions: ConceptDirections) -> tuple[str, ...]:
    return tuple(map(" | ".join, combinations(directions.hierarchy.names, 2)))
