"""Whether a point's nearest neighbours, in space or on a map, belong to its concept."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array

from geometry.arguments import checked
from geometry.errors import EstimationError
from geometry.maps.neighbours import Neighbours
from geometry.maps.points import LabelledPoints, group_exchange
from geometry.randomness import generator
from geometry.results import NullValues, TestResult


@checked(strata=ArrayLike | None)
def neighbourhood_purity(
    labelled: LabelledPoints,
    nearest: Neighbours,
    *,
    strata: NDArray[np.int64] | None = None,
    n_permutations: int = 99,
    seed: int = 0,
) -> TestResult:
    """kNN purity: share of the neighbours of a concept's points that belong to the concept too, one value a concept.

    Neighbours of the point's own group (other spellings of its word) are not counted: " Bird" beside " bird" shows
    nothing about birds. The null, "shuffled", gives each group the concepts of another of the same size, and so
    keeps where all points lie, which groups hold together, how concepts overlap and how large they are.

    `nearest` is of the points in space or of their coordinates on a map. With `strata`, shape (n,), groups are
    exchanged only within those of the same number, of similar frequency for example; a group's first point decides.

    EstimationError: neighbours or strata of another number of points.
    """
    n = len(labelled)
    if len(nearest) != n:
        raise EstimationError(f"{n} labelled points need the neighbours of as many, not of {len(nearest)}")
    groups = np.unique(labelled.groups, return_inverse=True)[1]
    point = np.repeat(np.arange(n), nearest.k)
    neighbour = nearest.indices.ravel()
    counts = groups[point] != groups[neighbour]
    counted = np.bincount(point[counts], minlength=n)
    weights = 1 / np.maximum(counted, 1)[point[counts]]
    averaged = coo_array((weights, (point[counts], neighbour[counts])), shape=(n, n)).tocsr()

    def purity(order: NDArray[np.int64]) -> NDArray[np.float64]:
        belonging = labelled.incidence[order]
        # Points all of whose neighbours are of their group have no share.
        within = belonging.multiply((counted > 0)[:, None]).tocsr()
        total = np.asarray(within.sum(axis=0)).ravel()
        shares = np.asarray(within.multiply(averaged @ belonging).sum(axis=0)).ravel()
        return np.divide(shares, total, out=np.full(len(total), np.nan), where=total > 0)

    exchanged = group_exchange(groups, strata)
    permuted = [purity(exchanged(generator(seed, "purity", index))) for index in range(n_permutations)]
    return TestResult(
        name="neighbourhood_purity",
        labels=tuple(labelled.members),
        values=purity(np.arange(n)),
        nulls={"shuffled": NullValues(np.array(permuted), "shuffled concepts", ".", aligned=True)}
        if n_permutations
        else {},
        title="neighbours belong to the same concept",
        measure="kNN purity",
    )
