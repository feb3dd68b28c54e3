"""Mapper: cover points by overlapping intervals of a lens, cluster each part, join clusters that share points.

The cover and the loop over it are KeplerMapper's. Its nerve compares every two clusters as sets, which takes
minutes at 50,000 points; here its nerve has no edges, and one sparse product counts all shared points.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import triu
from scipy.stats import rankdata

from geometry.arguments import checked
from geometry.concepts.hierarchy import incidence
from geometry.errors import EstimationError
from geometry.maps.lenses import Lens, lens_values
from geometry.maps.mapper_graph import MapperGraph
from geometry.maps.neighbours import MutualNeighbours
from geometry.maps.points import LabelledPoints

# The positions of an interval's points and their cluster labels.
Clustered = tuple[NDArray[np.int64], NDArray[np.int64]]


class NoClusterError(EstimationError):
    """Mapper found all points to be noise, which in a null model is a result."""


@runtime_checkable
class Clusterer(Protocol):
    """What scikit-learn's clusterers offer: a label a point, −1 for noise."""

    def fit_predict(self, X: Any, /) -> Any: ...  # noqa: D102, N803

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...  # noqa: D102


@checked
@dataclass(frozen=True)
class Cover:
    """Overlapping intervals of each lens, and their products where there are several.

    `cubes` are the intervals of each lens, `overlap` (0 … 1) the share of one that the next covers too. Intervals that
    are `balanced` have equally many points instead of equal length: the lens is replaced by its ranks.
    """

    cubes: int = 10
    overlap: float = 0.4
    balanced: bool = True

    def __post_init__(self) -> None:
        if self.cubes < 1 or not 0 <= self.overlap < 1:
            raise EstimationError(f"{self}: there must be at least 1 cube, and an overlap of 0 up to less than 1")


@checked
def mapper(
    labelled: LabelledPoints, lens: Lens, *, cover: Cover | None = None, clusterer: Clusterer | None = None
) -> MapperGraph:
    """The Mapper graph of points seen through a lens.

    >>> import geometry as geo
    >>> angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> labelled = geo.maps.LabelledPoints(circle, {"all": np.arange(200)})
    >>> geo.mapper(labelled, geo.maps.pca_lens(1))
    MapperGraph(18 nodes, 18 edges, 1 components, 1 loops)

    Parameters:
        labelled: the points; labels enter through the lens alone.
        lens: a function of the points, such as `projection_lens()`, or its values: a number or a row a point.
        cover: default ten intervals of equally many points that overlap by 40%, fewer for fewer than 20 points.
        clusterer: scikit-learn's or one built alike; default `MutualNeighbours()`.

    EstimationError: a lens that is constant, not finite or of another number of points, or no cluster anywhere.
    Source: Singh, Mémoli, Carlsson: Topological methods for the analysis of high dimensional data sets (2007).
    """
    cover = cover or Cover(min(Cover.cubes, max(2, len(labelled) // 2)))
    return mapper_of_values(labelled.points, lens_values(lens, labelled), cover, clusterer)


def mapper_of_values(
    points: NDArray[np.float32],
    values: NDArray[np.float64],
    cover: Cover,
    clusterer: Clusterer | None = None,
    rows: NDArray[np.int64] | slice = slice(None),
    intervals: list[Clustered] | None = None,
) -> MapperGraph:
    """`mapper` with the lens evaluated, shape (n, c); with `rows` of these points alone, in the intervals of all.

    `intervals` is a list to be filled with the positions and labels of what was clustered in each interval.
    """
    import kmapper  # brings half of scikit-learn, a second or two

    scale = rankdata(values, axis=0) if cover.balanced else values
    # A little wider than the lens, lest rounding leave out its ends.
    margin = 1e-9 * np.ptp(scale, axis=0)
    limits = np.stack([scale.min(axis=0) - margin, scale.max(axis=0) + margin], axis=1)
    points, values, scale = points[rows], values[rows], scale[rows]
    complex_ = kmapper.KeplerMapper(verbose=0).map(
        scale,
        np.arange(len(points))[:, None],
        cover=kmapper.Cover(n_cubes=cover.cubes, perc_overlap=cover.overlap, limits=limits),
        clusterer=_OnRows(clusterer or MutualNeighbours(), points, [] if intervals is None else intervals),
        nerve=SimpleNamespace(compute=lambda nodes: ({}, [[name] for name in nodes]), min_intersection=1),
        remove_duplicate_nodes=True,
    )
    nodes = [np.sort(np.array(members, dtype=np.int64)) for members in complex_["nodes"].values()]
    if not nodes:
        raise NoClusterError(
            f"{cover} and {clusterer or MutualNeighbours()} find no cluster among {len(points)} points;"
            " take fewer cubes, or a clusterer that allows smaller clusters"
        )
    in_nodes = incidence(nodes, len(points))
    shared = triu(in_nodes @ in_nodes.T, k=1).tocoo()
    order = np.lexsort((shared.col, shared.row))
    edges = np.stack([shared.row, shared.col], axis=1)[order].astype(np.int64)
    centres = np.stack([values[members].mean(axis=0) for members in nodes])
    return MapperGraph(tuple(nodes), edges, shared.data[order].astype(np.int64), centres, len(points))


class _OnRows:
    """A clusterer that is given the numbers of points; kmapper would copy all points to float64 otherwise."""

    def __init__(self, clusterer: Clusterer, points: NDArray[np.float32], intervals: list[Clustered]) -> None:
        self._clusterer = clusterer
        self._points = points
        self._intervals = intervals

    def get_params(self) -> dict[str, Any]:
        return self._clusterer.get_params()

    def fit_predict(self, numbers: NDArray[np.int64]) -> Any:
        labels = self._clusterer.fit_predict(self._points[numbers[:, 0]])
        self._intervals.append((numbers[:, 0], np.asarray(labels)))
        return labels
