"""Squares: things against things, k × k numbers a panel, coloured where they are the model's and grey where noise's."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.plots.style import INK, headline, literal, signed, style, tag_panel

__all__ = ["Square", "plot_squares"]

_CMAP = "YlGnBu"
_DARK = 0.6


@dataclass(frozen=True, eq=False)
class Square:
    """One panel.

    Attributes
    ----------
    names : of the rows, and in the same order of the columns.
    values : shape (k, k); nan leaves a cell blank.
    noise : shape (k, k), bool: which cells are of a null model.
    limits : where the colours begin and end.
    """

    title: str
    names: Sequence[str]
    values: NDArray[np.float64]
    noise: NDArray[np.bool_]
    limits: tuple[float, float]


def plot_squares(
    panels: Sequence[Square],
    *,
    finding: str,
    detail: str = "",
    columns: int = 2,
    row_axis: str = "",
    column_axis: str = "",
) -> Figure:
    """A square for each panel, its numbers written in; names stand at the rows, columns have their numbers.

    Where all panels have the same names these stand at the first of a row alone.
    """
    rows = -(-len(panels) // columns)
    shared = len({tuple(panel.names) for panel in panels}) == 1
    n = max(len(panel.names) for panel in panels)
    with style():
        below = 0.28 + 0.16 * bool(column_axis)
        height = 1.0 + rows * (0.55 + (0.38 if shared else 0.27) * n) + below - 0.28
        figure = Figure(figsize=(7.2, height))
        grid = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(
            left=0.2 if shared else 0.115,
            right=0.985,
            bottom=below / height,
            wspace=0.14 if shared else 0.42,
            hspace=0.36,
        )
        for place, axes in enumerate(grid.ravel()):
            if place >= len(panels):
                axes.set_axis_off()
                continue
            _draw(axes, panels[place], named=not shared or place % columns == 0, size=7 if shared else 6)
            tag_panel(axes, "abcdefgh"[place % 8])
            if place % columns == 0:
                axes.set_ylabel(row_axis, fontsize=6.5)
            if place + columns >= len(panels):
                axes.set_xlabel(column_axis, fontsize=6.5, labelpad=2)
        headline(figure, finding, detail, room=0.26)
    return figure


def _draw(axes: Axes, panel: Square, *, named: bool, size: float) -> None:
    n = len(panel.names)
    low, high = panel.limits
    colours = mpl.colormaps[_CMAP]
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="auto")
    for row in range(n):
        for column in range(n):
            value = panel.values[row, column]
            if not np.isfinite(value):
                axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color="#eeeeee", lw=0)
                if row != column:
                    axes.text(column, row, "–", ha="center", va="center", fontsize=size, color="#888888")
                continue
            ink = "#888888"
            if not panel.noise[row, column]:
                share = float(np.clip((value - low) / (high - low), 0, 1))
                axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=colours(0.9 * share), lw=0)
                ink = "white" if share > _DARK else INK
            axes.text(column, row, signed(f"{value:.2f}"), ha="center", va="center", fontsize=size, color=ink)
    labels = [f"{literal(name)}  {place}" for place, name in enumerate(panel.names, 1)]
    numbers = [str(place) for place in range(1, n + 1)]
    axes.set_xticks(range(n), numbers, fontsize=6.3)
    axes.set_yticks(range(n), labels if named else numbers, fontsize=6.3)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(panel.title, fontsize=7.5)
