"""2D planes spanned by concept vectors: the vocabulary in grey, concepts' words in colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, HALO, INK, headline, literal, style, tag_panel

__all__ = ["Plane", "plot_planes"]


@dataclass(frozen=True, eq=False)
class Plane:
    """One panel's coordinates.

    Attributes
    ----------
    x_name, y_name : what the axes measure.
    vocabulary : shape (V, 2), the backdrop.
    words : concept → shape (n, 2), coordinates of its held-out words.
    texts : concept → the n words.
    arrows : name → shape (2,), vectors drawn from the origin.
    title : of the panel.
    """

    x_name: str
    y_name: str
    vocabulary: NDArray[np.float64]
    words: Mapping[str, NDArray[np.float64]]
    texts: Mapping[str, Sequence[str]]
    arrows: Mapping[str, NDArray[np.float64]]
    title: str = ""


def plot_planes(rows: Sequence[Sequence[Plane]], *, finding: str, detail: str = "", labels: int = 5) -> Figure:
    """A grid of planes, one row a model or null; planes of a column share their axes, drawn to scale.

    Parameters
    ----------
    labels : at most so many words are named per concept in the first row, those furthest out, none
        over another.
    """
    with style():
        figure = Figure(figsize=(7.2, 1.15 + 2.3 * len(rows)))
        grid = figure.subplots(len(rows), len(rows[0]), squeeze=False, sharex="col", sharey="col")
        figure.subplots_adjust(left=0.055, right=0.99, bottom=0.115, wspace=0.24, hspace=0.16)
        concepts = dict.fromkeys(name for plane in rows[0] for name in plane.words)
        looks = {name: (COLOURS[index], "os^Dv"[index % 5]) for index, name in enumerate(concepts)}
        headline(figure, finding, detail, room=0.25)
        for column, planes in enumerate(zip(*rows, strict=True)):
            limits = _square_limits(planes)
            for row, plane in enumerate(planes):
                axes = grid[row, column]
                axes.set(xlim=limits[0], ylim=limits[1], box_aspect=1)
                _draw(axes, plane, looks)
                _label_words(axes, plane, looks, 0 if row else labels)
                axes.set_ylabel(plane.y_name, labelpad=-1)
                tag_panel(axes, "abcdefghi"[row * len(rows[0]) + column])
            grid[-1, column].set_xlabel(planes[-1].x_name)
        figure.legend(
            handles=[
                Line2D([], [], ls="", marker=marker, color=colour, ms=4, label=name)
                for name, (colour, marker) in looks.items()
            ]
            + [Line2D([], [], ls="", marker="o", color="#cfcfcf", ms=2, label="all other tokens")],
            loc="lower center",
            ncols=len(looks) + 1,
            handletextpad=0.1,
            borderaxespad=0.2,
        )
    return figure


def _square_limits(planes: Sequence[Plane]) -> list[tuple[float, float]]:
    """One window for all planes, as wide as high, around the words, the arrows and the bulk of the vocabulary."""
    shown = [np.zeros((1, 2))]
    for plane in planes:
        shown += [*plane.words.values(), *(tip[None] for tip in plane.arrows.values())]
        shown.append(np.quantile(plane.vocabulary, [0.001, 0.999], axis=0))
    points = np.concatenate(shown)
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.58 * float((high - low).max())
    return [(middle - half, middle + half) for middle in (low + high) / 2]


def _draw(axes: Axes, plane: Plane, looks: Mapping[str, tuple[str, str]]) -> None:
    axes.scatter(plane.vocabulary[:, 0], plane.vocabulary[:, 1], s=0.6, color="#cfcfcf", lw=0, rasterized=True)
    axes.axhline(0, color="#999999", lw=0.4)
    axes.axvline(0, color="#999999", lw=0.4)
    for name, points in plane.words.items():
        colour, marker = looks[name]
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=9,
            color=colour,
            marker=marker,
            lw=0.2,
            edgecolor="white",
            rasterized=True,
        )
    for name, (x, y) in plane.arrows.items():
        axes.annotate(
            "",
            (x, y),
            (0, 0),
            arrowprops={"arrowstyle": "-|>", "lw": 1.1, "color": INK, "shrinkA": 0, "shrinkB": 0},
        )
        axes.annotate(
            name,
            (x, y),
            (5 * np.sign(x), 5 * np.sign(y)),
            textcoords="offset points",
            fontsize=6.5,
            color=INK,
            fontweight="bold",
            ha="left" if x > 0 else "right",
            va="center",
            path_effects=HALO,
        )
    axes.set_title(plane.title, fontsize=7.5)


def _label_words(axes: Axes, plane: Plane, looks: Mapping[str, tuple[str, str]], most: int) -> None:
    """Name the furthest words of each concept, skipping those whose label would cover another."""
    frame = axes.get_window_extent()
    taken = [text.get_window_extent() for text in axes.texts if text.get_text()]
    for name, points in plane.words.items():
        named: set[str] = set()
        for index in np.argsort(-np.linalg.norm(points, axis=1)):
            text = literal(plane.texts[name][index])
            if len(named) == most:
                break
            if (root := text.lower().removesuffix("s")) in named:
                continue
            label = axes.annotate(
                text,
                points[index],
                (2.5, 1),
                textcoords="offset points",
                fontsize=5.5,
                color=looks[name][0],
                path_effects=HALO,
            )
            box = label.get_window_extent()
            if any(box.overlaps(other) for other in taken) or box.x1 > frame.x1 or box.y1 > frame.y1:
                label.remove()
            else:
                taken.append(box)
                named.add(root)
