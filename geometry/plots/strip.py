"""Strip: distributions as rows under each other, the model in colour and its nulls in grey, means written out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from geometry.plots.canvas import Canvas, Given, beside, limits_of, numbers, numeric, outside, references
from geometry.plots.style import COLOURS, INK, NULL_GREYS, Colours, readable, style, wrapped

# A density drawn through fewer values would be an invention.
_FEWEST_FOR_A_SHAPE = 10
_MOST_POINTS = 300
# In inches.
_NAMES = 1.9
_ROW = 0.25
_MANY = 60


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
        canvas = Canvas.of(ax, len(panels), figsize, title, caption, columns=ncols)
        heights = [max(_high(panels[place]) for place in line) for line in canvas.lines()]
        for line in canvas.lines():
            known: list[str] = []
            for place in line:
                axes, panel = canvas.axes[place], panels[place]
                labels = [row.label for row in panel.rows]
                room = canvas.names(axes, _NAMES)
                shown = ["" if labels == known else "\n".join(wrapped(label, room, 7)) for label in labels]
                known = labels
                axes.set_yticks(range(len(shown)), shown, fontsize=7, linespacing=1.1)
                axes.tick_params(axis="y", length=0)
                end = _draw(axes, panel, [_colour(row, panel, place, colours) for row in panel.rows])
                if place == line[-1] and any(row.texts for row in panel.rows):
                    texts = [row.texts for row in panel.rows]
                    beside(axes, range(len(texts)), texts, columns, [INK] * len(texts), start=end + 10)
        canvas.arrange()
        lifts = []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width = canvas.inches(axes)[0]
            axes.set_xlabel("\n".join(wrapped(panel.measure, width + 0.3, 7.5)))
            numeric(axes.xaxis, width)
            lifts.append(max(9.0, references(canvas, axes, panel.references)))
        canvas.titles([panel.title for panel in panels], lifts, right=20)
        return canvas.finish(heights)


def _colour(row: StripRow, panel: StripPanel, place: int, colours: Colours) -> str:
    if row.null:
        return NULL_GREYS[1]
    if isinstance(colours, Mapping):
        return colours.get(row.label, colours.get(panel.title, COLOURS[0]))
    return colours[place % len(colours)] if colours else COLOURS[0]


def _high(panel: StripPanel) -> float:
    lines = max((len(wrapped(row.label, _NAMES, 7)) for row in panel.rows), default=1)
    return max(0.35, len(panel.rows) * max(_ROW if len(panel.rows) <= _MANY else 0.13, 0.11 * lines + 0.03))


def _draw(axes: Axes, panel: StripPanel, colours: Sequence[str]) -> float:
    every = [np.ravel(np.asarray([] if r.values is None else r.values, dtype=np.float64)) for r in panel.rows]
    every = [values[np.isfinite(values)] for values in every]
    zero = [0.0] if any(row.bar for row in panel.rows) else []
    axes.set_ylim(len(every) - 0.4, -0.6)
    axes.set_xlim(*(panel.limits or limits_of([*every, list(panel.references), zero])))
    for line, (row, values, colour) in enumerate(zip(panel.rows, every, colours, strict=True)):
        if len(values):
            _row(axes, line, values, colour, bar=row.bar)
        elif row.values is not None:
            blank = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}
            at = {"xycoords": ("axes fraction", "data"), "va": "center", "bbox": blank}
            outside(axes, "not measurable", (0.02, line), (0, 0), **at)
    digits = int(np.clip(2 - np.floor(np.log10(np.ptp(axes.get_xlim()))), 0, 5))
    means = numbers([[values.mean() if len(values) else np.nan] for values in every] or np.empty((0, 1)), digits)
    means = [[""] if row.values is None else mean for row, mean in zip(panel.rows, means, strict=True)]
    return beside(axes, range(len(means)), means, ["mean"], [readable(colour) for colour in colours], start=4)


def _row(axes: Axes, line: int, values: NDArray[np.float64], colour: str, *, bar: bool) -> None:
    rng = np.random.default_rng(0)
    mean = float(values.mean())
    few = len(values) < _FEWEST_FOR_A_SHAPE
    shown = rng.permutation(values)[:_MOST_POINTS]
    if bar:
        axes.barh(line, mean, height=0.62, color=colour, alpha=0.3, lw=0)
    elif not few and np.ptp(values) > 0:
        drawn = rng.permutation(values)[:1500]
        violin = axes.violinplot(drawn, [line], orientation="horizontal", widths=0.8, side="low", showextrema=False)
        for shape in cast(list[Artist], violin["bodies"]):
            shape.set(facecolor=colour, alpha=0.45, edgecolor="none")
    low, high = axes.get_xlim()
    shown = shown[(low <= shown) & (shown <= high)]
    jitter = line + (
        0.44 * (rng.random(len(shown)) - 0.5) if bar else (0.08 + 0.2 * rng.random(len(shown))) * (len(values) > 1)
    )
    how: dict[str, Any] = {"s": 16, "alpha": 0.9} if few else {"s": 2.5, "alpha": 0.55, "rasterized": len(shown) > 50}
    axes.scatter(shown, jitter, color=colour, lw=0, clip_on=False, **how)
    axes.plot([mean, mean], [line - 0.36, line + 0.32], color=INK, lw=1.2, zorder=0.9 if few else 3)
