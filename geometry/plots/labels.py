"""Labels that cover neither each other nor points: the one placement of all pictures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.typing import NDArray

from geometry.plots.style import HALO, INK, literal

__all__ = ["Label", "equal_scale", "place_labels"]

_REACHES = (2.5, 6.0, 11.0, 17.0, 25.0, 35.0, 46.0, 60.0, 76.0)  # points between a place and its label
_CROWD = 15  # points that no label may cover, unless it names a region
_NEAR = 6.0  # as far as that, a label needs no line to its place
_TURNS = np.radians([0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 338, 202, 68, 112, 292, 248])
_NONE = np.empty((0, 2))

Boxes = NDArray[np.floating]  # shape (n, 4): x0, y0, x1, y1 in pixels


@dataclass(frozen=True)
class Label:
    """A text and its place in data coordinates.

    Attributes
    ----------
    bold : drawn so, and a tenth larger.
    region : whether it names what lies around rather than a point, and so may lie over its place.
    radius : in points, of what stands at the place.
    group : see `most` of `place_labels`.
    """

    text: str
    x: float
    y: float
    bold: bool = False
    region: bool = False
    radius: float = 0.0
    colour: str | tuple[float, ...] = INK
    group: str = ""


def place_labels(
    axes: Axes,
    labels: Sequence[Label],
    *,
    avoid: NDArray[np.floating] = _NONE,
    discs: NDArray[np.floating] | None = None,
    fontsize: float = 6.2,
    farthest: float = 46,
    most: int | None = None,
) -> list[Annotation]:
    """Write labels beside their places, the first ones first, and leave out those for which no room is left.

    A label farther off than a few points has a thin line to its place; one that could only stand amid a crowd of
    points is left out. Call it when limits and margins of the figure are final: room is measured in pixels.

    Parameters
    ----------
    labels : those without a visible character, or whose place lies outside the axes, are left out.
    avoid : shape (k, 2), points in data coordinates that are better not covered: the fewer they are, the better.
    discs : shape (k, 3), x and y in data coordinates and radius in points of what is never covered.
    farthest : points between a place and its label.
    most : labels of each group that has a name; the others are spares for want of room.
    """
    pixel = _settled(axes)
    room = _Room(pixel, np.asarray(axes.get_window_extent().extents))
    if len(avoid):
        room.avoid(axes.transData.transform(avoid), max(1.0, 300 / len(avoid)))
    if discs is not None:
        centres, halves = axes.transData.transform(discs[:, :2]), 0.85 * pixel * discs[:, 2:]
        room.take(np.hstack([centres - halves, centres + halves]))
        room.places = centres
    placed: list[Annotation] = []
    written = Counter[str]()
    for label in labels:
        here = axes.transData.transform((label.x, label.y))
        spare = bool(label.group) and written[label.group] == most
        if spare or not literal(label.text) or not room.holds(np.tile(here, 2)):
            continue
        text = axes.annotate(
            literal(label.text),
            (label.x, label.y),
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=fontsize * (1.1 if label.bold else 1),
            fontweight="bold" if label.bold else "normal",
            color=label.colour,
            path_effects=HALO,
            zorder=6,
            annotation_clip=False,
        )
        drawn = np.asarray(text.get_window_extent().extents)
        # At another resolution text is up to a fiftieth wider.
        margin = np.array([0.8 * pixel + (drawn[2] - drawn[0]) / 50, 0.8 * pixel])
        chosen = room.best(drawn + np.append(-margin, margin), here, label, farthest)
        if chosen is None:
            text.remove()
            continue
        box, reach = chosen
        text.set_position(tuple((box[:2] + box[2:] - drawn[:2] - drawn[2:]) / 2 / pixel))
        room.take(box[None])
        placed.append(text)
        written[label.group] += 1
        if reach > _NEAR:
            end = np.clip(here, box[:2], box[2:])
            room.avoid(np.linspace(here, end, 4 + int(reach))[2:], 60.0)
            line = {"arrowstyle": "-", "lw": 0.45, "color": "#555555", "shrinkA": 0, "shrinkB": label.radius}
            axes.annotate(
                "",
                (label.x, label.y),
                tuple((end - here) / pixel),
                textcoords="offset points",
                arrowprops=line,
                zorder=5,
                annotation_clip=False,
            )
    return placed


def equal_scale(axes: Axes, points: NDArray[np.floating], pad: tuple[float, float]) -> float:
    """Limits that hold the points and `pad` points (of type) around them, with one scale for both axes.

    Gives the points of type per unit of data.
    """
    pixel = _settled(axes)
    extent = axes.get_window_extent()
    size = np.array([extent.width, extent.height]) / pixel
    low, high = points.min(axis=0), points.max(axis=0)
    free = np.maximum(size - 2 * np.asarray(pad), 0.2 * size)
    scale = float((free / np.maximum(high - low, 1e-12)).min())
    middle, half = (low + high) / 2, size / scale / 2
    axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))
    return scale


def _settled(axes: Axes) -> float:
    """Pixels per point, once the axes are where they are drawn."""
    figure = cast(Figure, axes.get_figure(root=True))
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    locator = axes.get_axes_locator()
    axes.apply_aspect(locator(axes, None) if locator else None)
    return figure.dpi / 72


class _Room:
    """What is left of the axes, in pixels."""

    def __init__(self, pixel: float, frame: NDArray[np.floating]) -> None:
        self.pixel, self.frame = pixel, frame
        self.taken: Boxes = np.empty((0, 4))
        self.places, self.points, self.weights = _NONE, _NONE, np.empty(0)

    def take(self, boxes: Boxes) -> None:
        self.taken = np.concatenate([self.taken, boxes])

    def avoid(self, points: NDArray[np.floating], weight: float) -> None:
        self.points = np.concatenate([self.points, points])
        self.weights = np.append(self.weights, np.full(len(points), weight))

    def holds(self, box: NDArray[np.floating]) -> bool:
        return bool((box[:2] >= self.frame[:2]).all() and (box[2:] <= self.frame[2:]).all())

    def best(
        self, box: NDArray[np.floating], here: NDArray[np.floating], label: Label, farthest: float
    ) -> tuple[NDArray[np.floating], float] | None:
        """Where a box that is now centred `here` should go, and how far from there in points."""
        half, best, least = (box[2:] - box[:2]) / 2, None, np.inf
        tries = [(0.0, 0.0)] * label.region + [(reach, turn) for reach in _REACHES for turn in _TURNS]
        for reach, turn in tries:
            if reach > farthest or 0.8 * reach >= least:  # what follows is farther still
                break
            way = np.round([np.cos(turn), np.sin(turn)], 9)
            # Beside: the box touches a circle around the place, at the side or corner that faces it.
            away = way * (label.radius + reach) * self.pixel + np.sign(way) * half * np.minimum(1, np.abs(way) * 1.5)
            centre = here + (away if reach else 0)
            moved = np.concatenate([centre - half, centre + half])
            if not self.holds(moved) or self._overlaps(moved):
                continue
            inside = ((self.points > moved[:2] - self.pixel) & (self.points < moved[2:] + self.pixel)).all(axis=1)
            if inside.sum() > _CROWD and not label.region:
                continue
            covered = 0.0 if label.region else min(float(self.weights[inside].sum()), 60)
            astray = self._crossed(here, moved) if reach > _NEAR else self._ambiguous(moved, here)
            cost = 0.8 * reach + covered + (astray if reach else 0)
            if cost < least:
                best, least = (moved, reach), cost
        return best

    def _overlaps(self, box: NDArray[np.floating]) -> bool:
        return bool(((self.taken[:, :2] < box[2:]) & (self.taken[:, 2:] > box[:2])).all(axis=1).any())

    def _ambiguous(self, box: NDArray[np.floating], here: NDArray[np.floating]) -> float:
        """What speaks against a label that seems to belong to another place: much where there are few."""
        own = np.linalg.norm(np.clip(here, box[:2], box[2:]) - here)
        away = np.linalg.norm(np.clip(self.places, box[:2], box[2:]) - self.places, axis=1)
        others = np.linalg.norm(self.places - here, axis=1) > self.pixel
        return min(15.0, 500 / len(others)) if (away[others] < own + 0.5 * self.pixel).any() else 0.0

    def _crossed(self, here: NDArray[np.floating], box: NDArray[np.floating]) -> float:
        """What speaks against a line over other places, and forbids one under labels or nodes, where it is lost."""
        steps = np.linspace(here, np.clip(here, box[:2], box[2:]), 40)[:, None]
        within = ((steps > self.taken[:, :2]) & (steps < self.taken[:, 2:])).all(axis=2)
        crossed = self.taken[within.any(axis=0) & ~within[0]]
        return np.inf if (np.ptp(crossed[:, 1::2], axis=1) > 5 * self.pixel).any() else 4.0 * len(crossed)
