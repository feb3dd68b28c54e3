"""The figures of components of pairs: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.experiments.result import FigureSpec

if TYPE_CHECKING:
    from geometry.experiments.anatomy.pair_components import ComponentsPart

_SIDES, _SIGNS, _ONE = "sides exchanged at random", "random signs", "texts of one side"


def by_set(part: "ComponentsPart") -> FigureSpec:
    """Of each set the mean's share, how many components stand out, and how well halves agree on the first."""
    mean, count, halves = [], [], []
    for each in part.sets:
        found = each.singular
        mean.append(
            plots.ForestRow(
                {"pairs": plots.Estimate(found.mean_share, *found.mean_interval)},
                {_SIDES: plots.NullMark(found.null_mean_share), _ONE: plots.NullMark(each.one_side.mean_share, "o")},
            )
        )
        count.append(
            plots.ForestRow({"pairs": plots.Estimate(found.count)}, {_ONE: plots.NullMark(each.one_side.count, "o")})
        )
        halves.append(
            plots.ForestRow(
                {"pairs": plots.Estimate(float(found.stability[0]))},
                {
                    _SIGNS: plots.NullMark(float(found.null_stability[0]), "s"),
                    _ONE: plots.NullMark(float(each.one_side.stability[0]), "o"),
                },
            )
        )
    panels = [
        plots.ForestPanel("share of squared norm", mean, "Mean difference", limits=(0, 1)),
        plots.ForestPanel(
            f"components (at most {part.most})",
            count,
            "Singular directions beyond random signs",
            limits=(0, part.most + 0.5),
        ),
        plots.ForestPanel("|cosine| of halves", halves, "First singular direction", limits=(0, 1)),
    ]
    common = sum(each.singular.mean_p <= 0.05 for each in part.sets)
    more = sum(each.singular.count > each.one_side.count for each in part.sets)
    title = (
        f"Pairs share a direction in {common} of {len(part.sets)} sets; in {more or 'none'} do more components stand"
        " out than between texts of one side"
    )
    caption = (
        "Differences of activations within pairs, about 0. Bars: 95% by the jackknife over pairs. A component stands"
        " out where its share of what the stronger ones leave exceeds that of the same numbers under random signs"
        " (p ≤ .05). Halves: mean over 20 random halves; square: 95% of the same under random signs."
    )
    return FigureSpec("components", title, caption, partial(plots.forest, panels, [each.name for each in part.sets]))


def shares(part: "ComponentsPart") -> FigureSpec:
    """Of each set the shares of its components, about 0 and about the mean, beside random signs."""
    panels = []
    for each in part.sets:
        curves = {}
        for name, found in (("about 0", each.singular), ("about the mean", each.principal)):
            x = np.arange(1, len(found.shares) + 1)
            low, high = found.intervals.T
            curves[name] = plots.Curve(x, found.shares, low=low, high=high)
            curves[f"{name}, random signs"] = plots.Curve(x, found.null_shares, null=True)
        panels.append(plots.CurvePanel("component", "share of squared norm", curves, each.name))
    first = np.mean([each.singular.shares[0] for each in part.sets])
    about = np.mean([each.principal.shares[0] for each in part.sets])
    null, null_about = (
        np.mean([found.null_shares[0] for found in kind])
        for kind in ([each.singular for each in part.sets], [each.principal for each in part.sets])
    )
    title = (
        f"The first singular direction holds {first:.0%} of what differs within pairs ({null:.0%} under random signs),"
        f" the first about the mean {about:.0%} of the rest ({null_about:.0%})"
    )
    caption = (
        "Shares of the squared norm of the differences, about 0 (SVD) and about their mean (PCA); bands 95% by the"
        " jackknife over pairs. Grey: the same numbers with random signs, less what stronger components took, up to the"
        " first component that does not stand out."
    )
    return FigureSpec("component_shares", title, caption, partial(plots.curves, panels, ncols=3))
