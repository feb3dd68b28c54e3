"""Existence curve: how far held-out words project onto their concept, beside the nulls."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, NULL_GREYS, headline, style, tag_panel

__all__ = ["plot_existence"]


def plot_existence(
    curves: Mapping[str, NDArray[np.float64]],
    nulls: Mapping[str, tuple[NDArray[np.float64], Sequence[int]]],
    sizes: Sequence[int],
    *,
    finding: str,
    detail: str = "",
) -> Figure:
    """Sorted projections of all concepts (left) and the strictest of them against concept size (right).

    Parameters
    ----------
    curves : name → values, shape (k,), one a split; the last is shown against size.
    nulls : name → values, shape (draws, m), and the m sizes, drawn in grey.
    sizes : number of tokens of each concept, shape (k,).
    """
    with style():
        figure = Figure(figsize=(7.2, 3.5))
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1], sharey=True)
        figure.subplots_adjust(left=0.075, right=0.985, bottom=0.125, wspace=0.08)
        for (name, (draws, null_sizes)), grey in zip(nulls.items(), NULL_GREYS, strict=False):
            for index, values in enumerate(draws):
                ordered = _sorted(values)
                left.plot(_percent(ordered), ordered, color=grey, lw=0.9, label=None if index else name)
            right.scatter(
                np.tile(null_sizes, len(draws)), draws.ravel(), s=3, color=grey, lw=0, alpha=0.5, rasterized=True
            )
        for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
            ordered = _sorted(values)
            label = f"{name}, mean {ordered.mean():.2f}"
            left.plot(_percent(ordered), ordered, color=colour, lw=1.8, label=label)
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
        left.legend(loc="lower left", ncols=2, columnspacing=1.2, borderaxespad=0.1)
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
