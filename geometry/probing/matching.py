"""Do two ways to the same things agree, thing by thing: the words that name a class, and the prompts that show it?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.errors import EstimationError
from geometry.probing.probe import matrix
from geometry.results import NullValues, TestResult


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Matching(TestResult):
    """Agreement of two sets of k vectors: the cosine of each thing on one route with itself on the other.

    Attributes:
        cosines: shape (k, k), of what sets thing i apart on one route with what sets thing j apart on the other; the
            values are its diagonal.
    """

    cosines: NDArray[np.float64]


@checked(one=ArrayLike, other=ArrayLike, labels=Sequence[Any])
def matched_cosines(
    one: NDArray[np.floating],
    other: NDArray[np.floating],
    *,
    labels: Sequence[str] = (),
    n_permutations: int = 999,
    seed: int = 0,
) -> Matching:
    """Cosines between two routes to the same k things, each less its route's mean, beside permuted things.

    Parameters:
        one, other: shape (k, d), row i of either is of thing i.
        labels: of the things; default, their numbers.
        n_permutations: of the things; where there are no more than that in all, each but the identity is taken once.

    Raises EstimationError: shapes that differ, fewer than 3 things, values that are not finite, a thing at its
        route's mean.
    """
    routes = [matrix(one, "one"), matrix(other, "other")]
    if routes[0].shape != routes[1].shape or len(routes[0]) < 3:
        raise EstimationError(f"two routes to at least 3 things are needed, not {np.shape(one)} and {np.shape(other)}")
    units = []
    for route in routes:
        apart = route - route.mean(axis=0)
        lengths = np.linalg.norm(apart, axis=1, keepdims=True)
        if (lengths <= 1e-12 * np.linalg.norm(route, axis=1).max()).any():
            raise EstimationError("a vector equals its route's mean, so that nothing sets it apart")
        units.append(apart / lengths)
    cosines = units[0] @ units[1].T
    k, rng = len(cosines), np.random.default_rng(seed)
    if factorial(k) - 1 <= n_permutations:
        orders = np.array(list(permutations(range(k)))[1:])
    else:
        orders = np.array([rng.permutation(k) for _ in range(n_permutations)], dtype=np.int64).reshape(-1, k)
    permuted = cosines[np.arange(k), orders].mean(axis=1, keepdims=True)
    return Matching(
        name="matching",
        labels=tuple(labels) or tuple(str(number) for number in range(1, k + 1)),
        values=cosines.diagonal().copy(),
        nulls={"permuted": NullValues(permuted, "permuted classes", ".")},
        measure="cosine of the two routes",
        cosines=cosines,
    )
