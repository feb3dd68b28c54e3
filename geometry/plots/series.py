"""Series of values in the plane of their principal axes, each with the scores of the shapes it might have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options, numeric
from geometry.plots.labels import Array, Label, dots, equal_scale, place_labels
from geometry.plots.style import INK, NULL_GREYS, literal, palette, signed

_CHANCE = "#dcdcdc"


@checked
@dataclass(frozen=True, eq=False)
class SeriesPanel:
    """A series of k values with their `labels` and `points` (k, 2), joined in order if they are `ordered`.

    Of each shape there are R² of left-out values, its standard error, and the 95% range of permuted orders.
    """

    title: str
    labels: Sequence[str]
    points: Array
    scores: Mapping[str, float]
    errors: Mapping[str, float]
    chance: Mapping[str, tuple[float, float]]
    ordered: bool
    closed: bool


@checked
def series(panels: Sequence[SeriesPanel], *, ncols: int = 4, **options: Unpack[Options]) -> Figure:
    """Each series in its plane, joined in order, above bars of how well each shape, in its colour, predicts values."""
    hues = palette([shape for panel in panels for shape in panel.scores], options.get("colours"))
    share = 0.09 + 0.062 * len(hues)
    parts, ends = [], [0.0, 0.05]  # the ends of bars; an error may run out of its panel, where it is cut off
    for panel in panels:
        for shape, score in panel.scores.items():
            error = min(panel.errors[shape], abs(score))
            ends += [score - error, score + error, *panel.chance[shape]]
    with Canvas.of(len(panels), ncols, **options) as canvas:
        for axes, panel in zip(canvas.axes, panels, strict=True):
            axes.set_axis_off()
            plane, bars = axes.inset_axes((0, share + 0.06, 1, 0.94 - share)), axes.inset_axes((0, 0, 0.8, share))
            plane.set(xticks=[], yticks=[])
            plane.spines[:].set(visible=True, color="#bbbbbb")
            _bars(bars, panel, hues)
            bars.set(xlim=(1.06 * min(ends), 1.06 * max(ends)), ylim=(len(hues) - 0.4, -0.6))
            parts.append((plane, bars))
        bar, grey = {"color": INK, "lw": 0.9}, {"color": _CHANCE, "lw": 5, "solid_capstyle": "butt"}
        canvas.legend({"R² of left-out values, ± 1 standard error": bar, "95% of permuted orders": grey})
        figure = canvas.finish([2.35] * len(panels), [panel.title for panel in panels])
        for (plane, bars), panel in zip(parts, panels, strict=True):
            _plane(plane, panel)
            numeric(bars.xaxis, canvas.inches(plane)[0])
    return figure


def _plane(axes: Axes, panel: SeriesPanel) -> None:
    equal_scale(axes, panel.points, (22, 9))
    path = np.vstack([panel.points, panel.points[:1]]) if panel.closed else panel.points
    if panel.ordered:
        axes.plot(*path.T, color=NULL_GREYS[2], lw=0.9, zorder=1)
    shade = np.linspace(0.1, 0.85, len(panel.points))
    dots(axes, panel.points, s=9, c=shade, cmap="cividis", vmin=0, vmax=1, zorder=2, lw=0)
    joined = [np.linspace(first, second, 15)[1:-1] for first, second in pairwise(path) if panel.ordered]
    # Those amid others have the fewest places to go: they come first.
    distances = np.linalg.norm(panel.points[:, None] - panel.points, axis=2)
    crowded = np.argsort(np.sort(distances, axis=1)[:, :4].sum(axis=1), kind="stable")
    labels = [Label(panel.labels[index], panel.points[index], radius=1.7) for index in crowded]
    discs = np.insert(panel.points, 2, 1.9, axis=1)
    place_labels(axes, labels, avoid=joined, discs=discs, fontsize=5.6, farthest=80)


def _bars(axes: Axes, panel: SeriesPanel, hues: Mapping[str, str]) -> None:
    for row, shape in enumerate(hues):
        if shape not in panel.scores:
            continue
        score, error, (low, high) = panel.scores[shape], panel.errors[shape], panel.chance[shape]
        axes.barh(row, high - low, left=low, height=0.82, color=_CHANCE, lw=0)
        axes.barh(row, score, height=0.42, color=hues[shape], lw=0)
        axes.plot([score - error, score + error], [row, row], color=INK, lw=0.8)
        axes.text(1.04, row, signed(f"{score:.2f}"), transform=axes.get_yaxis_transform(), fontsize=5.8, va="center")
    axes.axvline(0, color=INK, lw=0.6)
    axes.set_yticks(range(len(hues)), [literal(shape) for shape in hues])
    axes.tick_params(length=0, labelsize=5.8, pad=1.5)
    axes.spines["left"].set_visible(False)
