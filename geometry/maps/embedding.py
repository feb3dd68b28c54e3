"""UMAP: a map of points in two or three dimensions that keeps near neighbours near."""

import warnings

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.errors import EstimationError, shown
from geometry.maps.neighbours import Neighbours, nearest_neighbours
from geometry.maps.points import Points, checked_points
from geometry.maps.threads import torch_threads
from geometry.progress import bar_options, drawn_as_ours, hidden_bars

_MOST_EPOCHS = 100_000  # 200 are usual


@checked
def umap_embedding(
    points: Points,
    *,
    dimensions: int = 2,
    neighbours: int = 15,
    min_distance: float = 0.1,
    epochs: int = 200,
    nearest: Neighbours | None = None,
    initial: Points | None = None,
    seed: int | None = 0,
    progress: bool | None = None,
) -> NDArray[np.float32]:
    """Coordinates of points on a UMAP map, shape (n, dimensions).

    >>> umap_embedding(np.random.default_rng(0).standard_normal((100, 8)), epochs=10).shape
    (100, 2)

    The metric is Euclidean on the rows given: on rows of the unified space that is the causal product, on raw
    rows the Euclidean one. Rows are not reduced by PCA first: in the unified space all directions carry the same
    variance, so that 50 of 576 axes would be an arbitrary choice and lose 91% of it. For the same reason the
    initial layout (the first principal axes) is arbitrary there, and distances between far islands mean nothing.

    Parameters:
        neighbours: of each point; few show fine structure, many coarse.
        min_distance: how closely points may be packed on the map.
        epochs: of the optimisation; the time is proportional.
        nearest: of the same points, if known already (see `nearest_neighbours`); then `neighbours` is theirs.
        initial: coordinates to begin from, shape (n, dimensions), such as a map of the same things elsewhere: fewer
            epochs do, and the maps look alike; default, the first principal axes.
        seed: the map is the same on one machine for one seed; None optimises in parallel and differs from run to run.
        progress: show a bar, or lines in a log; default, a bar in a terminal and in a notebook.

    EstimationError: points that cannot be mapped, not more of them than neighbours, fewer than 2 neighbours, neighbours
    or initial coordinates of other points, or dimensions, distance or epochs out of range.
    Source: McInnes, Healy, Melville: UMAP, arXiv 1802.03426.
    """
    if seed is not None and seed >= 2**32:
        raise EstimationError(f"the seed of a map must be below 2^32, not {shown(seed)}")
    array = checked_points(points)
    if not 1 <= dimensions < min(len(array), array.shape[1] + 1):
        raise EstimationError(f"a map of {len(array)} points in {array.shape[1]}D cannot have {dimensions} dimensions")
    if not 0 <= min_distance <= 1 or not 1 <= epochs <= _MOST_EPOCHS:
        raise EstimationError(
            f"min_distance must lie in 0 … 1 and epochs in 1 … {_MOST_EPOCHS}, not {min_distance:g} and {shown(epochs)}"
        )
    if nearest is None:
        nearest = nearest_neighbours(array, neighbours, progress=progress)
    if len(nearest) != len(array):
        raise EstimationError(f"the neighbours of {len(nearest)} points were given for a map of {len(array)}")
    if nearest.k < 2:
        raise EstimationError("UMAP needs at least 2 neighbours of each point, not 1")
    start = "pca" if initial is None else checked_points(initial, "initial coordinates")
    if not isinstance(start, str) and start.shape != (len(array), dimensions):
        raise EstimationError(f"initial coordinates must have shape {(len(array), dimensions)}, not {start.shape}")
    with hidden_bars():  # a kernel without widgets says so
        from umap import UMAP  # takes seconds to import

    # umap counts a point as its own first neighbour.
    indices = np.column_stack([np.arange(len(array)), nearest.indices]).astype(np.int32)
    distances = np.column_stack([np.zeros(len(array)), nearest.distances]).astype(np.float32)
    model = UMAP(
        n_components=dimensions,
        n_neighbors=nearest.k + 1,
        min_dist=min_distance,
        n_epochs=epochs,
        init=start,
        precomputed_knn=(indices, distances, None),
        random_state=seed,
        n_jobs=1 if seed is not None else -1,
        tqdm_kwds=bar_options("UMAP", progress=progress),
    )
    with warnings.catch_warnings(), drawn_as_ours("umap.layouts"), torch_threads():
        warnings.filterwarnings("ignore", message="precomputed_knn")  # nothing is to be transformed later
        return np.asarray(model.fit_transform(array), dtype=np.float32)
