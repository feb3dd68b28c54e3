"""Distributions of a statistic beside those of its nulls, several statistics in one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, NULL_GREYS, headline, style, tag_panel

__all__ = ["Distribution", "plot_distributions"]


# A density drawn through fewer values would be an invention.
_FEWEST_FOR_A_SHAPE = 10


@dataclass(frozen=True, eq=False)
class Distribution:
    """One panel: the model's values, shape (m,), and each null's, shape (draws, m')."""

    title: str
    axis: str
    values: NDArray[np.float64]
    nulls: Mapping[str, NDArray[np.float64]]
    expected: float
    verdict: str


def plot_distributions(panels: Sequence[Distribution], *, finding: str, detail: str = "") -> Figure:
    """Violins with every value beside them; the model in colour, nulls in grey, means written out."""
    with style():
        figure = Figure(figsize=(7.2, 3.6))
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        figure.subplots_adjust(left=0.08, right=0.985, bottom=0.115, wspace=0.2)
        for axes, panel, letter in zip(grid, panels, "abcdef", strict=False):
            _draw(axes, panel)
            tag_panel(axes, letter)
        headline(figure, finding, detail, room=0.45)
    return figure


def _draw(axes: Axes, panel: Distribution) -> None:
    rng = np.random.default_rng(0)
    groups = {"model": panel.values, **{name: draws.ravel() for name, draws in panel.nulls.items()}}
    for place, (name, raw) in enumerate(groups.items()):
        values = raw[np.isfinite(raw)]
        colour = COLOURS[0] if name == "model" else NULL_GREYS[(place - 1) % len(NULL_GREYS)]
        if len(values) >= _FEWEST_FOR_A_SHAPE:
            violin = axes.violinplot(values, [place], widths=0.75, side="high", showextrema=False)
            for shape in cast(list[Artist], violin["bodies"]):
                shape.set(facecolor=colour, alpha=0.55, edgecolor="none")
        shown = rng.permutation(values)[:400]
        axes.scatter(
            place - 0.06 - 0.26 * rng.random(len(shown)),
            shown,
            s=2,
            color=colour,
            lw=0,
            alpha=0.7,
            rasterized=True,
        )
        mean = float(values.mean())
        axes.plot([place - 0.36, place + 0.4], [mean, mean], color="black", lw=1.1)
        axes.annotate(f"{mean:.3f}", (place + 0.4, mean), (0, 2), textcoords="offset points", fontsize=6.5, ha="right")
    axes.axhline(panel.expected, color="black", lw=0.5, ls=":", zorder=0)
    axes.set_xticks(range(len(groups)), [name.replace(" ", "\n") for name in groups])
    axes.set(ylabel=panel.axis, xlim=(-0.55, len(groups) - 0.45))
    axes.set_title(f"{panel.title}\n{panel.verdict}")
