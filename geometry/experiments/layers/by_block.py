"""Claims by block: their values beside null, twin and word vectors; where they are sharpest, and at which depth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.intervals import FEWEST_CLUSTERS
from geometry.randomness import generator
from geometry.results import EXACT, Results, TestResult
from geometry.significance import permutation_p
from geometry.steering import Site

Values = NDArray[np.float64]
REACHED = 0.9  # of the way from null to the sharpest block: where a claim, or a concept, has appeared
_PERMUTATIONS, _RESAMPLES = 1999, 1000
_FEWEST = 3  # concepts of a depth


def place(site: Site) -> int:
    """Where a site stands on the axis of blocks: 0 the input of the first, l + 1 the output of block l."""
    return 0 if site.place == "input" else 1 + (site.block or 0)


@dataclass(frozen=True, eq=False)
class ClaimByBlock:
    """One claim at every site.

    Attributes:
        tests: site → its result, in the order of the model.
        control: the same claim on word vectors; None without.
    """

    name: str
    tests: Mapping[Site, TestResult]
    control: TestResult | None

    __repr__ = short_repr

    @property
    def first(self) -> TestResult:
        """The result at the first site: title and measure are those of all."""
        return next(iter(self.tests.values()))

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Shape (sites,); see `place`."""
        return np.array([place(site) for site in self.tests])

    @cached_property
    def values(self) -> Values:
        """Means over what was measured, shape (sites,)."""
        return np.array([test.value for test in self.tests.values()])

    @cached_property
    def intervals(self) -> Values:
        """95% bootstrap intervals, shape (sites, 2)."""
        return np.array([test.interval for test in self.tests.values()])

    @cached_property
    def nulls(self) -> Values:
        """Mean of the reference null at every site, shape (sites,); nan of a claim without one."""
        tests = self.tests.values()
        return np.array([test.nulls[test.reference].mean if test.reference else np.nan for test in tests])

    def twins(self, kind: str = EXACT) -> tuple[NDArray[np.int64], Values]:
        """Where there are twins, and their means there."""
        with_twin = {site: test for site, test in self.tests.items() if kind in test.twin}
        means = [float(np.mean(test.twin[kind])) for test in with_twin.values()]
        return np.array([place(site) for site in with_twin]), np.array(means)

    @cached_property
    def standing(self) -> Values:
        """Where the model stands between null (0) and exact twin (1), between blocks with twins by interpolation."""
        places, means = self.twins()
        base = self.nulls if np.isfinite(self.nulls).any() else np.zeros(len(self.values))
        if not len(places):
            return np.full(len(self.values), np.nan)
        ends = np.interp(self.places, places, means)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.values - base) / (ends - base))

    @property
    def orthogonal(self) -> bool:
        """Whether it claims that a cosine is small, and is judged by its twins, not by a null."""
        return not np.isfinite(self.nulls).any()

    @property
    def sign(self) -> int:
        """1 where more is sharper, −1 where less is."""
        return -1 if self.orthogonal or self.first.alternative == "less" else 1

    @cached_property
    def sharpest(self) -> Site | None:
        """The site at which the model is furthest on the claim's side of its null; None where nothing was measured."""
        distance = self.sign * (self.values - np.where(np.isfinite(self.nulls), self.nulls, 0.0))
        return list(self.tests)[int(np.nanargmax(distance))] if np.isfinite(distance).any() else None

    @cached_property
    def appears(self) -> Site | None:
        """The first site with 90% of the sharpest one's distance from its null; None where that is not significant."""
        if self.orthogonal or self.sharpest is None or not self.significant[list(self.tests).index(self.sharpest)]:
            return None
        distance = self.sign * (self.values - self.nulls)
        reached = (distance >= REACHED * np.nanmax(distance)) & self.significant
        return list(self.tests)[int(np.argmax(reached))] if reached.any() else None

    @cached_property
    def significant(self) -> NDArray[np.bool_]:
        """Where p, adjusted over all claims and sites, is at most .05, or no permutation comes near."""
        return np.array([test.p_adjusted <= 0.05 for test in self.tests.values()])


@dataclass(frozen=True, eq=False)
class DepthByBlock:
    """Does the coarse come first? The block at which each concept's value appears, against its depth in the tree.

    Attributes:
        name: of the claim whose values are taken, one a concept or an edge.
        depths: shape (m,), of the concept or the child.
        values: shape (sites, m).
        appears: shape (m,), the place on the axis of blocks at which each first has 90% of its largest distance from
            the null; nan of those that never are above it.
        correlation: Spearman's ρ of depth and appearance.
        interval: 95%, by bootstrap over families.
        p_value: two-sided, of permuted depths.
    """

    name: str
    places: NDArray[np.int64]
    depths: NDArray[np.int64]
    values: Values
    appears: Values
    correlation: float
    interval: tuple[float, float]
    p_value: float

    __repr__ = short_repr

    @classmethod
    def of(cls, claim: ClaimByBlock, hierarchy: ConceptHierarchy, *, seed: int = 0) -> "DepthByBlock":
        """From values by concept ("a") or edge ("a < b")."""
        labels = claim.first.labels
        children = [hierarchy.index(label.split(" < ")[0]) for label in labels]
        depths = hierarchy.depths[children]
        values = np.array([test.values for test in claim.tests.values()])
        distance = values - claim.nulls[:, None]
        with np.errstate(invalid="ignore"):
            largest = np.nanmax(np.where(np.isfinite(distance), distance, -np.inf), axis=0)
            reached = distance >= REACHED * largest
        appears = np.where(largest > 0, claim.places[np.argmax(reached, axis=0)], np.nan).astype(np.float64)
        usable = np.isfinite(appears)
        families = hierarchy.above[children]
        found = cls._correlated(depths[usable], appears[usable], families[usable], seed)
        return cls(claim.name, claim.places, depths, values, appears, *found)

    @staticmethod
    def _correlated(
        depths: NDArray[np.int64], appears: Values, families: NDArray[np.int64], seed: int
    ) -> tuple[float, tuple[float, float], float]:
        number = np.unique(families, return_inverse=True)[1]
        if len(depths) < FEWEST_CLUSTERS or len(set(depths.tolist())) < 2 or len(set(appears.tolist())) < 2:
            return float("nan"), (float("nan"), float("nan")), float("nan")
        correlation = float(spearmanr(depths, appears).statistic)
        rng = generator(seed, "depth")
        permuted = np.array([spearmanr(rng.permutation(depths), appears).statistic for _ in range(_PERMUTATIONS)])
        members = [np.flatnonzero(number == family) for family in range(int(number.max()) + 1)]
        drawn = []
        for _ in range(_RESAMPLES):
            chosen = np.concatenate([members[family] for family in rng.integers(len(members), size=len(members))])
            if len(set(depths[chosen].tolist())) > 1 and len(set(appears[chosen].tolist())) > 1:
                drawn.append(spearmanr(depths[chosen], appears[chosen]).statistic)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return correlation, (float(low), float(high)), permutation_p(correlation, permuted, "two-sided")

    def by_depth(self) -> dict[int, Values]:
        """Depth → mean over its concepts at every site, of depths with at least three concepts."""
        counts = {int(depth): self.depths == depth for depth in np.unique(self.depths)}
        measured = np.isfinite(self.values).all(axis=0)
        enough = {depth: own & measured for depth, own in counts.items() if (own & measured).sum() >= _FEWEST}
        return {depth: self.values[:, own].mean(axis=1) for depth, own in enough.items()}

    def to_dict(self) -> dict[str, Any]:
        """The correlation, and the mean appearance by depth."""
        means = {
            str(depth): float(np.nanmean(self.appears[self.depths == depth]))
            for depth in np.unique(self.depths)
            if np.isfinite(self.appears[self.depths == depth]).any()
        }
        return {
            "claim": self.name,
            "correlation": self.correlation,
            "interval": list(self.interval),
            "p_value": self.p_value,
            "mean_place_of_appearance_by_depth": means,
        }


def claims_by_block(tests: Mapping[Site, Results], control: Results | None) -> dict[str, ClaimByBlock]:
    """Claim → its results at all sites, p-values adjusted over claims and sites together."""
    adjusted = Results([test for results in tests.values() for test in results]).adjusted()
    names: Sequence[str] = [test.name for test in next(iter(tests.values()))]
    size = len(names)
    found = {}
    for index, name in enumerate(names):
        own = {site: adjusted[number * size + index] for number, site in enumerate(tests)}
        found[name] = ClaimByBlock(name, own, None if control is None else control[name])
    return found
