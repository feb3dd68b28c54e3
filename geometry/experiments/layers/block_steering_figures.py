"""The figures of steering at equal KL divergence: words and layout, no measurement."""

from functools import partial

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.experiments.layers.block_steering_result import (
    FOUND,
    LABELS,
    MEAN_DIFFERENCE,
    NOT_MEASURABLE,
    PULLED_BACK,
    RANDOM,
    VECTORS,
    BlockSteeringResult,
)
from geometry.experiments.result import FigureSpec

COLOURS = dict(zip(LABELS.values(), (*plots.COLOURS[:3], plots.NULL_GREYS[0]), strict=True))
_SERIES = "difference at equal KL, mean and 95% interval"


def block_steering_figures(result: BlockSteeringResult) -> list[FigureSpec]:
    """P(child) by block, and the differences from vectors found at the block.

    Example::

        for spec in block_steering_figures(result):
            geo.plots.save(spec.figure(), spec.name)
    """
    return [probabilities(result), differences(result)]


def probabilities(result: BlockSteeringResult) -> FigureSpec:
    """What each kind of vector brings at each block for the same divergence."""
    curves = {}
    for name in VECTORS:
        means, low, high = result.curve(name)
        curves[LABELS[name]] = plots.Curve(result.blocks, means, null=name == RANDOM, low=low, high=high)
    references = {float(result.unsteered["child"].mean()): "unsteered"}
    panel = plots.CurvePanel("blocks passed", "P(child's words)", curves, references=references)
    return FigureSpec(
        "block_steering",
        _title(result),
        f"Means over {_concepts(result)} and {len(result.prompts)} neutral prompts; bands: 95%, bootstrap over"
        f" {result.sampled}. Each vector has at each block the coefficient at which KL(steered ‖ unsteered) is"
        f" {result.nats:g} nats on average over the prompts, and is added at their last token. Found at the block:"
        f" parent + (child − parent) in the {result.metric} metric. Pulled back: the same of the output layer's concept"
        " vectors. Mean difference: the child's phrases less all others. Grey:"
        f" {result.n_random} random directions of the block's space; their band is that of one of them.",
        partial(plots.curves, [panel], ncols=1, colours=COLOURS),
    )


def differences(result: BlockSteeringResult) -> FigureSpec:
    """Found at the block less each other kind, prompt by prompt, at each block and at all of them."""
    panels = []
    for name in (PULLED_BACK, MEAN_DIFFERENCE, RANDOM):
        rows = []
        for one in (*result.by_block[name], result.overall[name]):
            estimate = plots.Estimate(one.difference, one.low, one.high)
            bold = one.verdict in (LABELS[FOUND], LABELS[name])
            rows.append(plots.ForestRow({_SERIES: estimate}, texts={_SERIES: [_short(one.verdict)]}, bold=bold))
        panels.append(
            plots.ForestPanel("difference of P(child)", rows, title=f"found − {LABELS[name]}", references={0.0: ""})
        )
    names = [*(f"after {block} block{'' if block == 1 else 's'}" for block in result.blocks), "all blocks"]
    overall = result.overall[PULLED_BACK]
    return FigureSpec(
        "block_steering_differences",
        f"{_where(result)}; over all blocks: {overall.verdict}",
        f"Paired differences of P(child's words) at {result.nats:g} nats of KL divergence, with 95% intervals,"
        f" bootstrap over {result.sampled} (of random directions also over which of {result.n_random} is taken), not"
        f" corrected for {len(result.blocks)} blocks. Bold: the better vectors, where the interval is further from zero"
        f" than the tolerance of the divergence ({result.tolerance:.0%}) can explain.",
        partial(plots.forest, panels, names, columns=["better"]),
    )


def _where(result: BlockSteeringResult) -> str:
    """Where vectors found at the block are better than those pulled back, and where these."""
    better, worse = result.where_better(PULLED_BACK)
    if result.overall[PULLED_BACK].verdict == NOT_MEASURABLE:
        return "Vectors found at the block and pulled back from the output do not both reach the KL divergence"
    if not (better or worse):
        return "Vectors found at the block steer no better and no worse than those pulled back from the output"
    if not worse:
        return f"Vectors found at the block steer better than those pulled back from the output {better}"
    if not better:
        return f"Vectors pulled back from the output steer better than those found at the block {worse}"
    return f"Vectors found at the block steer better than those pulled back {better}, worse {worse}"


def _title(result: BlockSteeringResult) -> str:
    beside = result.overall[MEAN_DIFFERENCE].verdict
    said = {
        LABELS[FOUND]: "; over all blocks those found beat mean differences",
        LABELS[MEAN_DIFFERENCE]: "; over all blocks mean differences beat those found",
    }
    random = result.overall[RANDOM].verdict
    control = "" if random in (LABELS[FOUND], NOT_MEASURABLE) else "; those found do not beat random directions"
    return f"{_where(result)}{said.get(beside, '')}{control}"


def _concepts(result: BlockSteeringResult) -> str:
    names = [short_name(child) for _, child in result.concepts]
    return f"{len(names)} concepts ({', '.join(names)})" if len(names) > 1 else names[0]


def _short(verdict: str) -> str:
    return {LABELS[FOUND]: "found", LABELS[MEAN_DIFFERENCE]: "mean diff.", LABELS[RANDOM]: "random"}.get(
        verdict, verdict
    )
