"""Heatmap triptych: the hierarchy, the model's cosines and a null's cosines in one order."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from geometry.plots.style import INK, headline, literal, spread, style, tag_panel

__all__ = ["plot_heatmaps"]

Block = tuple[str, int, int]


def plot_heatmaps(
    closeness: NDArray[np.float64],
    cosines: NDArray[np.float64],
    null_cosines: NDArray[np.float64],
    blocks: Sequence[Block],
    *,
    null_name: str,
    finding: str,
    detail: str = "",
    limit: float = 0.5,
) -> Figure:
    """Three k × k matrices whose rows follow one order in which subtrees are contiguous.

    Parameters
    ----------
    closeness : 1 / (1 + tree distance), in [0, 1].
    cosines, null_cosines : in [-1, 1]; colours saturate at ±`limit`.
    blocks : (name, start, stop) of subtrees, boxed in every panel and named at the left.
    """
    with style():
        figure = Figure(figsize=(7.2, 3.5))
        axes = figure.subplots(1, 3, sharey=True)
        figure.subplots_adjust(left=0.15, right=0.99, bottom=0.06, wspace=0.06)
        panels = (
            ("hierarchy: 1 / (1 + tree distance)", closeness, "cividis", 0.0, 0.5),
            ("model: cosine of concept vectors", cosines, "RdBu_r", -limit, limit),
            (f"{null_name}: cosine", null_cosines, "RdBu_r", -limit, limit),
        )
        for index, (axis, (title, matrix, cmap, low, high)) in enumerate(zip(axes, panels, strict=True)):
            image = axis.imshow(matrix, cmap=cmap, vmin=low, vmax=high, interpolation="nearest", rasterized=True)
            axis.set_title(title, fontsize=7.5)
            axis.set_xticks([])
            for _, start, stop in blocks:
                if stop - start == 1:
                    continue  # a box around one cell would hide it
                axis.add_patch(
                    Rectangle(
                        (start - 0.5, start - 0.5),
                        stop - start,
                        stop - start,
                        fill=False,
                        lw=0.6,
                        edgecolor="white" if index == 0 else INK,
                    )
                )
            bar = figure.colorbar(
                image,
                ax=axis,
                orientation="horizontal",
                fraction=0.045,
                pad=0.035,
                aspect=30,
                extend="max" if index == 0 else "both",
            )
            bar.outline.set_linewidth(0.4)
            bar.ax.tick_params(labelsize=6, width=0.4, length=2)
            tag_panel(axis, "abc"[index])
        centres = [(start + stop - 1) / 2 for _, start, stop in blocks]
        places = spread(centres, gap=len(closeness) / 24)
        axes[0].set_yticks([])
        for (name, _, _), centre, place in zip(blocks, centres, places, strict=True):
            axes[0].annotate(
                literal(name),
                (-0.5, centre),
                (-0.5 - 0.065 * len(closeness), place),
                textcoords="data",
                fontsize=6,
                ha="right",
                va="center",
                annotation_clip=False,
                arrowprops={
                    "arrowstyle": "-",
                    "lw": 0.4,
                    "color": INK,
                    "shrinkA": 0,
                    "shrinkB": 0,
                    "relpos": (1, 0.5),
                },
            )
        headline(figure, finding, detail, room=0.2)
    return figure
