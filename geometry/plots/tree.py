"""A dendrogram of concepts, its leaves coloured and marked by group."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from geometry.plots.canvas import Canvas
from geometry.plots.style import MARKERS, Colours, literal, palette, style

__all__ = ["dendrogram"]

_GREY = "#999999"
_SIZE = 6.2


def dendrogram(
    merges: NDArray[np.floating],
    names: Sequence[str],
    groups: Sequence[str],
    *,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
    colours: Colours = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """The tree alone, drawn leftwards from its leaves; the largest 8 groups have colours and marks.

    Parameters
    ----------
    merges : SciPy's linkage matrix of n leaves, shape (n − 1, 4).
    names, groups : of the n leaves.
    """
    common = [name for name, _ in sorted(Counter(groups).items(), key=lambda item: (-item[1], item[0]))][: len(MARKERS)]
    looks = {name: (hue, mark) for (name, hue), mark in zip(palette(common, colours).items(), MARKERS, strict=False)}
    with style():
        canvas = Canvas.of(ax, 1, figsize, title, caption)
        (axes,) = canvas.axes
        drawn = hierarchy.dendrogram(
            merges, orientation="left", ax=axes, no_labels=True, color_threshold=0, above_threshold_color="#777777"
        )
        for line in axes.collections:
            line.set(linewidth=0.8)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        at = axes.get_yaxis_transform()
        for row, leaf in enumerate(drawn["leaves"] or ()):
            colour, marker = looks.get(groups[leaf], (_GREY, "."))
            axes.plot(1, 10 * row + 5, marker, color=colour, ms=3.4, transform=at, clip_on=False)
            axes.annotate(
                literal(names[leaf]),
                (1, 10 * row + 5),
                (6, 0),
                ("axes fraction", "data"),
                "offset points",
                fontsize=_SIZE,
                va="center",
                annotation_clip=False,
            )
        marks = [
            Line2D([], [], ls="", marker=m, color=c, ms=3.6, label=literal(name)) for name, (c, m) in looks.items()
        ]
        rest = (
            [Line2D([], [], ls="", marker=".", color=_GREY, ms=3.6, label="other")] if set(groups) - set(common) else []
        )
        canvas.legend([*marks, *rest])
        return canvas.finish([0.125 * len(names) + 0.1])
