"""The figures of effects along the tree: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.experiments.result import FigureSpec
from geometry.experiments.selectivity.growth import by_distance as mean_by_distance
from geometry.experiments.selectivity.growth import growth
from geometry.experiments.selectivity.labels import LABELS
from geometry.experiments.selectivity.methods import ABLATION, ADDITION, NATS, PERMUTED, PROMPTING, RANDOM
from geometry.intervals import central, interval_of, mean_of, means_of
from geometry.selectivity import RELATIONS, TreeEffects
from geometry.selectivity.effects import FARTHEST
from geometry.selectivity.relations import Relation

if TYPE_CHECKING:
    from geometry.experiments.selectivity.tree_part import TreePart

Array = NDArray[np.float64]
_LARGEST_BLOCK, _SMALLEST_BLOCK = 100, 4
_DRAWN = (
    "Target and below it: raw log-odds. All others: log-odds among the words outside the target, renormalised, so that"
    " mass which the target takes from all alike is no side effect; words shared with the target do not count."
)


def by_relation(part: "TreePart") -> FigureSpec:
    """A row a relation, a panel a KL divergence, every method, nulls in grey."""
    panels = []
    for nats in (*NATS, None):
        here = [each for each in part.effects if each.nats == nats and each.method != RANDOM]
        if not here:
            continue
        random = part.at(RANDOM, nats)
        rows = []
        for relation in RELATIONS:
            estimates = {each.method: _estimate(each, relation) for each in here}
            nulls = {}
            if nats is not None:
                permuted = part.null_means(NATS.index(nats), relation)
                if np.isfinite(permuted).any():
                    low, high = np.nanquantile(permuted, [0.025, 0.975])
                    nulls[PERMUTED] = plots.NullMark(float(np.nanmean(permuted)), low=float(low), high=float(high))
            if random is not None:
                nulls[RANDOM] = plots.NullMark(mean_of(random.change(relation)), "x")
            rows.append(plots.ForestRow(estimates, nulls))
        title = "at their own KL" if nats is None else f"at {nats:g} nats"
        panels.append(plots.ForestPanel("change of log-odds (nats)", rows, title, {0.0: ""}))
    own = "; ".join(
        f"{each.method} has {mean_of(each.kl):.3g} nats"
        for each in part.effects
        if each.method in (ABLATION, PROMPTING)
    )
    return FigureSpec(
        "by_relation",
        _relation_title(part),
        f"Means over {len(part.addition[0].targets)} concepts steered to (fewer for the dual step and what runs the"
        f" model, see the tables) and {part.addition[0].kl.shape[1]} neutral prompts; bars: 95%, bootstrap over"
        f" prompts. {_DRAWN} Each vector has the coefficient at which KL(steered ‖ unsteered) is as said, on average"
        f" over prompts; {own}. Grey: {len(part.null)} permutations of lemmas among concepts, direction and words alike"
        " (bar: central 95%), and"
        " random directions.",
        partial(plots.forest, panels, list(LABELS.values())),
    )


def _estimate(effects: TreeEffects, relation: Relation) -> plots.Estimate:
    values = effects.change(relation)
    return plots.Estimate(mean_of(values), *interval_of(values))


def _relation_title(part: "TreePart") -> str:
    index = len(NATS) - 1
    effects, test = part.addition[index], part.tests[index]
    sibling, unrelated, own = (mean_of(effects.change(name)) for name in ("sibling", "unrelated", "self"))
    moved = (
        f"at {effects.nats:g} nats of KL siblings move by {sibling:+.2f} nats, unrelated concepts by {unrelated:+.2f}"
    )
    found = growth(test)
    if found == "grow":
        return f"Steering to a concept moves its kin too: {moved}, itself {own:+.1f}; more than with permuted lemmas"
    beside = (
        "no more apart than with permuted lemmas" if found.startswith("do not") else "too few permutations to decide"
    )
    return f"{moved[0].upper()}{moved[1:]}: {beside}"


def by_distance(part: "TreePart") -> FigureSpec:
    """Off-target change against steps in the tree."""
    panels = []
    for index, nats in enumerate(NATS):
        effects, random = part.addition[index], part.at(RANDOM, nats)
        steps = np.arange(1.0, FARTHEST + 1)
        curve = {ADDITION: _curve(effects.by_distance, steps)}
        permuted = part.null_by_distance(index)
        low, high = np.array([central(column) for column in permuted.T]).T
        curve[PERMUTED] = plots.Curve(steps, means_of(permuted.T), null=True, low=low, high=high)
        if random is not None:
            curve[RANDOM] = plots.Curve(steps, mean_by_distance(random), null=True)
        panels.append(
            plots.CurvePanel(
                f"steps in the tree ({FARTHEST}: or more)",
                "change of log-odds (nats)",
                curve,
                f"at {nats:g} nats",
                {0.0: ""},
            )
        )
    test = part.tests[-1]
    said = {
        "grow": "fall with tree distance",
        "do not significantly grow": "do not fall with tree distance beyond chance",
    }
    found = said.get(growth(test), "may fall with tree distance (too few permutations to decide)")
    return FigureSpec(
        "by_distance",
        f"Side effects of addition {found}: ρ with closeness is {test.value:.2f}, of permuted lemmas"
        f" {mean_of(test.null):.2f} (p = {test.p:.2g})",
        f"Concepts outside the target and what is below it; log-odds among the words outside the target. Means over"
        f" {len(part.addition[0].targets)} targets and {part.addition[0].kl.shape[1]} prompts; band: 95%, bootstrap"
        f" over prompts. Grey: {len(part.null)} permutations of lemmas (band: central 95%), random directions. ρ and p"
        f" at {NATS[-1]:g} nats, ρ within each target.",
        partial(plots.curves, panels),
    )


def _curve(values: Array, steps: Array) -> plots.Curve:
    ends = np.array([interval_of(values[:, step]) for step in range(values.shape[1])])
    means = [mean_of(values[:, step]) for step in range(values.shape[1])]
    return plots.Curve(steps, means, low=ends[:, 0], high=ends[:, 1])


def matrices(part: "TreePart") -> FigureSpec:
    """Targets × the same concepts, in the order of the tree, beside a permutation."""
    effects, null = part.addition[-1], part.null[0][-1]
    steered = set(effects.targets)
    every = [part.hierarchy.names[index] for index in part.hierarchy.depth_first]
    order = [name for name in every if name in steered]
    blocks = []
    for name, start, stop in part.hierarchy.blocks(max_size=_LARGEST_BLOCK, min_size=2):
        inside = [order.index(each) for each in every[start:stop] if each in steered]
        if len(inside) >= _SMALLEST_BLOCK:
            blocks.append((short_name(name), inside[0], inside[-1] + 1))
    panels = []
    for each, title in ((effects, "addition"), (null, f"one permutation of lemmas, seed {part.seed}")):
        panels.append(
            plots.HeatmapPanel(
                _drawn(each, order),
                title=title,
                limits=(-2, 2),
                cmap="RdBu_r",
                colourbar="change of log-odds (nats)",
                blocks=blocks,
                column_axis="measured (rows: steered to, in the same order)",
            )
        )
    kin, rest = _block_means(effects), _block_means(null)
    return FigureSpec(
        "matrix",
        f"Within a family of the tree log-odds change by {kin[0]:+.2f} nats, across families by {kin[1]:+.2f}; with"
        f" permuted lemmas by {rest[0]:+.2f} and {rest[1]:+.2f}",
        f"Rows: the {len(order)} concepts steered to, at {effects.nats:g} nats; columns: the same concepts, both in the"
        f" order of the tree, so that subtrees are blocks on the diagonal (boxed: families of at least"
        f" {_SMALLEST_BLOCK}). {_DRAWN}"
        " Means over prompts. Family: siblings and cousins; across: unrelated. Blank: no words of its own left, or not"
        " reached.",
        partial(plots.heatmap, panels),
    )


def _drawn(effects: TreeEffects, order: list[str]) -> Array:
    rows = [effects.targets.index(name) for name in order]
    columns = [effects.concepts.index(name) for name in order]
    cells = np.ix_(rows, columns)
    return np.where(effects.codes[cells] <= 1, effects.raw[cells], effects.off_target[cells])


def _block_means(effects: TreeEffects) -> tuple[float, float]:
    near = np.isin(effects.codes, [RELATIONS.index("sibling"), RELATIONS.index("cousin")])
    far = effects.codes == RELATIONS.index("unrelated")
    return mean_of(effects.off_target[near]), mean_of(effects.off_target[far])
