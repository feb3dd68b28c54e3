"""2D planes spanned by concept vectors: the vocabulary in grey, concepts' words in colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.plots.canvas import Canvas, Options
from geometry.plots.labels import Label, equal_scale, place_labels
from geometry.plots.style import INK, Looks, literal, readable

__all__ = ["Plane", "planes"]

_GREY = "#cfcfcf"


@dataclass(frozen=True, eq=False)
class Plane:
    """One panel's coordinates.

    Attributes
    ----------
    x, y : what the axes measure.
    vocabulary : shape (V, 2), the backdrop.
    words : concept → shape (n, 2), coordinates of its held-out words.
    texts : concept → the n words.
    arrows : name → shape (2,), vectors drawn from the origin.
    title : of the panel.
    """

    x: str
    y: str
    vocabulary: NDArray[np.floating]
    words: Mapping[str, NDArray[np.floating]]
    texts: Mapping[str, Sequence[str]]
    arrows: Mapping[str, NDArray[np.floating]]
    title: str = ""


def planes(
    rows: Sequence[Sequence[Plane]],
    *,
    labels: int = 5,
    **options: Unpack[Options],
) -> Figure:
    """A grid of planes, one row a model or null; planes of a column share their limits, drawn to scale.

    Parameters
    ----------
    labels : words named per concept in the first row, those furthest out for which there is room.
    """
    every = [plane for row in rows for plane in row]
    columns = len(rows[0]) if rows else 1
    with Canvas.of(len(every), columns, **options) as canvas:
        looks = canvas.looks([name for plane in every for name in plane.words])
        for index, (axes, plane) in enumerate(zip(canvas.axes, every, strict=True)):
            below = every[index + columns].x if canvas.own and index + columns < len(every) else None
            axes.set_xlabel("" if below == plane.x else literal(plane.x))
            axes.set_ylabel(literal(plane.y), labelpad=1)
            axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
            axes.set_box_aspect(1 if canvas.own and columns == 1 else None)
            _draw(axes, plane, looks)
        canvas.legend(looks | {"all other tokens": {"color": _GREY, "ms": 2}})
        figure = canvas.finish([min(3.2, 5.85 / columns)] * len(every), [plane.title for plane in every])
        for index, (axes, plane) in enumerate(zip(canvas.axes, every, strict=True)):
            equal_scale(axes, np.concatenate([_shown(other) for other in every[index % columns :: columns]]), (20, 9))
            named = _wanted(plane, looks, index < columns)
            words = np.concatenate([np.empty((0, 2)), *plane.words.values()])
            discs = np.column_stack([words, np.full(len(words), 1.6)])
            place_labels(
                axes,
                named,
                avoid=np.concatenate([np.empty((0, 2)), *_shafts(plane)]),
                discs=discs,
                farthest=11,
                most=labels,
            )
    return figure


def _shown(plane: Plane) -> NDArray[np.floating]:
    """What the window is to hold: words, arrows and the bulk of the vocabulary."""
    bulk = np.quantile(plane.vocabulary, [0.001, 0.999], axis=0)
    return np.concatenate(
        [np.zeros((1, 2)), bulk, *plane.words.values(), *(tip[None] for tip in plane.arrows.values())]
    )


def _draw(axes: Axes, plane: Plane, looks: Looks) -> None:
    axes.scatter(plane.vocabulary[:, 0], plane.vocabulary[:, 1], s=0.6, color=_GREY, lw=0, rasterized=True)
    axes.axhline(0, color="#999999", lw=0.4)
    axes.axvline(0, color="#999999", lw=0.4)
    for name, points in plane.words.items():
        axes.scatter(points[:, 0], points[:, 1], s=8, lw=0.2, edgecolor="white", rasterized=True, **looks[name])
    arrow = {"arrowstyle": "-|>", "lw": 1.1, "color": INK, "shrinkA": 0, "shrinkB": 0}
    for x, y in plane.arrows.values():
        axes.annotate("", (x, y), (0, 0), arrowprops=arrow)


def _shafts(plane: Plane) -> list[NDArray[np.floating]]:
    return [np.linspace(0.1, 1, 25)[:, None] * tip for tip in plane.arrows.values()]


def _wanted(plane: Plane, looks: Looks, words: bool) -> list[Label]:
    """The arrows' names, then of each concept the words furthest out, one spelling each, the concepts in turn."""
    wanted = [Label(name, tip, bold=True, radius=2) for name, tip in plane.arrows.items()]
    ranked: list[tuple[int, Label]] = []
    for name, points in plane.words.items() if words else ():
        seen: set[str] = set()
        for index in np.argsort(-np.linalg.norm(points, axis=1), kind="stable"):
            text = literal(plane.texts[name][index])
            if (root := text.lower().removesuffix("s")) not in seen:
                colour = readable(looks[name]["color"])
                label = Label(text, points[index], radius=1.5, colour=colour, group=name)
                ranked.append((len(seen), label))
                seen.add(root)
    return wanted + [label for _, label in sorted(ranked, key=lambda item: item[0])]
