"""A Mapper graph on paper: nodes are pies of their members' categories, edges as wide as what they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Wedge
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options, colour_bar, colour_scale
from geometry.plots.labels import Array, Label, equal_scale, place_labels
from geometry.plots.point_map import check_categories, check_numbers, looks
from geometry.plots.style import INK, literal

_OTHER = "#d9d9d9"
_LINE = "#9a9a9a"


@checked
@dataclass(frozen=True, eq=False)
class MapperDrawing:
    """A Mapper graph of m nodes and e edges with a place for every node.

    Of each node there are its position (2,), its members, the most typical words first, the label and purity of its
    dominant concept, the latter a share of its members from 0 to 1, and their shares in each of k categories, at most
    12; what is left to 1 is other. Edges are pairs of node indices; of each there are the number of members that both
    ends share, and its meaning, such as the concepts that bridge its nodes. Nodes that have `values` (m,) of a
    `measure` are coloured by these on a scale instead. The members are `things`.
    """

    positions: Array
    members: Sequence[Sequence[str]]
    labels: Sequence[str]
    purity: Array
    categories: Sequence[str]
    shares: Array
    edges: Sequence[tuple[int, int]]
    shared: NDArray[np.integer]
    meanings: Sequence[str]
    values: Array | None = None
    measure: str = ""
    things: str = "words"


@checked
def graph(drawing: MapperDrawing, *, named: int = 25, cmap: str = "viridis", **options: Unpack[Options]) -> Figure:
    """The areas of nodes are their numbers of members; as far as there is room, the `named` largest have their words.

    `cmap` is of the values, if they have some.

    ValueError: the parts of the drawing do not fit each other.
    """
    check_mapper(drawing)
    sizes = np.array([len(words) for words in drawing.members])
    with Canvas.of(1, **options) as canvas:
        (axes,) = canvas.axes
        shades = [*(colour for colour, _ in looks(drawing.categories, options.get("colours"))), _OTHER]
        axes.set_axis_off()
        marks: dict[str, Any] = {}
        if drawing.values is None:
            names = zip([*drawing.categories, "other"], shades, strict=True)
            marks = {name: {"ms": 5, "color": shade, "mec": INK, "mew": 0.4} for name, shade in names}
        else:
            scale = colour_scale(cmap, float(drawing.values.min()), float(drawing.values.max()))
            colour_bar(canvas, axes, scale, literal(drawing.measure))
        marks[f"{drawing.things} in a node: {_span(sizes)}"] = {"ms": 7, "mfc": "none", "mec": INK, "mew": 0.5}
        if drawing.edges:
            marks[f"{drawing.things} that an edge shares: {_span(drawing.shared)}"] = {"lw": 2, "color": _LINE}
        canvas.legend(marks)
        figure = canvas.finish([5.4])
        extent = max(float(np.ptp(drawing.positions, axis=0).max()), 1e-12)
        # A node of median size is 1/45 of the graph wide, and none more than a tenth.
        radii = np.minimum(extent / 90 * np.sqrt(np.maximum(sizes, 1) / max(np.median(sizes), 1)), extent / 20)
        corners = np.vstack([drawing.positions + side * radii[:, None] for side in (-1, 1)])
        points = radii * equal_scale(axes, corners, (40, 9))
        ends = drawing.positions[np.array(drawing.edges, dtype=int).reshape(-1, 2)]
        widths = 0.4 + 2.6 * np.sqrt(drawing.shared / max(drawing.shared.max(initial=1), 1))
        axes.add_collection(LineCollection(list(ends), linewidths=widths, colors=_LINE, alpha=0.75, zorder=1))
        for node in np.argsort(-radii, kind="stable"):
            if drawing.values is None:
                _draw_node(axes, drawing.positions[node], float(radii[node]), drawing.shares[node], shades)
            else:
                shade = to_hex(scale.to_rgba(drawing.values[[node]])[0])
                _draw_node(axes, drawing.positions[node], float(radii[node]), np.ones(1), [shade, _OTHER])
        largest = np.argsort(-sizes, kind="stable")[:named]
        labels = [Label(_words(drawing.members[n]), drawing.positions[n], radius=points[n]) for n in largest]
        lines = [np.linspace(start, end, 40) for start, end in ends]
        place_labels(axes, labels, avoid=lines, discs=np.insert(drawing.positions, 2, points, axis=1))
    return figure


def _span(counts: NDArray[np.integer]) -> str:
    return f"{counts.min()} to {counts.max()}" if counts.min() < counts.max() else f"{counts.min()}"


def _words(members: Sequence[str]) -> str:
    """The first two words of a node, and the third where it is short enough for a label."""
    words = [literal(word) for word in members[:3]]
    return next(text for n in (3, 2, 1) if len(text := ", ".join(words[:n])) <= 26 or n == 1)


def _draw_node(axes: Axes, place: Array, radius: float, shares: Array, shades: Sequence[str]) -> None:
    centre = (float(place[0]), float(place[1]))
    parts = np.append(shares, max(0.0, 1 - shares.sum()))
    turns = 90 - 360 * np.cumsum([0, *parts])
    held = np.flatnonzero(parts > 0).tolist()
    pie = [Wedge(centre, radius, turns[part + 1], turns[part]) for part in held]
    look: dict[str, Any] = {"facecolors": [shades[part] for part in held], "edgecolors": "white", "zorder": 3}
    axes.add_collection(PatchCollection(pie, linewidths=0.25 if len(pie) > 1 else 0, **look))
    axes.add_patch(Circle(centre, radius, fill=False, ec=INK, lw=0.5, zorder=3.1))


def check_mapper(drawing: MapperDrawing) -> None:
    """A ValueError says which part of a drawing does not fit the others."""
    nodes, kinds, edges = len(drawing.members), len(drawing.categories), len(drawing.edges)
    what = "mapper graph"
    if not nodes:
        raise ValueError(f"{what}: it has no nodes; use a finer cover or a smaller least size of clusters")
    check_categories(what, drawing.categories)
    check_numbers(what, "values", drawing.values, (nodes,))
    shapes = {"positions": (nodes, 2), "purity": (nodes,), "shares": (nodes, kinds), "shared": (edges,)}
    for name, shape in shapes.items():
        check_numbers(what, name, getattr(drawing, name), shape)
    for name, count in (("labels", nodes), ("meanings", edges)):
        if len(getattr(drawing, name)) != count:
            raise ValueError(f"{what}: {len(getattr(drawing, name))} {name}; give {count}")
    if (drawing.shares < 0).any() or (drawing.shares.sum(axis=1) > 1 + 1e-6).any():
        raise ValueError(f"{what}: shares of a node are negative or sum to more than 1; give a word one category")
    for edge in drawing.edges:
        if not all(0 <= node < nodes for node in edge):
            raise ValueError(f"{what}: edge {tuple(edge)} runs outside the {nodes} nodes; give their indices")
