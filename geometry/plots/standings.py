"""Claims by models: a table whose cells are coloured from noise to theory and carry the number and the verdict."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from geometry.plots.style import INK, headline, literal, signed, style

__all__ = ["Cell", "plot_standings"]

_CMAP = "YlGnBu"
_DARK = 0.6
# In inches.
_ROW = 0.33
_SAYS = 2.25
_COLUMN = 0.86
_SENTENCE = 42


@dataclass(frozen=True)
class Cell:
    """One model's result on one claim.

    Attributes
    ----------
    value, noise : in the claim's own units, of the model and of its null.
    position : from noise (0) to what the theory predicts (1); nan where it has none.
    verdict : in a word or two.
    real : whether the claim's structure is beyond noise.
    """

    value: float
    noise: float
    position: float
    verdict: str
    real: bool


def plot_standings(
    rows: Sequence[tuple[str, Sequence[Cell | None]]],
    columns: Sequence[tuple[str, str]],
    *,
    finding: str,
    detail: str = "",
) -> Figure:
    """One row a claim, one column a model (its name, and what of it was measured); None leaves a cell empty."""
    total = len(rows)
    colours = mpl.colormaps[_CMAP]
    with style():
        height = 1.35 + _ROW * total
        width = max(7.2, _SAYS + _COLUMN * len(columns))
        figure = Figure(figsize=(width, height))
        axes = figure.subplots()
        figure.subplots_adjust(left=_SAYS / width, right=0.995, bottom=0.12 / height)
        beside = (_SAYS - 0.06) / (0.995 * width - _SAYS)  # of the axes' width, what stands left of them
        axes.set(xlim=(0, len(columns)), ylim=(total, 0), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        for row, (sentence, cells) in enumerate(rows):
            axes.annotate(
                "\n".join(textwrap.wrap(sentence, _SENTENCE)),
                (-beside, row + 0.5),
                xycoords=("axes fraction", "data"),
                fontsize=6.5,
                va="center",
            )
            for column, cell in enumerate(cells):
                if cell is None:
                    continue
                share = float(np.clip(cell.position, 0, 1)) if cell.real and np.isfinite(cell.position) else 0.0
                face = colours(0.08 + 0.82 * share) if cell.real else "#f4f4f4"
                axes.fill_between([column + 0.02, column + 0.98], row + 0.04, row + 0.96, color=face, lw=0)
                ink = "white" if share > _DARK else INK if cell.real else "#777777"
                number = signed(f"{cell.value:.2f}") if np.isfinite(cell.value) else "–"
                noise = signed(f"{cell.noise:.2f}") if np.isfinite(cell.noise) else "–"
                weight = "bold" if cell.real else "normal"
                middle = column + 0.5
                axes.text(middle, row + 0.34, f"{number} ({noise})", ha="center", va="center", color=ink, fontsize=6.6)
                axes.texts[-1].set_fontweight(weight)
                axes.text(middle, row + 0.74, cell.verdict, ha="center", va="center", color=ink, fontsize=5.4)
            axes.axhline(row, color="#dddddd", lw=0.5, xmin=-beside, clip_on=False)
        for column, (name, what) in enumerate(columns):
            # Columns of one model stand side by side under its name.
            if first := column == 0 or columns[column - 1][0] != name:
                span = next(
                    (n for n, (other, _) in enumerate(columns[column:]) if other != name), len(columns) - column
                )
                axes.plot([column + 0.05, column + span - 0.05], [-0.5, -0.5], color=INK, lw=0.7, clip_on=False)
            for text, middle, lift in (
                (what, column + 0.5, 2),
                *([(literal(name), column + span / 2, 15)] if first else []),
            ):
                axes.annotate(
                    text,
                    (middle, 1),
                    (0, lift),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=6.5,
                )
        headline(figure, finding, detail, room=0.42)
    return figure
