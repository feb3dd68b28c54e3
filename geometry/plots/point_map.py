"""Maps on paper: the same points in several geometries, concepts in colour, the rest in grey."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from geometry.plots.labels import Label, place_labels
from geometry.plots.maps import Colouring, ConceptTree, MapPanel, check_map, looks, visible, window
from geometry.plots.style import INK, headline, literal, style, tag_panel

__all__ = ["plot_vocabulary_map"]

_GREY = "#cfcfcf"
_MOST_LABELS = 40


def plot_vocabulary_map(
    panels: Sequence[MapPanel],
    colouring: Colouring,
    tree: ConceptTree | None = None,
    *,
    labels: Mapping[str, Sequence[int]] | None = None,
    named: Sequence[int] = (),
    finding: str,
    detail: str = "",
) -> Figure:
    """Panels side by side, three or fewer in a row; of thousands of points the outermost may lie outside.

    Parameters
    ----------
    tree : its edges are drawn where the panels place concepts.
    labels : text → indices of the points it names, ringed if it is one, else named in their middle; the first
        ones win where room is short.
    named : indices of the concepts to write the names of, before any label; with the labels at most 40.
    finding, detail : what the map shows and how it was made.

    Raises
    ------
    ValueError : where the parts do not fit each other, or more than 40 labels are asked for.
    """
    points, concepts = check_map(panels, [colouring], tree, None)
    labels = labels or {}
    _check_labels(labels, named, points, concepts if panels[0].concepts is not None else 0)
    columns = len(panels) if len(panels) <= 3 else 2
    rows = -(-len(panels) // columns)
    chosen = looks(colouring.categories, ordered=colouring.ordered)
    legend_columns = 4 if max(len(name) for name in colouring.categories) > 16 else 6
    bottom = 0.16 * -(-(len(chosen) + 1) // legend_columns) + 0.06
    with style():
        side = (7.2 - 0.1 - 0.1 * columns) / columns
        height = rows * (side + 0.4) + bottom + 0.72
        figure = Figure(figsize=(7.2, height))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        figure.subplots_adjust(left=0.01, right=0.99, wspace=0.03, hspace=0.42 / side, bottom=(bottom + 0.2) / height)
        headline(figure, visible(finding), visible(detail), room=0.24)
        for spare in grid[len(panels) :]:
            spare.set_axis_off()
        for axes, panel, letter in zip(grid, panels, "abcdefghijklmnop", strict=False):
            shown = _draw(axes, panel, colouring, chosen, tree)
            axes.set_title(literal(panel.title), fontsize=8, x=0.14 / side if len(panels) > 1 else 0)
            axes.set_xlabel(literal(panel.caption), fontsize=6.8, color="#555555", loc="left", labelpad=3)
            if len(panels) > 1:
                tag_panel(axes, letter)
                axes.texts[-1].set(x=0.0, ha="left")
            rings = panel.points[[held[0] for held in labels.values() if len(held) == 1]]
            axes.scatter(rings[:, 0], rings[:, 1], s=9, facecolor="none", edgecolor=INK, lw=0.6, zorder=4)
            place_labels(axes, _wanted(panel, tree, labels, named), shown)
        handles = [
            Line2D([], [], ls="", marker=marker, color=colour, ms=4, label=literal(name))
            for name, (colour, marker) in zip(colouring.categories, chosen, strict=True)
        ]
        handles.append(Line2D([], [], ls="", marker="o", color=_GREY, ms=3, label="other"))
        figure.legend(
            handles=handles,
            loc="lower center",
            ncols=min(len(handles), legend_columns),
            handletextpad=0.1,
            columnspacing=1.2,
            borderaxespad=0.2,
        )
    return figure


def _draw(
    axes: Axes, panel: MapPanel, colouring: Colouring, chosen: Sequence[tuple[str, str]], tree: ConceptTree | None
) -> NDArray[np.floating]:
    """The panel without its labels; gives the places of all that is coloured."""
    layers = [panel.points] if panel.concepts is None else [panel.points, panel.concepts]
    x0, y0, x1, y1 = window(*layers)
    axes.set(xlim=(x0, x1), ylim=(y0, y1), box_aspect=1, xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="#bbbbbb")
    grey = panel.points[colouring.points < 0]
    axes.scatter(grey[:, 0], grey[:, 1], s=0.35 if len(grey) > 5000 else 2, color=_GREY, lw=0, rasterized=True)
    coloured = [panel.points[colouring.points == place] for place in range(len(chosen))]
    size = float(np.clip(14 - 3 * np.log10(1 + sum(map(len, coloured))), 2, 9))
    for place in sorted(range(len(chosen)), key=lambda one: -len(coloured[one])):  # small ones on top
        colour, marker = chosen[place]
        x, y = coloured[place].T
        axes.scatter(x, y, s=size, color=colour, marker=marker, lw=0.15, edgecolor="white", rasterized=True)
    if panel.concepts is not None and tree is not None:
        ends = panel.concepts[np.array(tree.edges, dtype=int).reshape(-1, 2)]
        axes.add_collection(LineCollection(list(ends), colors="#555555", linewidths=0.4, alpha=0.5, zorder=2.5))
        codes = np.full(len(panel.concepts), -1) if colouring.concepts is None else colouring.concepts
        edge = INK if len(panel.points) else "white"
        for place, (colour, marker) in [(-1, ("#b5b5b5", "o")), *enumerate(chosen)]:
            x, y = panel.concepts[codes == place].T
            size = 8 if place < 0 else 16
            axes.scatter(x, y, s=size, color=colour, marker=marker, lw=0.5, edgecolor=edge, zorder=3)
        coloured.append(panel.concepts)
    return np.concatenate(coloured)


def _wanted(
    panel: MapPanel, tree: ConceptTree | None, labels: Mapping[str, Sequence[int]], named: Sequence[int]
) -> list[Label]:
    wanted = []
    if tree is not None and panel.concepts is not None:
        for place in named:
            x, y = panel.concepts[place]
            wanted.append(Label(tree.names[place], float(x), float(y)))
    for text, held in labels.items():
        places = panel.points[np.asarray(held)]
        # The point nearest the median of all, so that the label never stands where there are none.
        x, y = places[np.linalg.norm(places - np.median(places, axis=0), axis=1).argmin()]
        wanted.append(Label(text, float(x), float(y), region=len(held) > 1))
    return wanted


def _check_labels(labels: Mapping[str, Sequence[int]], named: Sequence[int], points: int, concepts: int) -> None:
    if len(labels) + len(named) > _MOST_LABELS:
        raise ValueError(f"labels: {len(labels) + len(named)} of them; give at most {_MOST_LABELS}, the telling ones")
    for text, held in labels.items():
        if not len(held) or min(held) < 0 or max(held) >= points:
            raise ValueError(f"label {text!r}: give indices of some of the {points} points")
    if any(place < 0 or place >= concepts for place in named):
        raise ValueError(f"named: {list(named)} run outside the {concepts} concepts that have a place")
