"""The dual step beside addition: paired differences, checks and reachability, in numbers and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.selectivity.dual import FACTOR, DualRun
from geometry.intervals import mean_of, summarise
from geometry.steering import OutputSteps
from geometry.steering.output_steps import MEASURES

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class DualPart(Part):
    """Steps to the same P(target) by both routes; a targets, n prompts.

    Attributes:
        run: the steps.
        families: rows of steps to a child by the β of its parent, its own contrast and both.
        n_tokens: on so many likeliest tokens.
    """

    run: DualRun
    families: Sequence[tuple[str, str, str, OutputSteps, OutputSteps]]
    n_tokens: int

    __repr__ = short_repr

    @property
    def reached(self) -> dict[str, NDArray[np.bool_]]:
        """Route → which prompts reach the goal, shape (a, n)."""
        routes = {"dual step": self.run.dual, "addition": self.run.addition, "concept vector": self.run.concept}
        return {name: np.array([each.reached for each in steps]) for name, steps in routes.items()}

    def values(self, measure: str, route: str = "dual", beside: str = "addition") -> Array:
        """Of a route where the dual step and another reach the goal, nan elsewhere, shape (a, n)."""
        found = np.array([getattr(each, measure) for each in getattr(self.run, route)])
        both = np.array([one.reached for one in self.run.dual]) & np.array(
            [one.reached for one in getattr(self.run, beside)]
        )
        return np.where(both, found, np.nan)

    @cached_property
    def beside_concept(self) -> dict[str, dict[str, Any]]:
        """Measure → dual less addition of the concept vector at equal P(target), as `differences`."""
        return {
            name: summarise(self.values(name, beside="concept") - self.values(name, "concept", "concept"))
            for name in MEASURES
        }

    @cached_property
    def differences(self) -> dict[str, dict[str, Any]]:
        """Measure → dual less addition at equal P(target), mean with its 95% interval over prompts."""
        return {name: summarise(self.values(name) - self.values(name, "addition")) for name in MEASURES}

    @property
    def left_out(self) -> tuple[float, float]:
        """The most probability outside the tokens that were kept, unsteered and at dual steps that reach the goal."""
        steered = [each.left_out_steered[each.reached].max(initial=0.0) for each in self.run.dual]
        return max(float(each.left_out.max()) for each in self.run.dual), max(map(float, steered))

    def summary(self) -> list[str]:
        """Which route is more selective, who reaches the goal, and whether the theory holds on every prompt."""
        one, reached = self.differences["off_target_kl"], self.reached
        rate = {name: float(values.mean()) for name, values in reached.items()}
        both = int((reached["dual step"] & reached["addition"]).sum())
        said = [
            f"At equal P(target), {FACTOR:g} times the odds, the dual step's off-target KL differs from addition's"
            f" along the same β by {_said(one)} nats, the reverse by"
            f" {_said(self.differences['off_target_reverse_kl'])}, over {both} of"
            f" {reached['addition'].size} pairs of concept and prompt that both reach."
        ]
        other = self.beside_concept["off_target_kl"]
        said.append(
            f"From addition of the concept vector, at the same P(target), the dual step's off-target KL differs by"
            f" {_said(other)} nats."
        )
        parts = ", ".join(f"{name} {value:.0%}" for name, value in rate.items())
        said.append(f"The goal is reached: {parts} of concepts and prompts.")
        failed = {name: fails for name, (_, fails) in self.run.checks.items() if fails}
        checked = max((of for of, _ in self.run.checks.values()), default=0)
        said.append(
            f"On all of {checked} steps residuals and inequalities of the theory hold."
            if not failed
            else "Not on every step: " + "; ".join(f"{name} fails on {count}" for name, count in failed.items()) + "."
        )
        before, after = self.left_out
        said.append(
            f"The {self.n_tokens:,} likeliest tokens leave out up to {before:.1%} of the unsteered law and {after:.1%}"
            f" of the steered; {len(self.run.targets)} concepts took {self.run.seconds:.0f} s of CPU time."
        )
        return said

    def to_dict(self) -> dict[str, Any]:
        """Differences, reachability, checks, truncation, families."""
        before, after = self.left_out
        return {
            "targets": list(self.run.targets),
            "n_tokens": self.n_tokens,
            "odds_factor": FACTOR,
            "left_out": {"unsteered": before, "steered": after},
            "cpu_seconds": round(self.run.seconds, 1),
            "differences": self.differences,
            "less_concept_vector": self.beside_concept,
            "dual": {name: summarise(self.values(name)) for name in MEASURES},
            "addition": {name: summarise(self.values(name, "addition")) for name in MEASURES},
            "reached": {name: {"share": float(v.mean()), "of": v.size} for name, v in self.reached.items()},
            "largest_residual": max(float(each.residual[each.reached].max(initial=0)) for each in self.run.dual),
            "checks": {name: {"checked": of, "fail": fails} for name, (of, fails) in self.run.checks.items()},
            "not_reached": {
                name: self._largest(row) for row, name in enumerate(self.run.targets) if self._largest(row)
            },
        }

    def _largest(self, row: int) -> dict[str, float]:
        """Route → the mean of the largest P(target) found where it does not reach the goal."""
        routes = {"dual step": self.run.dual, "addition": self.run.addition, "concept vector": self.run.concept}
        return {
            name: float(steps[row].probability[~steps[row].reached].mean())
            for name, steps in routes.items()
            if not steps[row].reached.all()
        }

    def figures(self) -> list[FigureSpec]:
        """Dual against addition, concept by concept."""
        from geometry.experiments.selectivity.dual_figures import beside_addition

        return [beside_addition(self)]

    def tables(self) -> list[TableSpec]:
        """Differences, checks and families."""
        from geometry.experiments.selectivity.dual_figures import SAID
        from geometry.experiments.selectivity.tree_part import cell

        rows = [
            [
                SAID[name],
                *(cell(summarise(self.values(name, route))) for route in ("dual", "addition")),
                cell(one),
                cell(self.beside_concept[name]),
            ]
            for name, one in self.differences.items()
        ]
        checks = [[name, str(of), str(fails)] for name, (of, fails) in self.run.checks.items()]
        caption = (
            f"Prompts and concepts that both reach {FACTOR:g} times the odds, along β = E[γ | target] − E[γ]; last:"
            " less addition of the concept vector, where it and the dual step reach them."
        )
        head = ["", "dual", "addition", "difference", "dual − concept vector"]
        tables = [
            TableSpec("Dual step and addition at equal P(target)", head, rows, caption),
            TableSpec("What the theory says of every step", ["", "steps checked", "fail"], checks),
        ]
        if self.families:
            tables.append(self._families())
        return tables

    def _families(self) -> TableSpec:
        rows = []
        for parent, child, beta, dual, added in self.families:
            for route, steps in (("dual", dual), ("addition", added)):
                values: Mapping[str, Array] = {
                    name: np.where(steps.reached, getattr(steps, name), np.nan) for name in ("kl", "off_target_kl")
                }
                means = [f"{mean_of(each):.2f}" if np.isfinite(each).any() else "–" for each in values.values()]
                rows.append(
                    [
                        f"{parent} → {child}: {beta}", route, f"{int(steps.reached.sum())}/{len(steps.reached)}",
                        f"{steps.unsteered.mean():.2g}", f"{steps.probability.mean():.2g}", *means,
                    ]
                )  # fmt: skip
        return TableSpec(
            f"To {FACTOR:g} times the odds of a child, by the β of parent, child and both",
            ["β", "route", "reached", "P(child) unsteered", "P(child) steered", "KL", "off-target KL"],
            rows,
            "parent: E[γ | parent] − E[γ]; child: E[γ | child] − E[γ | parent]. Not reached: the largest P(child)"
            " found.",
        )

    def arrays(self) -> dict[str, ArrayLike]:
        """Every measure by either route."""
        arrays: dict[str, ArrayLike] = {}
        for route in ("dual", "addition", "concept"):
            steps = getattr(self.run, route)
            for name in (*MEASURES, "probability", "unsteered", "reached", "residual", "left_out_steered"):
                arrays[f"{route}/{name}"] = np.array([getattr(each, name) for each in steps])
        return arrays


def _said(one: Mapping[str, Any]) -> str:
    if one["mean"] is None:
        return "– (no pair)"
    low, high = one["interval"]
    return f"{one['mean']:+.3f} [{low:+.3f}, {high:+.3f}]"
