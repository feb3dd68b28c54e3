"""Strip: distributions as rows under each other, the model in colour and its nulls in grey, means written out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.plots.canvas import BESIDE, Axes, Canvas, Cells, Figure, Options, beside, flat, outside, scale
from geometry.plots.style import COLOURS, INK, NULL_GREYS, numbers, readable

_FEWEST = 10  # values; a density drawn through fewer would be an invention
_MOST_POINTS = 300
_NAMES = 1.9  # inches


@checked
@dataclass(frozen=True, eq=False)
class StripRow:
    """One distribution: values of any shape, of which nan are dropped; None leaves the row empty.

    A null is grey, `texts` stand right of the last panel, a `bar` from 0 to the mean takes the place of the violin.
    """

    label: str
    values: ArrayLike | None
    null: bool = False
    texts: Sequence[str] = ()
    bar: bool = False


@checked
@dataclass(frozen=True, eq=False)
class StripPanel:
    """One measure; references: value → what it means, as a dotted line."""

    measure: str
    rows: Sequence[StripRow]
    title: str = ""
    references: Mapping[float, str] = field(default_factory=dict)
    limits: tuple[float, float] | None = None


@checked
def strip(
    panels: Sequence[StripPanel], *, columns: Sequence[str] = (), ncols: int = 2, **options: Unpack[Options]
) -> Figure:
    """Rows of points below a violin (from 10 values on) or over a bar, and the mean beside them.

    >>> rows = [StripRow("model", [0.1, 0.4, 0.2]), StripRow("shuffled rows", [0.0, 0.1], null=True)]
    >>> figure = strip([StripPanel("cosine", rows, references={0.0: "orthogonal"})])

    Panels stand `ncols` in a line, and share labels that are the same; `columns` are heads of the rows' texts; colours
    are those of the panels in order, or label → colour, and by default all are of the first one.
    """
    colours = options.get("colours") or [COLOURS[0]]
    named, order = (colours, [COLOURS[0]]) if isinstance(colours, Mapping) else ({}, colours)
    names = [[row.label for row in panel.rows] for panel in panels]
    with Canvas.of(len(panels), ncols, **options) as canvas:
        heights = []
        for index, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            labels, count = canvas.names(index, names, _NAMES, 7), len(panel.rows)
            axes.set_yticks(range(count), labels or [""] * count, fontsize=7, linespacing=1.1)
            axes.tick_params(axis="y", length=0)
            lines = max((1 + label.count("\n") for label in labels), default=1)
            heights.append(max(0.35, count * max(0.25 if count <= 60 else 0.13, 0.11 * lines + 0.03)))
            hue = named.get(panel.title, order[index % len(order)])
            end = _draw(axes, panel, [NULL_GREYS[1] if row.null else named.get(row.label, hue) for row in panel.rows])
            last = (index + 1) % canvas.columns == 0 or index + 1 == len(panels)
            if last and any(row.texts for row in panel.rows):
                beside(axes, [(n, row.texts, INK, False) for n, row in enumerate(panel.rows)], columns, end + 10)
        canvas.arrange()
        lifts = [canvas.dress(axes, p.references, p.measure) for axes, p in zip(canvas.axes, panels, strict=True)]
        return canvas.finish(heights, [panel.title for panel in panels], [max(9.0, lift) for lift in lifts])


def _draw(axes: Axes, panel: StripPanel, colours: Sequence[str]) -> float:
    """All rows with their means; gives the points right of the panel that these take."""
    every = [values[np.isfinite(values)] for values in (flat(row.values) for row in panel.rows)]
    zero = [0.0] if any(row.bar for row in panel.rows) else []
    scale(axes, "x", [*every, [*panel.references], zero], limits=panel.limits)
    axes.set_ylim(len(every) - 0.4, -0.6)
    low, high = axes.get_xlim()
    digits = int(np.clip(2 - np.floor(np.log10(high - low)), 0, 5))
    written: list[Cells] = []
    for line, (row, values, colour) in enumerate(zip(panel.rows, every, colours, strict=True)):
        rng, few = np.random.default_rng(0), len(values) < _FEWEST
        mean = float(values.mean()) if len(values) else np.nan
        written.append(
            (line, numbers([[mean]], digits)[0] if row.values is not None else [""], readable(colour), False)
        )
        if row.values is not None and not len(values):
            outside(axes, "not measurable", (0.02, line), (0, 0), xycoords=BESIDE, va="center", backgroundcolor="w")
        shown = rng.permutation(values)[:_MOST_POINTS]
        if row.bar:
            axes.barh(line, mean, height=0.62, color=colour, alpha=0.3, lw=0)
        elif not few and np.ptp(values) > 0:
            drawn = rng.permutation(values)[:1500]
            violin = axes.violinplot(drawn, [line], orientation="horizontal", widths=0.8, side="low", showextrema=False)
            for shape in cast(Any, violin["bodies"]):
                shape.set(facecolor=colour, alpha=0.45, edgecolor="none")
        shown = shown[(low <= shown) & (shown <= high)]
        jitter = rng.random(len(shown))
        places = line + (0.44 * (jitter - 0.5) if row.bar else (0.08 + 0.2 * jitter) * (len(values) > 1))
        how: Any = {"s": 16, "alpha": 0.9} if few else {"s": 2.5, "alpha": 0.55, "rasterized": len(shown) > 50}
        axes.scatter(shown, places, color=colour, lw=0, clip_on=False, **how)
        axes.plot([mean, mean], [line - 0.36, line + 0.32], color=INK, lw=1.2, zorder=0.9 if few else 3)
    return beside(axes, written, ["mean"], 4)
