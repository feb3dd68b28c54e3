"""Models against models: for each measure a square of pairs, the models below the diagonal and noise above it."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.views.style import INK, headline, literal, signed, style, tag_panel

__all__ = ["Pairwise", "plot_pairwise"]

_CMAP = "YlGnBu"
_DARK = 0.6


@dataclass(frozen=True, eq=False)
class Pairwise:
    """One measure of all pairs.

    Attributes
    ----------
    values, noise : shape (n, n), symmetric; the measure of the models, and on a null model.
    unrelated, alike : where the colours begin and end.
    """

    title: str
    values: NDArray[np.float64]
    noise: NDArray[np.float64]
    unrelated: float
    alike: float


def plot_pairwise(
    panels: Sequence[Pairwise], names: Sequence[str], *, finding: str, detail: str = "", columns: int = 2
) -> Figure:
    """A square for each measure, its numbers written in: coloured below the diagonal, grey noise above."""
    rows = -(-len(panels) // columns)
    n = len(names)
    with style():
        height = 1.0 + rows * (0.55 + 0.38 * n)
        figure = Figure(figsize=(7.2, height))
        grid = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(left=0.2, right=0.985, bottom=0.28 / height, wspace=0.14, hspace=0.36)
        for place, axes in enumerate(grid.ravel()):
            if place >= len(panels):
                axes.set_axis_off()
                continue
            _square(axes, panels[place], names, first=place % columns == 0)
            tag_panel(axes, "abcdefgh"[place])
        headline(figure, finding, detail, room=0.26)
    return figure


def _square(axes: Axes, panel: Pairwise, names: Sequence[str], *, first: bool) -> None:
    n = len(names)
    colours = mpl.colormaps[_CMAP]
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="auto")
    for row in range(n):
        for column in range(n):
            if row == column:
                axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color="#eeeeee", lw=0)
                continue
            below = row > column
            value = (panel.values if below else panel.noise)[row, column]
            text = signed(f"{value:.2f}") if np.isfinite(value) else "–"
            if below:
                share = float(np.clip((value - panel.unrelated) / (panel.alike - panel.unrelated), 0, 1))
                share = share if np.isfinite(share) else 0.0
                axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=colours(0.9 * share), lw=0)
                ink = "white" if share > _DARK else INK
            else:
                ink = "#888888"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=ink)
    labels = [f"{literal(name)}  {place}" for place, name in enumerate(names, 1)]
    numbers = [str(place) for place in range(1, n + 1)]
    axes.set_xticks(range(n), numbers, fontsize=6.3)
    axes.set_yticks(range(n), labels if first else numbers, fontsize=6.3)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(panel.title, fontsize=7.5)
