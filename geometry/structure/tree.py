"""Tree-likeness: concepts close in the hierarchy have similar vectors."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from geometry.directions import ConceptDirections
from geometry.structure.statistic import FEWEST, Statistic

__all__ = ["pairwise_cosines", "tree_correlation", "tree_likeness"]


def tree_correlation(directions: ConceptDirections) -> NDArray[np.float64]:
    """Spearman's ρ between cos(ℓ_w, ℓ_z) and 1/(1 + tree distance), shape (2,).

    First over all pairs of concepts, then over pairs without a common token: shared words make two
    vectors alike in any model, and nested concepts share them.
    """
    hierarchy = directions.hierarchy
    upper = np.triu_indices(len(hierarchy), 1)
    cosines = directions.cosines()[upper]
    closeness = 1 / (1 + hierarchy.tree_distance()[upper])
    disjoint = hierarchy.shared_tokens()[upper] == 0
    return np.array([_spearman(cosines, closeness), _spearman(cosines[disjoint], closeness[disjoint])])


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if len(a) < FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def tree_likeness() -> Statistic:
    """`tree_correlation` on vectors fitted to all tokens."""
    labels = ("all pairs", "word-disjoint pairs")
    return Statistic("tree/whole", "whole", 0.0, tree_correlation, lambda _: labels, not_beside=("random_subset",))


def pairwise_cosines() -> Statistic:
    """cos(ℓ_w, ℓ_z) of every two concepts, in the order of `scipy.spatial.distance.squareform`."""
    return Statistic(
        "cosines/whole",
        "whole",
        0.0,
        lambda directions: directions.cosines()[np.triu_indices(len(directions), 1)],
        lambda directions: tuple(f"{one} | {other}" for one, other in combinations(directions.hierarchy.names, 2)),
        not_beside=("random_subset",),
    )
