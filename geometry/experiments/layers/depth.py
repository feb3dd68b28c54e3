"""Does the coarse come first? Depth in the tree against where its concepts appear, along blocks or a training."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.experiments.layers.by_block import REACHED
from geometry.intervals import FEWEST_CLUSTERS
from geometry.randomness import generator
from geometry.significance import permutation_p

Values = NDArray[np.float64]
_PERMUTATIONS, _RESAMPLES = 999, 999
_FEWEST = 3  # concepts of a depth


class _AlongPlaces(Protocol):
    """A claim at several places: `ClaimByBlock`, or one over checkpoints."""

    @property
    def name(self) -> str: ...
    @property
    def first(self) -> Any: ...
    @property
    def tests(self) -> Any: ...
    @property
    def places(self) -> NDArray[np.int64]: ...
    @property
    def nulls(self) -> Values: ...


@dataclass(frozen=True, eq=False)
class DepthOrder:
    """How many places later each level of the tree appears than the one above it: blocks, or checkpoints.

    A single concept of few words appears where noise has it, so concepts of one depth are averaged first: a level has
    appeared where their mean has 90% of its largest distance from the null, between blocks by interpolation. The slope
    is that of least squares, a level weighing as many times as it has concepts.

    Attributes:
        name: of the claim whose values are taken, one a concept ("a") or an edge ("a < b", of which the child counts).
        places: shape (sites,), blocks passed, or which checkpoint it is.
        depths: shape (m,), of the concept or the child.
        values: shape (sites, m).
        means: depth → mean over its concepts at every site, of depths with at least three.
        appears: depth → the place by then.
        slope: places a level; nan of fewer than two levels, or five families.
        interval: 95%, by bootstrap over families.
        p_value: two-sided, of permuted depths.
    """

    name: str
    places: NDArray[np.int64]
    depths: NDArray[np.int64]
    values: Values
    means: dict[int, Values]
    appears: dict[int, float]
    slope: float
    interval: tuple[float, float]
    p_value: float

    __repr__ = short_repr

    @classmethod
    def of(
        cls,
        claim: "_AlongPlaces",
        hierarchy: ConceptHierarchy,
        *,
        places: NDArray[np.int64] | None = None,
        seed: int = 0,
    ) -> "DepthOrder":
        """From the values of a claim by concept or edge at every place; its own, unless others are given."""
        along = claim.places if places is None else places
        children = np.array([hierarchy.index(label.split(" < ")[0]) for label in claim.first.labels])
        depths = hierarchy.depths[children]
        values = np.array([test.values for test in claim.tests.values()])
        usable = np.flatnonzero(np.isfinite(values).all(axis=0))
        distance, at = values[:, usable] - claim.nulls[:, None], along.astype(np.float64)
        of, families = depths[usable], hierarchy.above[children[usable]]
        appears = _appearances(at, distance, of)
        slope, rng = _slope(appears, of), generator(seed, "depth")
        low = high = p = float("nan")
        number = np.unique(families, return_inverse=True)[1]
        if len(usable) and number.max() + 1 < FEWEST_CLUSTERS:
            slope = float("nan")
        if np.isfinite(slope):
            permuted = []
            for _ in range(_PERMUTATIONS):
                shuffled = rng.permutation(of)
                permuted.append(_slope(_appearances(at, distance, shuffled), shuffled))
            members = [np.flatnonzero(number == family) for family in range(int(number.max()) + 1)]
            drawn = []
            for _ in range(_RESAMPLES):
                chosen = np.concatenate([members[one] for one in rng.integers(len(members), size=len(members))])
                drawn.append(_slope(_appearances(at, distance[:, chosen], of[chosen]), of[chosen]))
            low, high = map(float, np.nanquantile(drawn, [0.025, 0.975]))
            p = permutation_p(slope, np.array(permuted), "two-sided")
        means = {depth: values[:, usable][:, of == depth].mean(axis=1) for depth in appears}
        return cls(claim.name, along, depths, values, means, appears, slope, (low, high), p)

    def to_dict(self) -> dict[str, Any]:
        """The slope, and when each level appears."""
        return {
            "claim": self.name,
            "places_a_level": self.slope,
            "interval": list(self.interval),
            "p_value": self.p_value,
            "appears": {str(depth): at for depth, at in self.appears.items()},
        }


def _appearances(places: Values, distance: Values, depths: NDArray[np.int64]) -> dict[int, float]:
    """Depth → the place at which the mean of its concepts first has 90% of its largest distance from the null.

    `distance` has shape (sites, m).
    """
    found = {}
    for depth, count in zip(*np.unique(depths, return_counts=True), strict=True):
        if count < _FEWEST:
            continue
        mean = distance[:, depths == depth].mean(axis=1)
        if not (level := REACHED * mean.max()) > 0:
            continue
        first = int(np.argmax(mean >= level))
        if first == 0:
            found[int(depth)] = float(places[0])
            continue
        share = (level - mean[first - 1]) / (mean[first] - mean[first - 1])
        found[int(depth)] = float(places[first - 1] + share * (places[first] - places[first - 1]))
    return found


def _slope(appears: dict[int, float], depths: NDArray[np.int64]) -> float:
    if len(appears) < 2:
        return float("nan")
    levels = np.array(list(appears))
    weights = np.array([(depths == level).sum() for level in levels], dtype=np.float64)
    blocks = np.array(list(appears.values()))
    x, y = levels - np.average(levels, weights=weights), blocks - np.average(blocks, weights=weights)
    return float((weights * x * y).sum() / (weights * x * x).sum())
