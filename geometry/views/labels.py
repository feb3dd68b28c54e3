"""Labels that cover neither each other nor more points than they must."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from geometry.views.style import HALO, INK, literal

__all__ = ["Label", "place_labels"]

_REACHES = (3.0, 7.0, 13.0, 20.0, 28.0)  # points between a place and its label
_NEAR = 7.0  # as far as that, a label needs no line to its place
_DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]


@dataclass(frozen=True)
class Label:
    """A text and its place in data coordinates.

    Attributes
    ----------
    region : whether it names what lies around rather than a point: it is bold and may lie over its place.
    radius : in data units, of what stands at the place.
    """

    text: str
    x: float
    y: float
    region: bool = False
    radius: float = 0.0


def place_labels(
    axes: Axes,
    labels: Sequence[Label],
    avoid: NDArray[np.floating],
    *,
    discs: NDArray[np.floating] | None = None,
    fontsize: float = 6.2,
) -> list[Annotation]:
    """Write labels beside their places, the first ones first, and leave out those for which no room is left.

    Call it when limits and margins of the figure are final: room is measured in pixels.

    Parameters
    ----------
    labels : those without a visible character, or whose place lies outside the axes, are left out.
    avoid : shape (k, 2), points in data coordinates that are better not covered.
    discs : shape (k, 3), x, y and radius of what must not be covered, such as nodes; both axes have one scale.
    """
    figure = axes.get_figure(root=True)
    pixel = (figure.dpi if figure else 72.0) / 72
    frame = axes.get_window_extent()
    unit = frame.width / abs(axes.get_xlim()[1] - axes.get_xlim()[0])
    points = axes.transData.transform(avoid) if len(avoid) else np.empty((0, 2))
    taken, placed = [] if discs is None else _boxes(axes, discs, unit), []
    for label in labels:
        here = axes.transData.transform((label.x, label.y))
        if not literal(label.text) or not frame.contains(*here):
            continue
        text = axes.annotate(
            literal(label.text),
            (label.x, label.y),
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=fontsize * (1.1 if label.region else 1),
            fontweight="bold" if label.region else "normal",
            color=INK,
            path_effects=HALO,
            zorder=6,
        )
        found = _Room(pixel, frame, taken, points).best(
            text.get_window_extent().padded(0.8 * pixel), here, label.region, unit * label.radius
        )
        if found is None:
            text.remove()
            continue
        box, reach = found
        text.set_position(
            tuple((box.p0 + box.p1 - text.get_window_extent().p0 - text.get_window_extent().p1) / 2 / pixel)
        )
        if reach > _NEAR:
            axes.annotate(
                "",
                (label.x, label.y),
                tuple((_nearest(box, here) - here) / pixel),
                textcoords="offset points",
                arrowprops={
                    "arrowstyle": "-",
                    "lw": 0.45,
                    "color": "#555555",
                    "shrinkA": 0,
                    "shrinkB": unit * label.radius / pixel,
                },
                zorder=5,
            )
        taken.append(box)
        placed.append(text)
    return placed


@dataclass(frozen=True, eq=False)
class _Room:
    """What is left of the axes, in pixels."""

    pixel: float
    frame: Bbox
    taken: Sequence[Bbox]
    points: NDArray[np.floating]

    def best(self, box: Bbox, here: NDArray[np.floating], region: bool, radius: float) -> tuple[Bbox, float] | None:
        """Where a box that is now centred `here` should go, and how far from there in points."""
        best, least = None, np.inf
        for reach, right, up in [(0.0, 0, 0)] * region + [(reach, *way) for reach in _REACHES for way in _DIRECTIONS]:
            away = (0.75 if right and up else 1.0) * (radius + reach * self.pixel)
            moved = box.translated(right * (box.width / 2 + away), up * (box.height / 2 + away))
            inside = self.frame.x0 <= moved.x0 and moved.x1 <= self.frame.x1
            inside = inside and self.frame.y0 <= moved.y0 and moved.y1 <= self.frame.y1
            if not inside or any(moved.overlaps(other) for other in self.taken):
                continue
            covered = (
                0 if region else np.count_nonzero(((self.points > moved.p0) & (self.points < moved.p1)).all(axis=1))
            )
            # In a crowd all places cover points: there, near is better than free.
            cost = min(covered, 12) + 0.8 * reach + 30 * (reach > _NEAR and self._crossed(here, _nearest(moved, here)))
            if cost < least:
                best, least = (moved, reach), cost
        return best

    def _crossed(self, start: NDArray[np.floating], end: NDArray[np.floating]) -> bool:
        """Whether a line would run under what is taken, where it cannot be followed."""
        steps = [start + share * (end - start) for share in np.linspace(0, 1, 8)]
        ahead = [box for box in self.taken if not box.contains(*start)]
        return any(box.contains(*step) for box in ahead for step in steps)


def _nearest(box: Bbox, here: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(np.clip(here, box.p0, box.p1))


def _boxes(axes: Axes, discs: NDArray[np.floating], unit: float) -> list[Bbox]:
    """Boxes somewhat inside the discs, since labels may come near where a box has its corners."""
    centres, halves = axes.transData.transform(discs[:, :2]), 0.8 * unit * discs[:, 2]
    return [Bbox([centre - half, centre + half]) for centre, half in zip(centres, halves, strict=True)]
