"""Three or four concepts as a triangle or tetrahedron with their held-out words, beside a null."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from geometry.plots.canvas import Canvas, Options
from geometry.plots.labels import Label, equal_scale, place_labels
from geometry.plots.style import INK, Looks

__all__ = ["SimplexPanel", "simplex"]

_TURN, _TILT = np.radians([-38, 14])


@dataclass(frozen=True, eq=False)
class SimplexPanel:
    """Three or four `vertices` concept → shape (3,), and their `words` concept → shape (n, 3)."""

    title: str
    vertices: Mapping[str, NDArray[np.floating]]
    words: Mapping[str, NDArray[np.floating]]


def simplex(
    panels: Sequence[SimplexPanel],
    **options: Unpack[Options],
) -> Figure:
    """Simplices side by side to one scale: triangles in their plane, tetrahedra seen from a fixed side.

    Raises
    ------
    ValueError : a panel has not three or four vertices, or words of something that is no vertex.
    """
    for panel in panels:
        if len(panel.vertices) not in (3, 4) or not set(panel.words) <= set(panel.vertices):
            raise ValueError(f"panel {panel.title!r}: give 3 or 4 vertices, and words of these only")
    seen = [_seen(panel) for panel in panels]
    with Canvas.of(len(panels), len(panels), **options) as canvas:
        looks = canvas.looks([name for panel in panels for name in panel.vertices])
        for axes in canvas.axes:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        marks = {f"{name} words": look | {"ms": 3} for name, look in looks.items()}
        canvas.legend({"concept vectors": {"color": "white", "mec": INK, "mew": 0.8, "ms": 6.5}} | marks)
        figure = canvas.finish([2.9] * len(panels), [panel.title for panel in panels])
        # One scale: every window is as wide as the widest simplex with its words.
        clouds = [np.concatenate([np.stack(list(corners.values())), *words.values()]) for corners, words in seen]
        reach = max(float(np.ptp(shown, axis=0).max()) for shown in clouds) / 2
        for axes, shown, (corners, words) in zip(canvas.axes, clouds, seen, strict=True):
            middle = (shown.min(axis=0) + shown.max(axis=0)) / 2
            equal_scale(axes, np.array([middle - reach, middle + reach]), (18, 10))
            _draw(axes, corners, words, looks)
    return figure


Places = Mapping[str, NDArray[np.floating]]


def _seen(panel: SimplexPanel) -> tuple[Places, Places]:
    """Vertices and words in two dimensions: in the triangle's plane, or the tetrahedron from a fixed side."""
    corners = np.stack([np.asarray(vertex, dtype=np.float64) for vertex in panel.vertices.values()])
    centre = corners.mean(axis=0)
    if len(corners) == 3:
        side = np.linalg.svd(corners - centre)[2][:2].T
        side *= np.where((corners[0] - centre) @ side < 0, -1, 1)  # a singular vector has no sign of its own
    else:
        (cos, sin), (rise, lift) = (np.cos(_TURN), np.sin(_TURN)), (np.cos(_TILT), np.sin(_TILT))
        side = np.array([[-sin, -cos * lift], [cos, -sin * lift], [0, rise]])
    return (
        {name: (np.asarray(vertex) - centre) @ side for name, vertex in panel.vertices.items()},
        {name: (np.asarray(points) - centre) @ side for name, points in panel.words.items()},
    )


def _draw(axes: Axes, corners: Places, words: Places, looks: Looks) -> None:
    for face in combinations(corners.values(), 3):
        axes.add_patch(Polygon(np.stack(face), closed=True, fc="#8899aa", ec="none", alpha=0.07))
    for first, second in combinations(corners.values(), 2):
        axes.plot([first[0], second[0]], [first[1], second[1]], color=INK, lw=0.8, zorder=1.5)
    for name, points in words.items():
        axes.scatter(points[:, 0], points[:, 1], s=9, lw=0, alpha=0.8, zorder=2, **looks[name])
    labels = []
    for name, corner in corners.items():
        axes.scatter(corner[0], corner[1], s=55, edgecolor=INK, lw=0.8, zorder=3, **looks[name])
        labels.append(Label(name, corner, bold=True, radius=5))
    edges = [np.linspace(first, second, 40) for first, second in combinations(corners.values(), 2)]
    place_labels(axes, labels, avoid=np.concatenate([*words.values(), *edges]), fontsize=7)
