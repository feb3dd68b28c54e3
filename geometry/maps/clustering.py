"""The default clusterer of Mapper: components of the mutual nearest-neighbour graph."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.base import BaseEstimator, ClusterMixin

from geometry.errors import EstimationError
from geometry.maps.neighbours import nearest_neighbours


class MutualNeighbours(ClusterMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Clusters are the connected components of points that are among each other's k nearest.

    It has no scale to choose. In hundreds of dimensions distances hardly differ, and a radius (DBSCAN, single
    linkage) takes all points for one cluster or each for noise. Clusters of no more than k (`neighbours`) points may
    be joined; components of fewer than `smallest` points are noise (label −1).
    """

    def __init__(self, neighbours: int = 10, smallest: int = 3) -> None:
        self.neighbours = neighbours
        self.smallest = smallest

    def fit(self, X: NDArray[np.float32], y: None = None) -> "MutualNeighbours":  # noqa: ARG002, N803
        """Label the points X, shape (n, d), in `labels_`."""
        if self.neighbours < 1 or self.smallest < 1:
            raise EstimationError(f"{self}: neighbours and smallest must be positive")
        n = len(X)
        labels = np.zeros(n, dtype=np.int64)
        if n > self.neighbours and (X[0] != X).any():
            nearest = nearest_neighbours(X, self.neighbours, progress=False)
            start = np.repeat(np.arange(n), self.neighbours)
            near = coo_array((np.ones(len(start)), (start, nearest.indices.ravel())), shape=(n, n)).tocsr()
            labels = connected_components(near.multiply(near.T), directed=False)[1].astype(np.int64)
        small = np.bincount(labels)[labels] < self.smallest
        self.labels_ = np.where(small, -1, labels)
        return self
