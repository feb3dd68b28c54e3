"""Maps of the same phrases at many layers, each begun from its neighbour's, so that they can be seen to move."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes

import geometry.maps as maps
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.steering import Site

NEIGHBOURS = 15
FEWEST = 2 * NEIGHBOURS + 1  # points, of which a map can be judged
EPOCHS = 80  # of a map begun from another: with 200 it keeps hardly more neighbours
_MOST_PLACES = 750_000  # of all layers together: 4 MB of a page
_SAMPLE = 1000

Coordinates = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerMap:
    """UMAP of one site: coordinates (n, 2), and how far to trust it."""

    coordinates: Coordinates
    trust: maps.Trustworthiness

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class MovingMap:
    """Maps of n phrases by site, in the order of the model; the one at `start` was made first, alone.

    Attributes:
        noise: displacement between two maps of the start's points of which the second was begun from the first with
            another seed: what moves though nothing changed.
    """

    start: Site
    layers: Mapping[Site, LayerMap]
    noise: float

    __repr__ = short_repr

    @property
    def moves(self) -> list[float]:
        """Displacement from each site to the next."""
        placed = [layer.coordinates for layer in self.layers.values()]
        return [displacement(*pair) for pair in pairwise(placed)]

    def to_dict(self) -> dict[str, Any]:
        """Trustworthiness and neighbourhood preservation by site, and how far points move."""
        trust = {str(site): layer.trust.to_dict() for site, layer in self.layers.items()}
        moved = {"displacement": self.moves, "displacement_without_change": self.noise}
        return {"start": str(self.start), "neighbours": NEIGHBOURS, "trustworthiness": trust, **moved}


def shown_sites(sites: Sequence[Site], always: Sequence[Site], n: int) -> list[Site]:
    """All sites, or evenly spaced ones and those that are `always` shown, so that a page of n points stays small."""
    most = max(2, _MOST_PLACES // max(n, 1))
    if len(sites) <= most:
        return list(sites)
    chosen = {sites[round(index)] for index in np.linspace(0, len(sites) - 1, most).tolist()} | {*always}
    return [site for site in sites if site in chosen]


def moving_map(
    sites: list[Site], start: Site, points_at: Callable[[Site], NDArray[np.float32]], seed: int
) -> MovingMap:
    """A map at every site: of the start by itself, of the others from there on, each begun from the one before.

    `points_at` gives the points of a site, shape (n, d). Maps are `aligned` to the one that they were begun from.

    EstimationError: too few points, or points that cannot be mapped.
    """
    number = sites.index(start)
    points = points_at(start)
    if len(points) < FEWEST:
        raise EstimationError(f"{len(points)} phrases are too few to map; at least {FEWEST} are needed")
    first = _layer(points, None, seed)
    again = _layer(points, first.coordinates, seed + 1)
    found = {start: first}
    for way in (sites[number + 1 :], sites[:number][::-1]):
        before = first
        for site in way:
            before = found[site] = _layer(points_at(site), before.coordinates, seed)
    return MovingMap(start, {site: found[site] for site in sites}, displacement(first.coordinates, again.coordinates))


def displacement(first: Coordinates, second: Coordinates) -> float:
    """Median distance between where points lie on two maps, in units of a map's radius."""
    return float(np.median(np.linalg.norm(second - first, axis=1)))


def aligned(coordinates: Coordinates, to: Coordinates | None) -> Coordinates:
    """Centred, of radius 1 (both medians, as strays may lie far out), and turned or mirrored to lie on another map."""
    centred = coordinates - np.median(coordinates, axis=0).astype(np.float64)
    centred /= max(float(np.median(np.linalg.norm(centred, axis=1))), 1e-12)
    turn = np.eye(2) if to is None else orthogonal_procrustes(centred, to)[0]
    return np.asarray(centred @ turn, dtype=np.float32)


def _layer(points: NDArray[np.float32], before: Coordinates | None, seed: int) -> LayerMap:
    nearest = maps.nearest_neighbours(points, NEIGHBOURS)
    begun: Any = {} if before is None else {"initial": before, "epochs": EPOCHS}
    coordinates = aligned(maps.umap_embedding(points, nearest=nearest, seed=seed, progress=False, **begun), before)
    trust = maps.trustworthiness(points, coordinates, k=NEIGHBOURS, sample=_SAMPLE, n_permutations=3, seed=seed)
    return LayerMap(coordinates, trust)
