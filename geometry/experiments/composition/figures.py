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
_AXIS = "after block (\N{MINUS SIGN}1: embedding, \N{MINUS SIGN}½: first MLP's output)"
_PERMUTED = "pairs permuted"


def _after(place: str) -> float:
    """The block after which a site lies, counted from 0; the output of a block's MLP lies within it."""
    site = Site.parse(place)
    return {"input": -1.0, "mlp": -0.5}.get(site.place, 0.0) + float(site.block or 0)


def _where(place: str) -> str:
    """The same in words."""
    site = Site.parse(place)
    named = {"input": "at the embedding", "mlp": "at the first MLP's output"}
    return named.get(site.place, f"after block {site.block}")


def _curve(places: Any, values: list[Array], *, null: bool = False) -> plots.Curve:
    return _line(places, [float(each.mean()) for each in values], [interval_of(each) for each in values], null=null)


def _null(places: Any, draws: list[Array]) -> plots.Curve:
    return _line(places, [float(each.mean()) for each in draws], [central(each) for each in draws], null=True)


def _line(places: Any, values: list[float], ends: list[tuple[float, float]], *, null: bool = False) -> plots.Curve:
    low, high = np.array(ends).T
    return plots.Curve([_after(str(place)) for place in places], values, null=null, low=low, high=high)


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
        f" {mlp.rank.mean():.2f} at the first MLP's output and {best.rank.mean():.2f} {_where(part.best)} (positions"
        f" permuted {best.shuffled['rank'].mean():.2f}); its squared error there is {best.error.mean():.2f} times that"
        " of the category's mean",
        f"{len(best.cells)} values of weekdays and the like, each predicted from all others (Gould et al. 2023). Rank"
        " 1: always first in its series; permuted positions stay below ½, as the mean of the others points away from a"
        " value. Error 1: no better than that mean. Covariance metric of each site. Band: 95% bootstrap over values;"
        " grey: positions permuted within series, random words in the values' place, with 95% of their draws. Dotted:"
        f" output layer, and word vectors. The title's highest rank was picked among {len(part.inside)} sites.",
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
            rates = [found[place].baselines[name] for place in part.inside]
            lines[labels[name]] = (
                plots.Curve([_after(place) for place in part.inside], [float(each.mean()) for each in rates])
                if name == "mean step"  # whose band would hide the control's
                else _curve(part.inside, rates, null=True)
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
        f"One linear map finds {step.accuracy:.0%} of next values in categories it was not fitted to, {_where(best)}"
        f" (nearest value {step.baselines['nearest'].mean():.0%}, permuted order {step.permuted.mean():.0%}); maps"
        f" between categories match {jump.accuracy:.0%} of held-out positions, {_where(other)} (permuted"
        f" {jump.permuted.mean():.0%})",
        f"Ridge maps of vectors without their category's mean. Left: the next value among the category's others"
        f" ({len(step.correct)} values). Right: two positions that the map was not fitted to, matched the right way"
        f" round ({len(jump.correct)} pairs). Bands, of all but the mean step: 95% bootstrap. Grey: the value"
        " nearest to the word itself; maps fitted to permuted orders, with 95% of them. The sites"
        " named have the highest accuracy of those drawn.",
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
    costs = ", ".join(f"{way} {part.kl[way][at].mean():.2f}" for way in STEPS)
    return FigureSpec(
        "steps",
        f"A step of position from other categories moves the next value against the previous by {one:+.2f} nats"
        f" {_where(str(part.sites[at]))} (permuted positions {permuted:+.2f}, own difference {own:+.2f})",
        f"{len(part.cells)} values with both neighbours in a prompt that repeats words, which the unsteered model does"
        f" for {part.copied.mean():.0%}; vectors at the value's token. They are norm-matched, all as long as the"
        f" value's own difference to the next, and not at equal KL divergence: at the title's site, picked as the"
        f" largest of {len(part.sites)}, they cost (nats) {costs}. Bands: 95% bootstrap over values.",
        partial(plots.curves, panels),
    )


def relations(part: "RelationsPart") -> FigureSpec:
    """Shares, R² and order, a row of panels each, by site and place."""
    panels = []
    nouns = {"first": "first noun", "second": "second noun", "interaction": "only both together"}
    for place, shares in part.shares.items():
        every = list(shares.values())
        lines = {
            label: _line(shares, [each.shares[name] for each in every], [each.interval(name) for each in every])
            for name, label in nouns.items()
        }
        lines[_PERMUTED] = plots.Curve(
            [_after(str(site)) for site in shares], [each.permuted["first"] for each in every], null=True
        )
        panels.append(_panel("share of variance", lines, f"Variance, read at the {place}", limits=(0, 1)))
    for place, maps in part.maps.items():
        every_map = list(maps.values())
        lines = {
            label: _line(maps, [each.r2(name) for each in every_map], [each.interval(name) for each in every_map])
            for name, label in {"roles": "a map for each role", "bag": "one map of the sum"}.items()
        }
        lines[_PERMUTED] = _null(maps, [each.permuted for each in every_map])
        panels.append(_panel("R²", lines, f"R² on two held-out nouns, {place}"))
    for place, maps in part.maps.items():
        rates = [float(each.ordered.mean()) for each in maps.values()]
        ends = [interval_of(each.ordered, each.pairs.min(axis=1)) for each in maps.values()]
        lines = {
            "order recovered": _line(maps, rates, ends),
            "roles flipped": _null(maps, [each.flipped for each in maps.values()]),
        }
        panels.append(_panel("accuracy", lines, f"Who is on whom, two held-out nouns, {place}", limits=(0, 1.02)))
    site = part.binding("full stop")
    found, shares_there = part.maps["full stop"][site], part.shares["full stop"][site].shares
    return FigureSpec(
        "relations",
        f"At the full stop of “an A on a B.”, {_where(str(site))}, {1 - shares_there['interaction']:.0%} of the"
        f" variance is a sum over two nouns; on held-out nouns maps by role reach R² {found.r2('roles'):.2f} (one map"
        f" of the sum {found.r2('bag'):.2f}) and recover {found.ordered.mean():.0%} of orders (roles flipped"
        f" {found.flipped.mean():.0%}, p = {found.p_order:.2g})",
        f"{len(found.pairs)} ordered pairs of {len(part.nouns)} nouns, covariance metric. At the last noun the second"
        " noun is read itself; the full stop after it is one token for all. Bands: 95% jackknife over nouns, of orders"
        " bootstrap, of controls 95% of permutations. Pairs permuted: a, b, share of the first noun where pairs are"
        " given each other's activations; c, d, R² of maps by role fitted to such. The site named is where maps by role"
        " lead the map of the sum by most.",
        partial(plots.curves, panels),
    )


def _panel(y: str, lines: Mapping[str, plots.Curve], title: str, **options: Any) -> plots.CurvePanel:
    return plots.CurvePanel(
        "after block (\N{MINUS SIGN}½: first MLP's output)", y, lines, title=title, marked=False, **options
    )


def relation_steering(part: "RelationsPart") -> FigureSpec:
    """Whether answers follow, and whether steering moves them."""
    panel = plots.CurvePanel(
        "added after block", "change of log-odds (nats)", _ways(part.sites, part.moved, MOVES),
        references={0.0: "unsteered"}, marked=False,
    )  # fmt: skip
    at = part.best
    step, own, crossed, random = (part.moved[way][at].mean() for way in MOVES)
    rates = {name: float(values.mean()) for name, values in part.competence.items()}
    asked = ", ".join(f"{name} {rate:.0%}" for name, rate in rates.items())
    can = "tells" if part.able else "cannot tell"
    return FigureSpec(
        "relation-steering",
        f"The model {can} who is on whom ({min(rates.values()):.0%} to {max(rates.values()):.0%} right by question,"
        f" chance 50%); a composed step to another top noun moves its answer by {step:+.2f} nats, that of the other"
        f" role by {crossed:+.2f}, random by {random:+.2f}",
        f"Right without steering: {asked}. Lines: change of log P(new) − log P(old) after “There was an A on a B. The"
        " one on top was the” under vectors at the full stop, norm-matched to the pair's own difference to the pair"
        f" with the new noun ({own:+.2f}) and not at equal KL divergence; the composed step is the mean over other"
        f" bottom nouns. {part.moved[MOVES[0]].shape[1]} pairs; bands: 95% bootstrap over pairs. The title's values are"
        f" {_where(str(part.sites[at]))}, where the step does most.",
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
