"""Sweep: quantities over two settings as heatmaps that share their rows, with a chosen cell marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from geometry.plots.style import headline, literal, style, tag_panel

__all__ = ["Sweep", "plot_sweep"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """One panel.

    Attributes
    ----------
    values : shape (rows, columns); nan stays blank.
    rows, columns : what the rows and columns stand for.
    limits : of the colour scale; logarithmic where `log`.
    chosen : (row, column) of a cell to mark.
    """

    title: str
    values: NDArray[np.float64]
    rows: Sequence[str]
    columns: Sequence[str]
    limits: tuple[float, float]
    log: bool = False
    chosen: tuple[int, int] | None = None


def plot_sweep(panels: Sequence[Sweep], *, row_axis: str, column_axis: str, finding: str, detail: str = "") -> Figure:
    """Heatmaps side by side, first row at the bottom; numbers are written where there are few enough."""
    with style():
        # Few rows need room too, for the colour bars below them to stand clear.
        height = 1.9 + max(1.4, 0.092 * max(len(panel.rows) for panel in panels))
        pad = 0.58 / (height - 1.25)
        figure = Figure(figsize=(7.2, height))
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        figure.subplots_adjust(left=0.065, right=0.985, bottom=0.3 / height, wspace=0.2)
        for place, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
            scale = {"norm": LogNorm(*panel.limits)} if panel.log else dict(zip(("vmin", "vmax"), panel.limits))  # noqa: B905
            image = axis.imshow(panel.values, cmap="viridis", aspect="auto", origin="lower", rasterized=True, **scale)
            axis.set_xticks(range(len(panel.columns)), panel.columns, fontsize=5.5, rotation=90)
            every = -(-len(panel.rows) // 16)
            axis.set_yticks(range(0, len(panel.rows), every), panel.rows[::every], fontsize=6)
            axis.set_title(literal(panel.title), fontsize=7)
            axis.set_xlabel(column_axis, fontsize=6.5)
            if panel.chosen is not None:
                row, column = panel.chosen
                box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, lw=1.3, edgecolor="#D55E00")
                axis.add_patch(box)
            bar = figure.colorbar(image, ax=axis, orientation="horizontal", fraction=0.04, pad=pad, aspect=25)
            bar.outline.set_linewidth(0.4)
            if panel.log:
                first, last = (round(np.log10(limit)) for limit in panel.limits)
                bar.set_ticks([10.0**power for power in range(first, last + 1, 2)])
                bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                bar.ax.minorticks_off()
            bar.ax.tick_params(labelsize=5, width=0.4, length=2)
            tag_panel(axis, ascii_lowercase[place % 26])
        axes[0].set_ylabel(row_axis, fontsize=7)
        headline(figure, finding, detail, room=0.3)
    return figure
