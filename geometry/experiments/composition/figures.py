"""The figures of the study of composition: words and layout, no measurement."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.experiments.composition.labels import MOVES, STEPS
from geometry.experiments.composition.setup import UNEMBEDDING
from geometry.experiments.result import FigureSpec
from geometry.intervals import central, interval_of
from geometry.steering import Site

if TYPE_CHECKING:
    from geometry.experiments.composition.maps_part import MapsPart
    from geometry.experiments.composition.relations_part import RelationsPart
    from geometry.experiments.composition.series_part import SeriesPart
    from geometry.experiments.composition.steps_part import StepsPart

Array = NDArray[np.float64]
_AXIS = "blocks passed (0: embedding, ½: first MLP's output)"


def _passed(place: str) -> float:
    """Blocks passed; the output of the first block's MLP lies within it."""
    site = Site.parse(place)
    return {"input": 0.0, "mlp": 0.5}.get(site.place, 1.0) + float(site.block or 0)


def _curve(places: Any, values: list[Array]) -> plots.Curve:
    ends = np.array([interval_of(each) for each in values]).T
    return plots.Curve(
        [_passed(str(place)) for place in places], [float(v.mean()) for v in values], low=ends[0], high=ends[1]
    )


def _null(places: Any, draws: list[Array]) -> plots.Curve:
    ends = np.array([central(each) for each in draws]).T
    return plots.Curve(
        [_passed(str(place)) for place in places],
        [float(d.mean()) for d in draws],
        null=True,
        low=ends[0],
        high=ends[1],
    )


def series(part: "SeriesPart") -> FigureSpec:
    """Rank and error by site."""
    labels = {"rank": "normalised rank", "error": "squared error (1: category mean)"}
    panels = []
    for name, label in labels.items():
        lines = {
            "category + position": _curve(part.inside, [getattr(part.at[p], name) for p in part.inside]),
            "positions permuted": _null(part.inside, [part.at[p].shuffled[name] for p in part.inside]),
            "random words": _null(part.inside, [part.at[p].random[name] for p in part.inside]),
        }
        outside = {float(getattr(part.at[UNEMBEDDING], name).mean()): "unembedding"}
        if part.control:
            outside[float(getattr(part.at[part.control], name).mean())] = part.control
        panels.append(plots.CurvePanel(_AXIS, label, lines, references=outside, marked=False))
    first, mlp, best = (part.at[place] for place in (part.inside[0], part.inside[1], part.best))
    return FigureSpec(
        "series",
        f"Category + position retrieves a left-out value with rank {first.rank.mean():.2f} at the embedding,"
        f" {mlp.rank.mean():.2f} at the first MLP's output and {best.rank.mean():.2f} at {part.best} (positions"
        f" permuted {best.shuffled['rank'].mean():.2f}); its squared error there is {best.error.mean():.2f} times that"
        " of the category's mean",
        f"{len(best.cells)} values of weekdays and the like, each predicted from all others (Gould et al. 2023). Rank"
        " 1: always first in its series; permuted positions stay below ½, as the mean of the others points away from a"
        " value. Error 1: no better than that mean. Covariance metric of each site. Band: 95% bootstrap over values;"
        " grey: positions permuted within series, random words in the values' place, with 95% of their draws. Dotted:"
        " output layer, and word vectors.",
        partial(plots.curves, panels),
    )


def maps(part: "MapsPart") -> FigureSpec:
    """Accuracy of both kinds of maps by site."""
    titles = {
        "successor": "To the next value, held-out category",
        "position": "To another category, held-out positions",
    }
    measures = {"successor": "top-1 accuracy", "position": "leave-two-out accuracy (chance ½)"}
    labels = {"nearest": "nearest value", "mean step": "mean step"}
    panels = []
    for kind, title in titles.items():
        found = getattr(part, kind)
        lines = {"linear map": _curve(part.inside, [found[place].correct for place in part.inside])}
        for name in next(iter(found.values())).baselines:
            lines[labels[name]] = plots.Curve(
                [_passed(place) for place in part.inside],
                [float(found[place].baselines[name].mean()) for place in part.inside],
                null=name != "mean step",
            )
        lines["permuted order"] = _null(part.inside, [found[place].permuted for place in part.inside])
        outside = {found[UNEMBEDDING].accuracy: "unembedding"}
        if part.control:
            outside[found[part.control].accuracy] = part.control
        panels.append(
            plots.CurvePanel(_AXIS, measures[kind], lines, title=title, references=outside, limits=(0, 1), marked=False)
        )
    best, other = part.best("successor"), part.best("position")
    step, jump = part.successor[best], part.position[other]
    return FigureSpec(
        "maps",
        f"One linear map finds the next value in a category it was not fitted to for {step.accuracy:.0%} at {best}"
        f" (nearest value {step.baselines['nearest'].mean():.0%}, permuted order {step.permuted.mean():.0%}); maps"
        f" between categories match {jump.accuracy:.0%} of held-out positions at {other} (permuted"
        f" {jump.permuted.mean():.0%})",
        f"Ridge maps of vectors without their category's mean. Left: the next value among the category's others"
        f" ({len(step.correct)} values). Right: two positions that the map was not fitted to, matched the right way"
        f" round ({len(jump.correct)} pairs). Band: 95% bootstrap. Grey: the value nearest to the word itself, maps"
        " fitted to permuted orders. The sites named have the highest accuracy of those drawn.",
        partial(plots.curves, panels),
    )


def steps(part: "StepsPart") -> FigureSpec:
    """Changes by block."""
    panels = []
    for name, label in (
        ("direction", "next against previous"),
        ("advance", "next against the value itself"),
    ):
        found: Mapping[str, Array] = getattr(part, name)
        lines = _ways(part.sites, found, STEPS)
        panels.append(
            plots.CurvePanel("added after block", "change of log-odds (nats)", lines, title=label, marked=False,
                             references={0.0: "unsteered"})
        )  # fmt: skip
    at = part.best
    one, own, permuted = (part.direction[way][at].mean() for way in STEPS[:3])
    return FigureSpec(
        "steps",
        f"A step of position from other categories moves a repeated value towards its next, against its previous, by"
        f" {one:+.2f} nats at most (permuted positions {permuted:+.2f}, the value's own difference {own:+.2f})",
        f"{len(part.cells)} values with both neighbours in a prompt that repeats words, which the unsteered model does"
        f" for {part.copied.mean():.0%}; vectors at the value's token, all as long as its own difference to the next,"
        f" so that their KL divergences differ (see the table). At most: at {part.sites[at]}, where it is largest of"
        f" {len(part.sites)}. Bands: 95% bootstrap over values.",
        partial(plots.curves, panels),
    )


def relations(part: "RelationsPart") -> FigureSpec:
    """Shares, R² and order by site and place."""
    panels = []
    for place, shares in part.shares.items():
        x = [_passed(str(site)) for site in shares]
        lines = {}
        for name, label in (("first", "first noun"), ("second", "second noun"), ("interaction", "only both together")):
            ends = np.array([each.interval(name) for each in shares.values()]).T
            lines[label] = plots.Curve(x, [each.shares[name] for each in shares.values()], low=ends[0], high=ends[1])
        lines["first noun, pairs permuted"] = plots.Curve(
            x, [each.permuted["first"] for each in shares.values()], null=True
        )
        panels.append(
            plots.CurvePanel("blocks passed", "share of variance", lines, title=f"Read at the {place}", limits=(0, 1),
                             marked=False)
        )  # fmt: skip
    for place, maps in part.maps.items():
        x = [_passed(str(site)) for site in maps]
        ends = np.array([each.interval("roles") for each in maps.values()]).T
        rates = [each.ordered for each in maps.values()]
        lines = {
            "R², a map for each role": plots.Curve(
                x, [each.r2("roles") for each in maps.values()], low=ends[0], high=ends[1]
            ),
            "R², one map of the sum": plots.Curve(x, [each.r2("bag") for each in maps.values()]),
            "order told": plots.Curve(x, [float(each.mean()) for each in rates]),
            "R², pairs permuted": plots.Curve(x, [float(each.permuted.mean()) for each in maps.values()], null=True),
            "order, roles flipped": plots.Curve(x, [float(each.flipped.mean()) for each in maps.values()], null=True),
        }
        panels.append(
            plots.CurvePanel("blocks passed", "R², accuracy", lines, title=f"Two held-out nouns, {place}", marked=False)
        )
    site = part.binding("full stop")
    found, shares_there = part.maps["full stop"][site], part.shares["full stop"][site].shares
    return FigureSpec(
        "relations",
        f"After “an A on a B.” {1 - shares_there['interaction']:.0%} of the variance is the sum of two nouns ({site});"
        f" linear maps by role reach R² {found.r2('roles'):.2f} on pairs of held-out nouns, one map of their sum"
        f" {found.r2('bag'):.2f}, and tell who is on whom for {found.ordered.mean():.0%} (roles flipped"
        f" {found.flipped.mean():.0%}, p = {found.p_order:.2g})",
        f"{len(found.pairs)} ordered pairs of {len(part.nouns)} nouns, covariance metric. At the last noun the second"
        " noun is read itself; the full stop after it is one token for all. Bands: 95% jackknife over nouns. The site"
        " named is where maps by role lead the map of the sum by most.",
        partial(plots.curves, panels),
    )


def relation_steering(part: "RelationsPart") -> FigureSpec:
    """Whether answers follow, and whether steering moves them."""
    panel = plots.CurvePanel(
        "added after block", "change of log-odds (nats)", _ways(part.sites, part.moved, MOVES),
        references={0.0: "unsteered"}, marked=False,
    )  # fmt: skip
    at = part.best
    step, own, crossed, random = (part.moved[way][at].mean() for way in MOVES)
    told = ", ".join(f"{name} {values.mean():.0%}" for name, values in part.competence.items())
    can = "tells" if part.able else "cannot tell"
    return FigureSpec(
        "relation-steering",
        f"The model {can} who is on whom (50% by chance: {told}); a composed step to another top noun moves its answer"
        f" by {step:+.2f} nats (the other role's {crossed:+.2f}, the pair's own difference {own:+.2f}, random"
        f" {random:+.2f})",
        "Change of log P(new) − log P(old) after “There was an A on a B. The one on top was the”: vectors at the full"
        " stop, all as long as the pair's own difference to the pair with the new noun; the composed step is the mean"
        f" over other bottom nouns. {part.moved[MOVES[0]].shape[1]} pairs; bands: 95% bootstrap over pairs; values in"
        f" the title at {part.sites[at]}, where the step does most.",
        partial(plots.curves, [panel], ncols=1),
    )


def _ways(sites: tuple[Site, ...], found: Mapping[str, Array], ways: tuple[str, ...]) -> dict[str, plots.Curve]:
    lines = {}
    for way in ways:
        ends = np.array([interval_of(row) for row in found[way]]).T
        lines[way] = plots.Curve(
            [float(site.block or 0) for site in sites], found[way].mean(axis=1), null=way in ways[2:], low=ends[0],
            high=ends[1],
        )  # fmt: skip
    return lines
