"""Conditions: what several interventions do to several probabilities, prompt by prompt, with their price beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from geometry.plots.style import COLOURS, INK, NULL_GREYS, headline, literal, style

__all__ = ["Condition", "plot_conditions"]

_MOST_POINTS = 200


@dataclass(frozen=True, eq=False)
class Condition:
    """One row.

    Attributes
    ----------
    label : what was done.
    values : panel → values in [0, 1] of any number; a panel that it lacks stays empty.
    control : whether it is drawn in grey.
    numbers : what the columns of text at the right say.
    """

    label: str
    values: Mapping[str, NDArray[np.float64]]
    control: bool = False
    numbers: Sequence[str] = ()


def plot_conditions(
    conditions: Sequence[Condition], panels: Sequence[str], columns: Sequence[str], *, finding: str, detail: str = ""
) -> Figure:
    """A row for each condition and a panel for each probability; points are prompts, bars their mean.

    Parameters
    ----------
    panels : titles, which are keys of the conditions' `values`.
    columns : headings of the conditions' `numbers`.
    """
    rng = np.random.default_rng(0)
    colours = dict(zip(panels, COLOURS, strict=False))
    with style():
        height = 1.35 + 0.235 * len(conditions)
        figure = Figure(figsize=(7.2, height))
        left = 0.025 + 0.0066 * max(len(condition.label) for condition in conditions)
        right = 0.985 - 0.07 * len(columns)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(left=left, right=right, bottom=0.42 / height, wspace=0.14)
        for place, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
            for row, condition in enumerate(reversed(conditions)):
                if (values := condition.values.get(panel)) is None:
                    continue
                colour = NULL_GREYS[1] if condition.control else colours[panel]
                mean = float(np.mean(values))
                axis.barh(row, mean, height=0.62, color=colour, alpha=0.35, lw=0)
                shown = rng.permutation(values)[:_MOST_POINTS]
                jitter = row + 0.44 * (rng.random(len(shown)) - 0.5)
                axis.scatter(shown, jitter, s=2, color=colour, lw=0, alpha=0.7, rasterized=True)
                axis.plot([mean, mean], [row - 0.34, row + 0.34], color=INK, lw=1)
                near = mean < 0.72
                axis.annotate(
                    f"{mean:.2f}" if mean >= 0.005 else "0.00",
                    (mean, row),
                    (2.5 if near else -2.5, 0),
                    textcoords="offset points",
                    fontsize=5.8,
                    ha="left" if near else "right",
                    va="center",
                    bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.7},
                )
            axis.set(xlim=(0, 1), xticks=[0, 0.5, 1], xticklabels=["0", "", "1"], ylim=(-0.6, len(conditions) - 0.4))
            axis.set_title(literal(panel), fontsize=7.5)
            axis.tick_params(axis="y", length=0)
            axis.tick_params(axis="x", labelsize=6)
            if place == 0:
                names = [literal(condition.label) for condition in reversed(conditions)]
                axis.set_yticks(range(len(conditions)), names, fontsize=6.8)
        for number, heading in enumerate(columns):
            x = right + 0.066 + 0.07 * number
            axes[-1].annotate(
                heading, (x, 1.0), xycoords=("figure fraction", "axes fraction"), fontsize=6, ha="right", va="bottom"
            )
            for row, condition in enumerate(reversed(conditions)):
                if number < len(condition.numbers):
                    axes[-1].annotate(
                        condition.numbers[number],
                        (x, row),
                        xycoords=("figure fraction", "data"),
                        fontsize=6.5,
                        ha="right",
                        va="center",
                        annotation_clip=False,
                    )
        headline(figure, finding, detail, room=0.34)
    return figure
