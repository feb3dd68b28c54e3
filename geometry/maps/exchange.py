"""Exchanging concepts among points, a whole group (a word's spellings) at a time."""

import numpy as np
from numpy.typing import NDArray

from geometry.errors import EstimationError


class GroupExchange:
    """Permutations of points that carry whole groups to groups of the same size and stratum.

    EstimationError for strata of another number of points; a group's first point decides its stratum.
    """

    def __init__(self, groups: NDArray[np.int64], strata: NDArray[np.int64] | None = None) -> None:
        if strata is not None and np.shape(strata) != groups.shape:
            raise EstimationError(
                f"strata must hold one number per point, shape {groups.shape}, not {np.shape(strata)}"
            )
        groups = np.unique(groups, return_inverse=True)[1]
        self._points = np.argsort(groups, kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(groups))])
        sizes = np.diff(self._starts)
        stratum = np.zeros(len(sizes), int) if strata is None else np.asarray(strata)[self._points[self._starts[:-1]]]
        _, kind = np.unique(np.stack([sizes, stratum]), axis=1, return_inverse=True)
        self._kinds = [np.flatnonzero(kind == number) for number in range(kind.max() + 1)]
        self._sizes = sizes

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """For every point the one whose concepts it gets."""
        order = np.empty(len(self._points), dtype=np.int64)
        for kind in self._kinds:
            inside = np.arange(self._sizes[kind[0]])
            given, taken = self._starts[kind], self._starts[rng.permutation(kind)]
            order[self._points[given[:, None] + inside]] = self._points[taken[:, None] + inside]
        return order
