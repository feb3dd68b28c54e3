"""Claims by block: their values beside null, twin and word vectors, and where they are sharpest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.results import EXACT, Results, TestResult
from geometry.steering import Site

Values = NDArray[np.float64]
REACHED = 0.9  # of the way from null to the sharpest block: where a claim, or a level of the tree, has appeared


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


def claims_by_block(tests: Mapping[Site, Results], control: Results | None) -> dict[str, ClaimByBlock]:
    """Claim → its results at all sites, p-values adjusted over claims and sites together."""
    adjusted = Results([test for results in tests.values() for test in results]).adjusted()
    names: Sequence[str] = [test.name for test in next(iter(tests.values()))]
    size = len(names)
    found = {}
    for index, name in enumerate(names):
        own = {site: adjusted[number * size + index] for number, site in enumerate(tests)}
        found[name] = ClaimByBlock(name, _between_twins(own), None if control is None else control[name])
    return found


def _between_twins(tests: dict[Site, TestResult]) -> dict[Site, TestResult]:
    """Where there is no twin its mean is taken from the blocks that have one, so that all are judged alike."""
    known = {place(site): float(np.mean(test.twin[EXACT])) for site, test in tests.items() if EXACT in test.twin}
    if not known or any(test.reference is None for test in tests.values()):
        return tests
    ends = {site: float(np.interp(place(site), list(known), list(known.values()))) for site in tests}
    return {site: test if EXACT in test.twin else replace(test, predicted=ends[site]) for site, test in tests.items()}
