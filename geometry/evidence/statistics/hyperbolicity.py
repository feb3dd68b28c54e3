"""Relative δ-hyperbolicity: how far the distances of concepts are from those of any tree, on one scale for all."""

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.evidence.requirements import Requirement
from geometry.evidence.statistics.statistic import Statistic
from geometry.evidence.statistics.tree import pair_sums, shared_words

_QUADRUPLES = 100_000
_DRAWN_AT_A_TIME, _TIMES = 250_000, 8
_NOT_BESIDE = ("random_subset", "random_parent")


def hyperbolicity() -> Statistic:
    """Relative Gromov δ of the concepts that have none below them, 2δ/diameter: 0 on a tree, at most 1.

    >>> results = geo.test_against_nulls(space, hierarchy, [hyperbolicity()])  # doctest: +SKIP
    >>> results["hyperbolicity"].value, results["hyperbolicity"].nulls["permuted"].mean  # doctest: +SKIP
    (0.12, 0.12)

    δ is the largest (s₁ − s₂)/2 of the sums s₁ ≥ s₂ ≥ s₃ of d(a,b) + d(c,d), d(a,c) + d(b,d), d(a,d) + d(b,c), with
    d = ‖ℓ_a − ℓ_b‖, over quadruples of concepts without a common word: all where there are at most 100,000, else so
    many drawn with a fixed seed, whose largest is a lower bound. The diameter is the largest d in them.

    A small δ is no evidence alone: points that are all equally far are a star, a tree too, and noise in many
    dimensions tends to it, so that the number says something beside permuted lemmas only. Vectors of one length whose
    levels are orthogonal have distances of an ultrametric, δ = 0, for d as for d². What `four_points` measures is
    another thing: how far each quartet that the tree parts is from a tree on its own scale, in the mean.

    Source: δ-hyperbolicity of embeddings of language models, Chourasia et al., arXiv 2512.20926; Gromov's four-point
    definition, and relative to the diameter as Khrulkov et al., arXiv 1904.02239, who take one base point.
    """
    what = "quadruple of concepts without a common word and without concepts below"
    return Statistic(
        "hyperbolicity", "whole", np.nan, _relative, _label, _NOT_BESIDE, requires=(Requirement(what, 1, _count),)
    )


def _label(directions: ConceptDirections) -> tuple[str, ...]:  # noqa: ARG001 (as of any statistic)
    return ("largest of all quadruples",)


def _count(hierarchy: ConceptHierarchy) -> int:
    return len(_quadruples(hierarchy))


def _relative(directions: ConceptDirections) -> NDArray[np.float64]:
    vectors, quadruples = directions.numpy().astype(np.float64), _quadruples(directions.hierarchy)
    fitted = np.asarray(np.isfinite(vectors).all(axis=1))
    quadruples = quadruples[fitted[quadruples].all(axis=1)]
    if not len(quadruples):
        return np.array([np.nan])
    vectors = np.where(fitted[:, None], vectors, vectors[fitted].mean(axis=0))
    distances = cdist(vectors, vectors)
    diameter = max(distances[quadruples[:, i], quadruples[:, j]].max() for i, j in combinations(range(4), 2))
    if diameter <= np.finfo(np.float32).eps * np.linalg.norm(vectors, axis=1).max():  # rounding
        return np.array([np.nan])
    sums = np.sort(pair_sums(distances, quadruples), axis=1)
    return np.array([(sums[:, 2] - sums[:, 1]).max() / diameter])


# Row nulls share the model's hierarchy, so these are drawn once for all of their permutations.
@lru_cache(maxsize=8)
def _quadruples(hierarchy: ConceptHierarchy) -> NDArray[np.int64]:
    """Four concepts each, ascending, shape (q, 4)."""
    leaves = np.array([i for i, name in enumerate(hierarchy.names) if not hierarchy.children[name]], dtype=np.int64)
    if len(leaves) < 4:
        return np.empty((0, 4), dtype=np.int64)
    shared = shared_words(hierarchy)[np.ix_(leaves, leaves)]
    if comb(len(leaves), 4) <= _QUADRUPLES:
        every = np.array(list(combinations(range(len(leaves)), 4)), dtype=np.int64)
        return leaves[_apart(every, shared)]
    rng, kept = np.random.default_rng(0), np.empty((0, 4), dtype=np.int64)
    for _ in range(_TIMES):
        drawn = np.sort(rng.integers(len(leaves), size=(_DRAWN_AT_A_TIME, 4)), axis=1)
        drawn = drawn[(np.diff(drawn, axis=1) > 0).all(axis=1)]
        kept = np.unique(np.concatenate([kept, _apart(drawn, shared)]), axis=0)
        if len(kept) >= _QUADRUPLES:
            break
    # In the order of unique rows the first would be those of the first concepts.
    return leaves[rng.permutation(kept)[:_QUADRUPLES]]


def _apart(quadruples: NDArray[np.int64], shared: NDArray[np.int64]) -> NDArray[np.int64]:
    common = sum(shared[quadruples[:, i], quadruples[:, j]] for i, j in combinations(range(4), 2))
    return quadruples[common == 0]
