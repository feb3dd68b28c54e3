"""Labels that cover neither each other nor points: the one placement of all pictures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.typing import NDArray

from geometry.plots.style import HALO, INK, literal

_REACHES = (2.5, 6.0, 11.0, 17.0, 25.0, 35.0, 46.0, 60.0, 76.0)  # points between a place and its label
_CROWD = 15  # points that no label may cover, unless it names a region
_NEAR = 6.0  # as far as that, a label needs no line to its place
_TURNS = np.radians([0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 338, 202, 68, 112, 292, 248])
_WAYS = np.round(np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1), 9)

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Label:
    """A text beside what stands at a place in data, shape (2,), with a radius in points; a region's may lie over it.

    What is `needed` may stand as far off as it must.
    """

    text: str
    place: Sequence[float] | Array
    bold: bool = False
    region: bool = False
    radius: float = 0.0
    colour: str | tuple[float, ...] = INK
    group: str = ""
    needed: bool = False


def place_labels(
    axes: Axes,
    labels: Sequence[Label],
    *,
    avoid: Array | Sequence[Array] = (),
    discs: Array | Sequence[Array] = (),
    fontsize: float = 6.2,
    farthest: float = 46,
    most: int | None = None,
) -> list[Annotation]:
    """Write labels beside their places, the first ones first, and leave out those for which no room is left.

    So are those that could only stand amid a crowd of points, have no visible character or a place outside the axes.
    Farther off than a few points, and at most `farthest`, a label has a thin line to its place. Better not covered are
    points to `avoid`, shape (k, 2) in data coordinates, the fewer the better; never are `discs`, shape (k, 3): x, y,
    and radius in points. Of a group that has a name, the labels after the `most` first are spares for want of room.
    Call it when limits and margins of the figure are final: room is measured in pixels.
    """
    pixel, frame, pixels = _settled(axes), axes.get_window_extent(), axes.transData.transform
    circles, points = np.vstack([np.empty((0, 3)), *discs]), np.vstack([np.empty((0, 2)), *avoid])
    room = _Room(pixel, np.reshape(frame.extents, (2, 2)), pixels(circles[:, :2]), 0.85 * pixel * circles[:, 2:])
    room.avoid(pixels(points), max(1.0, 300 / max(1, len(points))))
    placed: list[Annotation] = []
    written = Counter[str]()
    beside: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
    look: dict[str, Any] = beside | {"ha": "center", "va": "center", "path_effects": HALO, "zorder": 6}
    for label in labels:
        text, place = literal(label.text), (float(label.place[0]), float(label.place[1]))
        here = pixels(place)
        if not text or not frame.contains(*here) or (label.group and written[label.group] == most):
            continue
        size, weight = (1.1 * fontsize, "bold") if label.bold else (fontsize, "normal")
        note = axes.annotate(text, place, (0, 0), fontsize=size, fontweight=weight, color=label.colour, **look)
        low, high = np.reshape(note.get_window_extent().extents, (2, 2))
        # At another resolution text is up to a fiftieth wider.
        half = (high - low) / 2 + pixel * 0.8 + [(high[0] - low[0]) / 50, 0]
        chosen = room.best(half, here, label, farthest)
        if chosen is None and label.needed:
            chosen = room.best(half, here, label, _REACHES[-1])
        if chosen is None:
            note.remove()
            continue
        box, reach = chosen
        note.set_position(tuple((box[:2] + box[2:] - low - high) / 2 / pixel))
        room.taken = np.vstack([room.taken, box])
        placed.append(note)
        written[label.group] += 1
        if reach > _NEAR:
            end = np.clip(here, box[:2], box[2:])
            room.avoid(np.linspace(here, end, 4 + int(reach))[2:], 60.0)
            line = {"arrowstyle": "-", "lw": 0.45, "color": "#555555", "shrinkA": 0, "shrinkB": label.radius}
            axes.annotate("", place, tuple((end - here) / pixel), arrowprops=line, zorder=5, **beside)
    return placed


def dots(axes: Axes, points: Array, **look: Any) -> None:
    """Marks at points of shape (n, 2)."""
    axes.scatter(points[:, 0], points[:, 1], **look)


def equal_scale(axes: Axes, points: Array, pad: tuple[float, float]) -> float:
    """Limits that hold the points and `pad` points of type around them; gives the points of type per unit of data."""
    pixel, extent = _settled(axes), axes.get_window_extent()
    size = np.array([extent.width, extent.height]) / pixel
    low, high = points.min(axis=0), points.max(axis=0)
    scale = float((np.maximum(size - 2 * np.asarray(pad), 0.2 * size) / np.maximum(high - low, 1e-12)).min())
    (left, right), (bottom, top) = (low + high)[:, None] / 2 + np.outer(size, (-0.5, 0.5)) / scale
    axes.set(xlim=(left, right), ylim=(bottom, top))
    return scale


def _settled(axes: Axes) -> float:
    """Pixels per point, once the axes are where they are drawn."""
    figure = cast(Figure, axes.get_figure(root=True))
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    locator: Any = axes.get_axes_locator()
    axes.apply_aspect(locator and locator(axes, None))
    return figure.dpi / 72


class _Room:
    """What is left of the axes, in pixels: boxes are x0, y0, x1, y1."""

    def __init__(self, pixel: float, frame: Array, places: Array, halves: Array) -> None:
        self.pixel, self.frame, self.places, self.marks = pixel, frame, places, np.empty((0, 3))
        self.taken = np.hstack([places - halves, places + halves])

    def avoid(self, points: Array, weight: float) -> None:
        self.marks = np.vstack([self.marks, np.insert(points, 2, weight, axis=1)])

    def best(self, half: Array, here: Array, label: Label, farthest: float) -> tuple[Array, float] | None:
        """The box, of such half size, in which a label should stand, and how far off it is in points."""
        reach = np.repeat([reach for reach in _REACHES if reach <= farthest], len(_WAYS))
        way = np.tile(_WAYS, (len(reach) // len(_WAYS), 1))
        # Beside: the box touches a circle around the place, at the side or corner that faces it.
        away = way * (label.radius + reach[:, None]) * self.pixel + np.sign(way) * half * np.minimum(1, 1.5 * abs(way))
        if label.region:
            reach, away = np.append(0, reach), np.vstack([[0, 0], away])
        boxes = np.hstack([here + away - half, here + away + half])
        free = ((boxes[:, :2] >= self.frame[0]) & (boxes[:, 2:] <= self.frame[1])).all(axis=1)
        over = (self.taken[:, :2] < boxes[:, None, 2:]) & (self.taken[:, 2:] > boxes[:, None, :2])
        free &= ~np.any(np.all(over, axis=2), axis=1)
        reach, boxes = reach[free], boxes[free]
        low, high = boxes[:, None, :2], boxes[:, None, 2:]
        cost = 0.8 * reach + np.where(reach > _NEAR, self._crossed(here, boxes), self._ambiguous(here, low, high))
        if not label.region:
            points, pixel = self.marks[:, :2], self.pixel
            covered = np.all((points > low - pixel) & (points < high + pixel), axis=2)
            cost += np.where(covered.sum(axis=1) > _CROWD, np.inf, np.minimum(covered @ self.marks[:, 2], 60))
        chosen = int(cost.argmin()) if np.isfinite(cost).any() else None
        return None if chosen is None else (boxes[chosen], float(reach[chosen]))

    def _ambiguous(self, here: Array, low: Array, high: Array) -> Array:
        """What speaks against labels that seem to belong to another place: much where there are few."""
        others = self.places[np.linalg.norm(self.places - here, axis=1) > self.pixel]
        own, away = (np.linalg.norm(np.clip(at, low, high) - at, axis=2) for at in (here, others))
        return np.where(np.any(away < own + 0.5 * self.pixel, axis=1), min(15.0, 500 / max(1, len(others))), 0.0)

    def _crossed(self, here: Array, boxes: Array) -> Array:
        """What speaks against lines over other places, and forbids those under labels or nodes, where they are lost."""
        ends = np.clip(here, boxes[:, :2], boxes[:, 2:])
        steps = np.linspace(here + 0 * ends, ends, 40)[:, :, None]
        within = np.all((steps > self.taken[:, :2]) & (steps < self.taken[:, 2:]), axis=3)
        crossed = within.any(axis=0) & ~within[0]
        hides = np.ptp(self.taken[:, 1::2], axis=1) > 5 * self.pixel
        return np.where((crossed & hides).any(axis=1), np.inf, 4.0 * crossed.sum(axis=1))
