"""Scatter: points in a plane of two quantities, nulls in grey beneath them, lines for what the theory says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from geometry.plots.canvas import Canvas, Given, limits_of, numeric
from geometry.plots.style import INK, MARKERS, NULL_GREYS, Colours, literal, palette, signed, style, wrapped

__all__ = ["ScatterPanel", "scatter"]

_MOST_POINTS = 4000
_DASHES = ("-", (0, (1, 1.6)), (0, (5, 2)), (0, (5, 2, 1, 2)))
_PANEL = 2.0


@dataclass(frozen=True, eq=False)
class ScatterPanel:
    """One panel.

    Attributes
    ----------
    x, y : labels of the axes.
    points, nulls : name → shape (n, 2); nan are dropped, and 4,000 of a name are drawn at most.
    lines : (slope, intercept, what it means); an infinite slope is a vertical line at x = intercept.
    note : a summary, written between title and panel.
    log : axes with a logarithmic scale, "", "x", "y" or "xy".
    """

    x: str
    y: str
    points: Mapping[str, ArrayLike]
    title: str = ""
    nulls: Mapping[str, ArrayLike] = field(default_factory=dict)
    lines: Sequence[tuple[float, float, str]] = ()
    note: str = ""
    log: str = ""


def scatter(
    panels: Sequence[ScatterPanel],
    *,
    ncols: int = 2,
    share: bool = True,
    ax: Given = None,
    figsize: tuple[float, float] | None = None,
    colours: Colours = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Panels of points, on common limits if `share`.

    >>> panel = ScatterPanel("parents", "children", {"model": [[5.0, 0.1], [4.0, -0.2]]}, lines=[(0, 0, "prediction")])
    >>> figure = scatter([panel])
    """
    looks = palette([name for panel in panels for name in panel.points], colours)
    greys = list(dict.fromkeys(name for panel in panels for name in panel.nulls))
    lines = list(dict.fromkeys(meaning for panel in panels for *_, meaning in panel.lines))
    with style():
        canvas = Canvas.of(ax, len(panels), columns=ncols, figsize=figsize)
        for place, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            among = panels if share else [panel]
            for name, values in panel.nulls.items():
                _points(axes, values, NULL_GREYS[greys.index(name) % 2], MARKERS[greys.index(name) % len(MARKERS)], 1)
            for name, values in panel.points.items():
                _points(axes, values, looks[name], MARKERS[list(looks).index(name) % len(MARKERS)], 2)
            for axis, scale in enumerate("xy"):
                log = scale in panel.log
                every = [_pairs(v)[:, axis] for one in among for v in (*one.points.values(), *one.nulls.values())]
                level = [c for one in among for slope, c, _ in one.lines if axis and not slope]
                (axes.set_yscale if axis else axes.set_xscale)("log" if log else "linear")
                (axes.set_ylim if axis else axes.set_xlim)(*limits_of([*every, level], log=log))
            for slope, intercept, meaning in panel.lines:
                _line(axes, slope, intercept, lines.index(meaning))
            beside = share and place - 1 in canvas.row(place) and panels[place - 1].y == panel.y
            below = share and place + canvas.columns < len(panels) and panels[place + canvas.columns].x == panel.x
            axes.set(xlabel="" if below else panel.x, ylabel="" if beside else panel.y)
        handles: list[Artist] = [
            Line2D([], [], lw=0, marker=MARKERS[n % len(MARKERS)], ms=3.6, color=colour, label=literal(name))
            for names in (looks, {name: NULL_GREYS[n % 2] for n, name in enumerate(greys)})
            for n, (name, colour) in enumerate(names.items())
            if name
        ]
        handles += [
            Line2D([], [], color=INK, lw=0.8, ls=_DASHES[n % len(_DASHES)], label=literal(meaning))
            for n, meaning in enumerate(lines)
            if meaning
        ]
        heights = [_PANEL] * -(-len(panels) // canvas.columns)
        canvas.legend(handles)
        canvas.arrange(heights)
        lifts = []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width, height = canvas.inches(axes)
            numeric(axes.xaxis, width, log="x" in panel.log)
            numeric(axes.yaxis, height, log="y" in panel.log)
            note = wrapped(signed(panel.note), width, 6.5) if panel.note else []
            axes.annotate(
                "\n".join(note),
                (0, 1),
                (0, 3),
                xycoords="axes fraction",
                textcoords="offset points",
                fontsize=6.5,
                color="#555555",
            )
            lifts.append(6.5 * 1.25 * len(note))
        canvas.titles([panel.title for panel in panels], lifts)
        return canvas.finish(title, caption, heights)


def _pairs(values: ArrayLike) -> NDArray[np.float64]:
    pairs = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    return pairs[np.isfinite(pairs).all(axis=1)]


def _points(axes: Axes, values: ArrayLike, colour: str, marker: str, order: int) -> None:
    pairs = _pairs(values)
    shown = pairs[np.random.default_rng(0).permutation(len(pairs))[:_MOST_POINTS]]
    alpha = 0.85 if len(shown) < 60 else 0.5 if len(shown) < 500 else 0.3
    drawn = axes.scatter(
        *shown.T, s=13 if len(shown) < 60 else 5, marker=marker, color=colour, alpha=alpha, lw=0, zorder=order
    )
    drawn.set(rasterized=len(shown) > 50, in_layout=False)


def _line(axes: Axes, slope: float, intercept: float, order: int) -> None:
    low, high = axes.get_xlim()
    x = np.geomspace(low, high, 200) if axes.get_xscale() == "log" else np.linspace(low, high, 200)
    y = slope * x + intercept
    if np.isinf(slope):
        x, y = np.full(2, intercept), np.array(axes.get_ylim())
    axes.plot(x, y, color=INK, lw=0.8, ls=_DASHES[order % len(_DASHES)], zorder=1.5, scalex=False, scaley=False)
