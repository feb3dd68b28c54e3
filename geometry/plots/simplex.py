"""3D view of four concepts as a tetrahedron, with their held-out words, beside a null."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, HALO, INK, headline, literal, style

__all__ = ["SimplexPanel", "plot_simplex"]


@dataclass(frozen=True, eq=False)
class SimplexPanel:
    """One tetrahedron: `vertices` concept → shape (3,), `words` concept → shape (n, 3)."""

    title: str
    vertices: Mapping[str, NDArray[np.float64]]
    words: Mapping[str, NDArray[np.float64]]


def plot_simplex(panels: Sequence[SimplexPanel], *, finding: str, detail: str = "") -> Figure:
    """Tetrahedra side by side, in their own three dimensions and to one scale."""
    with style():
        figure = Figure(figsize=(7.2, 3.7))
        reach = 0.55 * max(float(np.ptp(np.stack(list(panel.vertices.values())), axis=0).max()) for panel in panels)
        for index, panel in enumerate(panels):
            axes = cast(Axes3D, figure.add_subplot(1, len(panels), index + 1, projection="3d"))
            _draw(axes, panel, reach)
        figure.subplots_adjust(left=0.0, right=1.0, bottom=0.08, wspace=0.0)
        headline(figure, finding, detail, room=0.42)
        for index, panel in enumerate(panels):
            left, top = 0.05 + index / len(panels), figure.subplotpars.top + 0.115
            figure.text(left, top, "abcdef"[index], fontsize=9, fontweight="bold", va="top")
            figure.text(left + 0.022, top - 0.003, panel.title, fontsize=8, va="top")
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="lower center", ncols=len(names), markerscale=1.4)
    return figure


def _draw(axes: Axes3D, panel: SimplexPanel, reach: float) -> None:
    vertices = panel.vertices
    faces = [np.stack(corners) for corners in combinations(vertices.values(), 3)]
    axes.add_collection3d(Poly3DCollection(faces, facecolor="#8899aa", alpha=0.07, edgecolor="none"))
    for first, second in combinations(vertices.values(), 2):
        axes.plot(*np.stack([first, second]).T, color=INK, lw=0.9)
    for (name, points), colour, marker in zip(panel.words.items(), COLOURS, "os^D", strict=False):
        axes.scatter(*points.T, s=9, color=colour, marker=marker, lw=0, alpha=0.8, depthshade=False, label=name)
        axes.scatter(*vertices[name], s=55, color=colour, marker=marker, edgecolor=INK, lw=0.8, depthshade=False)
        outwards = vertices[name] * (1 + 0.26 * reach / np.linalg.norm(vertices[name]))
        axes.text(
            *outwards,
            literal(name),
            fontsize=7.5,
            fontweight="bold",
            color=INK,
            zorder=20,
            ha="center",
            va="center",
            path_effects=HALO,
        )
    corners = np.stack(list(vertices.values()))
    limits = [(middle - reach, middle + reach) for middle in (corners.min(axis=0) + corners.max(axis=0)) / 2]
    axes.set(xlim=limits[0], ylim=limits[1], zlim=limits[2])
    axes.set_box_aspect((1, 1, 1), zoom=1.4)
    axes.view_init(elev=14, azim=-38)
    axes.set_axis_off()
    for artist in (*axes.collections, *axes.lines):
        artist.set_clip_on(False)
