"""Ranks of a few distances among very many, compiled: the few are sorted, not the many."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from geometry.cache.kernels import compiled

Distances = NDArray[np.floating[Any]]


@compiled(nogil=True, parallel=True)
def count_smaller(distances: Distances, bounds: Distances) -> NDArray[np.int64]:
    """How many distances of a row are smaller than each of its bounds, shape (b, m) from (b, n) and (b, m).

    >>> count_smaller(np.array([[3.0, 1.0, 2.0, 2.0]]), np.array([[2.0, 9.0, 1.0]]))
    array([[1, 4, 0]])
    """
    rows, m = bounds.shape
    smaller = np.empty((rows, m), np.int64)
    for row in numba.prange(rows):
        order = np.argsort(bounds[row])
        ascending = bounds[row][order]
        histogram = np.zeros(m + 1, np.int64)
        for column in range(distances.shape[1]):
            value = distances[row, column]
            low, left = 0, m  # bounds up to the value are before low + left; found without a branch to mispredict
            while left > 1:
                half = left // 2
                low += half * (ascending[low + half - 1] <= value)
                left -= half
            low += ascending[low] <= value
            histogram[low] += 1
        below = 0
        for place in range(m):
            below += histogram[place]
            smaller[row, order[place]] = below
    return smaller
