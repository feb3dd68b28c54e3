"""Labels that cover neither each other nor points: the one placement of all pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from numpy.typing import NDArray

from geometry.plots.style import HALO, INK, literal

__all__ = ["Label", "equal_scale", "place_labels"]

_REACHES = (2.5, 6.0, 11.0, 17.0, 25.0, 35.0, 46.0)  # points between a place and its label
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
    """

    text: str
    x: float
    y: float
    bold: bool = False
    region: bool = False
    radius: float = 0.0
    colour: str | tuple[float, ...] = INK


def place_labels(
    axes: Axes,
    labels: Sequence[Label],
    *,
    avoid: NDArray[np.floating] = _NONE,
    discs: NDArray[np.floating] | None = None,
    fontsize: float = 6.2,
) -> list[Annotation]:
    """Write labels beside their places, the first ones first, and leave out those for which no room is left.

    Labels that are farther off than a few points have a thin line to their place. Call it when limits and margins
    of the figure are final: room is measured in pixels.

    Parameters
    ----------
    labels : those without a visible character, or whose place lies outside the axes, are left out.
    avoid : shape (k, 2), points in data coordinates that are better not covered: the fewer they are, the better.
    discs : shape (k, 3), x and y in data coordinates and radius in points of what is never covered.
    """
    figure = axes.get_figure(root=True)
    pixel = (figure.dpi if figure else 72.0) / 72
    room = _Room(pixel, np.asarray(axes.get_window_extent().extents))
    if len(avoid):
        room.avoid(axes.transData.transform(avoid), max(1.0, 300 / len(avoid)))
    if discs is not None:
        centres, halves = axes.transData.transform(discs[:, :2]), 0.85 * pixel * discs[:, 2:]
        room.take(np.hstack([centres - halves, centres + halves]))
    placed = []
    for label in labels:
        here = axes.transData.transform((label.x, label.y))
        if not literal(label.text) or not room.holds(np.tile(here, 2)):
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
        chosen = room.best(drawn + 0.8 * pixel * np.array([-1, -1, 1, 1]), here, label.region, label.radius * pixel)
        if chosen is None:
            text.remove()
            continue
        box, reach = chosen
        text.set_position(tuple((box[:2] + box[2:] - drawn[:2] - drawn[2:]) / 2 / pixel))
        room.take(box[None])
        placed.append(text)
        if reach > _NEAR:
            end = np.clip(here, box[:2], box[2:])
            room.avoid(np.linspace(here, end, 12)[2:], 8.0)
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
    figure = axes.get_figure(root=True)
    extent = axes.get_window_extent()
    size = np.array([extent.width, extent.height]) * 72 / (figure.dpi if figure else 72.0)
    low, high = points.min(axis=0), points.max(axis=0)
    free = np.maximum(size - 2 * np.asarray(pad), 0.2 * size)
    scale = float((free / np.maximum(high - low, 1e-12)).min())
    middle, half = (low + high) / 2, size / scale / 2
    axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))
    return scale


class _Room:
    """What is left of the axes, in pixels."""

    def __init__(self, pixel: float, frame: NDArray[np.floating]) -> None:
        self.pixel, self.frame = pixel, frame
        self.taken: Boxes = np.empty((0, 4))
        self.points, self.weights = _NONE, np.empty(0)

    def take(self, boxes: Boxes) -> None:
        self.taken = np.concatenate([self.taken, boxes])

    def avoid(self, points: NDArray[np.floating], weight: float) -> None:
        self.points = np.concatenate([self.points, points])
        self.weights = np.append(self.weights, np.full(len(points), weight))

    def holds(self, box: NDArray[np.floating]) -> bool:
        return bool((box[:2] >= self.frame[:2]).all() and (box[2:] <= self.frame[2:]).all())

    def best(
        self, box: NDArray[np.floating], here: NDArray[np.floating], region: bool, radius: float
    ) -> tuple[NDArray[np.floating], float] | None:
        """Where a box that is now centred `here` should go, and how far from there in points."""
        half, best, least = (box[2:] - box[:2]) / 2, None, np.inf
        tries = [(0.0, 0.0)] * region + [(reach, turn) for reach in _REACHES for turn in _TURNS]
        for reach, turn in tries:
            if 0.8 * reach >= least:  # what follows is farther still
                break
            way = np.round([np.cos(turn), np.sin(turn)], 9)
            # Beside: the box touches a circle around the place, at the side or corner that faces it.
            away = way * (radius + reach * self.pixel) + np.sign(way) * half * np.minimum(1, np.abs(way) * 1.5)
            centre = here + (away if reach else 0)
            moved = np.concatenate([centre - half, centre + half])
            if not self.holds(moved) or self._overlaps(moved):
                continue
            inside = ((self.points > moved[:2] - self.pixel) & (self.points < moved[2:] + self.pixel)).all(axis=1)
            covered = 0 if region else min(float(self.weights[inside].sum()), 14)
            # In a crowd all places cover points: there, near is better than free.
            cost = covered + 0.8 * reach + 30 * (reach > _NEAR and self._crossed(here, moved))
            if cost < least:
                best, least = (moved, reach), cost
        return best

    def _overlaps(self, box: NDArray[np.floating]) -> bool:
        return bool(((self.taken[:, :2] < box[2:]) & (self.taken[:, 2:] > box[:2])).all(axis=1).any())

    def _crossed(self, here: NDArray[np.floating], box: NDArray[np.floating]) -> bool:
        """Whether a line would run under what is taken, where it cannot be followed."""
        steps = np.linspace(here, np.clip(here, box[:2], box[2:]), 10)[:, None]
        within = ((steps > self.taken[:, :2]) & (steps < self.taken[:, 2:])).all(axis=2)
        return bool((within.any(axis=0) & ~within[0]).any())
