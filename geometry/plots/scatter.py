"""Scatter: points in a plane of two quantities, nulls in grey beneath them, lines for what the theory says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from geometry.plots.canvas import Canvas, Given, limits_of, numeric, outside
from geometry.plots.style import INK, MARKERS, NULL_GREYS, Colours, literal, palette, signed, style, wrapped

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
    colour = palette([name for panel in panels for name in panel.points], colours)
    colour |= {name: NULL_GREYS[n % 2] for n, name in enumerate(dict.fromkeys(n for p in panels for n in p.nulls))}
    markers = {name: MARKERS[order % len(MARKERS)] for order, name in enumerate(colour)}
    meanings = list(dict.fromkeys(meaning for panel in panels for *_, meaning in panel.lines))
    with style():
        canvas = Canvas.of(ax, len(panels), figsize, title, caption, columns=ncols)
        for place, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            for name, values in (*panel.nulls.items(), *panel.points.items()):
                _points(axes, values, colour[name], markers[name], 2 if name in panel.points else 1)
            for axis, scale in enumerate("xy"):
                among = panels if share else [panel]
                every = [_pairs(v)[:, axis] for one in among for v in (*one.points.values(), *one.nulls.values())]
                level = [intercept for one in among for slope, intercept, _ in one.lines if axis and not slope]
                limits = limits_of([*every, level], log=scale in panel.log)
                axes.set(**{f"{scale}scale": "log" if scale in panel.log else "linear", f"{scale}lim": limits})
            for slope, intercept, meaning in panel.lines:
                _line(axes, slope, intercept, _DASHES[meanings.index(meaning) % len(_DASHES)])
            beside = share and place % canvas.columns and panels[place - 1].y == panel.y
            below = share and place + canvas.columns < len(panels) and panels[place + canvas.columns].x == panel.x
            axes.set(xlabel="" if below else panel.x, ylabel="" if beside else panel.y)
        handles = [
            Line2D([], [], lw=0, marker=markers[name], ms=3.6, color=ink, label=literal(name))
            for name, ink in colour.items()
        ]
        canvas.legend(
            handles
            + [
                Line2D([], [], color=INK, lw=0.8, ls=_DASHES[order % len(_DASHES)], label=literal(meaning))
                for order, meaning in enumerate(meanings)
            ]
        )
        heights = [_PANEL] * len(canvas.lines())
        canvas.arrange(heights)
        lifts = []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width, height = canvas.inches(axes)
            numeric(axes.xaxis, width, log="x" in panel.log)
            numeric(axes.yaxis, height, log="y" in panel.log)
            note = wrapped(signed(panel.note), width, 6.5) if panel.note else []
            outside(axes, "\n".join(note), (0, 1), (0, 3), fontsize=6.5)
            lifts.append(6.5 * 1.25 * len(note))
        canvas.titles([panel.title for panel in panels], lifts)
        return canvas.finish(heights, rows=False)


def _pairs(values: ArrayLike) -> NDArray[np.float64]:
    pairs = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    return pairs[np.isfinite(pairs).all(axis=1)]


def _points(axes: Axes, values: ArrayLike, colour: str, marker: str, order: int) -> None:
    pairs = _pairs(values)
    shown = pairs[np.random.default_rng(0).permutation(len(pairs))[:_MOST_POINTS]]
    how: dict[str, Any] = {"s": 13, "alpha": 0.85} if len(shown) < 60 else {"s": 5, "rasterized": True}
    how = {"alpha": 0.5 if len(shown) < 500 else 0.3} | how
    axes.scatter(*shown.T, marker=marker, color=colour, lw=0, zorder=order, **how)


def _line(axes: Axes, slope: float, intercept: float, dashes: Any) -> None:
    low, high = axes.get_xlim()
    x = np.geomspace(low, high, 200) if axes.get_xscale() == "log" else np.linspace(low, high, 200)
    y = slope * x + intercept
    if np.isinf(slope):
        x, y = np.full(2, intercept), np.array(axes.get_ylim())
    axes.plot(x, y, color=INK, lw=0.8, ls=dashes, zorder=1.5, scalex=False, scaley=False)
