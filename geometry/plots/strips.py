"""Strips: distributions as rows under each other, the model in colour and its nulls in grey, panels side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, INK, NULL_GREYS, headline, literal, signed, style, tag_panel

__all__ = ["Strips", "plot_strips"]

# A density drawn through fewer values would be an invention.
_FEWEST_FOR_A_SHAPE = 10
_MOST_POINTS = 300


@dataclass(frozen=True, eq=False)
class Strips:
    """One panel.

    Attributes
    ----------
    rows : (label, values of any number, whether they are the model's); nan are passed over.
    marks : value → what it means, drawn as dotted lines.
    """

    title: str
    axis: str
    rows: Sequence[tuple[str, NDArray[np.float64], bool]]
    marks: Mapping[float, str] = field(default_factory=dict)


def plot_strips(panels: Sequence[Strips], *, finding: str, detail: str = "", columns: int = 2) -> Figure:
    """Rows of points with a violin above them and the mean written out; panels in a row share their labels."""
    grid_rows = -(-len(panels) // columns)
    tallest = max(len(panel.rows) for panel in panels)
    with style():
        longest = max(len(literal(label)) for panel in panels for label, *_ in panel.rows)
        height = 1.15 + grid_rows * (0.72 + 0.25 * tallest)
        figure = Figure(figsize=(7.2, height))
        grid = figure.subplots(grid_rows, min(columns, len(panels)), squeeze=False)
        figure.subplots_adjust(left=0.03 + 0.0082 * longest, right=0.985, bottom=0.42 / height, wspace=0.07)
        figure.subplots_adjust(hspace=0.72 / (0.25 * tallest))
        for place, axes in enumerate(grid.ravel()):
            if place >= len(panels):
                axes.set_axis_off()
                continue
            _draw(axes, panels[place], labelled=place % columns == 0)
            if len(panels) > 1:
                tag_panel(axes, ascii_lowercase[place % 26])
        headline(figure, finding, detail, room=0.3)
    return figure


def _draw(axes: Axes, panel: Strips, *, labelled: bool) -> None:
    rng = np.random.default_rng(0)
    coloured = 0
    for place, (_, raw, own) in enumerate(panel.rows):
        values = raw[np.isfinite(raw)].ravel()
        height = len(panel.rows) - 1 - place
        colour = COLOURS[coloured % len(COLOURS)] if own else NULL_GREYS[1]
        coloured += own
        if not len(values):
            axes.annotate("nothing to measure", (0.02, height), xycoords=("axes fraction", "data"), fontsize=6)
            continue
        if len(values) >= _FEWEST_FOR_A_SHAPE and np.ptp(values) > 0:
            drawn = rng.permutation(values)[:1500]
            violin = axes.violinplot(
                drawn, [height], orientation="horizontal", widths=0.8, side="high", showextrema=False
            )
            for shape in cast(list[Artist], violin["bodies"]):
                shape.set(facecolor=colour, alpha=0.45, edgecolor="none")
        shown = rng.permutation(values)[:_MOST_POINTS]
        jitter = height - 0.06 - 0.22 * rng.random(len(shown))
        axes.scatter(shown, jitter, s=2.5, color=colour, lw=0, alpha=0.6, rasterized=True)
        mean = float(values.mean())
        if len(values) < _FEWEST_FOR_A_SHAPE:
            axes.plot(mean, height, marker="D", color=colour, ms=5, zorder=1)
        axes.plot([mean, mean], [height - 0.32, height + 0.4], color="black", lw=1.2)
        axes.annotate(signed(f"{mean:.3f}"), (mean, height + 0.18), (3, 0), textcoords="offset points", fontsize=6.5)
    labels = [literal(label) if labelled else "" for label, *_ in reversed(panel.rows)]
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel=panel.axis, ylim=(-0.5, len(panel.rows) - 0.4))
    axes.set_title(panel.title, fontsize=8)
    low, high = axes.get_xlim()
    for mark, meaning in panel.marks.items():
        axes.axvline(mark, color=INK, lw=0.6, ls=":", zorder=0)
        side = 1 if mark < (low + high) / 2 else -1
        axes.annotate(
            meaning,
            (mark, len(panel.rows) - 0.45),
            (2 * side, 0),
            textcoords="offset points",
            fontsize=5.5,
            color="#555555",
            ha="left" if side > 0 else "right",
        )
    axes.autoscale_view()
