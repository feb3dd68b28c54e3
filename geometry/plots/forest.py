"""Forest: estimates with their intervals as rows, nulls in grey behind them, one panel a measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Unpack

import numpy as np

from geometry.arguments import checked
from geometry.plots.canvas import Axes, Canvas, Cells, Figure, Options, beside, scale
from geometry.plots.style import INK, Looks, extent, readable

_NAMES, _LANE = 2.1, 0.105  # inches


@checked
@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its interval, if any."""

    value: float
    low: float = np.nan
    high: float = np.nan


@checked
@dataclass(frozen=True)
class NullMark:
    """Where a null stands: a grey line across the row ("|"), another marker, or a grey bar from low to high."""

    value: float
    marker: str = "|"
    low: float = np.nan
    high: float = np.nan


@checked
@dataclass(frozen=True)
class ForestRow:
    """Estimates by series, nulls by label, and texts by series, at the right of the panel, in bold or not."""

    estimates: Mapping[str, Estimate]
    nulls: Mapping[str, NullMark] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bold: bool = False


@checked
@dataclass(frozen=True)
class ForestPanel:
    """One measure; references: value → what it means, dotted; estimates beyond the limits are arrows at these."""

    measure: str
    rows: Sequence[ForestRow]
    title: str = ""
    references: Mapping[float, str] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    log: bool = False


@checked
def forest(
    panels: Sequence[ForestPanel], names: Sequence[str], *, columns: Sequence[str] = (), **options: Unpack[Options]
) -> Figure:
    """Panels side by side over rows with `names`; a series has one colour and marker; `columns` are heads of texts.

    >>> row = ForestRow({"nouns": Estimate(0.5, 0.4, 0.6)}, {"shuffled rows": NullMark(0.1)}, {"nouns": ["0.50"]})
    >>> figure = forest([ForestPanel("AUC", [row], references={0.5: "chance"})], ["separation"], columns=["AUC"])
    """
    if any(len(panel.rows) != len(names) for panel in panels):
        raise ValueError(f"{len(names)} names need as many rows in every panel")
    every = [row for panel in panels for row in panel.rows]
    nulls = {label: mark for row in every for label, mark in row.nulls.items()}
    series = list(dict.fromkeys(name for row in every for name in (*row.estimates, *row.texts)))
    # A single bar lies behind the whole row, and so do the lines.
    bars = [label for label, mark in nulls.items() if mark.low <= mark.high]
    others = [label for label, mark in nulls.items() if label not in bars and mark.marker != "|"]
    order = [*([name] for name in series), *([label] for label in bars if len(bars) > 1), others]
    size, gap = (7.0, 0.07) if len(names) <= 60 else (5.6, 0.015)
    with Canvas.of(len(panels), len(panels), **options) as canvas:
        looks = canvas.looks(series, nulls)
        labels = canvas.names(0, [names], _NAMES, size)
        tops, lanes = [0.0], []  # borders of rows, and in each the height of what has a lane
        for label, *rows in zip(labels, *(panel.rows for panel in panels), strict=True):
            here = {name for row in rows for name in (*row.estimates, *row.texts, *row.nulls)}
            shown = [lane for lane in order if here.intersection(lane)]
            needed = max(_LANE * max(1, len(shown)), 1.25 * size / 72 * (1 + label.count("\n")))
            first = tops[-1] + (gap + needed - _LANE * len(shown)) / 2
            lanes.append({name: first + _LANE * (n + 0.5) for n, lane in enumerate(shown) for name in lane})
            tops.append(tops[-1] + needed + gap)
        for axes, panel in zip(canvas.axes, panels, strict=True):
            marks: list[Any] = [mark for row in panel.rows for mark in (*row.estimates.values(), *row.nulls.values())]
            ends = [(mark.value, mark.low, mark.high) for mark in marks]
            scale(axes, "x", [*ends, [*panel.references]], log=panel.log, limits=panel.limits)
            axes.set(ylim=(tops[-1] or 0.2, 0), yticks=[])
            axes.hlines(tops[1:-1], *axes.get_xlim(), color="#e4e4e4", lw=0.5, zorder=0)
            cells: list[Cells] = []
            for row, heights, borders in zip(panel.rows, lanes, pairwise(tops), strict=True):
                _draw(axes, row, heights, borders, looks)
                for name, texts in row.texts.items():
                    ink = readable(looks[name]["color"]) if len(series) > 1 else INK
                    cells.append((heights[name], texts, ink, row.bold))
            beside(axes, cells, columns if cells else ())
        axes = canvas.axes[0]
        axes.set_yticks([sum(both) / 2 for both in pairwise(tops)], labels, ha="left", linespacing=1.2)
        wide = max((extent(label, size) for label in labels), default=0)
        axes.tick_params(axis="y", length=0, labelsize=size, pad=72 * wide + 5)
        canvas.arrange()
        lifts = [canvas.dress(axes, p.references, p.measure) for axes, p in zip(canvas.axes, panels, strict=True)]
        legend = {name: looks[name] | {"lw": 1.2, "ms": 4.2} for name in series}
        for label, mark in nulls.items():
            bar = {"marker": "", "lw": 5, "alpha": 0.5, "solid_capstyle": "butt"}
            sign = {"marker": mark.marker, "ms": 8 if mark.marker == "|" else 5, "mew": 1.2}
            legend[label] = looks[label] | (bar if label in bars else sign)
        canvas.legend(legend)
        return canvas.finish([tops[-1] or 0.2] * len(panels), [panel.title for panel in panels], lifts)


def _draw(axes: Axes, row: ForestRow, heights: dict[str, float], borders: tuple[float, float], looks: Looks) -> None:
    low, high = axes.get_xlim()
    for label, mark in row.nulls.items():
        y, grey, bar = heights.get(label), looks[label]["color"], mark.low <= mark.high
        if y is None:
            if bar:
                axes.fill_between([mark.low, mark.high], *borders, color="#e3e3e3", lw=0, zorder=0.2)
            axes.plot([mark.value] * 2, [borders[0] + 0.02, borders[1] - 0.02], color=grey, lw=1.3, zorder=1)
        elif bar:
            axes.plot([mark.low, mark.high], [y, y], color=grey, lw=3, solid_capstyle="butt", alpha=0.6, zorder=1)
            axes.plot(mark.value, y, "|", color=INK, ms=4.5, mew=0.8, zorder=1.5)
        elif low <= mark.value <= high:
            axes.plot(mark.value, y, mark.marker, color=grey, ms=3.8, mew=0.9, zorder=1, clip_on=False)
    for name, estimate in row.estimates.items():
        value, ends, y, look = estimate.value, [estimate.low, estimate.high], heights[name], looks[name]
        if np.isfinite(value):
            axes.plot(ends, [y, y], color=look["color"], lw=1.2, zorder=2, solid_capstyle="butt")
            look = look | ({"marker": "<"} if value < low else {"marker": ">"} if value > high else {})
            axes.plot(np.clip(value, low, high), y, ms=4.2, mew=0.4, zorder=3, clip_on=False, **look)
