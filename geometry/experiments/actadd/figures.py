"""The figures of the study: words and layout, no measurement."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.experiments.actadd.sweep_figures import dimensions, norms, sweeps
from geometry.experiments.actadd.words import acts, direction, mean_cell, more_words, ratio_cell
from geometry.experiments.result import FigureSpec
from geometry.plots.forest import Estimate, ForestPanel, ForestRow, NullMark
from geometry.steering.token_costs import PerplexityRatio

if TYPE_CHECKING:
    from geometry.experiments.actadd.result import ActAddResult

_SCALE = 1.0  # nats at the ends of the scale of tokens' colours
_FEWEST_WORDS = 0.5  # words a generation at the end of an axis, so that none is seen to be none
_FARTHEST = 1e3  # times the unsteered perplexity; beyond it all text is broken


def figures(result: "ActAddResult") -> list[FigureSpec]:
    """In the order of the page."""
    return [
        texts(result),
        contributions(result),
        probabilities(result),
        sweeps(result),
        generations(result),
        dimensions(result),
        tokens(result),
        conditions(result),
        norms(result),
    ]


def texts(result: "ActAddResult") -> FigureSpec:
    """Every set of texts, beside the controls; and the vector over random ones, paired."""
    ratios, paired = [], []
    other = f"{result.other.name} vector, norm-matched"
    for name in result.n_texts:
        vector, random = result.ratio("vector", name), result.ratio("random", name)
        nulls = {"random vectors, norm-matched": _mark(random), other: _mark(result.ratio("other", name))}
        ratios.append(ForestRow({"vector": _estimate(vector)}, nulls))
        paired.append(ForestRow({"vector": _estimate(vector.over(random))}, {}))
    one = {1.0: "unsteered"}
    panels = [
        ForestPanel("perplexity, times unsteered", ratios, "Vector and controls", one),
        ForestPanel("perplexity, times random", paired, "Over random, paired", {1.0: "random"}),
    ]
    names = [f"{name} ({count})" for name, count in result.n_texts.items()]
    topic, beyond = result.topic.name, [name for name in result.n_texts if name != result.topic.name]
    worse = [name for name in beyond if direction(result.ratio("vector", name)) == "raises"]
    on = result.ratio("vector", topic)
    where = "spaces before them" if result.study.spaced else f"the first {result.rows} tokens"
    title = (
        f"{result.labels['vector']} {direction(on)} the perplexity of texts on {topic}"
        f" (× {on.value:.2f}; random × {result.ratio('random', topic).value:.2f}) and raises that of"
        f" {len(worse)} of {len(beyond)} other sets"
    )
    return FigureSpec(
        "texts",
        title,
        f"{result.setting}, at {where}, which do not count. Bars: 95% intervals over texts;"
        f" grey: {result.study.n_random} random vectors in turns, and the vector of another topic. Left of 1: texts"
        " become more probable.",
        partial(plots.forest, panels, names),
    )


def contributions(result: "ActAddResult") -> FigureSpec:
    """KL of the next token by token: those that gain above, those that lose below."""
    shown, here = result.shifts, result.next_tokens["vector"].kl_here
    names = [plots.literal(repr(shift.text)[1:-1].replace(" ", "␣")) for shift in shown]
    own = [shift.contribution for shift in shown]
    random = [shift.random for shift in shown]
    ends = [0.0, *own, *random]
    limits = (1.08 * min(ends) - 1e-6, 1.08 * max(ends) + 1e-6)

    def panel(title: str, rows: Sequence[plots.StripRow], limits: Any = None) -> plots.StripPanel:
        return plots.StripPanel("to KL (nats)", rows, title, {0.0: ""}, limits)

    bar = partial(plots.StripRow, bar=True)
    panels = [
        panel("The vector", [bar(name, [value]) for name, value in zip(names, own, strict=True)], limits),
        panel(
            "Random vectors", [bar(name, [value], null=True) for name, value in zip(names, random, strict=True)], limits
        ),
        panel(
            f"The vector, {result.kl('vector')['n']} neutral prompts",
            [bar(name, shift.neutral) for name, shift in zip(names, shown, strict=True)],
        ),
    ]
    gained = next((shift for shift in shown if shift.contribution > 0), None)
    title = f"After {result.study.prompt!r} the next token moves by {here:.3f} nats"
    title += f" (random vectors {result.next_tokens['random'].kl_here:.3f})"
    title += f"; {gained.text!r} adds most, {gained.contribution:+.3f}" if gained else ""
    return FigureSpec(
        "contributions",
        title,
        "What a token adds to KL(steered ‖ unsteered), p(steered) · log(p(steered)/p(unsteered)): tokens that gain"
        f" above, that lose below; ␣ is a space. Grey: mean of {result.study.n_random} random vectors of the same norm."
        f" Points: neutral prompts. {result.setting}.",
        partial(plots.strip, panels, ncols=3, colours=[plots.COLOURS[0], plots.COLOURS[0], plots.COLOURS[2]]),
    )


def probabilities(result: "ActAddResult") -> FigureSpec:
    """The same tokens' probabilities before and after."""
    rows = [
        ForestRow(
            {"steered": Estimate(shift.after), "unsteered": Estimate(shift.before)},
            {"random vectors": NullMark(shift.after_random)},
            {"steered": [f"× {shift.after / max(shift.before, 1e-300):.2f}"]},
        )
        for shift in result.shifts
    ]
    panel = ForestPanel("probability of the next token", rows, log=True)
    names = [plots.literal(repr(shift.text)[1:-1].replace(" ", "␣")) for shift in result.shifts]
    largest = max(result.shifts, key=lambda shift: abs(np.log(shift.after / max(shift.before, 1e-300))))
    return FigureSpec(
        "probabilities",
        f"{largest.text!r} changes most of these tokens: from {largest.before:.2g} to {largest.after:.2g}"
        f" (random vectors {largest.after_random:.2g})",
        f"The tokens that add most to the divergence after {result.study.prompt!r}, gaining above, losing below; ␣ is a"
        f" space. Grey: mean over {result.study.n_random} random vectors of the same norm. {result.setting}.",
        partial(plots.forest, [panel], names, columns=["steered / unsteered"]),
    )


def generations(result: "ActAddResult") -> FigureSpec:
    """Words of both topics under every condition."""
    names = [result.labels[name] for name in result.written]
    panels = []
    for topic in (result.topic.name, result.other.name):
        rows = []
        for name in result.written:
            counted = result.counted(name, topic)
            rows.append(_row(name, result, counted["mean"], *counted["interval"]))
        most = max(result.counted(name, topic)["interval"][1] for name in result.written)
        limits = (0.0, 1.05 * max(most, _FEWEST_WORDS))
        panels.append(ForestPanel(f"{topic} words a generation", rows, limits=limits))
    more = "more" if more_words(result, "vector") else "no more (by intervals)"
    first, unsteered, prompting = (result.counted(name)["mean"] for name in ("vector", "unsteered", "prompting"))
    study = result.study
    return FigureSpec(
        "generations",
        f"With the vector generations hold {more} words of {result.topic.name} than without: {first:.2f} against"
        f" {unsteered:.2f}; with the word prepended {prompting:.2f}",
        f"After {study.beginning!r}: {study.n_generations} generations of {study.n_new_tokens} tokens each, seed"
        f" {study.seed}; means with 95% intervals over generations, controls grey. {result.setting}, at the first"
        " tokens unless the row says otherwise.",
        partial(plots.forest, panels, names),
    )


def conditions(result: "ActAddResult") -> FigureSpec:
    """All conditions: texts on and off topic, words of both topics."""
    topic, other = result.topic.name, result.other.name
    shown = [name for name in result.next_tokens if name != "unsteered"]
    panels = []
    for name in (topic, other):
        rows = [_row(each, result, *_ends(result.ratio(each, name))) for each in shown]
        panels.append(ForestPanel(f"{name} texts, perplexity ×", rows, references={1.0: "unsteered"}, log=True))
    for name in (topic, other):
        rows, before = [], result.probability("unsteered", name)["mean"]
        for each in shown:
            found = result.probability(each, name)
            rows.append(_row(each, result, found["mean"], *found["interval"]))
        panels.append(ForestPanel(f"P({name} words)", rows, references={before: "unsteered"}))
    still = [name for name in (topic, other) if acts(result, "both", name)]
    acting = {0: "neither acts", 1: f"only {still[0] if still else ''} acts", 2: "each acts"}[len(still)]
    huge = result.ratio("huge", topic)
    return FigureSpec(
        "conditions",
        f"Of two vectors at once {acting} on its own texts; {result.study.huge:g} times the vector"
        f" {direction(huge)} the perplexity of texts on {topic} (× {ratio_cell(huge)}), random × "
        f"{ratio_cell(result.ratio('random', topic))}",
        f"Perplexity of texts with 95% intervals over texts, probability of words of a topic with those over"
        f" {result.kl('vector')['n']} neutral prompts (KL under the vector {mean_cell(result.kl('vector'))} nats)."
        f" {result.setting} unless the row says otherwise.",
        partial(plots.forest, panels, [result.labels[name] for name in shown]),
    )


def tokens(result: "ActAddResult") -> FigureSpec:
    """Texts token by token, under the vector and under a random one."""
    panels = []
    for text in result.shown:
        for label, values in (("the vector", text.changes), ("a random vector", text.random)):
            panels.append(plots.TokenPanel(text.tokens, values, f"{text.name}, {label}"))
    first = result.shown[0]
    changes = np.array(first.changes)
    best = int(np.nanargmax(changes)) if np.isfinite(changes).any() else 0
    return FigureSpec(
        "tokens",
        f"In the first text the vector raises {first.tokens[best]!r} most, by {changes[best]:+.2f} nats (a random"
        f" vector {first.random[best]:+.2f})",
        "Change of each token's log-probability given those before it: red more probable under the vector, blue less;"
        f" grey: predicted from a steered token. {result.setting}.",
        partial(
            plots.token_map,
            panels,
            limits=(-_SCALE, _SCALE),
            colourbar="log p(steered) − log p(unsteered), nats",
        ),
    )


def _row(name: str, result: "ActAddResult", value: float, low: float, high: float) -> ForestRow:
    if name in result.controls:
        return ForestRow({}, {"control": NullMark(value, "D", low, high)})
    return ForestRow({"steered": Estimate(value, low, high)})


def _ends(ratio: PerplexityRatio) -> tuple[float, float, float]:
    low, high = ratio.interval
    return min(ratio.value, _FARTHEST), min(low, _FARTHEST), min(high, _FARTHEST)


def _estimate(ratio: PerplexityRatio) -> Estimate:
    return Estimate(ratio.value, *ratio.interval)


def _mark(ratio: PerplexityRatio) -> NullMark:
    return NullMark(ratio.value, "|", *ratio.interval)
