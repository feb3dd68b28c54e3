"""Overview of a battery of claims: where the model stands between noise and theory, its nulls, and the verdict."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from geometry.plots.style import COLOURS, INK, NULL_GREYS, headline, literal, signed, style

__all__ = ["Standing", "plot_overview"]

_LOW, _HIGH = -1.25, 1.12
_MARKERS = ("o", "s", "^", "D", "P")
_NULL_MARKERS = {"random subset": "d", "random parent": "v", "random metric": "x", "Euclidean": "+", "Gaussian": "|"}
_VERDICT_COLOURS = {"supported": "#00674b", "weak": "#00674b"}


@dataclass(frozen=True)
class Standing:
    """One group's result on one claim, on the scale from shuffled rows (0) to the prediction (1).

    `value` and `noise` are in the claim's own units; the others are positions on the scale, nan where it has none.
    """

    position: float
    low: float
    high: float
    nulls: Mapping[str, float]
    value: float
    noise: float
    verdict: str


def plot_overview(claims: Sequence[tuple[str, Mapping[str, Standing]]], *, finding: str, detail: str = "") -> Figure:
    """One row a claim, one coloured mark a group with its 95% interval, nulls in grey, numbers and verdicts beside.

    Parameters
    ----------
    claims : (the claim in a sentence, group → standing); groups share markers after 5, colours after 8.
    """
    groups = list(dict.fromkeys(group for _, standings in claims for group in standings))
    looks = {
        group: (COLOURS[place % len(COLOURS)], _MARKERS[place % len(_MARKERS)]) for place, group in enumerate(groups)
    }
    names = [name for name in _NULL_MARKERS if any(name in s.nulls for _, by in claims for s in by.values())]
    sizes = [0.16 + 0.115 * max(len(by), 1 + _wrapped(says).count("\n")) for says, by in claims]
    total = sum(sizes)
    with style():
        figure = Figure(figsize=(7.2, 1.7 + total))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.345, right=0.69, bottom=0.74 / figure.get_figheight())
        axes.axvspan(_LOW, 0, color="#f3f3f3", zorder=-2, lw=0)
        top = total
        for (sentence, standings), size in zip(claims, sizes, strict=True):
            middle = top - size / 2
            axes.annotate(
                _wrapped(sentence), (-0.995, middle), xycoords=("axes fraction", "data"), fontsize=6.8, va="center"
            )
            for order, (group, standing) in enumerate(standings.items()):
                height = middle + 0.115 * ((len(standings) - 1) / 2 - order)
                _row(axes, height, standing, *looks[group])
            top -= size
            axes.axhline(top, color="#dddddd", lw=0.5, clip_on=False, xmin=-0.99, xmax=1.89)
        axes.axvline(0, color=INK, lw=0.8)
        axes.axvline(1, color=INK, lw=0.8, ls=":")
        axes.set(xlim=(_LOW, _HIGH), ylim=(0, total), yticks=[])
        axes.set_xticks([-1, 0, 0.5, 1], ["worse than\nnoise", "noise", "", "theory"])
        axes.spines["left"].set_visible(False)
        for x, text in ((1.03, "model"), (1.2, "noise"), (1.4, "verdict")):
            axes.annotate(text, (x, 1.0), (0, 4), xycoords="axes fraction", textcoords="offset points", fontsize=6.5)
        handles = [
            Line2D([], [], marker=marker, color=colour, lw=1.2, ms=4, label=_short(literal(group)))
            for group, (colour, marker) in looks.items()
        ]
        handles += [
            Line2D([], [], marker=_NULL_MARKERS[name], color=NULL_GREYS[1], lw=0, ms=4, label=name) for name in names
        ]
        figure.legend(
            handles=handles, loc="lower left", ncols=5, bbox_to_anchor=(0.005, 0.0), columnspacing=1.2, fontsize=6.3
        )
        headline(figure, finding, detail, room=0.22)
    return figure


def _row(axes: Axes, height: float, standing: Standing, colour: str, marker: str) -> None:
    for name, position in standing.nulls.items():
        if name in _NULL_MARKERS and _LOW <= position <= _HIGH:
            axes.plot(position, height, marker=_NULL_MARKERS[name], color=NULL_GREYS[1], ms=3.6, mew=0.8, zorder=1)
    texts = [(1.03, signed(f"{standing.value:.3f}"), colour), (1.2, signed(f"{standing.noise:.3f}"), "#777777")]
    for x, text, ink in texts:
        axes.annotate(text, (x, height), xycoords=("axes fraction", "data"), fontsize=6.5, va="center", color=ink)
    axes.annotate(
        standing.verdict,
        (1.4, height),
        xycoords=("axes fraction", "data"),
        fontsize=6.8,
        va="center",
        color=_VERDICT_COLOURS.get(standing.verdict, INK),
        fontweight="bold" if standing.verdict == "supported" else "normal",
    )
    if not math.isfinite(standing.position):
        return
    low, high, place = (min(max(x, _LOW), _HIGH) for x in (standing.low, standing.high, standing.position))
    axes.plot([low, high], [height, height], color=colour, lw=1.6, zorder=2)
    shown = marker if _LOW <= standing.position <= _HIGH else ("<" if standing.position < _LOW else ">")
    axes.plot(place, height, marker=shown, color=colour, ms=4.2, zorder=3)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 42))


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"
