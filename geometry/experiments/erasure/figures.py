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
        nulls = {method: part.after(method, nearest) for method in CONTROLS}
        rows = [
            plots.ForestRow(
                {name: _estimate(values) for name, values in series.items()},
                {name: _mark(name, mean_of(values)) for name, values in nulls.items()},
                bold=True,
            )
        ]
        for place in range(len(part.targets)):
            rows.append(
                plots.ForestRow(
                    {name: plots.Estimate(float(values[place])) for name, values in series.items()},
                    {name: _mark(name, float(values[place])) for name, values in nulls.items()},
                )
            )
        panels.append(plots.ForestPanel("AUC on words that were not fitted", rows, title, {0.5: "chance"}))
    gone = part.removed(ERASURE)
    low, high = interval_of(gone)
    return FigureSpec(
        "removal",
        f"LEACE takes {mean_of(gone):.0%} [{low:.0%}, {high:.0%}] of what a linear probe knew of a concept on words it"
        f" was not fitted to (AUC {part.before().mean():.2f} → {part.after(ERASURE).mean():.2f}; permuted labels"
        f" {part.after(PERMUTED).mean():.2f})",
        f"First row: mean over the {len(part.targets)} concepts and subtrees below it, bars 95%, bootstrap over"
        f" these; of a subtree the mean of its concepts. Erased at {part.site}, at equal rank, fitted to"
        f" {part.sizes[0]:,} words; probes fitted anew to {part.sizes[1]:,} others and judged on"
        f" {part.sizes[2]:,} more, and the other way round. On the words of the fit nothing linear is left. Grey: as"
        f" many random directions; LEACE of permuted labels. {LDA[0].upper()}{LDA[1:]}: the probe's own direction,"
        " projected out orthogonally.",
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
    title = f"The more words LEACE is fitted to, the less is left on others: AUC {first:.2f} by {counts[0]:,} words,"
    title += f" {last:.2f} by {counts[-1]:,}"
    if last >= first:
        title = f"More words do not help: AUC {first:.2f} by {counts[0]:,} words, {last:.2f} by {counts[-1]:,}"
    caption = (
        f"Left: mean over {len(part.targets)} concepts and subtrees of a linear probe fitted anew after erasing; random"
        f" directions of the same rank {random:.2f}. Bands: 95%, bootstrap over concepts."
    )
    if part.downstream is not None:
        down = part.downstream
        blocks = [site.block or 0 for site in down.sites]
        curve = {name: _curve(blocks, down.auc[name], null=name != ERASURE) for name in CONDITIONS}
        panels.append(
            plots.CurvePanel("after block", "AUC on other words", curve, "and at later blocks", {0.5: "chance"})
        )
        more = part.rebuilt()
        low, high = interval_of(more) if more is not None else (np.nan, np.nan)
        found = (
            "rebuild some of it" if low > 0 else "lose more of it" if high < 0 else "do not change that significantly"
        )
        title += f"; later blocks {found} ({mean_of(part.rebuilt()):+.2f} [{low:+.2f}, {high:+.2f}])"  # type: ignore[arg-type]
        caption += (
            f" Right: {len(down.targets)} concepts, erased at {part.site} at every token, on fewer words; a probe"
            " fitted anew at each block."
        )
    return FigureSpec("held_out", title, caption, partial(plots.curves, panels))


def tree(part: "TreePart") -> FigureSpec:
    """Change of AUC by relation, of concepts and of subtrees."""
    panels = []
    for kind in part.kinds:
        rows = []
        for relation in RELATIONS:
            estimates = {method: _estimate(part.change(method, relation, subtrees=kind)) for method in (ERASURE, MEAN)}
            nulls = {
                method: _mark(method, mean_of(part.change(method, relation, subtrees=kind))) for method in CONTROLS
            }
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
        " over what was erased, bars 95%, bootstrap over these. Of a subtree all of its concepts count as itself. Grey:"
        " as many random directions; LEACE of permuted labels.",
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
                    {method: _mark(method, mean_of(v)) for method, v in values.items() if method in CONTROLS},
                )
            )
        count = part.prompts[prompts]
        title = f"{count} prompts about each concept" if prompts == ABOUT else f"{count} neutral prompts"
        panels.append(plots.ForestPanel("change of log-odds (nats)", rows, title, {0.0: ""}))
    own = part.change[ABOUT][ERASURE]["self"]
    low, high = interval_of(own)
    return FigureSpec(
        "behaviour",
        f"With a concept erased the model's log-odds of its unseen words change by {mean_of(own):+.2f}"
        f" [{low:.2f}, {high:.2f}] nats where it is talked of, those of unrelated concepts by"
        f" {mean_of(part.change[ABOUT][ERASURE]['unrelated']):+.2f} (permuted labels"
        f" {mean_of(part.change[ABOUT][PERMUTED]['self']):+.2f})",
        f"{len(part.targets)} concepts, erased one at a time at every token; means over these, bars 95%. Prompts about"
        " a concept: 'The …, the …, the … and the', of words that no eraser was fitted to. Itself and below it: raw"
        " log-odds; others among the words outside the concept, renormalised. KL about the concept: "
        + ", ".join(f"{method} {mean_of(part.kl[ABOUT][method]):.2g}" for method in ASKED)
        + f" nats. {PLAIN[0].upper()}{PLAIN[1:]}: the mean difference projected out about 0, as steer's mode 'ablate'"
        " does, of first tokens too. Grey: a random direction; LEACE of permuted labels.",
        partial(plots.forest, panels, [_NAMES[name] for name in RELATIONS]),
    )


def kinds(part: "KindsPart") -> FigureSpec:
    """Erased × asked: accuracy."""
    values = np.vstack([part.before, part.after, np.diag(part.random)])
    rows = ["nothing erased", *(f"{name} erased" for name in part.names), "own random direction"]
    texts = [[f"{value:.0%}" for value in row] for row in values.tolist()]
    panel = plots.HeatmapPanel(
        values, rows, list(part.names), texts=texts, colourbar="right answers", column_axis="kind of the word"
    )
    own, odds, others = part.own, np.diag(part.odds), part.aside(part.odds)
    (low, high), (less, more), (first, last) = interval_of(own), interval_of(odds), interval_of(others)
    return FigureSpec(
        "kinds",
        f"With a kind erased the log-odds of its name after 'A … is a kind of' change by {mean_of(odds):+.2f}"
        f" [{less:+.2f}, {more:+.2f}] nats, of others' by {mean_of(others):+.2f} [{first:+.2f}, {last:+.2f}]; accuracy"
        f" by {mean_of(own) * 100:+.0f} [{low * 100:+.0f}, {high * 100:+.0f}] points",
        f"'A … is a kind of', answered by one of {len(part.names)} names (chance {1 / len(part.names):.0%}), each"
        " compared with its usual probability. Concepts were chosen for what the unsteered model knows of other words;"
        f" {_few(part.words)} words judge each. Last row: a random direction in place of each"
        " concept's own.",
        partial(plots.heatmap, [panel]),
    )


def _few(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _estimate(values: Array) -> plots.Estimate:
    return plots.Estimate(mean_of(values), *(interval_of(values) if len(values) else (np.nan, np.nan)))


def _mark(method: str, value: float) -> plots.NullMark:
    return plots.NullMark(value, "x" if method == PERMUTED else "|")


def _curve(x: list[Any], values: Array, *, null: bool = False) -> plots.Curve:
    """Means over rows with their intervals, for each column."""
    ends = np.array([interval_of(column[np.isfinite(column)]) for column in values.T])
    means = [mean_of(column) for column in values.T]
    if null:
        return plots.Curve(x, means, null=True)
    return plots.Curve(x, means, low=ends[:, 0], high=ends[:, 1])
