"""The findings of the steering study in sentences, and its tables."""

from typing import TYPE_CHECKING

import numpy as np

from geometry.experiments.evaluator import BOUND
from geometry.experiments.result import TableSpec

if TYPE_CHECKING:
    from geometry.experiments.steering.result import SteeringResult


def times(ratio: float) -> str:
    """How many times something is as large, as one says it."""
    if ratio >= 1e6:
        return "more than a million times"
    return f"{ratio:.1f} times" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f} times"


def cell(ratio: float) -> str:
    """The same in a table."""
    return "≥ 10⁶" if ratio >= 1e6 else f"{ratio:.2f}" if ratio < 10 else f"{float(f'{ratio:.3g}'):,.0f}"


def summary(result: "SteeringResult") -> list[str]:
    """What was found, the main finding first."""
    child, chosen, test = result.child, result.chosen, result.tests["composition"]
    strength = chosen.strength
    held_out = [result.probability(name, kind="held_out") for name in ("unsteered", "parent_child")]
    control = result.tests["held_out_words"].nulls["random_token_control"].mean
    worst = result.curves["parent_child"]["perplexity_ratio"][-1]
    cost = times(chosen.coefficient.ratio) + " the unsteered perplexity"
    cost += "" if chosen.coefficient.within else f", above the bound of {BOUND:g}"
    lines = [
        f"{'' if result.steers else 'No evidence that composing steers: '}{result.labels['parent_child']} makes a"
        f" {child} word the most probable after {result.top1_rate('parent_child'):.0%} of prompts, with P({child}) ="
        f" {result.probability('parent_child'):.2f} (unsteered {result.probability('unsteered'):.3f}, random directions"
        f" {test.nulls['random'].mean:.3f}, p = {test.p_value:.2g}), at {cost}.",
        f"It is {result.against_direct} the direct {child} vector of the same norm, whose P({child}) is"
        f" {result.probability('direct'):.2f}.",
        f"Held-out words {'rise too' if result.generalises else 'hardly rise'}, from {held_out[0]:.3f} to"
        f" {held_out[1]:.2f}; those of random tokens change by {control:+.3f}.",
        f"After block {chosen.block}, at {strength.value:g} × residual norm and {times(strength.ratio)} the perplexity,"
        f" P({child}) is {result.probability('block'):.2f}; without regard to cost block {chosen.block_strongest}"
        f" reaches {result.probability('block_strongest'):.2f}, at"
        f" {times(result.perplexity_ratios['block_strongest'])} the perplexity.",
        f"Large coefficients destroy the text: {result.coefficients[-1]:g} gives {times(worst)} the perplexity.",
    ]
    if not strength.within:
        lines.append(f"No strength tried after block {chosen.block} keeps perplexity within {BOUND:g} times.")
    if np.isfinite(result.early):
        lines.append(f"Blocks of the first half reach P({child}) = {result.early:.2f} at most, at any strength.")
    return lines


def tables(result: "SteeringResult") -> list[TableSpec]:
    """Conditions, and the tests."""
    study, parent, child = result.study, result.parent, result.child
    head = ["condition", f"P({parent})", f"P({child})", f"P({child}), held-out words", "top-1 rate"]
    rows = [
        [
            result.labels[name] + (" (control)" if name in result.controls else ""),
            f"{result.probability(name, study.parent):.3f}",
            f"{result.probability(name):.3f}",
            f"{result.probability(name, kind='held_out'):.3f}",
            f"{result.top1_rate(name):.0%}",
            f"{result.excess_kl(name):.1f}",
            cell(result.perplexity_ratios[name]),
        ]
        for name in result.conditions
    ]
    tested = [
        [test.title, null.label, f"{test.value:.3f}", f"{null.mean:.3f}", f"{test.p_against(name):.2g}"]
        for test in result.tests.values()
        for name, null in test.nulls.items()
    ]
    return [
        TableSpec(
            "What each condition does, and what it costs",
            [*head, "excess KL", "perplexity ×"],
            rows,
            f"Means over {len(result.tests['composition'].labels)} prompts; parent {study.parent}, child {study.child}."
            " Top-1 rate: prompts after which a word of the child is the most probable. Excess KL: nats beyond what the"
            f" change of P({child}) takes. Perplexity: of neutral texts steered at every token but the first, over the"
            f" unsteered ({result.unsteered_perplexity:.1f}). ×: residual norm.",
        ),
        TableSpec(
            "Tests",
            ["claim", "null", "value", "null mean", "p"],
            tested,
            f"{study.n_random} vectors of each null. Random directions have the composed vector's norm in the unified"
            " space, random residual vectors in the residual stream.",
        ),
    ]
