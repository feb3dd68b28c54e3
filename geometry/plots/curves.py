"""Curves: quantities over a common scale, one line for each condition, nulls in grey and dashed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator
from numpy.typing import ArrayLike

from geometry.plots.canvas import Canvas, Given, limits_of, numeric, references
from geometry.plots.style import MARKERS, NULL_GREYS, Colours, extent, literal, palette, short, style

__all__ = ["Curve", "CurvePanel", "curves"]

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

    >>> accuracy = {"probe": Curve([1, 2, 3], [0.3, 0.6, 0.9]), "shuffled": Curve([1, 2, 3], [0.3, 0.3, 0.3], null=True)}
    >>> figure = curves([CurvePanel("layer", "accuracy", accuracy, references={0.25: "chance"})])
    """
    null = {name: curve.null for panel in panels for name, curve in panel.curves.items()}
    own = palette([name for name, grey in null.items() if not grey], colours)
    greys = {name: NULL_GREYS[n % 2] for n, name in enumerate(name for name, grey in null.items() if grey)}
    looks = {name: (n, greys.get(name) or own[name]) for n, name in enumerate((*own, *greys))}
    with style():
        canvas = Canvas.of(ax, len(panels), columns=ncols, figsize=figsize)
        for axes, panel in zip(canvas.axes, panels, strict=True):
            for name, curve in panel.curves.items():
                axes.add_line(_line(*looks[name], curve.null, panel.marked, curve.x, curve.y))
                if curve.low is not None and curve.high is not None:
                    x, low, high = (np.asarray(part, dtype=np.float64) for part in (curve.x, curve.low, curve.high))
                    axes.fill_between(x, low, high, color=looks[name][1], alpha=0.16, lw=0, zorder=0.8)
            axes.set_xscale("log" if "x" in panel.log else "linear")
            axes.set_yscale("log" if "y" in panel.log else "linear")
            every = list(panel.curves.values())
            axes.set_xlim(*limits_of([curve.x for curve in every], log="x" in panel.log, pad=0.03))
            seen = [part for curve in every for part in (curve.y, curve.low, curve.high) if part is not None]
            axes.set_ylim(*(panel.limits or limits_of([*seen, list(panel.references)], log="y" in panel.log)))
            axes.set(xlabel=panel.x, ylabel=panel.y)
        handles: list[Artist] = []
        marked = any(panel.marked for panel in panels)
        for name, look in looks.items():
            handles.append(_line(*look, null[name], marked, [], []))
            handles[-1].set_label(literal(name))
        heights = [_PANEL] * -(-len(panels) // canvas.columns)
        canvas.legend([handle for handle in handles if handle.get_label()])
        canvas.arrange(heights)
        for axes, panel in zip(canvas.axes, panels, strict=True):
            _ticks(canvas, axes, panel)
            references(canvas, axes, panel.references, horizontal=True)
        canvas.titles([panel.title for panel in panels])
        return canvas.finish(title, caption, heights)


def _line(order: int, colour: str, null: bool, marked: bool, x: ArrayLike, y: ArrayLike) -> Line2D:
    return Line2D(
        np.asarray(x, dtype=np.float64),
        np.asarray(y, dtype=np.float64),
        color=colour,
        lw=max(1.1, 2.1 - 0.25 * order),
        ls=_DASHES[order % len(_DASHES)] if not null else (0, (2.5, 1.5)),
        marker=MARKERS[order % len(MARKERS)] if marked else "",
        ms=3.4,
        mew=0.7,
        mfc="white" if order % 2 else colour,
        zorder=(1 if null else 2) + 0.01 * order,
        dash_capstyle="butt",
    )


def _ticks(canvas: Canvas, axes: Axes, panel: CurvePanel) -> None:
    width, height = canvas.inches(axes)
    numeric(axes.xaxis, width, log="x" in panel.log)
    numeric(axes.yaxis, height, log="y" in panel.log)
    if not panel.marked:
        return
    points = np.unique(
        np.concatenate([np.ravel(np.asarray(curve.x, dtype=np.float64)) for curve in panel.curves.values()])
    )
    places = axes.transData.transform([(x, 1) for x in points])[:, 0] / canvas.figure.dpi
    wide = [extent(short(x, 4), 7) + 0.06 for x in points.tolist()]
    if all(
        second - first >= (a + b) / 2 for first, second, a, b in zip(places, places[1:], wide, wide[1:], strict=False)
    ):
        axes.xaxis.set_major_locator(FixedLocator(points.tolist()))
