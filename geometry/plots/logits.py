"""Changes of log-odds along parent contrasts: parents against children, for every usable pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, NULL_GREYS, headline, signed, style, tag_panel

__all__ = ["LogitPanel", "plot_logits"]


@dataclass(frozen=True, eq=False)
class LogitPanel:
    """One model or null: mean changes of parents and children, shape (m,) each, and a summary to write in."""

    title: str
    parent: NDArray[np.float64]
    child: NDArray[np.float64]
    note: str
    null: bool = False


def plot_logits(panels: Sequence[LogitPanel], *, finding: str, detail: str = "") -> Figure:
    """Scatter of both changes, one panel a model or null, on common axes; the theory puts all points on y = 0."""
    with style():
        figure = Figure(figsize=(7.2, 1.1 + 2.25 * -(-len(panels) // 2)))
        grid = figure.subplots(-(-len(panels) // 2), min(2, len(panels)), sharex=True, sharey=True, squeeze=False)
        figure.subplots_adjust(left=0.085, right=0.985, bottom=0.45 / figure.get_figheight(), wspace=0.06, hspace=0.32)
        rng = np.random.default_rng(0)
        for place, (axes, panel) in enumerate(zip(grid.ravel(), panels, strict=False)):
            shown = rng.permutation(len(panel.parent))[:4000]
            colour = NULL_GREYS[0] if panel.null else COLOURS[0]
            axes.scatter(panel.parent[shown], panel.child[shown], s=4, color=colour, alpha=0.3, lw=0, rasterized=True)
            axes.axhline(0, color="black", lw=0.7)
            axes.axline((0, 0), slope=1, color="black", lw=0.4, ls=":")
            axes.axline((0, 0), slope=-1, color="black", lw=0.4, ls=":")
            axes.set_title(panel.title, fontsize=8)
            axes.text(0.985, 0.03, signed(panel.note), transform=axes.transAxes, ha="right", va="bottom", fontsize=6.3)
            tag_panel(axes, ascii_lowercase[place % 26])
        for axes in grid[-1]:
            axes.set_xlabel("change of the parents' log-odds (nats)")
        for row in grid:
            row[0].set_ylabel("change of the children's")
        headline(figure, finding, detail, room=0.28)
    return figure
