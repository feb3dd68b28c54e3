"""The chosen site and strength, what they bring and cost, and all that was tried: a line, a table, a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from geometry.display import html_table, in_short
from geometry.intervals import interval_of
from geometry.steering.vector import Site, SteeringVector
from geometry.tuning.bench import COST_LABELS, CostName, Trial
from geometry.tuning.goals import Numbers
from geometry.tuning.search import front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from geometry.tuning.calibration import Prediction

_HEAD = ("site", "strength", "effect", "cost", "within the bound", "Pareto front", "passes")


@dataclass(frozen=True, eq=False)
class Tuned:
    """Where to steer and how strongly.

    Attributes:
        vector: ready for `steer`: the candidate of the chosen site times the strength.
        chosen: the trial with the greatest effect within the bound.
        trials: all that were measured, the chosen one among them.
        bound, measure: nats, of "kl" or "perplexity".
        goal: what the effect is.
        unsteered: the effect without a vector, shape (n,).
        n_prompts: prompts, or of a `TextContrast` neutral texts, on which the cost was bounded.
        n_sites: candidates.
        passes: prompts and texts that were run through the model, those for what is kept included.
        exhaustive_passes: what 8 strengths at every site would have taken.
        notes: what a user should know.
        forecast: of the effect, from geometry alone; None without a fitted `Forecast`.
    """

    vector: SteeringVector
    chosen: Trial
    trials: tuple[Trial, ...]
    bound: float
    measure: CostName
    goal: str
    unsteered: Numbers
    n_prompts: int
    n_sites: int
    passes: int
    exhaustive_passes: int
    notes: tuple[str, ...] = ()
    forecast: "Prediction | None" = None

    @property
    def site(self) -> Site:
        """Where."""
        return self.chosen.site

    @property
    def strength(self) -> float:
        """How much of the candidate: of one at a block × the residual norm."""
        return self.chosen.strength

    @property
    def effect(self) -> float:
        """The mean effect on the validation prompts."""
        return self.chosen.effect

    @property
    def cost(self) -> float:
        """The mean cost there, in nats."""
        return self.chosen.cost

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap interval of the effect over prompts; nan of fewer than three."""
        return interval_of(self.chosen.effects)

    @property
    def front(self) -> list[Trial]:
        """The Pareto front: trials than which none has more effect at no more cost, by cost."""
        return front(self.trials)

    def __repr__(self) -> str:
        unit = "" if self.site.block is None else " × residual norm"
        cost = "KL" if self.measure == "kl" else "log-perplexity"
        low, high = self.interval
        ends = f" [{low:.3g}, {high:.3g}]" if np.isfinite(low) else ""
        return in_short(
            f"Tuned({self.site} at {self.strength:.3g}{unit}: {self.goal} {self.unsteered.mean():.3g} →"
            f" {self.effect:.3g}{ends}, {cost} {self.cost:.2f} of {self.bound:g} nats;"
            f" {len(self.trials)} trials, {self.passes} forward passes)"
        )

    def rows(self) -> list[tuple[Any, ...]]:
        """Every trial by site and strength, under `site`, `strength`, `effect`, `cost` and so on."""
        best = {id(trial) for trial in self.front}
        order = {site: index for index, site in enumerate(dict.fromkeys(trial.site for trial in self.trials))}
        return [
            (str(t.site), t.strength, t.effect, t.cost, t.cost <= self.bound, id(t) in best, t.passes)
            for t in sorted(self.trials, key=lambda trial: (order[trial.site], trial.strength))
        ]

    def to_frame(self) -> "DataFrame":
        """The trials as a table, one a row."""
        from pandas import DataFrame

        return DataFrame(self.rows(), columns=list(_HEAD))

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self.rows(), repr(self))

    def to_dict(self) -> dict[str, Any]:
        """The numbers of all trials and of the chosen one."""
        return {
            "site": str(self.site),
            "strength": self.strength,
            "effect": self.effect,
            "interval": list(self.interval),
            "unsteered": float(self.unsteered.mean()),
            "cost": self.cost,
            "bound": self.bound,
            "measure": self.measure,
            "goal": self.goal,
            "n_prompts": self.n_prompts,
            "passes": self.passes,
            "exhaustive_passes": self.exhaustive_passes,
            "trials": [dict(zip(_HEAD, row, strict=True)) for row in self.rows()],
            "notes": list(self.notes),
            "forecast": None if self.forecast is None else self.forecast.to_dict(),
        }

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None, **options: Any) -> "Figure":
        """The effect of every trial against its cost, the Pareto front and the chosen one; see `geo.plots.scatter`."""
        import geometry.plots as plots  # numbers must not need matplotlib

        best = self.front
        names = {"unsteered": [(0.0, float(self.unsteered.mean()))], "chosen": [(self.cost, self.effect)]}
        among = {id(trial) for trial in best} - {id(self.chosen)}
        names["Pareto front"] = [(t.cost, t.effect) for t in best if t is not self.chosen]
        rest = [(t.cost, t.effect) for t in self.trials if id(t) not in among and t is not self.chosen]
        rest = [pair for pair in rest if np.isfinite(pair).all() and pair[0] <= 4 * self.bound]
        panel = plots.ScatterPanel(
            COST_LABELS[self.measure],
            self.goal,
            {name: np.array(names[name]).reshape(-1, 2) for name in ("chosen", "Pareto front")},
            nulls={"unsteered": np.array(names["unsteered"]), "other trials": np.array(rest).reshape(-1, 2)},
            lines=[(np.inf, self.bound, "bound")],
        )
        where = f"{self.site} at strength {self.strength:.3g}"
        said = {"title": f"Chosen: {where}, {self.goal} {self.unsteered.mean():.3g} → {self.effect:.3g}"} | options
        return plots.scatter([panel], ncols=1, ax=ax, **said)
