"""A Mapper graph on paper: nodes are pies of their members' categories, edges as wide as what they share."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Wedge
from numpy.typing import NDArray

from geometry.plots.labels import Label, place_labels
from geometry.plots.mapper import MapperGraph, check_mapper
from geometry.plots.maps import looks, visible
from geometry.plots.style import INK, headline, literal, style

__all__ = ["plot_mapper"]

_OTHER = "#d9d9d9"


def plot_mapper(graph: MapperGraph, *, finding: str, detail: str = "", named: int = 25) -> Figure:
    """The areas of nodes are their numbers of members; the `named` largest are labelled by concept and purity,
    as far as there is room.

    Raises
    ------
    ValueError : where the parts of the graph do not fit each other.
    """
    check_mapper(graph)
    sizes = np.array([len(words) for words in graph.members])
    low, high = graph.positions.min(axis=0), graph.positions.max(axis=0)
    extent = max(float((high - low).max()), 1e-12)
    # A node of median size is 1/45 of the graph wide, and none more than a tenth.
    radii = np.minimum(extent / 90 * np.sqrt(np.maximum(sizes, 1) / max(np.median(sizes), 1)), extent / 20)
    with style():
        figure = Figure(figsize=(7.2, 6.6))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.01, right=0.79, bottom=0.015)
        headline(figure, visible(finding), visible(detail), room=0.08)
        margin = float(radii.max()) + 0.02 * extent
        # One scale for both axes: whichever has room to spare is widened.
        frame = np.array([axes.get_window_extent().width, axes.get_window_extent().height])
        middle, half = (low + high) / 2, frame / 2 * float(((high - low + 2 * margin) / frame).max())
        axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))
        axes.set_axis_off()
        _draw_edges(axes, graph)
        _draw_nodes(axes, graph, radii)
        _legend(axes, graph, sizes)
        largest = np.argsort(-sizes, kind="stable")[:named]
        place_labels(
            axes,
            [
                Label(
                    f"{literal(graph.labels[node])} {graph.purity[node]:.2f}",
                    float(graph.positions[node][0]),
                    float(graph.positions[node][1]),
                    radius=float(radii[node]),
                )
                for node in largest
            ],
            np.empty((0, 2)),
            discs=np.column_stack([graph.positions, radii]),
        )
    return figure


def _draw_edges(axes: Axes, graph: MapperGraph) -> None:
    if not graph.edges:
        return
    widths = 0.4 + 2.6 * np.sqrt(graph.shared / max(graph.shared.max(), 1))
    ends = graph.positions[np.array(graph.edges)]
    axes.add_collection(LineCollection(list(ends), linewidths=widths, colors="#9a9a9a", alpha=0.75, zorder=1))


def _draw_nodes(axes: Axes, graph: MapperGraph, radii: NDArray[np.floating]) -> None:
    colours = [colour for colour, _ in looks(graph.categories)]
    for node in np.argsort(-radii, kind="stable"):
        place, radius = graph.positions[node], float(radii[node])
        parts = [*graph.shares[node], max(0.0, 1 - float(graph.shares[node].sum()))]
        turns = 90 - 360 * np.concatenate([[0.0], np.cumsum(parts)])
        wedges = [
            (Wedge((place[0], place[1]), radius, end, start), colour)
            for start, end, part, colour in zip(turns[:-1], turns[1:], parts, [*colours, _OTHER], strict=True)
            if part > 0
        ]
        axes.add_collection(
            PatchCollection(
                [wedge for wedge, _ in wedges],
                facecolors=[colour for _, colour in wedges],
                edgecolors="white",
                linewidths=0.25 if len(wedges) > 1 else 0,
                zorder=3,
            )
        )
        axes.add_patch(Circle((place[0], place[1]), radius, fill=False, ec=INK, lw=0.5, zorder=3.1))


def _legend(axes: Axes, graph: MapperGraph, sizes: NDArray[np.integer]) -> None:
    colours = [colour for colour, _ in looks(graph.categories)]
    names = [*(literal(name) for name in graph.categories), "other"]
    handles = [Circle((0, 0), fc=colour, ec=INK, lw=0.4) for colour in (*colours, _OTHER)]
    axes.legend(handles, names, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=0.9, handleheight=0.9)
    lines = [f"node: {sizes.min()} to {sizes.max()} words,", "its area their number,", "its pie their concepts"]
    if graph.edges:
        lines += ["", f"edge: {graph.shared.min()} to {graph.shared.max()} shared,", "wide for many"]
    lines += ["", "label: dominant concept", "and its share (purity)"]
    axes.text(1.015, 0.02, "\n".join(lines), transform=axes.transAxes, fontsize=6.5, color="#555555", linespacing=1.35)
