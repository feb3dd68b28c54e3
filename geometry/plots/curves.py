"""Curves: quantities over a common scale, one line for each condition, nulls in grey and dashed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator
from numpy.typing import ArrayLike, NDArray

from geometry.plots.canvas import Canvas, Given, limits_of, numeric, references
from geometry.plots.style import MARKERS, NULL_GREYS, Colours, extent, literal, palette, short, style

# A line drawn over another has gaps through which that one shows.
_DASHES = ("-", (0, (5, 2.2)), (0, (1.4, 1.4)), (0, (7, 2, 1.5, 2)), (0, (3, 1.5)), (0, (5, 1.4, 1, 1.4, 1, 1.4)))
_PANEL = 1.75


@dataclass(frozen=True, eq=False)
class Curve:
    """A line through (x, y), both of shape (n,), with a band from low to high, if any; grey where it is a null."""

    x: ArrayLike
    y: ArrayLike
    null: bool = False
    low: ArrayLike | None = None
    high: ArrayLike | None = None


@dataclass(frozen=True, eq=False)
class CurvePanel:
    """One panel.

    Attributes
    ----------
    x, y : labels of the axes.
    references : y → what it means, as a horizontal dotted line named at the right.
    log : axes with a logarithmic scale, "", "x", "y" or "xy".
    marked : whether the points are few, so that each has its mark and its tick.
    limits : of y.
    """

    x: str
    y: str
    curves: Mapping[str, Curve]
    title: str = ""
    references: Mapping[float, str] = field(default_factory=dict)
    log: str = ""
    marked: bool = True
    limits: tuple[float, float] | None = None


def curves(
    panels: Sequence[CurvePanel],
    *,
    ncols: int = 2,
    ax: Given = None,
    figsize: tuple[float, float] | None = None,
    colours: Colours = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Panels of lines; a name has one colour, dash and marker in all of them, and one legend stands below.

    >>> accuracy = {"probe": Curve([1, 2, 3], [0.3, 0.6, 0.9]), "shuffled": Curve([1, 3], [0.3, 0.3], null=True)}
    >>> figure = curves([CurvePanel("layer", "accuracy", accuracy, references={0.25: "chance"})])
    """
    null = {name: curve.null for panel in panels for name, curve in panel.curves.items()}
    colour = palette([name for name, grey in null.items() if not grey], colours)
    colour |= {name: NULL_GREYS[n % 2] for n, name in enumerate(name for name, grey in null.items() if grey)}
    looks = {name: _look(order, colour[name], null=null[name]) for order, name in enumerate(colour)}
    with style():
        canvas = Canvas.of(ax, len(panels), figsize, title, caption, columns=ncols)
        for axes, panel in zip(canvas.axes, panels, strict=True):
            bare = {} if panel.marked else {"marker": ""}
            lines = {name: [_array(part) for part in (c.x, c.y, c.low, c.high)] for name, c in panel.curves.items()}
            for name, (x, y, low, high) in lines.items():
                axes.add_line(Line2D(x, y, **(looks[name] | bare)))
                if len(low) and len(high):
                    axes.fill_between(x, low, high, color=colour[name], alpha=0.16, lw=0, zorder=0.8)
            axes.set_xscale("log" if "x" in panel.log else "linear")
            axes.set_yscale("log" if "y" in panel.log else "linear")
            axes.set_xlim(*limits_of([x for x, *_ in lines.values()], log="x" in panel.log, pad=0.03))
            seen = [part for _, *parts in lines.values() for part in parts]
            axes.set_ylim(*(panel.limits or limits_of([*seen, list(panel.references)], log="y" in panel.log)))
            axes.set(xlabel=panel.x, ylabel=panel.y)
        bare = {} if any(panel.marked for panel in panels) else {"marker": ""}
        canvas.legend([Line2D([], [], label=literal(name), **(look | bare)) for name, look in looks.items()])
        heights = [_PANEL] * len(canvas.lines())
        canvas.arrange(heights)
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width, height = canvas.inches(axes)
            numeric(axes.xaxis, width, log="x" in panel.log)
            numeric(axes.yaxis, height, log="y" in panel.log)
            if panel.marked:
                _tick_each(canvas, axes, np.unique(np.concatenate([_array(c.x) for c in panel.curves.values()])))
            references(canvas, axes, panel.references, horizontal=True)
        canvas.titles([panel.title for panel in panels])
        return canvas.finish(heights, rows=False)


def _array(values: ArrayLike | None) -> NDArray[np.float64]:
    return np.ravel(np.asarray([] if values is None else values, dtype=np.float64))


def _look(order: int, colour: str, *, null: bool) -> dict[str, Any]:
    return {
        "color": colour,
        "lw": max(1.1, 2.1 - 0.25 * order),
        "ls": (0, (2.5, 1.5)) if null else _DASHES[order % len(_DASHES)],
        "marker": MARKERS[order % len(MARKERS)],
        "ms": 3.4,
        "mew": 0.7,
        "mfc": "white" if order % 2 else colour,
        "zorder": (1 if null else 2) + 0.01 * order,
        "dash_capstyle": "butt",
    }


def _tick_each(canvas: Canvas, axes: Axes, points: NDArray[np.float64]) -> None:
    """A tick at every point, where their labels fit."""
    places = axes.transData.transform([(x, 1) for x in points])[:, 0] / canvas.figure.dpi
    wide = np.array([extent(short(x, 4), 7) + 0.06 for x in points.tolist()])
    if (np.diff(places) >= (wide[1:] + wide[:-1]) / 2).all():
        axes.xaxis.set_major_locator(FixedLocator(points.tolist()))
