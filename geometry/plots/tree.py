"""A dendrogram of concepts, its leaves coloured and marked by group."""

from collections import Counter
from collections.abc import Sequence
from typing import Unpack

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from geometry.plots.canvas import Canvas, Options
from geometry.plots.style import MARKERS, literal

__all__ = ["dendrogram"]

_GREY = "#999999"
_SIZE = 6.2


def dendrogram(
    merges: NDArray[np.floating],
    names: Sequence[str],
    groups: Sequence[str],
    **options: Unpack[Options],
) -> Figure:
    """The tree alone, drawn leftwards from its leaves; the largest 8 groups have colours and marks.

    Parameters
    ----------
    merges : SciPy's linkage matrix of n leaves, shape (n − 1, 4).
    names, groups : of the n leaves.
    """
    common = [name for name, _ in sorted(Counter(groups).items(), key=lambda item: (-item[1], item[0]))][: len(MARKERS)]
    with Canvas.of(1, **options) as canvas:
        looks, rest = canvas.looks(common), {"color": _GREY, "marker": "."}
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
            axes.plot(1, 10 * row + 5, ms=3.4, transform=at, clip_on=False, **looks.get(groups[leaf], rest))
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
        canvas.legend(looks | ({"other": rest} if set(groups) - set(common) else {}))
        return canvas.finish([0.125 * len(names) + 0.1])
