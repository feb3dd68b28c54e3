"""Whether points that are near on a map are near in space, beside the same map with its points permuted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.errors import EstimationError
from geometry.maps.neighbours import neighbours_on_map, squared_distances
from geometry.maps.points import Points, checked_points
from geometry.evidence import permutation_p, stream


_BLOCK = 1 << 24


@dataclass(frozen=True, eq=False)
class Trustworthiness:
    """How far neighbours on a map are neighbours in space.

    Attributes
    ----------
    value : 1 − mean excess rank in space of neighbours on the map, scaled: 1 is perfect, 0.5 what chance gives.
    null : the same of the map with its points permuted, shape (draws,).
    kept : share of the k neighbours on the map that are among the k nearest in space.
    null_kept : the same of the permuted maps, shape (draws,); chance is k/(n − 1).
    k : neighbours.
    sample : points whose neighbours were judged.
    """

    value: float
    null: NDArray[np.float64]
    kept: float
    null_kept: NDArray[np.float64]
    k: int
    sample: int

    @property
    def p_value(self) -> float:
        """Share of permuted maps as trustworthy, the true one counted."""
        return permutation_p(self.value, self.null, "greater")

    def to_dict(self) -> dict[str, Any]:
        """Value, share kept and the null's means, p, k and sample, for results.json."""
        return {
            "value": self.value,
            "null": float(self.null.mean()) if len(self.null) else None,
            "kept": self.kept,
            "null_kept": float(self.null_kept.mean()) if len(self.null_kept) else None,
            "draws": len(self.null),
            "p_value": self.p_value,
            "k": self.k,
            "sample": self.sample,
        }

    def __str__(self) -> str:
        null = f", permuted {self.null.mean():.3f}" if len(self.null) else ""
        return f"trustworthiness {self.value:.3f}{null}; {self.kept:.1%} of {self.k} neighbours kept"


def trustworthiness(
    points: Points, coordinates: Points, *, k: int = 15, sample: int = 5000, draws: int = 19, seed: int = 0
) -> Trustworthiness:
    """Trustworthiness of a map (Venna & Kaski) at a seeded sample of points, beside permuted maps.

    The sampled points' neighbours on the map are looked for among *all* points, so that a sample estimates what
    all points give, not a coarser neighbourhood. With every point sampled it is scikit-learn's `trustworthiness`.

    The null permutes the map's coordinates among the points. It destroys which point lies where and keeps the map's
    shape and density. (Permuting the rows of a whole vocabulary would be no null: UMAP draws the same map of the
    same rows.)

    Parameters
    ----------
    points : shape (n, d), what was mapped.
    coordinates : shape (n, r), the map.
    k : neighbours, less than n/2.
    sample : at most so many points are judged.

    Raises
    ------
    EstimationError
        Points or coordinates that cannot be mapped or differ in number, k out of range, a sample below 1.
    """
    array, placed = checked_points(points), checked_points(coordinates, "coordinates")
    n = len(array)
    if len(placed) != n:
        raise EstimationError(f"{n} points need as many coordinates, not {len(placed)}")
    if not 1 <= k < n / 2 or sample < 1:
        raise EstimationError(f"{n} points: k must be at least 1 and less than {n / 2:g}, and the sample not empty")
    queries = np.sort(generator(seed, "trustworthiness sample").permutation(n)[:sample])
    space = torch.from_numpy(array - array.mean(axis=0))
    norms = space.square().sum(dim=1)
    near = [neighbours_on_map(placed, queries, k)]
    for draw in range(draws):
        # Point i lies where point order[i] lay.
        order = generator(seed, "trustworthiness", draw).permutation(n)
        near.append(np.argsort(order)[neighbours_on_map(placed, order[queries], k)])
    ranks = np.empty((len(queries), draws + 1, k), dtype=np.int64)
    block = max(1, _BLOCK // n)
    for start in range(0, len(queries), block):
        rows = torch.from_numpy(queries[start : start + block])
        distances = squared_distances(space[rows], space, norms)
        distances[torch.arange(len(rows)), rows] = torch.inf
        met = np.concatenate([of_map[start : start + block] for of_map in near], axis=1)
        reached = distances.gather(1, torch.from_numpy(met))
        rank = 1 + torch.searchsorted(distances.sort(dim=1).values, reached)
        ranks[start : start + block] = rank.numpy().reshape(len(rows), draws + 1, k)
    found = ranks.transpose(1, 0, 2)
    scale = 2 / (len(queries) * k * (2 * n - 3 * k - 1))
    values = np.array([1 - scale * np.maximum(rank - k, 0).sum() for rank in found])
    kept = np.array([(rank <= k).mean() for rank in found])
    return Trustworthiness(float(values[0]), values[1:], float(kept[0]), kept[1:], k, len(queries))
