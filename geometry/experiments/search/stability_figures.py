"""The figure of whether searches agree: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.experiments.result import FigureSpec
from geometry.experiments.search.kinds import FILTERED, SEARCHED
from geometry.experiments.search.labels import BY_CHANGE, BY_VECTOR, TOGETHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geometry.experiments.search.stability import StabilityPart


def stability(part: "StabilityPart") -> FigureSpec:
    """Similarity of all changes, in the order of their clusters, beside filtered random vectors."""
    panels, clusters = [], []
    for kind, name in ((SEARCHED, "searched vectors"), (FILTERED, "filtered random vectors")):
        order, groups = part.order(kind), part.clusters[kind]
        boxes, start = [], 0
        ordered = groups[order]
        for stop in range(1, len(ordered) + 1):
            if stop == len(ordered) or ordered[stop] != ordered[start]:
                boxes.append((start, stop))
                start = stop
        labels = [f"seed {part.seeds[part.search[index]]}" for index in order]
        matrix = part.alike[kind][BY_CHANGE][np.ix_(order, order)]
        panels.append(
            plots.HeatmapPanel(matrix, labels, title=name, limits=(-1, 1), cmap="RdBu_r", colourbar="cosine of changes")
        )
        clusters.append(boxes)
    best = [part.best(kind, way).mean() for way in (BY_VECTOR, BY_CHANGE) for kind in (SEARCHED, FILTERED)]
    return FigureSpec(
        "stability",
        f"Of vectors searched with different seeds the most similar have |cosine| {best[0]:.2f} (random {best[1]:.2f})"
        f" and make changes of cosine {best[2]:.2f} (random {best[3]:.2f}); the largest cluster by change holds"
        f" {part.largest(SEARCHED)} of {len(part.search)} vectors (of random ones {part.largest(FILTERED)})",
        f"Cosines of the mean changes at the read site on held-out prompts of {len(part.search)} vectors,"
        f" {part.n_vectors} a search, ordered by clusters (boxed: average linkage, cosine {TOGETHER:g}). Right: random"
        " vectors filtered by their change, with the same seeds.",
        partial(_drawn, panels, clusters),
    )


def _drawn(
    panels: "Sequence[plots.HeatmapPanel]", clusters: "Sequence[Sequence[tuple[int, int]]]", **heading: Any
) -> "plots.Figure":
    """The panels, every row with its name, and boxes that show on light and on dark cells."""
    figure = plots.heatmap(panels, ncols=2, **heading)
    for axes, panel, boxes in zip(figure.axes, panels, clusters, strict=False):  # bars of colours follow
        if axes.get_yticklabels():  # none where the panel at the left has the same
            axes.set_yticks(range(len(panel.rows)), panel.rows, fontsize=5.8)
        for start, stop in boxes:
            low, high = start - 0.5, stop - 0.5
            if stop - start > 1:
                for colour, width in (("white", 2.6), (plots.INK, 1.2)):
                    corners = [low, high, high, low, low], [low, low, high, high, low]
                    axes.plot(*corners, color=colour, lw=width, clip_on=False, scalex=False, scaley=False)
    return figure
