"""Strip: distributions as rows under each other, the model in colour and its nulls in grey, means written out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from geometry.plots.canvas import Canvas, Given, beside, limits_of, numbers, numeric, references
from geometry.plots.style import COLOURS, INK, NULL_GREYS, Colours, readable, style, wrapped

__all__ = ["StripPanel", "StripRow", "strip"]

# A density drawn through fewer values would be an invention.
_FEWEST_FOR_A_SHAPE = 10
_MOST_POINTS = 300
# In inches.
_NAMES = 1.9
_ROW = 0.25


@dataclass(frozen=True, eq=False)
class StripRow:
    """One distribution.

    Attributes
    ----------
    values : of any shape; nan are dropped. None leaves the row empty.
    null : whether it is drawn in grey.
    texts : cells right of the last panel.
    bar : whether a bar from 0 to the mean takes the place of the violin.
    """

    label: str
    values: ArrayLike | None
    null: bool = False
    texts: Sequence[str] = ()
    bar: bool = False


@dataclass(frozen=True, eq=False)
class StripPanel:
    """One measure; references: value → what it means, as a dotted line."""

    measure: str
    rows: Sequence[StripRow]
    title: str = ""
    references: Mapping[float, str] = field(default_factory=dict)
    limits: tuple[float, float] | None = None


def strip(
    panels: Sequence[StripPanel],
    *,
    columns: Sequence[str] = (),
    ncols: int = 2,
    ax: Given = None,
    figsize: tuple[float, float] | None = None,
    colours: Colours = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Rows of points below a violin (from 10 values on) or over a bar, and the mean beside them.

    >>> rows = [StripRow("model", [0.1, 0.4, 0.2]), StripRow("shuffled rows", [0.0, 0.1], null=True)]
    >>> figure = strip([StripPanel("cosine", rows, references={0.0: "orthogonal"})])

    Parameters
    ----------
    columns : heads of the rows' `texts`.
    ncols : panels in a line; those in one line that have the same labels share them.
    colours : of the panels in order, or label → colour; all are of the first colour by default.
    """
    with style():
        canvas = Canvas.of(ax, len(panels), columns=ncols, figsize=figsize)
        heights = [
            max(0.35, max(_high(panels[n]) for n in canvas.row(first)))
            for first in range(0, len(panels), canvas.columns)
        ]
        for place, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            labels = [row.label for row in panel.rows]
            room = canvas.names(axes, _NAMES)
            before = place - 1 in canvas.row(place) and [row.label for row in panels[place - 1].rows] == labels
            lines = ["" if before else "\n".join(wrapped(label, room, 7)) for label in labels]
            axes.set_yticks(range(len(lines)), lines, fontsize=7, linespacing=1.0)
            axes.tick_params(axis="y", length=0)
            axes.set_ylim(len(lines) - 0.4, -0.6)
            values = [_finite(row) for row in panel.rows]
            bars = [0.0] if any(row.bar for row in panel.rows) else []
            axes.set_xlim(*(panel.limits or limits_of([*values, list(panel.references), bars])))
            inks = []
            for line, (row, shown) in enumerate(zip(panel.rows, values, strict=True)):
                colour = _colour(row, panel, place, colours)
                inks.append(readable(colour))
                _row(axes, line, row, shown, colour)
            span = float(np.ptp(axes.get_xlim()))
            means = [[_mean(row, shown, span)] for row, shown in zip(panel.rows, values, strict=True)]
            end = beside(axes, range(len(means)), means, ["mean"], inks, start=4)
            if place + 1 not in canvas.row(place) and any(row.texts for row in panel.rows):
                texts = [row.texts for row in panel.rows]
                beside(axes, range(len(texts)), texts, columns, [INK] * len(texts), start=end + 10)
        canvas.arrange(heights)
        canvas.shrink(heights)
        lifts = []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width = canvas.inches(axes)[0]
            axes.set_xlabel("\n".join(wrapped(panel.measure, width + 0.3, 7.5)))
            numeric(axes.xaxis, width)
            lifts.append(max(9.0, references(canvas, axes, panel.references)))
        canvas.titles([panel.title for panel in panels], lifts, right=20)
        return canvas.finish(title, caption, heights)


def _colour(row: StripRow, panel: StripPanel, place: int, colours: Colours) -> str:
    if row.null:
        return NULL_GREYS[1]
    if isinstance(colours, Mapping):
        return colours.get(row.label, colours.get(panel.title, COLOURS[0]))
    return colours[place % len(colours)] if colours else COLOURS[0]


def _high(panel: StripPanel) -> float:
    lines = max((len(wrapped(row.label, _NAMES, 7)) for row in panel.rows), default=1)
    many = len(panel.rows) > 60
    return len(panel.rows) * max(0.13 if many else _ROW, 0.11 * lines + 0.03)


def _finite(row: StripRow) -> NDArray[np.float64]:
    values = np.ravel(np.asarray([] if row.values is None else row.values, dtype=np.float64))
    return values[np.isfinite(values)]


def _mean(row: StripRow, values: NDArray[np.float64], span: float) -> str:
    if row.values is None:
        return ""
    digits = int(np.clip(2 - np.floor(np.log10(span)), 0, 5))
    return numbers([[values.mean() if len(values) else np.nan]], digits)[0][0]


def _row(axes: Axes, line: int, row: StripRow, values: NDArray[np.float64], colour: str) -> None:
    if row.values is None:
        return
    if not len(values):
        blank = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}
        axes.annotate(
            "not measurable", (0.02, line), xycoords=("axes fraction", "data"), fontsize=6, va="center", bbox=blank
        )
        return
    rng = np.random.default_rng(0)
    mean, low, high = float(values.mean()), line - 0.36, line + 0.32
    shown = rng.permutation(values)[:_MOST_POINTS]
    if row.bar:
        axes.barh(line, mean, height=0.62, color=colour, alpha=0.3, lw=0)
        jitter = line + 0.44 * (rng.random(len(shown)) - 0.5)
    else:
        if len(values) >= _FEWEST_FOR_A_SHAPE and np.ptp(values) > 0:
            drawn = rng.permutation(values)[:1500]
            violin = axes.violinplot(drawn, [line], orientation="horizontal", widths=0.8, side="low", showextrema=False)
            for shape in cast(list[Artist], violin["bodies"]):
                shape.set(facecolor=colour, alpha=0.45, edgecolor="none")
        jitter = line + 0.08 + 0.2 * rng.random(len(shown))
    few = len(values) < _FEWEST_FOR_A_SHAPE
    points = axes.scatter(
        shown, jitter, s=9 if few else 2.5, color=colour, lw=0, alpha=0.8 if few else 0.55, rasterized=len(shown) > 50
    )
    points.set(clip_on=bool(few and axes.get_xlim()[0] > values.min()), in_layout=False)
    axes.plot([mean, mean], [low, high], color=INK, lw=1.2, zorder=3)
