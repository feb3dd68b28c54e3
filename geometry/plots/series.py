"""Series of values in the plane of their principal axes, each with the scores of the shapes it might have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, HALO, NULL_GREYS, headline, literal, signed, style

__all__ = ["SeriesPanel", "plot_series"]

_SHAPE_COLOURS = {"line": COLOURS[0], "circle": COLOURS[1], "tree": COLOURS[2]}


@dataclass(frozen=True, eq=False)
class SeriesPanel:
    """One series: `points` shape (k, 2) in order, R² by shape, and the 95% range of random orders by shape."""

    title: str
    labels: Sequence[str]
    points: NDArray[np.float64]
    scores: Mapping[str, float]
    errors: Mapping[str, float]
    chance: Mapping[str, tuple[float, float]]
    ordered: bool
    closed: bool


def plot_series(panels: Sequence[SeriesPanel], *, finding: str, detail: str = "", columns: int = 4) -> Figure:
    """For each series its values in their plane, joined in order, above bars of how well each shape predicts them."""
    grid_rows = -(-len(panels) // columns)
    with style():
        figure = Figure(figsize=(7.2, 0.75 + 2.75 * grid_rows))
        figure.subplots_adjust(left=0.075, right=0.985, bottom=0.05)
        headline(figure, finding, detail, room=0.3)
        outer = figure.add_gridspec(grid_rows, columns, wspace=0.34, hspace=0.3)
        top = max((max(panel.scores.values()) for panel in panels), default=0.1)
        for place, panel in enumerate(panels):
            inner = outer[place // columns, place % columns].subgridspec(2, 1, height_ratios=[2.6, 1], hspace=0.08)
            _plane(figure.add_subplot(inner[0]), panel)
            _bars(figure.add_subplot(inner[1]), panel, max(0.05, top * 1.25))
    return figure


def _plane(axes: Axes, panel: SeriesPanel) -> None:
    if panel.ordered:
        path = np.concatenate([panel.points, panel.points[:1]]) if panel.closed else panel.points
        axes.plot(path[:, 0], path[:, 1], color=NULL_GREYS[2], lw=0.9, zorder=1)
    shade = np.linspace(0.1, 0.8, len(panel.points))
    axes.scatter(panel.points[:, 0], panel.points[:, 1], s=9, c=shade, cmap="cividis", zorder=2, lw=0)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.16)
    axes.autoscale_view()
    _place_labels(axes, panel)
    axes.set_title(panel.title, fontsize=7.2)


def _place_labels(axes: Axes, panel: SeriesPanel) -> None:
    """Labels beside their points where there is room, otherwise farther off on a thin line."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    scale = np.array([right - left, high - low])
    places = (panel.points - [left, low]) / scale
    sides = np.array([[0, 1], [1, 0], [-1, 0], [0, -1], [1, 1], [-1, 1], [1, -1], [-1, -1]], dtype=np.float64)
    taken: list[NDArray[np.float64]] = [np.array([*place, 0.012, 0.012]) for place in places]
    for label, place in zip(panel.labels, places, strict=True):
        text = literal(label)[:12]
        half = np.array([0.0165 * len(text) + 0.008, 0.028])
        tries = [place + side * (half + 0.014) * far for far in (1.0, 1.6, 2.4, 3.4, 5.0) for side in sides]
        inside = [spot for spot in tries if np.all(spot - half > -0.05) and np.all(spot + half < 1.05)] or tries[:1]
        crowding = [sum(bool(np.all(abs(spot - box[:2]) < half + box[2:])) for box in taken) for spot in inside]
        spot = inside[int(np.argmin(crowding))]
        taken.append(np.concatenate([spot, half]))
        (x, y), (own_x, own_y) = spot * scale + [left, low], place * scale + [left, low]
        if np.any(abs(spot - place) > 1.5 * (half + 0.014)):
            axes.plot([own_x, x], [own_y, y], color=NULL_GREYS[1], lw=0.4, zorder=1)
        axes.text(x, y, text, fontsize=5.2, ha="center", va="center", path_effects=HALO)


def _bars(axes: Axes, panel: SeriesPanel, top: float) -> None:
    for place, (shape, colour) in enumerate(_SHAPE_COLOURS.items()):
        if shape not in panel.scores:
            continue
        low, high = panel.chance[shape]
        height = 2 - place
        axes.barh(height, high - low, left=low, height=0.8, color="#dddddd", lw=0)
        axes.barh(height, panel.scores[shape], height=0.42, color=colour, lw=0)
        axes.plot(
            [panel.scores[shape] - panel.errors[shape], panel.scores[shape] + panel.errors[shape]],
            [height, height],
            color="black",
            lw=0.7,
        )
    axes.axvline(0, color="black", lw=0.6)
    axes.set(xlim=(-0.35 * top, top), ylim=(-0.6, 2.6))
    labels = [
        signed(f"{shape} {panel.scores[shape]:.2f}") if shape in panel.scores else shape for shape in _SHAPE_COLOURS
    ]
    axes.set_yticks([2, 1, 0], labels, fontsize=5.8)
    axes.tick_params(axis="both", length=0, labelsize=5.8, pad=1)
    axes.set_xticks([0])
