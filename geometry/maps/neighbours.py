"""Nearest neighbours of every point: what UMAP is built from, what a map should keep, what Mapper clusters by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from sklearn.base import BaseEstimator, ClusterMixin

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import EstimationError, shown
from geometry.maps.points import Points, checked_points
from geometry.maps.threads import torch_threads
from geometry.progress import progress_bar

_BLOCK = 1 << 25
_ROWS = 4096  # of a block of distances
# Up to so many dimensions a tree finds neighbours faster than all distances do.
_FLAT = 3
# Of so few points, as in an interval of Mapper, a search takes a millisecond, and threads wait longer for each other.
_FEW = 1024


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest others of every point, the nearest first: indices and Euclidean distances, shapes (n, k)."""

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def k(self) -> int:
        """How many each point has."""
        return int(self.indices.shape[1])


def squared_distances(queries: torch.Tensor, points: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    """‖x − y‖² of some points to all, shape (b, n), up to rounding; `norms` holds ‖y‖²."""
    return torch.addmm(norms, queries, points.T, alpha=-2).add_(queries.square().sum(dim=1, keepdim=True))


@checked
def nearest_neighbours(
    points: Points, k: int = 15, *, approximate: bool = False, seed: int = 0, progress: bool | None = None
) -> Neighbours:
    """The k nearest others of every point by Euclidean distance.

    `approximate` searches by nearest-neighbour descent (with `seed`), which of SmolLM2's whitened rows finds 70% of the
    neighbours in a tenth of the time, after half a minute of compiling: for 100,000 points and more, as the exact
    search costs n²d. `progress` as of `geometry.progress.progress_bar`.

    EstimationError: points that cannot be mapped, or not more than k of them.
    """
    if seed >= 2**32:
        raise EstimationError(f"the seed of a search must be below 2^32, not {shown(seed)}")
    array = checked_points(points)
    if not 1 <= k < len(array):
        raise EstimationError(f"{len(array)} points have 1 … {len(array) - 1} neighbours each, not {shown(k)}; lower k")
    if array.shape[1] <= _FLAT:
        return _sorted(array, neighbours_on_map(array, np.arange(len(array)), k), k)
    if not approximate:
        # Rounding hides which of points that lie close together is the nearer: twice as many are measured again.
        with torch_threads(1 if len(array) <= _FEW else None):
            return _sorted(array, _exact(array, min(2 * k, len(array) - 1), progress), k)
    from pynndescent import NNDescent  # takes seconds to import, and half a minute to compile

    nearest = NNDescent(array, n_neighbors=k + 1, random_state=seed, verbose=False).neighbor_graph[0]
    return _sorted(array, _others(nearest, np.arange(len(array))), k)


def neighbours_on_map(coordinates: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The k nearest others of some points, shape (len(rows), k), by a tree that is fast in few dimensions."""
    return _others(np.asarray(cKDTree(coordinates).query(coordinates[rows], k + 1)[1]), rows)


def _exact(array: NDArray[np.float32], k: int, progress: bool | None) -> NDArray[np.int64]:
    # ‖x − y‖² is computed from norms, whose rounding a common offset would magnify.
    points = torch.from_numpy(array - array.mean(axis=0))
    norms = points.square().sum(dim=1)
    nearest = _Nearest(len(array), k)
    blocks = torch.split(torch.arange(len(array)), _ROWS)
    # Distances are symmetric: each block of them serves both its rows and its columns.
    pairs = [(rows, columns) for place, columns in enumerate(blocks) for rows in blocks[: place + 1]]
    for rows, columns in progress_bar(pairs, "nearest neighbours", progress=progress):
        distances = squared_distances(points[rows], points[columns], norms[columns])
        if rows is columns:
            distances.fill_diagonal_(torch.inf)
        else:
            nearest.keep(columns, distances.T.contiguous(), rows)
        nearest.keep(rows, distances, columns)
    return nearest.indices.numpy()


class _Nearest:
    """The k nearest of every point so far."""

    def __init__(self, n: int, k: int) -> None:
        self.k = k
        self.distances = torch.full((n, k), torch.inf)
        self.indices = torch.zeros((n, k), dtype=torch.int64)

    def keep(self, rows: torch.Tensor, distances: torch.Tensor, columns: torch.Tensor) -> None:
        """Those of some points among others, from their distances, shape (rows, columns)."""
        near = distances.topk(min(self.k, len(columns)), largest=False, sorted=False)
        both = torch.cat([self.distances[rows], near.values], dim=1)
        indices = torch.cat([self.indices[rows], columns[near.indices]], dim=1)
        self.distances[rows], kept = both.topk(self.k, largest=False, sorted=False)
        self.indices[rows] = indices.gather(1, kept)


def _others(nearest: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """All but the point itself, which is its own nearest neighbour unless others lie on it; else all but the last."""
    own = nearest == rows[:, None]
    own[~own.any(axis=1), -1] = True
    return nearest[~own].reshape(len(nearest), -1).astype(np.int64)


def _sorted(array: NDArray[np.float32], indices: NDArray[np.int64], k: int) -> Neighbours:
    """The first k in the order of distances computed anew, without the rounding of the search."""
    distances = np.empty(indices.shape, dtype=np.float32)
    block = max(1, _BLOCK // (indices.shape[1] * array.shape[1]))
    for start in range(0, len(array), block):
        part = slice(start, start + block)
        distances[part] = np.linalg.norm(array[indices[part]] - array[part, None], axis=2)
    order = np.lexsort((indices, distances), axis=1)[:, :k]
    return Neighbours(np.take_along_axis(indices, order, 1), np.take_along_axis(distances, order, 1))


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
