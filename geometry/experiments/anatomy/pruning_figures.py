"""The figures of pruning: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.experiments.anatomy.candidates import SHARED
from geometry.experiments.anatomy.verdicts import (
    BETTER,
    EVERY,
    GROUPS,
    MEASURES,
    OF_CONCEPTS,
    OF_LAWS,
    OPEN,
    TRADE,
    WHOLE,
    WORSE,
)
from geometry.experiments.result import FigureSpec

if TYPE_CHECKING:
    from geometry.experiments.anatomy.pruning_part import PruningPart

_MEASURES: dict[str, str] = {
    "effect": "Log-odds of held-out words",
    "cost": "Off-target KL",
    "text": "Loss of neutral text",
}
_LESS = "pruned − whole (nats)"


def against_whole(part: "PruningPart") -> FigureSpec:
    """A row a basis: the chosen vectors less the whole ones, beside as many random parts."""
    shown = [
        (basis, group)
        for basis in part.bases
        for group in GROUPS
        if part.difference(basis, "effect", group=group)["n"] and (basis, group) != (SHARED, OF_CONCEPTS)
    ]
    panels = []
    for measure in MEASURES:
        if not np.isfinite(part.of_each(WHOLE, measure)).any():
            continue
        rows = []
        for basis, group in shown:
            estimates = {
                f"{value:g} nats": estimate(part.difference(basis, measure, at, group=group))
                for at, value in enumerate(part.nats)
                if part.difference(basis, measure, at, group=group)["n"]
            }
            null = part.of_each(f"random {basis}", measure) - part.of_each(WHOLE, measure)
            null = null[part.group(group) & np.isfinite(null)]
            marks = {"as many random parts": plots.NullMark(float(null.mean()))} if len(null) else {}
            rows.append(plots.ForestRow(estimates, marks, bold=group == EVERY))
        side = "right" if measure == "effect" else "left"
        panels.append(plots.ForestPanel(_LESS, rows, f"{_MEASURES[measure]} (better: {side})", {0.0: "whole"}))
    better = [basis for basis in part.bases if part.verdict(basis) == BETTER]
    worse = [basis for basis in part.bases if part.verdict(basis) == WORSE]
    if better:
        first = part.difference(better[0], "effect")
        title = (
            f"Pruning is a Pareto improvement by {_listed(better)} ({better[0]}: log-odds {first['mean']:+.2f} nats)"
        )
        title += f", and by no other of {len(part.bases)} bases" if len(better) < len(part.bases) else ""
    else:
        title = "At equal KL divergence pruned vectors steer no better than whole ones"
        title += f", and worse by {_listed(worse)}" if worse else ""
        undecided = [basis for basis in part.bases if part.verdict(basis) == OPEN]
        title += f"; by {_listed(undecided)} it is inconclusive" if undecided else ""
        trades = [
            basis if group == EVERY else f"{basis} {group}"
            for basis, group in shown
            if part.verdict(basis, group=group) == TRADE
        ]
        title += f"; {_listed(trades)}: a trade-off" if trades else ""
    names = [basis if group == EVERY else f"– {group}" for basis, group in shown]
    least = part.resolution("text")
    margin = f" Less than {least:.2f} of it, which the tolerance of the KL can make, is no difference." if least else ""
    caption = (
        f"{len(part.subjects)} vectors; k chosen for each on {part.n_prompts[0]} prompts by other words than those that"
        f" judge it on {part.n_prompts[1]} others. Loss: nats a token of {sum(part.sets.values())} texts.{margin} Bars:"
        f" 95% over vectors, of the loss over texts as well. Grey: as many random parts at {part.nats[0]:g} nats."
    )
    return FigureSpec("pruning", title, caption, partial(plots.forest, panels, names))


def by_count(part: "PruningPart") -> FigureSpec:
    """Lines over k, the whole vector at 0."""
    bases = [basis for basis in part.bases if basis != SHARED]
    panels = []
    for measure in OF_LAWS:
        curves = {}
        for basis in bases:
            found = part.along(basis, measure)
            ends = np.array([one["interval"] or (np.nan, np.nan) for one in found], dtype=float)
            means = [np.nan if one["mean"] is None else one["mean"] for one in found]
            curves[basis] = plots.Curve(part.counts, means, low=ends[:, 0], high=ends[:, 1])
        panels.append(
            plots.CurvePanel("parts kept (k)", _LESS, curves, _MEASURES[measure], references={0.0: "whole"}, log="x")
        )
    title = _best(part, bases)
    caption = (
        f"At {part.nats[0]:g} nats on {part.n_prompts[1]} prompts, means over up to {len(part.subjects)} vectors with"
        " 95% intervals. Above 0 at the left and below 0 at the right is better than the whole vector. Nothing was"
        " chosen for these lines."
    )
    return FigureSpec("pruning_by_count", title, caption, partial(plots.curves, panels))


def _best(part: "PruningPart", bases: list[str]) -> str:
    """Of all k of all bases the one that raises held-out words most."""
    found = [
        (one["mean"], basis, k, one["interval"])
        for basis in bases
        for k, one in zip(part.counts, part.along(basis, "effect"), strict=True)
        if one["mean"] is not None
    ]
    if not found:
        return "No pruned vector reaches the KL divergence"
    mean, basis, k, (low, high) = max(found)
    said = "more than" if low > 0 else "less than" if high < 0 else "no differently from"
    what = basis if k > 1 else basis.removesuffix("s")
    return (
        f"Of all k, {k} {what} raise{'s' if k == 1 else ''} held-out words most, {said} the whole vector"
        f" ({mean:+.2f} nats [{low:+.2f}, {high:+.2f}])"
    )


def estimate(found: dict[str, Any]) -> plots.Estimate:
    """A mean with its interval."""
    if found["mean"] is None:
        return plots.Estimate(np.nan)
    return plots.Estimate(found["mean"], *found["interval"])


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
