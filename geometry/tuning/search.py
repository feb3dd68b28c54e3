"""Where and how strongly, in few forward passes: the bound fixes the strength at a site, effects are smooth along them.

At a site the cost grows with the strength, of small displacements with its square, so one trial says about where the
bound is and two say it well. Sites are tried coarsely, then around the best; what a site would bring at the bound
follows from its nearest trial, as the effect's level is about linear in the strength.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from geometry.steering.vector import Site
from geometry.tuning.bench import Bench, Trial

STRENGTHS = tuple(2.0**power for power in range(-5, 3))  # × residual norm, of the exhaustive grid
_START = 0.25  # times the residual norm, where nothing is known yet
_STEP = 6.0
_AIM, _NEAR = 0.97, 0.93  # parts of the bound: what is aimed at, and what is near enough
_FAR = 3.0  # times the bound or a part of it: beyond that a trial says little of the bound
_FREE_STEPS, _RESERVED, _MOST_CORRECTIONS = 30, 3, 8
_BATCH = 64  # trials


@dataclass
class Profile:
    """The trials of one site, and what follows from them."""

    unsteered: float
    bound: float
    trials: list[Trial] = field(default_factory=list)

    @property
    def nearest(self) -> Trial:
        """The trial whose cost is nearest the bound."""
        return min(self.trials, key=lambda trial: abs(_excess(trial.cost, self.bound)))

    @property
    def strength(self) -> float:
        """Where the cost is about `_AIM` of the bound: between a trial below and one above, or beyond all of them."""
        aim = _AIM * self.bound
        below = max((t for t in self.trials if t.cost <= aim), key=lambda t: t.strength, default=None)
        above = min((t for t in self.trials if t.cost > aim), key=lambda t: t.strength, default=None)
        if below is not None and above is not None and below.strength < above.strength:
            lack, excess = _excess(below.cost, aim), _excess(above.cost, aim)
            part = -lack / (excess - lack) if math.isfinite(excess) and excess > lack else 0.5
            part = min(max(part, 0.05), 0.95)
            return math.exp((1 - part) * math.log(below.strength) + part * math.log(above.strength))
        last = self.nearest
        wanted = min(max(-_excess(last.cost, aim) / self._power, -math.log(_STEP)), math.log(_STEP))
        return last.strength * math.exp(wanted)

    @property
    def _power(self) -> float:
        """Of the strength, with which the cost grows near the bound."""
        first, *others = sorted(self.trials, key=lambda trial: abs(_excess(trial.cost, self.bound)))
        for other in others:
            rise, far = _excess(other.cost, self.bound), math.log(other.strength / first.strength)
            if math.isfinite(rise) and far:
                return min(max((rise - _excess(first.cost, self.bound)) / far, 1.0), 4.0)
        return 2.0

    @property
    def level(self) -> float:
        """What is to be expected at the bound."""
        trial = self.nearest
        if not math.isfinite(trial.cost):
            return -math.inf
        return self.unsteered + (trial.level - self.unsteered) * min(self.strength / trial.strength, 1e3)

    @property
    def far(self) -> bool:
        """Whether its nearest trial says little of the bound."""
        return abs(_excess(self.nearest.cost, self.bound)) > math.log(_FAR)

    @property
    def settled(self) -> bool:
        """Whether a trial is within the bound and near it."""
        return any(_NEAR * self.bound <= trial.cost <= self.bound for trial in self.trials)


def guided(bench: Bench, bound: float, budget: int) -> list[Trial]:
    """Trials of a search that takes at most so many that are not free; among them one within the bound if there is any.

    To the budget come corrections of the very last strength where nothing has kept the bound: eight at most.
    """
    profiles: dict[Site, Profile] = {}

    def run(wanted: Sequence[tuple[Site, float]]) -> None:
        for trial in bench.trials(wanted):
            profiles.setdefault(trial.site, Profile(bench.unsteered_level, bound)).trials.append(trial)

    for site in bench.free:
        _settle(site, bench.unit(site), profiles, run)
    left = budget
    paid = bench.paid
    if paid:
        first = _coarse(len(paid), budget)
        run([(paid[index], _START) for index in first])
        left -= len(first)
    while paid and left > 0 and (wanted := _next(paid, profiles, left)):
        run(wanted)
        left -= len(wanted)
    for _ in range(_MOST_CORRECTIONS):
        if not profiles or any(t.cost <= bound for profile in profiles.values() for t in profile.trials):
            break
        site = max(profiles, key=lambda site: (profiles[site].level, site.place))
        run([(site, min(profiles[site].strength, 0.9 * min(t.strength for t in profiles[site].trials)))])
    return [trial for profile in profiles.values() for trial in profile.trials]


def exhaustive(bench: Bench, strengths: Sequence[float] = STRENGTHS) -> list[Trial]:
    """Every site at every strength: at blocks × the residual norm; a free one in units of `Bench.unit`."""
    wanted = [(site, strength) for site in bench.paid for strength in strengths]
    wanted += [(site, bench.unit(site) * strength) for site in bench.free for strength in strengths]
    parts = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
    return [trial for part in parts for trial in bench.trials(part)]


def strength_at(cost: Callable[[float], float], bound: float, start: float = _START, most: int = 8) -> float | None:
    """A strength whose cost is within the bound and near it; None where none is found in so many trials."""
    profile, site, nothing = Profile(0.0, bound), Site("output", 0), np.zeros(1)
    strength = start
    for _ in range(most):
        profile.trials.append(Trial(site, strength, nothing, np.array([cost(strength)]), 0.0, 0))
        if profile.settled:
            return strength
        strength = profile.strength
    return None


def best(trials: Sequence[Trial], bound: float) -> Trial | None:
    """The greatest effect among the trials within the bound; None where none is."""
    within = [trial for trial in trials if trial.cost <= bound and math.isfinite(trial.effect)]
    return max(within, key=lambda trial: trial.effect, default=None)


def front(trials: Sequence[Trial]) -> list[Trial]:
    """The Pareto front: trials than which none has more effect at no more cost, by cost."""
    kept: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (trial.cost, -trial.effect)):
        if math.isfinite(trial.cost) and (not kept or trial.effect > kept[-1].effect):
            kept.append(trial)
    return kept


def _settle(
    site: Site, start: float, profiles: dict[Site, Profile], run: Callable[[Sequence[tuple[Site, float]]], None]
) -> None:
    run([(site, start)])
    for _ in range(_FREE_STEPS):
        if profiles[site].settled:
            return
        run([(site, profiles[site].strength)])


def _coarse(n: int, budget: int) -> list[int]:
    """Which of n sites are tried first, the last among them."""
    count = min(n, max(2, budget // 4))
    return sorted({round(index * (n - 1) / max(1, count - 1)) for index in range(count)} | {n - 1})[-max(1, budget) :]


def _next(paid: Sequence[Site], profiles: dict[Site, Profile], left: int) -> list[tuple[Site, float]]:
    """What to try next; nothing where no trial would tell more."""
    tried = [index for index, site in enumerate(paid) if site in profiles]
    known = {index: profiles[paid[index]] for index in tried}
    order = sorted(tried, key=lambda index: -known[index].level)
    best_index = order[0]
    # Strengths first: which site is best is not known while trials are far from the bound.
    far = [index for index in order if known[index].far and len(known[index].trials) < 4]
    if far and left > _RESERVED:
        return [(paid[index], known[index].strength) for index in far[: max(1, left - _RESERVED)]][:3]
    if left > _RESERVED and (around := _around(best_index, tried, len(paid))):
        return [(paid[index], _guess(index, known)) for index in around[: left - _RESERVED]]
    for index in order[:2]:
        if not known[index].settled:
            return [(paid[index], known[index].strength)]
    if around := _around(best_index, tried, len(paid)):
        return [(paid[around[0]], _guess(around[0], known))]
    return []


def _around(index: int, tried: Sequence[int], n: int) -> list[int]:
    """Half the way from a site to the nearest that were tried, before and after it; none where these are next to it."""
    before = max((other for other in tried if other < index), default=-1)
    after = min((other for other in tried if other > index), default=n)
    middles = [(before + index) // 2 if before >= 0 else index // 2, (index + after) // 2 if after < n else n - 1]
    return sorted({middle for middle in middles if middle not in tried})


def _guess(index: int, known: dict[int, Profile]) -> float:
    """A strength for a site from those that the bound takes at others, on a logarithmic scale."""
    places = sorted(known)
    logs = [math.log(known[place].strength) for place in places]
    return float(np.exp(np.interp(index, places, logs)))


def _excess(cost: float, bound: float) -> float:
    """log(cost / bound); infinite where there is no cost in numbers."""
    return math.log(max(cost, 1e-12) / bound) if math.isfinite(cost) else math.inf
