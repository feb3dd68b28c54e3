"""Curves: quantities over a common scale, one line for each condition, controls in grey and dashed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, INK, NULL_GREYS, headline, literal, style, tag_panel

__all__ = ["Curves", "plot_curves"]


@dataclass(frozen=True, eq=False)
class Curves:
    """One panel.

    Attributes
    ----------
    lines : name → (x, y), of one shape (n,).
    level : y of a thin line for reference, with its name.
    log : axes with a logarithmic scale, "", "x", "y" or "xy".
    marked : whether the points are few and each has its mark and its tick.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    level: tuple[float, str] | None = None
    log: str = ""
    marked: bool = True


def plot_curves(
    panels: Sequence[Curves], *, controls: Sequence[str] = (), finding: str, detail: str = "", columns: int = 2
) -> Figure:
    """Panels of lines; a name has one colour in all of them, and one legend stands below."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    own = [name for name in names if name not in controls]
    looks = {name: (COLOURS[place % len(COLOURS)], "-") for place, name in enumerate(own)}
    looks |= {name: (NULL_GREYS[place % len(NULL_GREYS)], "--") for place, name in enumerate(controls)}
    rows = -(-len(panels) // columns)
    with style():
        height = 1.45 + 1.95 * rows
        figure = Figure(figsize=(7.2, height))
        grid = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(left=0.095, right=0.985, bottom=0.85 / height, wspace=0.24, hspace=0.55)
        for place, axes in enumerate(grid.ravel()):
            if place >= len(panels):
                axes.set_axis_off()
                continue
            panel = panels[place]
            for name, (x, y) in panel.lines.items():
                colour, dashes = looks[name]
                axes.plot(
                    x,
                    y,
                    dashes,
                    color=colour,
                    lw=1.3,
                    marker="o" if panel.marked else "",
                    ms=2.6,
                    zorder=2 if name in own else 1,
                )
            if panel.level:
                axes.axhline(panel.level[0], color=INK, lw=0.6, ls=":", zorder=0)
                axes.annotate(
                    panel.level[1],
                    (0.99, panel.level[0]),
                    (0, 2),
                    xycoords=("axes fraction", "data"),
                    textcoords="offset points",
                    fontsize=5.5,
                    color="#555555",
                    ha="right",
                )
            for scale in panel.log:
                (axes.set_xscale if scale == "x" else axes.set_yscale)("log")
            if "x" in panel.log and panel.marked:
                axes.set_xticks(np.unique(np.concatenate([x for x, _ in panel.lines.values()])))
            for axis, scale in ((axes.xaxis, "x"), (axes.yaxis, "y")):
                if scale in panel.log:
                    # The usual powers of ten are mathematical text, which is off for the sake of tokens.
                    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                    axis.set_minor_formatter(NullFormatter())
                    axis.set_tick_params(which="minor", length=0)
            axes.set(xlabel=panel.x, ylabel=panel.y)
            axes.set_title(literal(panel.title), fontsize=8)
            tag_panel(axes, ascii_lowercase[place % 26])
        handles = [figure.axes[0].plot([], [], style_, color=colour, lw=1.3)[0] for colour, style_ in looks.values()]
        figure.legend(
            handles, [literal(name) for name in looks], loc="lower center", ncols=min(4, len(looks)), fontsize=6.8
        )
        headline(figure, finding, detail, room=0.3)
    return figure
