"""Existence curve: how far held-out words project onto their concept, beside the nulls."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from geometry.views.style import COLOURS, NULL_GREYS, headline, style, tag_panel

__all__ = ["plot_existence"]


def plot_existence(
    curves: Mapping[str, NDArray[np.float64]],
    nulls: Mapping[str, NDArray[np.float64]],
    sizes: Sequence[int],
    *,
    finding: str,
    detail: str = "",
) -> Figure:
    """Sorted projections of all concepts (left) and the strictest of them against concept size (right).

    Parameters
    ----------
    curves : name → values, shape (k,), one a split; the last is shown against size.
    nulls : name → values, shape (draws, k), drawn in grey.
    sizes : number of tokens of each concept, shape (k,).
    """
    with style():
        figure = Figure(figsize=(7.2, 3.5))
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1], sharey=True)
        figure.subplots_adjust(left=0.075, right=0.985, bottom=0.125, wspace=0.08)
        for (name, draws), grey in zip(nulls.items(), NULL_GREYS, strict=False):
            for index, values in enumerate(draws):
                ordered = _sorted(values)
                left.plot(_percent(ordered), ordered, color=grey, lw=0.9, label=None if index else name)
            right.scatter(np.tile(sizes, len(draws)), draws.ravel(), s=3, color=grey, lw=0, alpha=0.5, rasterized=True)
        for index, (name, values) in enumerate(curves.items()):
            ordered, colour = _sorted(values), COLOURS[index]
            left.plot(_percent(ordered), ordered, color=colour, lw=1.8)
            # The first label stands above its curve and the others below theirs, where curves leave room.
            left.annotate(
                f"{name}: mean {ordered.mean():.2f}",
                (45, ordered[int(0.45 * len(ordered))]),
                (0, -13 if index else 5),
                textcoords="offset points",
                ha="right" if index else "left",
                fontsize=7,
                color=colour,
                fontweight="bold",
            )
        last, colour = list(curves)[-1], COLOURS[len(curves) - 1]
        right.scatter(sizes, curves[last], s=6, color=colour, lw=0, alpha=0.8, rasterized=True)
        for axes, letter in ((left, "a"), (right, "b")):
            axes.axhline(0, color="black", lw=0.5)
            axes.axhline(1, color="black", lw=0.5, ls=":")
            tag_panel(axes, letter)
        left.annotate("training words: 1 by construction", (2, 1), (0, 2), textcoords="offset points", fontsize=6.5)
        left.set(
            xlabel="concepts, each curve sorted (%)",
            ylabel="held-out projection  ℓᵀg(y) / ‖ℓ‖²",
            xlim=(0, 100),
            title="all concepts",
        )
        left.legend(loc="lower left")
        right.set(xscale="log", xlabel="tokens of the concept", title=f"{last}, by size of concept")
        right.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        right.xaxis.set_minor_formatter(NullFormatter())
        headline(figure, finding, detail, room=0.28)
    return figure


def _sorted(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sort(values[np.isfinite(values)])[::-1]


def _percent(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linspace(0, 100, len(values))
