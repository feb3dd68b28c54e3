"""Forest: estimates with their intervals as rows, nulls in grey behind them, one panel a measure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from geometry.plots.canvas import Canvas, Given, beside, limits_of, numeric, references
from geometry.plots.style import (
    INK,
    MARKERS,
    NULL_GREYS,
    Colours,
    extent,
    literal,
    palette,
    readable,
    signed,
    style,
    wrapped,
)

__all__ = ["Estimate", "ForestPanel", "ForestRow", "NullMark", "forest"]

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
    series = list(
        dict.fromkeys(name for panel in panels for row in panel.rows for name in (*row.estimates, *row.texts))
    )
    looks = {name: (c, MARKERS[n % len(MARKERS)]) for n, (name, c) in enumerate(palette(series, colours).items())}
    marks = {label: mark for panel in panels for row in panel.rows for label, mark in row.nulls.items()}
    greys = {label: NULL_GREYS[place % 2] for place, label in enumerate(marks)}
    many = len(names) > _MANY
    size = 5.6 if many else 7.0
    with style():
        canvas = Canvas.of(ax, len(panels), columns=len(panels), figsize=figsize)
        room = canvas.names(canvas.axes[0], _NAMES)
        labels = ["\n".join(wrapped(name, room, size)) for name in names]
        tops, lanes = _lanes(panels, labels, series, marks, 0.015 if many else _GAP, 1.25 * size / 72)
        total = tops[-1]
        for place, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            axes.set_ylim(total, 0)
            axes.set_xscale("log" if panel.log else "linear")
            axes.set_xlim(*(panel.limits or _limits(panel)))
            for index, row in enumerate(panel.rows):
                _row(axes, row, lanes[index], (tops[index], tops[index + 1]), looks, greys)
            for top in tops[1:-1]:
                axes.axhline(top, color="#e4e4e4", lw=0.5, zorder=0)
            middles = [(first + second) / 2 for first, second in zip(tops, tops[1:], strict=False)]
            axes.set_yticks(middles, labels if not place else [""] * len(middles), fontsize=size, linespacing=1.1)
            axes.tick_params(axis="y", length=0)
            _texts(axes, panel, lanes, looks, columns)
        if labels:
            wide = max(extent(line, size) for label in labels for line in label.split("\n"))
            for label in canvas.axes[0].get_yticklabels():
                label.set_ha("left")
            canvas.axes[0].tick_params(axis="y", pad=72 * wide + 5)
        handles: list[Artist] = [
            Line2D([], [], marker=marker, color=colour, lw=1.2, ms=4.2, label=literal(name))
            for name, (colour, marker) in looks.items()
            if name
        ]
        handles += [_handle(label, mark, greys[label]) for label, mark in marks.items()]
        canvas.legend(handles)
        canvas.arrange([total])
        canvas.shrink([total])
        lifts = []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width = canvas.inches(axes)[0]
            axes.set_xlabel("\n".join(wrapped(panel.measure, width + 0.15, 7.5)))
            numeric(axes.xaxis, width, log=panel.log)
            lifts.append(references(canvas, axes, panel.references))
        canvas.titles([panel.title for panel in panels], lifts)
        return canvas.finish(title, caption, [total])


def _limits(panel: ForestPanel) -> tuple[float, float]:
    values = [(e.value, e.low, e.high) for row in panel.rows for e in row.estimates.values()]
    values += [(mark.value, mark.low, mark.high) for row in panel.rows for mark in row.nulls.values()]
    return limits_of([*values, list(panel.references)], log=panel.log)


def _spans(mark: NullMark) -> bool:
    return math.isfinite(mark.low) and math.isfinite(mark.high)


def _lanes(
    panels: Sequence[ForestPanel],
    labels: Sequence[str],
    series: Sequence[str],
    marks: Mapping[str, NullMark],
    gap: float,
    line: float,
) -> tuple[list[float], list[dict[str, float]]]:
    """The borders of the rows, and in each row the height of every series and of every null with a place of its own."""
    bars = [label for label, mark in marks.items() if _spans(mark)]
    apart = bars if len(bars) > 1 else []
    others = [label for label, mark in marks.items() if not _spans(mark) and mark.marker != "|"]
    tops, places = [0.0], []
    for index, label in enumerate(labels):
        rows = [panel.rows[index] for panel in panels]
        own = [name for name in series if any(name in (*row.estimates, *row.texts) for row in rows)]
        lanes = [[name] for name in own] + [[name] for name in apart if any(name in row.nulls for row in rows)]
        if any(name in row.nulls for row in rows for name in others):
            lanes.append(others)
        needed = max(_LANE * max(1, len(lanes)), line * (1 + label.count("\n")))
        first = tops[-1] + (gap + needed - _LANE * len(lanes)) / 2
        places.append({name: first + _LANE * (n + 0.5) for n, lane in enumerate(lanes) for name in lane})
        tops.append(tops[-1] + needed + gap)
    return (tops if labels else [0.0, 0.2]), places


def _row(
    axes: Axes,
    row: ForestRow,
    lanes: Mapping[str, float],
    borders: tuple[float, float],
    looks: Mapping[str, tuple[str, str]],
    greys: Mapping[str, str],
) -> None:
    low, high = axes.get_xlim()
    for label, mark in row.nulls.items():
        y, grey = lanes.get(label), greys[label]
        if y is None:  # it crosses the whole row
            if _spans(mark):
                axes.fill_between([mark.low, mark.high], *borders, color="#e3e3e3", lw=0, zorder=0.2)
            axes.plot([mark.value] * 2, [borders[0] + 0.02, borders[1] - 0.02], color=grey, lw=1.3, zorder=1)
        elif _spans(mark):
            axes.plot([mark.low, mark.high], [y, y], color=grey, lw=3, solid_capstyle="butt", alpha=0.6, zorder=1)
            axes.plot(mark.value, y, "|", color=INK, ms=4.5, mew=0.8, zorder=1.5)
        elif low <= mark.value <= high:
            axes.plot(mark.value, y, mark.marker, color=grey, ms=3.8, mew=0.9, zorder=1, clip_on=False)
    for name, estimate in row.estimates.items():
        if not math.isfinite(estimate.value):
            continue
        y, (colour, marker) = lanes[name], looks[name]
        axes.plot([estimate.low, estimate.high], [y, y], color=colour, lw=1.2, zorder=2, solid_capstyle="butt")
        marker = "<" if estimate.value < low else ">" if estimate.value > high else marker
        axes.plot(np.clip(estimate.value, low, high), y, marker, color=colour, ms=4.2, mew=0.4, zorder=3, clip_on=False)


def _texts(
    axes: Axes,
    panel: ForestPanel,
    lanes: Sequence[Mapping[str, float]],
    looks: Mapping[str, tuple[str, str]],
    columns: Sequence[str],
) -> None:
    written = [
        (lanes[n][name], cells, name, row.bold) for n, row in enumerate(panel.rows) for name, cells in row.texts.items()
    ]
    if written:
        inks = [readable(looks[name][0]) if len(looks) > 1 else INK for _, _, name, _ in written]
        beside(
            axes,
            [y for y, *_ in written],
            [cells for _, cells, *_ in written],
            columns,
            inks,
            bold=[b for *_, b in written],
        )


def _handle(label: str, mark: NullMark, grey: str) -> Artist:
    if _spans(mark):
        return Patch(facecolor=grey, alpha=0.5, lw=0, label=signed(literal(label)))
    return Line2D(
        [],
        [],
        marker=mark.marker,
        color=grey,
        lw=0,
        ms=5 if mark.marker != "|" else 8,
        mew=1.2,
        label=signed(literal(label)),
    )
