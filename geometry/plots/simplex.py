"""Three or four concepts as a triangle or tetrahedron with their held-out words, beside a null."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import cos, radians, sin
from typing import Unpack

import numpy as np
from matplotlib.patches import Polygon

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options
from geometry.plots.labels import Array, Label, dots, equal_scale, place_labels
from geometry.plots.style import INK

_TURN, _TILT = radians(-38), radians(14)  # of the side that tetrahedra are seen from
_SIDE = np.array([[-sin(_TURN), -cos(_TURN) * sin(_TILT)], [cos(_TURN), -sin(_TURN) * sin(_TILT)], [0, cos(_TILT)]])


@checked
@dataclass(frozen=True, eq=False)
class SimplexPanel:
    """Three or four `vertices` concept → shape (3,), and their `words` concept → shape (n, 3)."""

    title: str
    vertices: Mapping[str, Array]
    words: Mapping[str, Array]


@checked
def simplex(panels: Sequence[SimplexPanel], **options: Unpack[Options]) -> Figure:
    """Simplices to one scale, three in a row. ValueError: not three or four vertices, or words of what is no vertex."""
    for panel in panels:
        if len(panel.vertices) not in (3, 4) or not set(panel.words) <= set(panel.vertices):
            raise ValueError(f"panel {panel.title!r}: give 3 or 4 vertices, and words of these only")
    with Canvas.of(len(panels), 3, **options) as canvas:
        looks = canvas.looks([name for panel in panels for name in panel.vertices])
        for axes in canvas.axes:
            axes.set_axis_off()
        shown = {name for panel in panels for name, words in panel.words.items() if len(words)}
        marks = {f"{name} words": look | {"ms": 3} for name, look in looks.items() if name in shown}
        canvas.legend({"concept vectors": {"color": "white", "mec": INK, "mew": 0.8, "ms": 6.5}} | marks)
        side = min(2.9, 6.6 / min(len(panels), 3))
        figure = canvas.finish([side] * len(panels), [panel.title for panel in panels])
        # One scale: every window is as wide as the widest simplex with its words.
        seen = [_seen(panel) for panel in panels]
        clouds = [np.vstack([*corners.values(), *words.values()]) for corners, words in seen]
        reach = max(float(np.ptp(cloud, axis=0).max()) for cloud in clouds) / 2
        for axes, cloud, (corners, words) in zip(canvas.axes, clouds, seen, strict=True):
            middle = (cloud.min(axis=0) + cloud.max(axis=0)) / 2
            equal_scale(axes, np.array([middle - reach, middle + reach]), (18, 10))
            for face in combinations(corners.values(), 3):
                axes.add_patch(Polygon(np.stack(face), closed=True, fc="#8899aa", ec="none", alpha=0.07))
            edges = [np.linspace(first, second, 40) for first, second in combinations(corners.values(), 2)]
            for edge in edges:
                axes.plot(edge[[0, -1], 0], edge[[0, -1], 1], color=INK, lw=0.8, zorder=1.5)
            for name, points in words.items():
                dots(axes, points, s=9, lw=0, alpha=0.8, zorder=2, **looks[name])
            for name, corner in corners.items():
                dots(axes, corner[None], s=55, edgecolor=INK, lw=0.8, zorder=3, **looks[name])
            labels = [Label(name, corner, bold=True, radius=5) for name, corner in corners.items()]
            place_labels(axes, labels, avoid=[*words.values(), *edges], fontsize=7)
    return figure


def _seen(panel: SimplexPanel) -> tuple[dict[str, Array], ...]:
    """Vertices and words in two dimensions: in the triangle's plane, or the tetrahedron from its side."""
    corners = np.stack([np.asarray(vertex, dtype=np.float64) for vertex in panel.vertices.values()])
    centre, side = corners.mean(axis=0), _SIDE
    if len(corners) == 3:
        side = np.linalg.svd(corners - centre)[2][:2].T
        side = side * np.where((corners[0] - centre) @ side < 0, -1, 1)  # a singular vector has no sign of its own
    return tuple({name: (at - centre) @ side for name, at in part.items()} for part in (panel.vertices, panel.words))
