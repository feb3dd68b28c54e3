"""2D planes spanned by concept vectors: the vocabulary in grey, concepts' words in colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Unpack

import numpy as np

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options
from geometry.plots.labels import Array, Label, dots, equal_scale, place_labels
from geometry.plots.style import INK, literal, readable, wrapped

_GREY, _SIZE = "#cfcfcf", 7.5


@checked
@dataclass(frozen=True, eq=False)
class Plane:
    """One panel: `words` are held-out ones of each concept, shape (n, 2), and `texts` their spellings.

    `x` and `y` say what the axes measure; `vocabulary` (V, 2) is the `backdrop`, `arrows` (2,) start at the origin.
    """

    x: str
    y: str
    vocabulary: Array
    words: Mapping[str, Array]
    texts: Mapping[str, Sequence[str]]
    arrows: Mapping[str, Array]
    title: str = ""
    backdrop: str = "all other tokens"


@checked
def planes(rows: Sequence[Sequence[Plane]], *, labels: int = 5, **options: Unpack[Options]) -> Figure:
    """A grid of planes, one row a model or null; planes of a column share their limits, drawn to scale.

    In the first row, `labels` words of each concept are named: those furthest out for which there is room.
    """
    every = [plane for row in rows for plane in row]
    columns = len(rows[0]) if rows else 1
    # Windows hold words, arrows and the bulk of the vocabulary.
    held = [np.vstack([[0, 0], _bulk(p.vocabulary), *p.words.values(), *p.arrows.values()]) for p in every]
    backdrops = {plane.backdrop: {"color": _GREY, "ms": 2} for plane in every if len(plane.vocabulary)}
    side = min(3.2, 5.85 / columns)
    arrow = {"arrowstyle": "-|>", "lw": 1.1, "color": INK, "shrinkA": 0, "shrinkB": 0}
    with Canvas.of(len(every), columns, **options) as canvas:
        looks = canvas.looks([name for plane in every for name in plane.words])
        for index, (axes, plane) in enumerate(zip(canvas.axes, every, strict=True)):
            below = every[index + columns].x if canvas.own and index + columns < len(every) else None
            wide, high = canvas.inches(axes) if canvas.fixed else (side, side)
            axes.set_xlabel("" if below == plane.x else "\n".join(wrapped(plane.x, wide + 0.4, _SIZE)))
            axes.set_ylabel("\n".join(wrapped(plane.y, high + 0.4, _SIZE)), labelpad=1)
            axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
            axes.set_box_aspect(1 if canvas.own and columns == 1 else None)
            dots(axes, plane.vocabulary, s=0.6, color=_GREY, lw=0, rasterized=True)
            axes.axhline(0, color="#999999", lw=0.4)
            axes.axvline(0, color="#999999", lw=0.4)
            for name, points in plane.words.items():
                dots(axes, points, s=8, lw=0.2, edgecolor="white", rasterized=True, **looks[name])
            for x, y in plane.arrows.values():
                axes.annotate("", (x, y), (0, 0), arrowprops=arrow)
        canvas.legend(looks | backdrops)
        figure = canvas.finish([side] * len(every), [plane.title for plane in every])
        for index, (axes, plane) in enumerate(zip(canvas.axes, every, strict=True)):
            equal_scale(axes, np.vstack(held[index % columns :: columns]), (20, 9))
            named = [Label(name, tip, bold=True, radius=2, needed=True) for name, tip in plane.arrows.items()]
            named += _outermost(plane, looks) if index < columns else []
            shafts = [np.linspace(0.1, 1, 25)[:, None] * tip for tip in plane.arrows.values()]
            discs = [np.insert(points, 2, 1.6, axis=1) for points in plane.words.values()]
            place_labels(axes, named, avoid=shafts, discs=discs, farthest=11, most=labels)
    return figure


def _bulk(points: Array) -> Array:
    return np.quantile(points, [0.001, 0.999], axis=0) if len(points) else np.empty((0, 2))


def _outermost(plane: Plane, looks: dict[str, Any]) -> list[Label]:
    """Of each concept the words furthest out, one spelling each, the concepts in turn."""
    every = []
    for name, points in plane.words.items():
        labels: dict[str, Label] = {}
        how: dict[str, Any] = {"radius": 1.5, "colour": readable(looks[name]["color"]), "group": name}
        for index in np.argsort(-np.linalg.norm(points, axis=1), kind="stable"):
            text = literal(plane.texts[name][index])
            labels.setdefault(text.lower().removesuffix("s"), Label(text, points[index], **how))
        every.append(labels.values())
    return [label for turn in zip_longest(*every) for label in turn if label]
