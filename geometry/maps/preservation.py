"""Neighbourhood preservation: whether points that are near on a map are near in space, beside permuted maps."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.errors import EstimationError
from geometry.maps.neighbours import Neighbours, neighbours_on_map, squared_distances
from geometry.maps.points import Points, checked_points
from geometry.maps.threads import torch_threads
from geometry.randomness import generator
from geometry.results import NullValues, TestResult

_BLOCK = 1 << 24


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Trustworthiness(TestResult):
    """How far neighbours on a map are neighbours in space: 1 is perfect, 0.5 what chance gives.

    `kept` is the share of the `k` neighbours on the map that are among the k nearest in space, `null_kept` the same of
    the permuted maps, shape (n_permutations,), and `sample` the number of points judged. Chance is k/(n − 1).
    """

    kept: float
    null_kept: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    k: int
    sample: int

    def to_dict(self) -> dict[str, Any]:
        """That of every test result, and the share kept, k and sample."""
        null_kept = float(self.null_kept.mean()) if len(self.null_kept) else None
        return super().to_dict() | {"kept": self.kept, "null_kept": null_kept, "k": self.k, "sample": self.sample}

    def __repr__(self) -> str:
        return f"{super().__repr__()}; {self.kept:.1%} of {self.k} neighbours kept"


@checked
def trustworthiness(
    points: Points,
    coordinates: Points,
    *,
    k: int = 15,
    nearest: Neighbours | None = None,
    sample: int = 5000,
    n_permutations: int = 19,
    seed: int = 0,
) -> Trustworthiness:
    """Trustworthiness of a map (Venna & Kaski) at a seeded sample of points, beside permuted maps.

    The value is 1 − mean excess rank in space of the k neighbours on the map, scaled; k is less than n/2. The sampled
    points' neighbours on the map are looked for among *all* points, so that a sample estimates what all points give,
    not a coarser neighbourhood. With every point sampled it is scikit-learn's `trustworthiness`.

    `nearest` is of the coordinates, if known already (see `nearest_neighbours`); then k is theirs. They serve the null
    too, as in whatever order points lie on a map, its places have the same neighbours.

    The null, "permuted", permutes the map's coordinates among the points: it destroys which point lies where and keeps
    shape and density. (Permuting the rows of a whole vocabulary would be no null: UMAP draws their map again.)

    EstimationError: points, coordinates or neighbours that cannot be mapped or differ in number, k out of range, a
    sample below 1.
    """
    array, placed = checked_points(points), checked_points(coordinates, "coordinates")
    n = len(array)
    if len(placed) != n:
        raise EstimationError(f"{n} points need as many coordinates, not {len(placed)}")
    if nearest is not None and len(nearest) != n:
        raise EstimationError(f"the neighbours of {len(nearest)} places were given for a map of {n}")
    k = k if nearest is None else nearest.k
    if not 1 <= k < n / 2 or sample < 1:
        raise EstimationError(f"{n} points: k must be at least 1 and less than {n / 2:g}, and the sample not empty")
    queries = np.sort(generator(seed, "trustworthiness sample").permutation(n)[:sample])
    space = torch.from_numpy(array - array.mean(axis=0))
    norms = space.square().sum(dim=1)
    near = neighbours_on_map(placed, np.arange(n), k) if nearest is None else nearest.indices
    on_maps = [near[queries]]
    for index in range(n_permutations):
        # Point i lies where point order[i] lay.
        order = generator(seed, "trustworthiness", index).permutation(n)
        on_maps.append(np.argsort(order)[near[order[queries]]])
    from geometry.maps.rank_kernels import count_smaller  # numba takes a second to import

    ranks = np.empty((len(queries), len(on_maps), k), dtype=np.int64)
    block = max(1, _BLOCK // n)
    for start in range(0, len(queries), block):
        rows = torch.from_numpy(queries[start : start + block])
        distances = squared_distances(space[rows], space, norms)
        distances[torch.arange(len(rows)), rows] = torch.inf
        neighbours = np.concatenate([on_map[start : start + block] for on_map in on_maps], axis=1)
        bounds = distances.gather(1, torch.from_numpy(neighbours))
        with torch_threads():
            block_ranks = 1 + count_smaller(distances.numpy(), bounds.numpy())
        ranks[start : start + block] = block_ranks.reshape(len(rows), len(on_maps), k)
    scale = 2 / (len(queries) * k * (2 * n - 3 * k - 1))
    values = 1 - scale * np.maximum(ranks - k, 0).sum(axis=(0, 2))
    kept = (ranks <= k).mean(axis=(0, 2))
    return Trustworthiness(
        name="trustworthiness",
        labels=("map",),
        values=values[:1],
        nulls={"permuted": NullValues(values[1:, None], "permuted map", ".")} if n_permutations else {},
        title="neighbours on the map are neighbours in space",
        measure="trustworthiness",
        unstructured=0.5,
        kept=float(kept[0]),
        null_kept=kept[1:],
        k=k,
        sample=len(queries),
    )
