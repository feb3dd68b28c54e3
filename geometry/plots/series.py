"""Series of values in the plane of their principal axes, each with the scores of the shapes it might have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.plots.canvas import Canvas, Options, numeric
from geometry.plots.labels import Label, equal_scale, place_labels
from geometry.plots.style import INK, NULL_GREYS, literal, palette, signed

__all__ = ["SeriesPanel", "series"]

_SMALL = 5.8
_CHANCE = "#dcdcdc"


@dataclass(frozen=True, eq=False)
class SeriesPanel:
    """One series of k values.

    Attributes
    ----------
    title, labels : of the panel, and of the values in order.
    points : shape (k, 2).
    scores, errors : shape → R² of left-out values, and its standard error.
    chance : shape → the 95% range of permuted orders.
    ordered, closed : whether to join the values in order, and the last one to the first.
    """

    title: str
    labels: Sequence[str]
    points: NDArray[np.floating]
    scores: Mapping[str, float]
    errors: Mapping[str, float]
    chance: Mapping[str, tuple[float, float]]
    ordered: bool
    closed: bool


def series(
    panels: Sequence[SeriesPanel],
    *,
    ncols: int = 4,
    **options: Unpack[Options],
) -> Figure:
    """For each series its values in their plane, joined in order, above bars of how well each shape predicts them.

    Parameters
    ----------
    colours : of the shapes.
    """
    shapes = list(dict.fromkeys(shape for panel in panels for shape in panel.scores))
    hues = palette(shapes, options.get("colours"))
    with Canvas.of(len(panels), ncols, **options) as canvas:
        share = 0.09 + 0.062 * len(shapes)
        parts = []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            axes.set_axis_off()
            plane, bars = axes.inset_axes((0, share + 0.06, 1, 0.94 - share)), axes.inset_axes((0, 0, 0.8, share))
            _bars(bars, panel, hues, _limits(panels))
            plane.set(xticks=[], yticks=[])
            plane.spines[:].set(visible=True, color="#bbbbbb")
            parts.append((plane, bars))
        canvas.legend(
            {
                "R² of left-out values, ± 1 standard error": {"color": INK, "lw": 0.9},
                "95% of permuted orders": {"color": _CHANCE, "lw": 5, "solid_capstyle": "butt"},
            }
        )
        figure = canvas.finish([2.35] * len(panels), [panel.title for panel in panels])
        for (plane, bars), panel in zip(parts, panels, strict=True):
            _plane(plane, panel)
            numeric(bars.xaxis, canvas.inches(plane)[0])
    return figure


def _plane(axes: Axes, panel: SeriesPanel) -> None:
    equal_scale(axes, panel.points, (22, 9))
    path = np.concatenate([panel.points, panel.points[:1]]) if panel.closed else panel.points
    if panel.ordered:
        axes.plot(path[:, 0], path[:, 1], color=NULL_GREYS[2], lw=0.9, zorder=1)
    shade = np.linspace(0.1, 0.85, len(panel.points))
    axes.scatter(panel.points[:, 0], panel.points[:, 1], s=9, c=shade, cmap="cividis", vmin=0, vmax=1, zorder=2, lw=0)
    joined = [np.linspace(first, second, 15)[1:-1] for first, second in pairwise(path)]
    # Those amid others have the fewest places to go: they come first.
    distances = np.linalg.norm(panel.points[:, None] - panel.points, axis=2)
    crowded = np.argsort(np.sort(distances, axis=1)[:, :4].sum(axis=1), kind="stable")
    place_labels(
        axes,
        [Label(panel.labels[index], panel.points[index], radius=1.7) for index in crowded],
        avoid=np.concatenate([np.empty((0, 2)), *joined]) if panel.ordered else np.empty((0, 2)),
        discs=np.column_stack([panel.points, np.full(len(panel.points), 1.9)]),
        fontsize=5.6,
        farthest=80,
    )


def _limits(panels: Sequence[SeriesPanel]) -> tuple[float, float]:
    """One scale for all bars; an error may run out of its panel, where it is cut off."""
    ends = [(0.0, 0.05)]
    for panel in panels:
        for shape, score in panel.scores.items():
            error = min(panel.errors[shape], abs(score))
            ends.append((min(panel.chance[shape][0], score - error), max(panel.chance[shape][1], score + error)))
    low, high = np.array(ends).T
    return 1.06 * float(low.min()), 1.06 * float(high.max())


def _bars(axes: Axes, panel: SeriesPanel, hues: Mapping[str, str], limits: tuple[float, float]) -> None:
    for row, (shape, colour) in enumerate(hues.items()):
        if shape not in panel.scores:
            continue
        score, error, (low, high) = panel.scores[shape], panel.errors[shape], panel.chance[shape]
        axes.barh(row, high - low, left=low, height=0.82, color=_CHANCE, lw=0)
        axes.barh(row, score, height=0.42, color=colour, lw=0)
        axes.plot([score - error, score + error], [row, row], color=INK, lw=0.8)
        number = signed(f"{score:.2f}")
        axes.text(1.04, row, number, transform=axes.get_yaxis_transform(), fontsize=_SMALL, va="center")
    axes.axvline(0, color=INK, lw=0.6)
    axes.set(xlim=limits, ylim=(len(hues) - 0.4, -0.6))
    axes.set_yticks(range(len(hues)), [literal(shape) for shape in hues])
    axes.tick_params(length=0, labelsize=_SMALL, pad=1.5)
    axes.spines["left"].set_visible(False)
