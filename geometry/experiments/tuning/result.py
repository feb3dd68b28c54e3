"""What the study of tuning found: numbers, sentences, tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geometry.concepts import short_name
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.experiments.tuning.against_grid import GRID, KINDS, RANDOM, SHARPENED, TUNED, UNSTEERED, TunedConcept
from geometry.experiments.tuning.forecasts import ALL, GEOMETRY, WORDS
from geometry.intervals import RESAMPLES, central, interval_of
from geometry.tuning.forecast import Forecast

if TYPE_CHECKING:
    from geometry.experiments.tuning.study import TuningStudy

WANTED, TENTH = 0.9, 0.1  # of the grid's effect, at so much of its passes


@dataclass(frozen=True, eq=False, kw_only=True)
class TuningResult(StudyResult):
    """Tuned sites and strengths against exhaustive ones, and forecasts against what was measured.

    Attributes:
        tuned: the concepts that went both ways.
        blocks, depth: of the grid; of the model.
        choosing, reporting: prompts to choose on, and those of the results.
        forecasts: part → set of features (`SETS`) → forecast with its held-out error; sites: part → where was steered.
        skipped: part → why there is no forecast.
    """

    study: "TuningStudy"
    tuned: tuple[TunedConcept, ...]
    blocks: tuple[int, ...]
    depth: int
    choosing: tuple[str, ...]
    reporting: tuple[str, ...]
    sites: Mapping[str, str]
    forecasts: Mapping[str, Mapping[str, Forecast]]
    skipped: Mapping[str, str]

    def median_ratio(self, against: str = GRID) -> tuple[float, float, float]:
        """Median over concepts of P(words) tuned over another way's, and its 95% bootstrap interval over concepts."""
        ratios = np.array([one.ratio(against) for one in self.tuned])
        drawn = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
        return float(np.median(ratios)), *central(np.median(ratios[drawn], axis=1))

    @cached_property
    def passes_fraction(self) -> float:
        """The largest over concepts."""
        return max(one.passes_fraction for one in self.tuned)

    @property
    def holds(self) -> bool:
        """Whether tuning reaches nine tenths of the grid's effect at a tenth of its passes, in the median concept."""
        return self.median_ratio()[0] >= WANTED and self.passes_fraction <= TENTH

    def interval(self, one: TunedConcept, kind: str) -> tuple[float, float]:
        """Of P(words) over report prompts, 95%."""
        return interval_of(one.reported[kind])

    def summary(self) -> list[str]:
        """What was found, the main finding first."""
        median, low, high = self.median_ratio()
        sharp, *ends = self.median_ratio(SHARPENED)
        n = len(self.tuned)
        above = sum(one.ratio() >= WANTED for one in self.tuned)
        cost = [one.reported_kl[TUNED] for one in self.tuned]
        beyond = [one.ratio(RANDOM) for one in self.tuned]
        found = [
            f"Tuned sites and strengths bring {median:.2f} times the P(concept's words) of the exhaustive grid in the"
            f" median of {n} concepts [{low:.2f}, {high:.2f}], at {self.passes_fraction:.1%} of its forward passes or"
            f" fewer; {above} of {n} reach {WANTED:g} of it. On {len(self.reporting)} prompts that nothing was chosen"
            f" on; bound {self.study.bound:g} nats of KL on {len(self.choosing)} others.",
            f"Part of that is the grid's coarseness: against its best sites brought to the bound the median is"
            f" {sharp:.2f} [{ends[0]:.2f}, {ends[1]:.2f}].",
            f"Random directions at the same site and bound bring {1 / float(np.median(beyond)):.2g} of that (median);"
            f" KL on the report prompts is {min(cost):.2f} to {max(cost):.2f} nats, the perplexity of neutral"
            f" text under the tuned vectors {min(self.perplexities):.2f} to {max(self.perplexities):.2f} times the"
            " unsteered.",
            f"Chosen: {self._chosen()}.",
        ]
        return found + [self.said(part) for part in self.sites]

    @property
    def perplexities(self) -> list[float]:
        """Of neutral texts under each tuned vector, over the unsteered."""
        return [one.perplexity for one in self.tuned]

    def said(self, part: str) -> str:
        """A forecast in a sentence."""
        where = f"{part} ({self.sites[part]})"
        if part not in self.forecasts:
            return f"Forecast of {where}: none; {self.skipped.get(part, '')}"
        sets = self.forecasts[part]
        every, alone, words = (sets[name] for name in (ALL, GEOMETRY, WORDS))
        gain, low, high = every.gain_over(words)
        if alone.predictive:
            word = "forecasts"
        elif alone.p <= 0.05 and alone.intervals["rho"][0] > 0:
            word = "alone ranks, but does not forecast in size,"
        else:
            word = "alone does not forecast"
        adds = "adds to" if low > 0 and every.predictive else "adds nothing sure to"
        numbers = "; ".join(f"{name}: {_numbers(one)}" for name, one in sets.items())
        return (
            f"Geometry {word} what steering brings, {where}, and {adds} what the number of words and their probability"
            f" forecast (R² {gain:+.2f} [{low:.2f}, {high:.2f}]). Held out, {len(every.effects)} of them, error"
            f" {every.error:.2f}: {numbers}."
        )

    def _chosen(self) -> str:
        sites = [str(one.tuned.site) for one in self.tuned]
        counts = {site: sites.count(site) for site in sorted(set(sites), key=lambda site: (-sites.count(site), site))}
        return ", ".join(f"{site} ({count})" for site, count in counts.items())

    def tables(self) -> list[TableSpec]:
        """Every concept; every forecast's weights."""
        head = ("concept", "words", "tuned at", "strength", "grid at", "strength", "unsteered", "random", "tuned",
                "grid", "grid at bound", "ratio", "95%", "KL", "perplexity ×", "passes", "of grid")  # fmt: skip
        rows = []
        for one in self.tuned:
            low, high = one.ratio_interval()
            means = {kind: f"{values.mean():.3g}" for kind, values in one.reported.items()}
            rows.append((
                short_name(one.name), str(one.words), str(one.tuned.site), f"{one.tuned.strength:.3g}",
                str(one.grid.site), f"{one.grid.strength:.3g}", means[UNSTEERED], means[RANDOM], means[TUNED],
                means[GRID], means[SHARPENED], f"{one.ratio():.2f}", f"{low:.2f} to {high:.2f}",
                f"{one.reported_kl[TUNED]:.2f}", f"{one.perplexity:.2f}", f"{one.tuned.passes:,}",
                f"{one.passes_fraction:.1%}",
            ))  # fmt: skip
        tables = [TableSpec("P(concept's words) on report prompts", head, rows, "KL in nats; ratio: tuned over grid.")]
        if self.forecasts:
            every = {(part, name): one for part, sets in self.forecasts.items() for name, one in sets.items()}
            columns = next(one for (_, name), one in every.items() if name == ALL).features.columns
            weights = []
            for (part, name), forecast in every.items():
                of = dict(zip(forecast.features.columns, forecast.weights, strict=True))
                cells = [f"{of[column]:+.2f}" if column in of else "–" for column in columns]
                ends = [f"{low:.2f} to {high:.2f}" for low, high in forecast.intervals.values()]
                numbers = (
                    f"{forecast.r2:.2f}",
                    ends[0],
                    f"{forecast.rho:.2f}",
                    ends[1],
                    f"{forecast.p:.3g}",
                    f"{forecast.error:.2f}",
                )
                weights.append((f"{part}, {name}", *cells, *numbers))
            found = ("R²", "95%", "ρ", "95%", "p", "error")
            title = "Forecasts, held out; weights: effect a standard deviation"
            tables.append(TableSpec(title, ("forecast", *columns, *found), weights))
        return tables

    def figures(self) -> list[FigureSpec]:
        """The main figure first."""
        from geometry.experiments.tuning.figures import figures

        return figures(self)

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        median, low, high = self.median_ratio()
        return {
            "bound": self.study.bound,
            "median_ratio": {"value": median, "interval": [low, high], "holds": self.holds},
            "median_ratio_to_grid_at_bound": self.median_ratio(SHARPENED)[0],
            "passes_fraction": self.passes_fraction,
            "n_prompts": {"choosing": len(self.choosing), "reporting": len(self.reporting)},
            "concepts": {one.name: one.to_dict() for one in self.tuned},
            "forecasts": {
                part: {"site": self.sites[part], **{name: one.to_dict() for name, one in sets.items()}}
                for part, sets in self.forecasts.items()
            },
            "skipped": dict(self.skipped),
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """What figures are drawn from."""
        found: dict[str, ArrayLike] = {"blocks": np.array(self.blocks)}
        found["reported"] = np.array([[one.reported[kind] for kind in KINDS] for one in self.tuned])
        found["strengths"] = np.array([one.strengths for one in self.tuned])
        found["levels"] = np.array([one.levels for one in self.tuned])
        for number, sets in enumerate(self.forecasts.values()):
            forecast = sets[ALL]
            found[f"forecast_{number}_features"] = forecast.features.values
            found[f"forecast_{number}_effects"] = forecast.effects
            found[f"forecast_{number}_held_out"] = forecast.held_out
            found[f"forecast_{number}_rho_nulls"] = forecast.rho_nulls
        return found


def _numbers(one: Forecast) -> str:
    r2, rho = one.intervals["r2"], one.intervals["rho"]
    return (
        f"R² {one.r2:.2f} [{r2[0]:.2f}, {r2[1]:.2f}], ρ {one.rho:.2f} [{rho[0]:.2f}, {rho[1]:.2f}], p = {one.p:.3g}"
        f" (permuted effects: ρ {one.rho_nulls.mean():.2f})"
    )
