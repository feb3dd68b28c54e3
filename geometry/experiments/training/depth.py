"""Does the coarse come first? Depth in the tree against the step at which each concept appears."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.experiments.layers.by_block import REACHED
from geometry.experiments.training.by_step import ClaimByStep
from geometry.intervals import FEWEST_CLUSTERS
from geometry.randomness import generator
from geometry.significance import permutation_p

Values = NDArray[np.float64]
_PERMUTATIONS, _RESAMPLES = 999, 999
_FEWEST = 3  # concepts of a depth


@dataclass(frozen=True, eq=False)
class DepthByStep:
    """Spearman's ρ of depth in the tree and the step of appearance, over the concepts, or edges, of a claim.

    Of steps only their order counts, since they are as one has saved them. Of single concepts, of few words, the step
    is noisy, which brings ρ nearer to 0 and never further away.

    Attributes:
        name: of the claim whose values are taken, one a concept ("a") or an edge ("a < b", of which the child counts).
        depths: shape (m,), of the concept or the child.
        appears: shape (m,), the first step with 90% of its largest distance from the null; nan of those never above it.
        means: depth → mean over its concepts at every step, of depths with at least three that are always measured.
        correlation: ρ; nan of fewer than five families, or where all have one depth or appear at one step.
        interval: 95%, by bootstrap over families.
        p_value: two-sided, of permuted depths.
    """

    name: str
    depths: NDArray[np.int64]
    appears: Values
    means: dict[int, Values]
    correlation: float
    interval: tuple[float, float]
    p_value: float

    __repr__ = short_repr

    @classmethod
    def of(cls, claim: ClaimByStep, hierarchy: ConceptHierarchy, *, seed: int = 0) -> "DepthByStep":
        """From the values of a claim by concept or edge at every step."""
        children = np.array([hierarchy.index(label.split(" < ")[0]) for label in claim.first.labels], dtype=np.int64)
        depths, values = hierarchy.depths[children], np.array([test.values for test in claim.tests.values()])
        distance = claim.first.sign * (values - claim.nulls[:, None])
        distance = np.where(np.isfinite(distance), distance, -np.inf)
        largest = distance.max(axis=0)
        first = np.argmax(distance >= REACHED * largest, axis=0)
        appears = np.where(largest > 0, claim.places[first].astype(np.float64), np.nan)
        known = np.isfinite(appears)
        families = hierarchy.above[children]
        found = _correlated(depths[known], appears[known], families[known], seed)
        always = np.isfinite(values).all(axis=0)
        shown = {int(depth): always & (depths == depth) for depth in np.unique(depths)}
        means = {depth: values[:, own].mean(axis=1) for depth, own in shown.items() if own.sum() >= _FEWEST}
        return cls(claim.name, depths, appears, means, *found)

    def to_dict(self) -> dict[str, Any]:
        """The correlation, and by depth how many concepts there are and the median step at which they appear."""
        known = np.isfinite(self.appears)
        by_depth = {int(depth): self.appears[known & (self.depths == depth)] for depth in np.unique(self.depths)}
        return {
            "claim": self.name,
            "correlation": self.correlation,
            "interval": list(self.interval),
            "p_value": self.p_value,
            "appears": {
                str(depth): {"concepts": len(steps), "median_step": float(np.median(steps)) if len(steps) else None}
                for depth, steps in by_depth.items()
            },
        }


def _correlated(
    depths: NDArray[np.int64], appears: Values, families: NDArray[np.int64], seed: int
) -> tuple[float, tuple[float, float], float]:
    """ρ, its interval and its p-value."""
    names, number = np.unique(families, return_inverse=True)
    correlation = _spearman(depths, appears)
    if len(names) < FEWEST_CLUSTERS or not np.isfinite(correlation):
        return float("nan"), (float("nan"), float("nan")), float("nan")
    rng = generator(seed, "depth")
    permuted = np.array([_spearman(rng.permutation(depths), appears) for _ in range(_PERMUTATIONS)])
    members = [np.flatnonzero(number == family) for family in range(len(names))]
    drawn = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate([members[one] for one in rng.integers(len(members), size=len(members))])
        drawn.append(_spearman(depths[chosen], appears[chosen]))
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return correlation, (float(low), float(high)), permutation_p(correlation, permuted, "two-sided")


def _spearman(first: NDArray[Any], second: NDArray[Any]) -> float:
    """ρ; nan where either is constant."""
    if len(first) < 2 or not np.ptp(first) or not np.ptp(second):
        return float("nan")
    x, y = rankdata(first), rankdata(second)
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))
