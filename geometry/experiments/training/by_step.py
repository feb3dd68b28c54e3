"""A claim at one site over the steps of a training: when it is there, and how surely."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.layers.by_block import REACHED
from geometry.experiments.training.measured import Claims, MeasuredClaim
from geometry.results import EXACT, LEVEL
from geometry.significance import adjusted_p_values

Values = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClaimByStep:
    """One claim at one site, at every checkpoint.

    Attributes:
        tests: step → what was measured, ascending.
        p_adjusted: shape (steps,), adjusted over all claims, sites and steps of the study.
        control: the claim on word vectors; nan without.
    """

    name: str
    site: str
    tests: Mapping[int, MeasuredClaim]
    p_adjusted: Values
    control: float = float("nan")

    __repr__ = short_repr

    @property
    def first(self) -> MeasuredClaim:
        """At the first step: title, measure and labels are those of all."""
        return next(iter(self.tests.values()))

    @property
    def orthogonal(self) -> bool:
        """Whether it claims that a cosine is small, and has a bound, not a null."""
        return self.first.orthogonal

    @property
    def unmeasurable(self) -> str:
        """Why it cannot be judged at any step, as a verdict says it; empty where it can."""
        last = [*self.tests.values()][-1]
        return "" if any(test.measurable for test in self.tests.values()) else last.verdict

    @cached_property
    def places(self) -> Steps:
        """The steps, shape (steps,)."""
        return np.array([*self.tests], dtype=np.int64)

    @cached_property
    def values(self) -> Values:
        """Means over what was measured, shape (steps,)."""
        return np.array([test.value for test in self.tests.values()])

    @cached_property
    def intervals(self) -> Values:
        """95% bootstrap intervals, shape (steps, 2)."""
        return np.array([test.interval for test in self.tests.values()])

    @cached_property
    def nulls(self) -> Values:
        """Mean of the permutations at every step, shape (steps,); nan of orthogonality."""
        return np.array([test.null for test in self.tests.values()])

    def twins(self, kind: str = EXACT) -> tuple[Steps, Values]:
        """The steps with twins, and their means there."""
        found = {step: np.mean(test.twins[kind]) for step, test in self.tests.items() if test.twins.get(kind)}
        return np.array([*found], dtype=np.int64), np.array([*found.values()], dtype=np.float64)

    @cached_property
    def distance(self) -> Values:
        """How far on the claim's side of its null, shape (steps,); of orthogonality −|cosine|."""
        return -np.abs(self.values) if self.orthogonal else self.first.sign * (self.values - self.nulls)

    @cached_property
    def significant(self) -> NDArray[np.bool_]:
        """Where the adjusted p-value is at most .05."""
        return self.p_adjusted <= LEVEL

    @cached_property
    def best(self) -> int | None:
        """The step at which it is furthest from its null; None where nothing was measured."""
        return int(self.places[np.nanargmax(self.distance)]) if np.isfinite(self.distance).any() else None

    @cached_property
    def appears(self) -> int | None:
        """The first step at which it is there.

        That is with 90% of the way from its null to its best, significant there and at its best; of orthogonality,
        with the cosine's interval within the bound. None where there is no such step.
        """
        if self.orthogonal:
            within = np.array([test.within for test in self.tests.values()])
            return int(self.places[np.argmax(within)]) if within.any() else None
        if self.best is None or not self.significant[self.places == self.best][0]:
            return None
        reached = (self.distance >= REACHED * np.nanmax(self.distance)) & self.significant
        return int(self.places[np.argmax(reached)]) if reached.any() else None

    @cached_property
    def interval(self) -> tuple[int, int] | None:
        """95% of the steps at which it is there when families are drawn again; None of orthogonality, or if never.

        The same families are drawn at every step, so that what the steps share does not count. What is between two
        checkpoints is not seen: the interval is one of checkpoints.
        """
        if self.appears is None or self.orthogonal:
            return None
        drawn = [test.resampled for test in self.tests.values()]
        if len({len(each) for each in drawn}) > 1 or not len(drawn[0]):
            return None
        distance = self.first.sign * (np.array(drawn) - self.nulls[:, None])
        distance = np.where(np.isfinite(distance), distance, -np.inf)
        largest = distance.max(axis=0)
        # As of the claim itself only where it is significant; of families that never show it, where it comes nearest.
        reached = (distance >= np.where(largest > 0, REACHED * largest, largest)) & self.significant[:, None]
        nearest = np.argmax(np.where(self.significant[:, None], distance, -np.inf), axis=0)
        where = np.where(reached.any(axis=0), np.argmax(reached, axis=0), nearest)
        low, high = np.quantile(self.places[where], [0.025, 0.975], method="inverted_cdf")
        return int(low), int(high)

    def before(self, other: "ClaimByStep") -> int:
        """1 where this is there before the other beyond both intervals, −1 where after, 0 where it cannot be told."""
        if self.interval is None or other.interval is None:
            return 0
        return int(self.interval[1] < other.interval[0]) - int(self.interval[0] > other.interval[1])

    def to_dict(self) -> dict[str, Any]:
        """By step: values beside nulls and twins; and when it is there."""
        steps, twins = self.twins()
        return {
            "appears": self.appears,
            "appears_interval": None if self.interval is None else list(self.interval),
            "best": self.best,
            "steps": self.places.tolist(),
            "values": self.values.tolist(),
            "intervals": self.intervals.tolist(),
            "permuted": self.nulls.tolist(),
            "p_values": [test.p_value for test in self.tests.values()],
            "p_adjusted": self.p_adjusted.tolist(),
            "exact_twin": dict(zip(map(str, steps.tolist()), twins.tolist(), strict=True)),
            "word_vectors": None if np.isnan(self.control) else self.control,
            "verdicts": [test.verdict for test in self.tests.values()],
        }


def claims_by_step(
    measured: Mapping[int, Claims], control: Mapping[bool, Mapping[str, float]]
) -> dict[str, dict[str, ClaimByStep]]:
    """Site → claim → itself over the steps, p-values adjusted over all of them together."""
    steps = sorted(measured)
    sites = {site: [claim.name for claim in claims] for site, claims in measured[steps[0]].items()}
    flat = [claim.p_value for step in steps for claims in measured[step].values() for claim in claims]
    adjusted = adjusted_p_values(flat).reshape(len(steps), -1)
    found: dict[str, dict[str, ClaimByStep]] = {}
    column = 0
    for number, (site, names) in enumerate(sites.items()):
        beside = control.get(number > 0, {})  # the unembedding comes first
        found[site] = {}
        for index, name in enumerate(names):
            tests = {step: measured[step][site][index] for step in steps}
            found[site][name] = ClaimByStep(name, site, tests, adjusted[:, column], beside.get(name, float("nan")))
            column += 1
    return found
