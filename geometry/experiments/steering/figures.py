"""The figures and the page of the steering study: words and layout, no measurement."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.experiments.evaluator import BOUND, sampling_note, times
from geometry.experiments.result import FigureSpec
from geometry.experiments.steering.setup import CONTROLLED
from geometry.plots.pages import TextTable, texts_page

if TYPE_CHECKING:
    from geometry.experiments.steering.result import SteeringResult

# A panel of the strips each.
COLOURS = plots.COLOURS[:4]
# Beyond a million times the perplexity all text is broken, and the bound would not be seen.
MOST = 1e6


def condition_row(result: "SteeringResult", name: str, words: str, texts: Sequence[str] = ()) -> plots.StripRow:
    """A condition's probabilities of some words."""
    values = result.effects[name].probability[words]
    return plots.StripRow(result.labels[name], values, null=name in result.controls, texts=texts, bar=True)


def conditions(result: "SteeringResult") -> FigureSpec:
    """Every condition beside the others, with its cost."""
    study, child, composed = result.study, result.child, result.labels["parent_child"]
    panels = []
    for concept in study.concepts:
        rows = [condition_row(result, name, concept, result.costs(name)) for name in result.conditions]
        panels.append(plots.StripPanel(f"P({short_name(concept)})", rows, limits=(0, 1)))
    columns = ["top-1\nrate", "excess KL\n(nats)", "perplex-\nity ×"]
    rate, chance = (result.top1_rate(name) for name in ("parent_child", "random"))
    title = f"{composed} makes a {child} word most probable after {rate:.0%} of prompts (random vectors {chance:.0%})"
    title += f", {result.against_direct} the direct {child} vector" if result.steers else ": no evidence that it steers"
    return FigureSpec(
        "conditions",
        title,
        f"Added after the final norm at the last token, coefficient {result.chosen.coefficient.value:g}, unless the row"
        f" says otherwise (×: residual norm). Points: {len(result.tests['composition'].labels)} prompts; grey:"
        f" controls, {study.n_random} random vectors of the same norm. Top-1 rate: the most probable next word is the"
        f" child's. Excess KL: nats beyond what P({child}) takes. Perplexity: of neutral text, over the unsteered.",
        partial(plots.strip, panels, columns=columns, ncols=4, colours=COLOURS),
    )


def words(result: "SteeringResult") -> FigureSpec:
    """Words that the vectors were fitted to, held-out ones, and the recipe's, beside random tokens."""
    child = result.study.child
    kinds = {"fitted": "fitted words", "held_out": "held-out words", "published": "published recipe's words"}
    panels = []
    for kind, title in kinds.items():
        compared = ("unsteered", "parent_child", "direct", "random")
        rows = [condition_row(result, name, f"{child} {kind}") for name in compared]
        for ending, label in (("_unsteered", "random tokens, unsteered"), ("", "random tokens, steered")):
            rows.append(plots.StripRow(label, result.random_token_control.get(kind + ending), null=True, bar=True))
        panels.append(plots.StripPanel("probability", rows, title=title, limits=(0, 1)))
    before, after = (result.probability(name, kind="held_out") for name in ("unsteered", "parent_child"))
    rise = result.tests["held_out_words"].nulls["random_token_control"].mean
    sizes = [len(result.words[f"{child} {kind}"]) for kind in kinds]
    return FigureSpec(
        "words",
        f"P({result.child}) {'rises' if result.generalises else 'hardly rises'} on held-out words, {before:.3f} to"
        f" {after:.2f}{'; with vectors of random tokens it does not' if rise < 0.01 < after - before else ''}",
        f"{sizes[0]} tokens fitted, {sizes[1]} held out (lemmas, and the concept's own name where the recipe leaves it"
        f" out), {sizes[2]} in the recipe's set. Random-token control: the same composition fitted to as many random"
        f" nouns, {result.study.n_random} times; held-out ones of the same set change by {rise:+.3f}.",
        partial(plots.strip, panels, ncols=3, colours=COLOURS),
    )


def coefficients(result: "SteeringResult") -> FigureSpec:
    """What a growing coefficient brings, and what it costs."""
    parent, child, x = result.parent, result.child, result.coefficients
    labels = {name: label for name, label in result.labels.items() if name in result.curves}

    def panel(title: str, measure: str, axis: str, references: dict[float, str], log: str) -> plots.CurvePanel:
        lines = {
            label: plots.Curve(x, result.curves[name][measure], null=name in result.controls)
            for name, label in labels.items()
        }
        limits = (0.7, MOST) if "y" in log else None
        return plots.CurvePanel("coefficient", axis, lines, title=title, references=references, log=log, limits=limits)

    trade_off = {
        label: plots.Curve(result.curves[name]["excess_kl"], result.curves[name]["child"], null=name in result.controls)
        for name, label in labels.items()
    }
    unsteered = {name: {result.probability("unsteered", name): "unsteered"} for name in result.study.concepts}
    panels = [
        panel(f"Words of {child}", "child", f"P({child})", unsteered[result.study.child], "x"),
        panel(f"Words of {parent}", "parent", f"P({parent})", unsteered[result.study.parent], "x"),
        panel("Cost in neutral text", "perplexity_ratio", "perplexity, times unsteered", {BOUND: "bound"}, "xy"),
        plots.CurvePanel("excess KL (nats)", f"P({child})", trade_off, title="KL–probability trade-off"),
    ]
    chosen = result.chosen.coefficient
    worst = result.curves["parent_child"]["perplexity_ratio"][-1]
    title = f"Within twice the unsteered perplexity P({child}) reaches {result.probability('parent_child'):.2f}"
    if not chosen.within:
        title = "No coefficient tried stays within twice the unsteered perplexity"
    return FigureSpec(
        "coefficients",
        f"{title}; coefficient {x[-1]:g} multiplies perplexity {times(worst)}",
        "Added after the final norm; probabilities at the last token, means over"
        f" {len(result.tests['composition'].labels)} prompts; perplexity of neutral text steered at every token but the"
        " first, shown up to a million times the unsteered. Direct and random vectors have the composed vector's norm."
        f" Chosen by its cost alone: {chosen.value:g}.",
        partial(plots.curves, panels),
    )


def blocks(result: "SteeringResult") -> FigureSpec:
    """Blocks × strengths: probabilities, the random control, what it costs."""
    parent, child, chosen = result.parent, result.child, result.chosen
    swept = np.flatnonzero(np.isfinite(result.blocks["child"]).any(axis=1))
    maps = {name: values[swept] for name, values in result.blocks.items()}
    at = (swept.tolist().index(chosen.block), result.strengths.tolist().index(chosen.strength.value))
    rows = [str(block) for block in swept]
    drawn = partial(plots.HeatmapPanel, row_axis="output of block", column_axis="× residual norm", origin="lower")

    def panel(name: str, title: str, limits: tuple[float, float], bar: str, *, log: bool = False) -> plots.HeatmapPanel:
        control = name == "random"
        measured = np.isfinite(maps[name]).any(axis=0)
        values, box = maps[name][:, measured], None if control else at
        columns = [f"{strength:g}" for strength in (CONTROLLED if control else result.strengths[measured])]
        return drawn(values, rows, columns, title=title, limits=limits, log=log, colourbar=bar, chosen=box)

    panels = [
        panel("parent", f"P({parent})", (0, 1), "probability"),
        panel("child", f"P({child})", (0, 1), "probability"),
        panel("random", f"P({child}), random", (0, max(1e-6, float(maps["random"].max()))), "probability"),
        panel("excess_kl", "excess KL", (0, 8), "nats"),
        panel("perplexity_ratio", "perplexity ×", (0.8, 10), "times the unsteered", log=True),
    ]
    reached = [result.probability(name) for name in ("block", "block_strongest")]
    title = (
        f"After a block P({child}) reaches {reached[0]:.2f} within twice the perplexity, {reached[1]:.2f} at any cost"
        if chosen.strength.within
        else f"After no block does a strength tried stay within twice the perplexity; P({child}) is {reached[0]:.2f}"
    )
    if result.early < 0.25:
        title += "; early blocks hardly steer"
    return FigureSpec(
        "blocks",
        title,
        f"The composed vector divided by the final norm's weight, at the last token of {result.n_choosing} prompts."
        " Perplexity: of neutral text, over the unsteered, measured until it breaks the bound (grey: not measured)."
        f" Box: of all blocks at their largest strength within {BOUND:g} times the perplexity, the highest P({child})."
        " The random vector has a colour scale of its own.",
        partial(plots.heatmap, panels),
    )


def generations_page(result: "SteeringResult") -> str:
    """What the model writes under each condition, side by side."""
    labels, chosen = result.labels, result.chosen
    coefficient, last = chosen.coefficient.value, "at the prompt's last token"
    composed = labels["parent_child"]
    special = {
        "unsteered": ("unsteered", "", True),
        "block": (composed, f"after block {chosen.block}, {last}, {chosen.strength.value:g} × residual norm", False),
        "direct": (labels["direct"], f"{last}, norm-matched", False),
        "random": (labels["random"], f"{last}, norm-matched", True),
        "everywhere": (composed, f"at every token, coefficient {coefficient:g}", False),
    }
    columns = [
        special.get(name, (labels.get(name, name), f"{last}, coefficient {coefficient:g}", name in result.controls))
        for name in next(iter(result.generations.values()))
    ]
    model = (result.model or {}).get("name", "")
    return texts_page(
        f"{model}: generations under steering",
        f"{sampling_note(result.study.seed)} Words of {result.study.parent} are marked, whatever they mean where they"
        " stand.",
        [TextTable("", columns, [(prompt, list(texts.values())) for prompt, texts in result.generations.items()])],
        marked=result.marked,
    )
