"""Composition table: for every series and position, at which rank the composed vector finds its value."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, INK, NULL_GREYS, headline, literal, style, tag_panel

__all__ = ["plot_composition"]


def plot_composition(
    series: Mapping[str, Sequence[tuple[int, str, int, int]]],
    score: float,
    shuffled: NDArray[np.float64],
    *,
    finding: str,
    detail: str = "",
) -> Figure:
    """Cells coloured by rank (left), and the score among those of shuffled positions (right).

    Parameters
    ----------
    series : name → (position, value, rank, values in the series) of every cell.
    score, shuffled : of all cells, and shape (draws,).
    """
    longest = max(position for cells in series.values() for position, *_ in cells) + 1
    with style():
        figure = Figure(figsize=(7.2, 1.35 + 0.42 * len(series)))
        left, right = figure.subplots(1, 2, width_ratios=[3.4, 1])
        figure.subplots_adjust(left=0.115, right=0.985, bottom=0.42 / figure.get_figheight(), wspace=0.1)
        for row, (_, cells) in enumerate(series.items()):
            height = len(series) - 1 - row
            for position, value, rank, size in cells:
                goodness = 1 - (rank - 1) / (size - 1)
                shade = tuple(1 - goodness * (1 - part) for part in (0.0, 0.447, 0.698))
                left.add_artist(_box(position, height, shade))
                ink = "white" if goodness > 0.6 else INK
                text = literal(value)[:12]
                for lift, part, fontsize in (
                    (0.12, text, 5.3 if len(text) < 8 else 38 / len(text)),
                    (-0.2, f"{rank} of {size}", 5.3),
                ):
                    left.text(position, height + lift, part, ha="center", va="center", fontsize=fontsize, color=ink)
        left.set(xlim=(-0.55, longest - 0.45), ylim=(-0.5, len(series) - 0.5), xlabel="position in the series")
        left.set_xticks(range(longest), [str(place + 1) for place in range(longest)])
        left.set_yticks(range(len(series)), [literal(name).replace(" ", "\n") for name in reversed(list(series))])
        left.tick_params(length=0)
        left.spines[["left", "bottom"]].set_visible(False)
        left.set_title("rank of the left-out value among its series")
        right.hist(shuffled, bins=min(20, max(3, len(shuffled) // 4)), color=NULL_GREYS[1])
        right.axvline(score, color=COLOURS[0], lw=2)
        right.set(xlabel="score", yticks=[], xlim=(0, 1))
        right.set_title(f"true positions {score:.2f}\nshuffled {shuffled.mean():.2f}")
        tag_panel(left, "a")
        tag_panel(right, "b")
        headline(figure, finding, detail, room=0.42)
    return figure


def _box(x: float, y: float, colour: tuple[float, ...]) -> Rectangle:
    return Rectangle((x - 0.48, y - 0.44), 0.96, 0.88, facecolor=colour, edgecolor="#cccccc", lw=0.4)
