"""A dendrogram of concepts beside how well each clustering agrees with the hierarchy, nulls in grey."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram

from geometry.plots.style import COLOURS, INK, NULL_GREYS, headline, literal, style, tag_panel

__all__ = ["Recovery", "plot_tree"]

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_MOST_GROUPS = 8


@dataclass(frozen=True)
class Recovery:
    """How well one clustering agrees with the hierarchy: its value, and null → all draws."""

    name: str
    value: float
    nulls: Mapping[str, NDArray[np.float64]]


def plot_tree(
    merges: NDArray[np.float64],
    names: Sequence[str],
    groups: Sequence[str],
    recoveries: Sequence[Recovery],
    *,
    measure: str,
    finding: str,
    detail: str = "",
) -> Figure:
    """Panel a: the tree, leaves coloured and marked by group (the largest 8). Panel b: agreement and its nulls.

    Parameters
    ----------
    merges : SciPy's linkage matrix of n leaves, shape (n − 1, 4).
    names, groups : of the leaves.
    """
    common = sorted(set(groups), key=lambda group: (-list(groups).count(group), group))[:_MOST_GROUPS]
    with style():
        height = max(3.6, 1.35 + 0.135 * len(names))
        figure = Figure(figsize=(7.2, height))
        tree, bars = figure.subplots(1, 2, width_ratios=(1.45, 1))
        figure.subplots_adjust(left=0.02, right=0.985, bottom=0.62 / height, wspace=1.05)
        drawn = dendrogram(
            merges, orientation="left", ax=tree, no_labels=True, color_threshold=0, above_threshold_color="#777777"
        )
        for line in tree.collections:
            line.set_linewidth(0.8)
        tree.set_xticks([])
        tree.spines[:].set_visible(False)
        for place, leaf in enumerate(drawn["leaves"] or ()):
            height_of = 10 * place + 5
            known = groups[leaf] in common
            colour = COLOURS[common.index(groups[leaf])] if known else "#999999"
            marker = _MARKERS[common.index(groups[leaf])] if known else "."
            tree.plot(
                [1.02], [height_of], marker, color=colour, ms=3.4, transform=tree.get_yaxis_transform(), clip_on=False
            )
            tree.text(
                1.045, height_of, literal(names[leaf]), transform=tree.get_yaxis_transform(), fontsize=6, va="center"
            )
        tag_panel(tree, "a")
        nulls = list(dict.fromkeys(name for one in recoveries for name in one.nulls))
        for line, one in enumerate(recoveries):
            for order, name in enumerate(nulls):
                draws = one.nulls[name][np.isfinite(one.nulls[name])]
                if len(draws):
                    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
                    y = line + 0.16 * (order + 1)
                    bars.plot([low, high], [y, y], color=NULL_GREYS[order], lw=2.2, solid_capstyle="butt")
                    bars.plot(middle, y, "|", color=INK, ms=4, mew=0.7)
            bars.plot(one.value, line - 0.08, "o", color=COLOURS[0], ms=4.5)
        bars.axvline(0, color="#cccccc", lw=0.6, zorder=0)
        bars.set_yticks(range(len(recoveries)), [literal(one.name) for one in recoveries], fontsize=6.3)
        bars.set(ylim=(len(recoveries) - 0.4, -0.6), xlabel=measure)
        bars.xaxis.label.set_fontsize(7)
        bars.tick_params(axis="y", length=0)
        tag_panel(bars, "b")
        handles = [
            Line2D([], [], marker=_MARKERS[i], color=COLOURS[i], lw=0, ms=3.6, label=literal(group))
            for i, group in enumerate(common)
        ]
        figure.legend(
            handles=handles,
            loc="lower left",
            ncols=5,
            bbox_to_anchor=(0.01, 0.0),
            fontsize=5.8,
            columnspacing=0.9,
            handletextpad=0.1,
        )
        own = [Line2D([], [], marker="o", color=COLOURS[0], lw=0, ms=4.5, label="model")]
        own += [Line2D([], [], color=NULL_GREYS[i], lw=2.2, label=name) for i, name in enumerate(nulls)]
        bars.legend(handles=own, fontsize=6, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, columnspacing=0.9)
        headline(figure, finding, detail, room=0.3)
    return figure
