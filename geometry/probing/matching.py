"""Do two ways to the same things agree, thing by thing: the words that name a class, and the prompts that show it?

Arrays in, numbers out. Imported by analyses of behaviours.
"""

from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from geometry.errors import EstimationError
from geometry.significance import permutation_p

__all__ = ["Matching", "matched_cosines"]


@dataclass(frozen=True, eq=False)
class Matching:
    """Agreement of two sets of k vectors.

    Attributes
    ----------
    cosines : shape (k, k), of what sets thing i apart on one route with what sets thing j apart on the other.
    nulls : the mean of the diagonal after permuting the things of one route.
    """

    cosines: NDArray[np.float64]
    nulls: NDArray[np.float64]

    @property
    def value(self) -> float:
        """Mean cosine of a thing with itself."""
        return float(self.cosines.trace() / len(self.cosines))

    @property
    def p_value(self) -> float:
        """Share of permutations that agree as well; at least 1/k! where all of them are few."""
        return permutation_p(self.value, self.nulls, "greater")


def matched_cosines(
    one: NDArray[np.floating], other: NDArray[np.floating], *, draws: int = 999, seed: int = 0
) -> Matching:
    """Cosines between two routes to the same k things, each less its route's mean, beside permuted things.

    Parameters
    ----------
    one, other : shape (k, d), row i of either is of thing i.
    draws : random permutations; where there are no more than that in all, each but the identity is taken once.

    Raises
    ------
    EstimationError
        Shapes that differ, fewer than 3 things, values that are not finite, a thing at its route's mean.
    """
    routes = [np.asarray(some, dtype=np.float64) for some in (one, other)]
    if routes[0].ndim != 2 or routes[0].shape != routes[1].shape or len(routes[0]) < 3:
        raise EstimationError(f"two routes to at least 3 things are needed, not {np.shape(one)} and {np.shape(other)}")
    if not all(np.isfinite(some).all() for some in routes):
        raise EstimationError("the vectors of a route must be finite")
    units = []
    for some in routes:
        apart = some - some.mean(axis=0)
        lengths = np.linalg.norm(apart, axis=1, keepdims=True)
        if (lengths <= 1e-12 * np.linalg.norm(some, axis=1).max()).any():
            raise EstimationError("a vector equals its route's mean, so that nothing sets it apart")
        units.append(apart / lengths)
    cosines: NDArray[np.float64] = units[0] @ units[1].T
    k = len(cosines)
    if factorial(k) - 1 <= draws:
        orders = np.array(list(permutations(range(k)))[1:])
    else:
        rng = np.random.default_rng(seed)
        orders = np.array([rng.permutation(k) for _ in range(draws)], dtype=np.int64).reshape(-1, k)
    return Matching(cosines, cosines[np.arange(k), orders].mean(axis=1))
