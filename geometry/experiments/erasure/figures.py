"""The figures of the study of erasure: words and layout, no measurement."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.experiments.erasure.downstream import CONDITIONS, UNSTEERED
from geometry.experiments.erasure.methods import CONTROLS, ERASURE, LDA, MEAN, PERMUTED, RANDOM
from geometry.experiments.result import FigureSpec
from geometry.intervals import interval_of, mean_of
from geometry.selectivity import RELATIONS

if TYPE_CHECKING:
    from geometry.experiments.erasure.behaviour import BehaviourPart
    from geometry.experiments.erasure.kinds import KindsPart
    from geometry.experiments.erasure.removal import RemovalPart
    from geometry.experiments.erasure.tree import TreePart

Array = NDArray[np.float64]
BEFORE = "nothing erased"
_BOTH = "controls"
_NAMES = {
    "self": "the erased concept itself",
    "child": "below it",
    "parent": "above it",
    "sibling": "siblings",
    "cousin": "cousins",
    "unrelated": "unrelated",
}


def removal(part: "RemovalPart") -> FigureSpec:
    """A row a concept, and their mean: AUC before and after, by two probes."""
    panels = []
    for nearest, title in ((False, "linear probe"), (True, "nearest neighbours")):
        methods = [ERASURE, MEAN] if nearest else [ERASURE, MEAN, LDA]
        series = {BEFORE: part.before(nearest)} | {method: part.after(method, nearest) for method in methods}
        nulls = np.array([part.after(method, nearest) for method in CONTROLS])
        means = {name: _estimate(values) for name, values in series.items()}
        rows = [plots.ForestRow(means, {_BOTH: _between(nulls.mean(axis=1), [interval_of(row) for row in nulls])})]
        for place in range(len(part.targets)):
            # The other methods in the first row alone, or the picture would be as high as two pages.
            shown = {name: plots.Estimate(float(series[name][place])) for name in (BEFORE, ERASURE)}
            rows.append(plots.ForestRow(shown, {_BOTH: _between(nulls[:, place])}))
        panels.append(plots.ForestPanel("AUC on held-out words", rows, title, {0.5: "chance"}))
    gone = part.removed(ERASURE)
    low, high = interval_of(gone)
    return FigureSpec(
        "removal",
        f"LEACE takes {mean_of(gone):.0%} [{low:.0%}, {high:.0%}] of what a linear probe knew of a concept on words it"
        f" was not fitted to (AUC {part.before().mean():.2f} → {part.after(ERASURE).mean():.2f}; permuted labels"
        f" {part.after(PERMUTED).mean():.2f})",
        f"First row: mean over the {len(part.targets)} concepts and subtrees below, bars 95%, bootstrap over these."
        f" Fitted to {part.sizes[0]:,} words at {part.site}; probes fitted anew to {part.sizes[1]:,} others, judged on"
        f" {part.sizes[2]:,} more, and the other way round. Grey: from the lower to the higher of random directions and"
        " permuted labels (first row: their intervals). LDA, a linear probe's own direction, is not asked of b.",
        partial(plots.forest, panels, ["mean of all", *(target.label for target in part.targets)]),
    )


def held_out(part: "RemovalPart") -> FigureSpec:
    """AUC by how many words the eraser was fitted to, and after later blocks."""
    counts = list(part.sweep.counts)
    before, random = part.before().mean(), part.after(RANDOM).mean()
    panels = [
        plots.CurvePanel(
            "words that LEACE was fitted to",
            "AUC on other words",
            {
                UNSTEERED: plots.Curve(counts, [before] * len(counts), null=True),
                ERASURE: _curve(counts, part.sweep.by_count.T),
            },
            f"at {part.site}",
            {0.5: "chance"},
            log="x",
        )
    ]
    first, last = (mean_of(row) for row in (part.sweep.by_count[0], part.sweep.by_count[-1]))
    title = (
        "The more words LEACE is fitted to, the less is left on others" if last < first else "More words do not help"
    )
    title += f": AUC {first:.2f} when fitted to {counts[0]:,} words, {last:.2f} to {counts[-1]:,}"
    caption = (
        f"a: mean over {len(part.targets)} concepts and subtrees of a linear probe fitted anew after erasing; random"
        f" directions of the same rank {random:.2f}. Bands: 95%, bootstrap over concepts."
    )
    if part.downstream is not None:
        down = part.downstream
        blocks = [site.block or 0 for site in down.sites]
        curve = {name: _curve(blocks, down.auc[name], null=name != ERASURE) for name in CONDITIONS}
        panels.append(
            plots.CurvePanel("after block", "AUC on other words", curve, "and at later blocks", {0.5: "chance"})
        )
        more, plain = (down.auc[name][:, -1] - down.auc[name][:, 0] for name in (ERASURE, UNSTEERED))
        low, high = interval_of(more)
        title += (
            f"; by the last block it changes by {mean_of(more):+.3f} [{low:+.3f}, {high:+.3f}] (nothing erased"
            f" {mean_of(plain):+.3f})"
        )
        caption += (
            f" b: {len(down.targets)} concepts, erased at {part.site} at every token, on fewer words; a probe fitted"
            " anew at each block. The change is judged within concepts, the bands are between them."
        )
    return FigureSpec("held_out", title, caption, partial(plots.curves, panels))


def tree(part: "TreePart") -> FigureSpec:
    """Change of AUC by relation, of concepts and of subtrees."""
    panels = []
    for kind in part.kinds:
        rows = []
        for relation in RELATIONS:
            estimates = {method: _estimate(part.change(method, relation, subtrees=kind)) for method in (ERASURE, MEAN)}
            nulls = {method: _mark(method, part.change(method, relation, subtrees=kind)) for method in CONTROLS}
            rows.append(plots.ForestRow(estimates, nulls))
        count = sum(target.subtree == kind for target in part.targets)
        title = f"{count} subtrees, each at once" if kind else f"{count} concepts, one at a time"
        panels.append(plots.ForestPanel("change of AUC", rows, title, {0.0: ""}))
    kind = part.kinds[0]
    own, parent, far = (mean_of(part.change(ERASURE, name, subtrees=kind)) for name in ("self", "parent", "unrelated"))
    child = mean_of(part.change(ERASURE, "child", subtrees=kind))
    below = f", of those below it by {child:+.3f}" if np.isfinite(child) else ""
    return FigureSpec(
        "tree",
        f"Erasing a concept changes its own AUC by {own:+.3f}{below}, of those above it by {parent:+.3f} and of"
        f" unrelated ones by {far:+.3f}",
        "Linear probes of all concepts, fitted anew after each erasure, on words that no eraser was fitted to. Means"
        " over what was erased, bars 95%, bootstrap over these. Of a subtree all concepts count as itself, so that none"
        " is below it. Grey: as many random directions; LEACE of permuted labels.",
        partial(plots.forest, panels, [_NAMES[name] for name in RELATIONS]),
    )


def behaviour(part: "BehaviourPart") -> FigureSpec:
    """Change of log-odds by relation, after both kinds of prompts."""
    from geometry.experiments.erasure.behaviour import ABOUT, ASKED, KINDS, PLAIN

    panels = []
    for prompts in KINDS:
        rows = []
        for relation in RELATIONS:
            values = {method: part.change[prompts][method][relation] for method in ASKED}
            rows.append(
                plots.ForestRow(
                    {method: _estimate(v) for method, v in values.items() if method not in CONTROLS},
                    {method: _mark(method, v) for method, v in values.items() if method in CONTROLS},
                )
            )
        count = part.prompts[prompts]
        title = f"{count} prompts about each concept" if prompts == ABOUT else f"{count} neutral prompts"
        panels.append(plots.ForestPanel("change of log-odds (nats)", rows, title, {0.0: ""}))
    own = part.change[ABOUT][ERASURE]["self"]
    low, high = interval_of(own)
    return FigureSpec(
        "behaviour",
        f"With a concept erased its held-out words change by {mean_of(own):+.2f} [{low:+.2f}, {high:+.2f}] nats of"
        " log-odds where it is talked of, those of unrelated concepts by"
        f" {mean_of(part.change[ABOUT][ERASURE]['unrelated']):+.2f} (permuted labels"
        f" {mean_of(part.change[ABOUT][PERMUTED]['self']):+.2f})",
        f"Means over {len(part.targets)} concepts, erased one at a time at every token; bars 95%, bootstrap over these."
        " Prompts about a concept: 'The …, the …, the … and the'. KL there, in nats: "
        + ", ".join(f"{method} {mean_of(part.kl[ABOUT][method]):.2g}" for method in (ERASURE, MEAN, PLAIN))
        + ". Plain: projected out about 0, of first tokens too. Grey: a random direction; LEACE of permuted labels.",
        partial(plots.forest, panels, [_NAMES[name] for name in RELATIONS]),
    )


def kinds(part: "KindsPart") -> FigureSpec:
    """A row a kind that is erased, and their mean: log-odds of the right name, and accuracy."""
    own, others, random = "on its own words", "on words of the other kinds", "random direction, on its own words"
    away = ~np.eye(len(part.names), dtype=bool)
    odds = {own: np.diag(part.odds), others: part.aside(part.odds)}, np.diag(part.random_odds)
    points = {own: 100 * part.own, others: 100 * part.others()}, 100 * (np.diag(part.random) - part.before)
    texts = [f"{before:.0%} → {after:.0%}" for before, after in zip(part.before, np.diag(part.after), strict=True)]
    panels = []
    for (series, control), matrix, measure, right in (
        (odds, part.odds, "change of the name's log-odds (nats)", None),
        (points, 100 * (part.after - part.before), "change of right answers (points)", texts),
    ):
        rows = [plots.ForestRow({name: _estimate(v) for name, v in series.items()}, {random: _mark(RANDOM, control)})]
        for place, mask in enumerate(away):
            spread = _estimate(matrix[place, mask])
            shown = {own: plots.Estimate(float(series[own][place])), others: spread}
            null = {random: plots.NullMark(float(control[place]))}
            rows.append(plots.ForestRow(shown, null, {own: [right[place]]} if right else {}))
        panels.append(plots.ForestPanel(measure, rows, "", {0.0: "nothing erased"}))
    return FigureSpec(
        "kinds",
        f"With a kind erased the log-odds of its name after 'A … is a kind of' change by {_said(odds[0][own])} nats on"
        f" its own words, by {_said(odds[0][others], 3)} on words of other kinds and by {_said(odds[1], 3)} with a"
        " random direction",
        f"The name is one of {len(part.names)} (chance {1 / len(part.names):.0%}), chosen for what the unsteered model"
        f" knows of other words; {_few(part.words)} words judge each. First row: means over the kinds, bars 95%,"
        " bootstrap over these; below: a kind that is erased, bars over the other kinds. Grey: a random direction in"
        " its place, on its own words. Right answers on these stand at the right, before → after.",
        partial(
            plots.forest,
            panels,
            ["mean of all", *(f"{name} erased" for name in part.names)],
            columns=["right answers"],
        ),
    )


def _said(values: Array, digits: int = 2) -> str:
    low, high = interval_of(values)
    return f"{mean_of(values):+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def _few(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _estimate(values: Array) -> plots.Estimate:
    return plots.Estimate(mean_of(values), *(interval_of(values) if len(values) else (np.nan, np.nan)))


def _mark(method: str, values: Array) -> plots.NullMark:
    ends = interval_of(values) if len(values) else (np.nan, np.nan)
    return plots.NullMark(mean_of(values), "x" if method == PERMUTED else "|", *ends)


def _between(values: Array, intervals: Sequence[tuple[float, float]] = ()) -> plots.NullMark:
    """Both controls as one mark: their mean, and all that lies between them, or between the ends of their intervals."""
    ends = np.array([*values, *(end for each in intervals for end in each)])
    return plots.NullMark(float(values.mean()), "|", float(np.nanmin(ends)), float(np.nanmax(ends)))


def _curve(x: list[Any], values: Array, *, null: bool = False) -> plots.Curve:
    """Means over rows with their intervals, for each column."""
    ends = np.array([interval_of(column[np.isfinite(column)]) for column in values.T])
    means = [mean_of(column) for column in values.T]
    if null:
        return plots.Curve(x, means, null=True)
    return plots.Curve(x, means, low=ends[:, 0], high=ends[:, 1])
