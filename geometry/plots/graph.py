"""A Mapper graph on paper: nodes are pies of their members' categories, edges as wide as what they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Wedge
from numpy.typing import NDArray

from geometry.plots.canvas import Canvas, Options
from geometry.plots.labels import Label, equal_scale, place_labels
from geometry.plots.point_map import MOST_CATEGORIES, looks
from geometry.plots.style import INK, Looks, literal

__all__ = ["MapperDrawing", "check_mapper", "graph"]

_OTHER = "#d9d9d9"
_LONGEST = 26  # characters of a label


@dataclass(frozen=True, eq=False)
class MapperDrawing:
    """A Mapper graph with a place for every node.

    Attributes
    ----------
    positions : shape (m, 2), of the nodes.
    members : the words of each of the m nodes, the most typical first: these are its label.
    labels : m names of the nodes' dominant concepts.
    purity : shape (m,), the share of each node's members in its dominant concept, 0 to 1.
    categories : at most 12 names.
    shares : shape (m, k), the share of each node's members in each category; what is left to 1 is other.
    edges : e pairs of node indices.
    shared : shape (e,), numbers of members that both ends of an edge hold.
    meanings : e strings, what each edge means, such as the concepts that bridge its nodes.
    """

    positions: NDArray[np.floating]
    members: Sequence[Sequence[str]]
    labels: Sequence[str]
    purity: NDArray[np.floating]
    categories: Sequence[str]
    shares: NDArray[np.floating]
    edges: Sequence[tuple[int, int]]
    shared: NDArray[np.integer]
    meanings: Sequence[str]


def graph(
    drawing: MapperDrawing,
    *,
    named: int = 25,
    **options: Unpack[Options],
) -> Figure:
    """The areas of nodes are their numbers of members; the `named` largest are labelled by their first words, as far
    as there is room.

    Raises
    ------
    ValueError : where the parts of the drawing do not fit each other.
    """
    check_mapper(drawing)
    hues = [colour for colour, _ in looks(drawing.categories, options.get("colours"))]
    sizes = np.array([len(words) for words in drawing.members])
    with Canvas.of(1, **options) as canvas:
        (axes,) = canvas.axes
        axes.set_axis_off()
        shades = zip([*drawing.categories, "other"], [*hues, _OTHER], strict=True)
        marks: Looks = {name: {"ms": 5, "color": shade, "mec": INK, "mew": 0.4} for name, shade in shades}
        marks[f"words in a node: {_span(sizes)}"] = {"ms": 7, "mfc": "none", "mec": INK, "mew": 0.5}
        if drawing.edges:
            marks[f"words that an edge shares: {_span(drawing.shared)}"] = {"lw": 2, "color": "#9a9a9a"}
        canvas.legend(marks)
        figure = canvas.finish([5.4])
        extent = max(float(np.ptp(drawing.positions, axis=0).max()), 1e-12)
        # A node of median size is 1/45 of the graph wide, and none more than a tenth.
        radii = np.minimum(extent / 90 * np.sqrt(np.maximum(sizes, 1) / max(np.median(sizes), 1)), extent / 20)
        margins = radii[:, None] * [1, 1]
        corners = np.concatenate([drawing.positions - margins, drawing.positions + margins])
        points = radii * equal_scale(axes, corners, (40, 9))
        ends = drawing.positions[np.array(drawing.edges, dtype=int).reshape(-1, 2)]
        widths = 0.4 + 2.6 * np.sqrt(drawing.shared / max(drawing.shared.max(initial=1), 1))
        axes.add_collection(LineCollection(list(ends), linewidths=widths, colors="#9a9a9a", alpha=0.75, zorder=1))
        _draw_nodes(axes, drawing, radii, hues)
        place_labels(
            axes,
            [
                Label(_words(drawing.members[node]), drawing.positions[node], radius=float(points[node]))
                for node in np.argsort(-sizes, kind="stable")[:named]
            ],
            avoid=np.concatenate([np.empty((0, 2)), *(np.linspace(start, end, 40) for start, end in ends)]),
            discs=np.column_stack([drawing.positions, points]),
        )
    return figure


def _span(counts: NDArray[np.integer]) -> str:
    return f"{counts.min()} to {counts.max()}" if counts.min() < counts.max() else f"{counts.min()}"


def _words(members: Sequence[str]) -> str:
    """The first two words of a node, and the third where it is short enough."""
    words = [literal(word) for word in members[:3]]
    return next(text for n in (3, 2, 1) if len(text := ", ".join(words[:n])) <= _LONGEST or n == 1)


def _draw_nodes(axes: Axes, drawing: MapperDrawing, radii: NDArray[np.floating], hues: Sequence[str]) -> None:
    for node in np.argsort(-radii, kind="stable"):
        centre, radius = (float(drawing.positions[node][0]), float(drawing.positions[node][1])), float(radii[node])
        parts = [*drawing.shares[node], max(0.0, 1 - float(drawing.shares[node].sum()))]
        turns = 90 - 360 * np.concatenate([[0.0], np.cumsum(parts)])
        wedges = [
            (Wedge(centre, radius, end, start), colour)
            for start, end, part, colour in zip(turns[:-1], turns[1:], parts, [*hues, _OTHER], strict=True)
            if part > 0
        ]
        pie, shades = zip(*wedges, strict=True)
        line = 0.25 if len(wedges) > 1 else 0
        axes.add_collection(PatchCollection(pie, facecolors=shades, edgecolors="white", linewidths=line, zorder=3))
        axes.add_patch(Circle(centre, radius, fill=False, ec=INK, lw=0.5, zorder=3.1))


def check_mapper(drawing: MapperDrawing) -> None:
    """A ValueError says which part of a drawing does not fit the others."""
    nodes, categories, edges = len(drawing.members), len(drawing.categories), len(drawing.edges)
    if not nodes:
        raise ValueError("mapper graph: it has no nodes; use a finer cover or a smaller least size of clusters")
    if not 1 <= categories <= MOST_CATEGORIES:
        raise ValueError(f"mapper graph: {categories} categories; give 1 to {MOST_CATEGORIES}")
    for name, values, shape in (
        ("positions", drawing.positions, (nodes, 2)),
        ("purity", drawing.purity, (nodes,)),
        ("shares", drawing.shares, (nodes, categories)),
        ("shared", drawing.shared, (edges,)),
    ):
        if values.shape != shape:
            raise ValueError(f"mapper graph: {name} have shape {values.shape}; give {shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"mapper graph: {name} hold nan or infinity; give numbers")
    for name, texts, count in (("labels", drawing.labels, nodes), ("meanings", drawing.meanings, edges)):
        if len(texts) != count:
            raise ValueError(f"mapper graph: {len(texts)} {name}; give {count}")
    if (drawing.shares < 0).any() or (drawing.shares.sum(axis=1) > 1 + 1e-6).any():
        raise ValueError(
            "mapper graph: shares of a node must not be negative nor sum to more than 1; give a word one category"
        )
    for first, second in drawing.edges:
        if not (0 <= first < nodes and 0 <= second < nodes):
            raise ValueError(
                f"mapper graph: edge ({first}, {second}) runs outside the {nodes} nodes; give their indices"
            )
