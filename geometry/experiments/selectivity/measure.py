"""The selectivity study, in the order of a method section."""

import time
from typing import TYPE_CHECKING

import numpy as np

from geometry.experiments.parts import Measured
from geometry.experiments.selectivity.dual import DualRun, Family, dual_effects, family_steps, run_dual
from geometry.experiments.selectivity.dual_part import DualPart
from geometry.experiments.selectivity.forward import block, by_mean_difference, by_prompting, prefix
from geometry.experiments.selectivity.generation import chosen_to_write, measure_generation
from geometry.experiments.selectivity.inside import followed_downstream
from geometry.experiments.selectivity.methods import (
    ABLATION,
    ADDITION,
    CLASS_MEAN,
    DUAL,
    DUAL_BETA,
    EUCLIDEAN_MEAN,
    MEAN_DIFFERENCE,
    NATS,
    PERMUTED,
    PROMPTING,
    RANDOM,
    ablated,
    by_algebra,
    concept_vectors,
    euclidean_means,
    permuted,
    random_directions,
)
from geometry.experiments.selectivity.mixtures import mixed_siblings
from geometry.experiments.selectivity.result import SelectivityResult
from geometry.experiments.selectivity.setup import Bench, prepare
from geometry.experiments.selectivity.tree_part import TreePart
from geometry.experiments.study import Step

if TYPE_CHECKING:
    from geometry.experiments.selectivity.study import SelectivityStudy


def measure_selectivity(study: "SelectivityStudy", step: Step) -> SelectivityResult:
    """Addition to every target and its nulls by algebra; fewer by dual steps and by passes of the model."""
    bench = prepare(study, step)
    done = Measured()
    step(f"steering to {len(bench.targets)} concepts by algebra, beside {study.n_permutations} permutations of lemmas")
    start = time.process_time()
    added, drawn = concept_vectors(bench, bench.cloud), random_directions(bench)
    effects = by_algebra(bench, {ADDITION: added, RANDOM: drawn})
    null = []
    for draw, one in enumerate(permuted(bench)):
        step(f"permutation {draw + 1} of {study.n_permutations}")
        null.append(one)
    done.taken["addition and its nulls"] = time.process_time() - start
    with done.timed("class means and ablation"):
        means = {CLASS_MEAN: concept_vectors(bench, bench.cloud, "mean"), EUCLIDEAN_MEAN: euclidean_means(bench)}
        effects += [*by_algebra(bench, means), ablated(bench, added)]

    vectors = dict(zip(bench.targets, added, strict=True))
    dual: DualRun | None = None
    with done.timed("dual step"):
        some = bench.spread(study.n_dual)
        for going in run_dual(bench, some, np.stack([vectors[name] for name in some]), NATS):
            step(f"dual steps to {len(going.dual)} of {len(some)} concepts")
        effects += dual_effects(bench, going)
        dual = going
    if dual is not None:
        families: list[Family] = []
        with done.timed("dual step of families"):
            families = family_steps(bench, step)
        done.parts["dual"] = DualPart(run=dual, families=families, n_tokens=study.n_tokens)
    run = bench.spread(study.n_forward)
    with done.timed("mean differences"):
        step(f"steering to {len(run)} concepts by mean differences after block {block(bench).block}")
        effects += by_mean_difference(bench, run)
    with done.timed("prompting"):
        step(f"prompting with words of {len(run)} concepts")
        effects.append(by_prompting(bench, run))
    tree = TreePart(hierarchy=bench.hierarchy, effects=effects, null=null, how=how(bench), seed=study.seed)
    done.parts = {"tree": tree, **done.parts}
    if study.n_completions:
        with done.timed("generation"):
            chosen = chosen_to_write(effects[len(NATS) - 1])
            step(f"generating {study.n_completions} generations of each condition for {len(chosen)} concepts")
            by_name = dict(zip(bench.targets, drawn, strict=True))
            done.parts["generation"] = measure_generation(
                bench, chosen, vectors, effects[: len(NATS)], effects[len(NATS) : 2 * len(NATS)], by_name
            )
    if study.n_mixtures:
        with done.timed("mixtures of siblings"):
            step("mixing siblings")
            done.parts["mixtures"] = mixed_siblings(bench)
    if study.n_downstream:
        with done.timed("downstream"):
            step(f"following projections on concepts from {block(bench)} on")
            done.parts["downstream"] = followed_downstream(bench)
    return SelectivityResult(
        study=study, model=bench.unembedding.summary(), targets=bench.targets, prompts=bench.beginnings,
        parts=done.parts, taken=done.taken, left_out=done.left_out,
    )  # fmt: skip


def how(bench: Bench) -> dict[str, str]:
    """How the vectors or prompts of every method were made."""
    site, name = block(bench), bench.targets[0]
    return {
        ADDITION: "concept vector ℓ (LDA), Σ^(-1/2) ℓ after the final norm, one coefficient a concept",
        CLASS_MEAN: "the same of the mean of the concept's words in the unified space",
        EUCLIDEAN_MEAN: "mean unembedding of the concept's words less the mean of all, without Σ",
        DUAL: "dual step along β = E[γ | target] − E[γ], each prompt at that KL divergence",
        DUAL_BETA: "addition along the same β, each prompt at that KL divergence",
        MEAN_DIFFERENCE: f"mean activation of phrases of the concept less that of others, read and added at {site}",
        ABLATION: "concept vector projected out of the final hidden state",
        PROMPTING: f"words of the concept in front of the prompt: {prefix(bench, name)!r} for {name}",
        RANDOM: "standard normal directions of the unified space, one a concept",
        PERMUTED: "lemmas exchanged among concepts, within bands of frequency; refitted and measured so",
    }
