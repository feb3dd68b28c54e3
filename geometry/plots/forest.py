"""Forest: estimates with their intervals as rows, nulls in grey behind them, one panel a measure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from geometry.plots.canvas import Canvas, Given, beside, limits_of, numeric, references
from geometry.plots.style import INK, MARKERS, NULL_GREYS, Colours, extent, literal, palette, readable, style, wrapped

# In inches.
_NAMES = 2.1
_LANE = 0.105
_GAP = 0.07
_MANY = 60


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its interval, if it has one."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class NullMark:
    """Where a null stands: a grey line across the row ("|"), another marker, or a grey bar from low to high."""

    value: float
    marker: str = "|"
    low: float = math.nan
    high: float = math.nan

    @property
    def spans(self) -> bool:
        """Whether it is a bar."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class ForestRow:
    """One row of one panel.

    Attributes
    ----------
    estimates : series → estimate; a series has one colour and one marker in all rows.
    nulls : label → where that null stands.
    texts : series → cells at the right of the panel.
    bold : whether the texts are.
    """

    estimates: Mapping[str, Estimate]
    nulls: Mapping[str, NullMark] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bold: bool = False


@dataclass(frozen=True)
class ForestPanel:
    """One measure.

    Attributes
    ----------
    measure : the label of the axis.
    references : value → what it means, as a dotted line: a prediction, chance, a bound.
    limits : of the axis; estimates beyond are arrows at its end.
    """

    measure: str
    rows: Sequence[ForestRow]
    title: str = ""
    references: Mapping[float, str] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    log: bool = False

    @property
    def extremes(self) -> tuple[float, float]:
        """The limits, or else those between which everything lies."""
        marks: list[Any] = [mark for row in self.rows for mark in (*row.estimates.values(), *row.nulls.values())]
        values = [(mark.value, mark.low, mark.high) for mark in marks]
        return self.limits or limits_of([*values, list(self.references)], log=self.log)


def forest(
    panels: Sequence[ForestPanel],
    names: Sequence[str],
    *,
    columns: Sequence[str] = (),
    ax: Given = None,
    figsize: tuple[float, float] | None = None,
    colours: Colours = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Panels side by side over the same rows.

    >>> row = ForestRow({"nouns": Estimate(0.5, 0.4, 0.6)}, {"shuffled rows": NullMark(0.1)}, {"nouns": ["0.50"]})
    >>> figure = forest([ForestPanel("AUC", [row], references={0.5: "chance"})], ["separation"], columns=["AUC"])

    Parameters
    ----------
    names : of the rows.
    columns : heads of the rows' `texts`.
    """
    if any(len(panel.rows) != len(names) for panel in panels):
        raise ValueError(f"{len(names)} names need as many rows in every panel")
    rows = [row for panel in panels for row in panel.rows]
    series = palette([name for row in rows for name in (*row.estimates, *row.texts)], colours)
    looks = {name: (colour, MARKERS[n % len(MARKERS)]) for n, (name, colour) in enumerate(series.items())}
    marks = {label: mark for row in rows for label, mark in row.nulls.items()}
    greys = {label: NULL_GREYS[n % 2] for n, label in enumerate(marks)}
    size = 7.0 if len(names) <= _MANY else 5.6
    with style():
        canvas = Canvas.of(ax, len(panels), figsize, title, caption, columns=len(panels))
        labels = ["\n".join(wrapped(name, canvas.names(canvas.axes[0], _NAMES), size)) for name in names]
        tops, lanes = _lanes(panels, labels, list(looks), marks, size)
        for place, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            axes.set_xscale("log" if panel.log else "linear")
            axes.set(ylim=(tops[-1], 0), xlim=panel.extremes)
            for row, heights, borders in zip(panel.rows, lanes, pairwise(tops), strict=True):
                _row(axes, row, heights, borders, looks, greys)
            axes.hlines(tops[1:-1], *panel.extremes, color="#e4e4e4", lw=0.5, zorder=0)
            axes.set_yticks([] if place else [sum(both) / 2 for both in pairwise(tops)], [] if place else labels)
            axes.tick_params(axis="y", length=0, labelsize=size)
            _texts(axes, panel, lanes, looks, columns)
        for label in canvas.axes[0].get_yticklabels():
            label.set(ha="left", linespacing=1.2)
        wide = max((extent(line, size) for label in labels for line in label.split("\n")), default=0)
        canvas.axes[0].tick_params(axis="y", pad=72 * wide + 5)
        handles = [Line2D([], [], marker=m, color=c, lw=1.2, ms=4.2, label=name) for name, (c, m) in looks.items()]
        canvas.arrange()
        lifts = []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width = canvas.inches(axes)[0]
            axes.set_xlabel("\n".join(wrapped(panel.measure, width + 0.15, 7.5)))
            numeric(axes.xaxis, width, log=panel.log)
            lifts.append(references(canvas, axes, panel.references))
        canvas.titles([panel.title for panel in panels], lifts)
        canvas.legend([*handles, *(_handle(label, mark, greys[label]) for label, mark in marks.items())])
        return canvas.finish([tops[-1]])


def _lanes(
    panels: Sequence[ForestPanel],
    labels: Sequence[str],
    series: Sequence[str],
    marks: Mapping[str, NullMark],
    size: float,
) -> tuple[list[float], list[dict[str, float]]]:
    """The borders of the rows, and in each the height of every series and of every null with a place of its own."""
    bars = [label for label, mark in marks.items() if mark.spans]
    others = [label for label, mark in marks.items() if not mark.spans and mark.marker != "|"]
    gap = _GAP if len(labels) <= _MANY else 0.015
    tops, heights = [0.0], []
    for index, label in enumerate(labels):
        rows = [panel.rows[index] for panel in panels]
        here = {name for row in rows for name in (*row.estimates, *row.texts, *row.nulls)}
        # A single bar lies behind the whole row, and so do the lines.
        lanes = [[name] for name in (*series, *(bars if len(bars) > 1 else ())) if name in here]
        lanes += [others] if here.intersection(others) else []
        needed = max(_LANE * max(1, len(lanes)), 1.25 * size / 72 * (1 + label.count("\n")))
        first = tops[-1] + (gap + needed - _LANE * len(lanes)) / 2
        heights.append({name: first + _LANE * (n + 0.5) for n, lane in enumerate(lanes) for name in lane})
        tops.append(tops[-1] + needed + gap)
    return (tops if labels else [0.0, 0.2]), heights


def _row(
    axes: Axes,
    row: ForestRow,
    heights: Mapping[str, float],
    borders: tuple[float, float],
    looks: Mapping[str, tuple[str, str]],
    greys: Mapping[str, str],
) -> None:
    low, high = axes.get_xlim()
    for label, mark in row.nulls.items():
        y, grey = heights.get(label), greys[label]
        if y is None:
            if mark.spans:
                axes.fill_between([mark.low, mark.high], *borders, color="#e3e3e3", lw=0, zorder=0.2)
            axes.plot([mark.value] * 2, [borders[0] + 0.02, borders[1] - 0.02], color=grey, lw=1.3, zorder=1)
        elif mark.spans:
            axes.plot([mark.low, mark.high], [y, y], color=grey, lw=3, solid_capstyle="butt", alpha=0.6, zorder=1)
            axes.plot(mark.value, y, "|", color=INK, ms=4.5, mew=0.8, zorder=1.5)
        elif low <= mark.value <= high:
            axes.plot(mark.value, y, mark.marker, color=grey, ms=3.8, mew=0.9, zorder=1, clip_on=False)
    for name, estimate in row.estimates.items():
        if math.isfinite(estimate.value):
            y, (colour, marker) = heights[name], looks[name]
            axes.plot([estimate.low, estimate.high], [y, y], color=colour, lw=1.2, zorder=2, solid_capstyle="butt")
            marker = "<" if estimate.value < low else ">" if estimate.value > high else marker
            value = np.clip(estimate.value, low, high)
            axes.plot(value, y, marker, color=colour, ms=4.2, mew=0.4, zorder=3, clip_on=False)


def _texts(
    axes: Axes,
    panel: ForestPanel,
    lanes: Sequence[Mapping[str, float]],
    looks: Mapping[str, tuple[str, str]],
    columns: Sequence[str],
) -> None:
    rows = zip(panel.rows, lanes, strict=True)
    texts = [(heights[name], cells, name, row.bold) for row, heights in rows for name, cells in row.texts.items()]
    if texts:
        places, cells, names, bold = zip(*texts, strict=True)
        inks = [readable(looks[name][0]) if len(looks) > 1 else INK for name in names]
        beside(axes, places, cells, columns, inks, bold=bold)


def _handle(label: str, mark: NullMark, grey: str) -> Artist:
    if mark.spans:
        return Patch(facecolor=grey, alpha=0.5, lw=0, label=literal(label))
    ms = 8 if mark.marker == "|" else 5
    return Line2D([], [], marker=mark.marker, color=grey, lw=0, ms=ms, mew=1.2, label=literal(label))
