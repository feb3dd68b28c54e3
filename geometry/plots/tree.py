"""A dendrogram of concepts, its leaves coloured and marked by group."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Unpack

from scipy.cluster import hierarchy

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options
from geometry.plots.labels import Array
from geometry.plots.style import MARKERS, literal


@checked
def dendrogram(merges: Array, names: Sequence[str], groups: Sequence[str], **options: Unpack[Options]) -> Figure:
    """The tree alone, drawn leftwards from its leaves; the largest 8 groups have colours and marks.

    `merges` is SciPy's linkage matrix of n leaves, shape (n − 1, 4); names and groups are of the n leaves.
    """
    common = [name for name, _ in Counter(sorted(groups)).most_common(len(MARKERS))]
    with Canvas.of(1, **options) as canvas:
        looks, rest = canvas.looks(common), {"color": "#999999", "marker": "."}
        (axes,) = canvas.axes
        drawn = hierarchy.dendrogram(
            merges, orientation="left", ax=axes, no_labels=True, color_threshold=0, above_threshold_color="#777777"
        )
        for line in axes.collections:
            line.set(linewidth=0.8)
        axes.set_axis_off()
        at = axes.get_yaxis_transform()
        how: dict[str, Any] = {"xycoords": at, "textcoords": "offset points", "annotation_clip": False}
        for row, leaf in enumerate(drawn["leaves"] or ()):
            axes.plot(1, 10 * row + 5, ms=3.4, transform=at, clip_on=False, **looks.get(groups[leaf], rest))
            axes.annotate(literal(names[leaf]), (1, 10 * row + 5), (6, 0), va="center", fontsize=6.2, **how)
        canvas.legend(looks | ({"other": rest} if set(groups) - set(common) else {}))
        return canvas.finish([0.125 * len(names) + 0.1])
