"""Concepts tuned, and searched exhaustively: every block at eight strengths, under one bound on the same prompts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.tuning.setup import Setup
from geometry.intervals import central
from geometry.steering import Site, TextCost, kl_divergence, load_prompts, probability
from geometry.steering.side_by_side import SideBySide
from geometry.tuning.bench import Bench, Trial
from geometry.tuning.choosing import candidates, tune
from geometry.tuning.search import Profile, best, exhaustive
from geometry.tuning.tuned import Tuned

Numbers = NDArray[np.float64]
TUNED, GRID, SHARPENED, RANDOM, UNSTEERED = KINDS = ("tuned", "grid", "grid, at the bound", "random", "unsteered")
RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class TunedConcept:
    """One concept by both ways.

    Attributes:
        name: of the concept; `words`: how many.
        tuned: what `geo.tune` chose, with its trials.
        grid, sharpened: the exhaustive grid's choice; and its best sites brought to the bound, a stronger rival.
        grid_trials: all.
        grid_passes: forward passes of the grid, what is kept of the prompts included.
        reported: kind of `KINDS` → P(concept's words) after each report prompt, shape (n,). Random: a random direction
            at the tuned site at the same bound.
        reported_kl: "tuned" and "grid" → mean KL there.
        perplexity: of neutral texts under the tuned vector over the unsteered.
        strengths, levels: by block, the strength that reaches the bound, and the log-odds to be expected there.
    """

    name: str
    words: int
    tuned: Tuned
    grid: Trial
    sharpened: Trial
    grid_trials: tuple[Trial, ...]
    grid_passes: int
    reported: Mapping[str, Numbers]
    reported_kl: Mapping[str, float]
    perplexity: float
    strengths: Numbers
    levels: Numbers

    __repr__ = short_repr

    def ratio(self, against: str = GRID) -> float:
        """P(words) tuned over the other way's, means over report prompts."""
        return float(self.reported[TUNED].mean() / self.reported[against].mean())

    def ratio_interval(self, against: str = GRID) -> tuple[float, float]:
        """95%, bootstrap over report prompts, paired."""
        first, second = self.reported[TUNED], self.reported[against]
        drawn = np.random.default_rng(0).integers(0, len(first), (RESAMPLES, len(first)))
        return central(first[drawn].mean(axis=1) / second[drawn].mean(axis=1))

    @property
    def passes_fraction(self) -> float:
        """Forward passes of tuning over those of every block at eight strengths, whichever blocks the grid has."""
        return self.tuned.passes / self.tuned.exhaustive_passes

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        means = {kind: float(values.mean()) for kind, values in self.reported.items()}
        return {
            "concept": self.name,
            "words": self.words,
            "tuned": self.tuned.to_dict(),
            "grid": {"site": str(self.grid.site), "strength": self.grid.strength, "cost": self.grid.cost},
            "grid_at_the_bound": {"site": str(self.sharpened.site), "strength": self.sharpened.strength},
            "grid_passes": self.grid_passes,
            "P on report prompts": means,
            "KL on report prompts": dict(self.reported_kl),
            "ratio": self.ratio(),
            "ratio_interval": list(self.ratio_interval()),
            "ratio to the grid at the bound": self.ratio(SHARPENED),
            "perplexity": self.perplexity,
        }


class AgainstGrid:
    """Runs both ways; what all concepts share is kept."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._choosing = SideBySide(setup.model, setup.tokenizer, setup.choosing)
        self._reporting = SideBySide(setup.model, setup.tokenizer, setup.reporting)
        self._cost = TextCost(setup.model, setup.tokenizer, load_prompts("neutral").texts[:2])

    def measure(self, name: str) -> TunedConcept:
        """One concept."""
        setup, bound = self.setup, self.setup.study.bound
        vector, tokens = setup.vector(name), setup.tokens(name)
        tuned = tune(setup.model, setup.tokenizer, vector, tokens, prompts=setup.choosing, bound=bound)
        found = candidates(vector, setup.model)
        swept = {site: v for site, v in found.items() if site.block is None or self._swept(site)}
        bench = Bench(setup.model, setup.tokenizer, swept, tokens, setup.choosing, "kl", (), laws=self._choosing)
        trials = exhaustive(bench)
        passes = bench.passes
        grid = _within(trials, bound)
        profiles = _profiles(trials, bench, bound)
        sharpened = _within([*trials, *_sharpened(bench, profiles)], bound)
        random = tune(
            setup.model,
            setup.tokenizer,
            {tuned.site: found[tuned.site].random(setup.study.seed)},
            tokens,
            prompts=setup.choosing,
            bound=bound,
            n_passes=(len(setup.choosing) * 12),
        )
        vectors = {
            TUNED: tuned.vector,
            GRID: grid.strength * found[grid.site],
            SHARPENED: sharpened.strength * found[sharpened.site],
            RANDOM: random.vector,
        }
        laws = dict(zip(vectors, self._reporting.laws(list(vectors.values())), strict=True))
        laws[UNSTEERED] = self._reporting.unsteered
        blocks = [profiles[site] for site in swept if site.block is not None]
        return TunedConcept(
            name=name,
            words=len(tokens),
            tuned=tuned,
            grid=grid,
            sharpened=sharpened,
            grid_trials=tuple(trials),
            grid_passes=passes,
            reported={kind: probability(law, tokens) for kind, law in laws.items()},
            reported_kl={
                kind: float(kl_divergence(laws[kind], laws[UNSTEERED]).mean()) for kind in (TUNED, GRID, RANDOM)
            },
            perplexity=self._cost.ratio(tuned.vector),
            strengths=np.array([profile.strength for profile in blocks]),
            levels=np.array([profile.level for profile in blocks]),
        )

    def _swept(self, site: Site) -> bool:
        return (self.setup.depth - 1 - int(site.block or 0)) % self.setup.study.every == 0

    @property
    def blocks(self) -> list[int]:
        """Of the grid."""
        return [block for block in range(self.setup.depth) if self._swept(Site("output", block))]


def _profiles(trials: list[Trial], bench: Bench, bound: float) -> dict[Site, Profile]:
    profiles: dict[Site, Profile] = {}
    for trial in trials:
        profiles.setdefault(trial.site, Profile(bench.unsteered_level, bound)).trials.append(trial)
    return profiles


def _sharpened(bench: Bench, profiles: dict[Site, Profile], n_sites: int = 3, most: int = 5) -> list[Trial]:
    """Further trials by which the sites that promise most come to the bound."""
    found = []
    for site in sorted(profiles, key=lambda site: -profiles[site].level)[:n_sites]:
        profile = profiles[site]
        for _ in range(most):
            if profile.settled:
                break
            (trial,) = bench.trials([(site, profile.strength)])
            profile.trials.append(trial)
            found.append(trial)
    return found


def _within(trials: list[Trial], bound: float) -> Trial:
    if (found := best(trials, bound)) is None:
        raise SteeringError(f"no strength of the grid keeps {bound:g} nats; raise the bound")
    return found
