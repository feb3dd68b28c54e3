"""The figure of the norm sweeps: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.experiments.result import FigureSpec
from geometry.experiments.search import labels
from geometry.experiments.search.kinds import RANDOM, SEARCHED
from geometry.intervals import interval_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geometry.experiments.search.norms import NormsPart


def norms(part: "NormsPart") -> FigureSpec:
    """Change, its direction, its dimensions and its meaning, over the norm."""
    names = {
        labels.CHANGE: ("Later activations change", "change, ‖Δ‖ / ‖h‖", "xy"),
        labels.KL: ("The next token changes", "KL (nats)", "xy"),
        labels.COSINE: ("The direction of the change", "cosine with full norm", "x"),
        labels.MEANING: ("What happens to concepts", "correlation with full norm", "x"),
        labels.COORDINATES: ("Coordinates that carry the change", "participation ratio", "xy"),
        labels.KEPT: (
            f"The {labels.LARGEST_COORDINATES} coordinates largest at full norm",
            "share of squared change",
            "x",
        ),
    }
    at = part.norm * np.array(labels.FACTORS)
    panels = []
    for measure, (title, label, log) in names.items():
        lines = {}
        for kind in (SEARCHED, RANDOM):
            rows = part.by_prompt(kind, measure)
            low, high = np.array([interval_of(row) for row in rows]).T
            lines[kind] = plots.Curve(at, rows.mean(axis=1), null=kind == RANDOM, low=low, high=high)
        panels.append(plots.CurvePanel("norm (× residual norm)", label, lines, title=title, log=log))
    half = [part.mean(kind, labels.MEANING, 0.5) for kind in (SEARCHED, RANDOM)]
    own = [part.mean(kind, labels.MEANING, 1.0) for kind in (SEARCHED, RANDOM)]
    grown = [part.mean(kind, labels.CHANGE, 1.0) / part.mean(kind, labels.CHANGE, 0.5) for kind in (SEARCHED, RANDOM)]
    return FigureSpec(
        "norms",
        f"At half the norm searched vectors change later activations {grown[0]:.1f} times less (random"
        f" {grown[1]:.1f}), and what they do to concepts correlates by {half[0]:.2f} with full norm, where"
        f" {own[0]:.2f} is reached at full norm itself (random {half[1]:.2f} of {own[1]:.2f})",
        "Held-out prompts, means over vectors; bands: 95% bootstrap over prompts; grey: random vectors of the same"
        " norms. Concepts: change of the log-odds of every concept's words, correlated over concepts with the mean at"
        " full norm, where vectors were searched, over all other prompts. Logarithmic: norms; in a, b and e both axes.",
        partial(_drawn, panels, part.norm),
    )


def _drawn(panels: "Sequence[plots.CurvePanel]", full: float, **heading: Any) -> "plots.Figure":
    """The panels, with the full norm as an upright line."""
    figure = plots.curves(panels, ncols=2, **heading)
    for axes in figure.axes:
        axes.axvline(full, color=plots.INK, lw=0.7, ls=(0, (1, 2)), zorder=0.5)
        place: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate(f"full norm, {full:g}", (full, 1), (0, 2), fontsize=5.8, ha="center", color="#555555", **place)
    return figure
