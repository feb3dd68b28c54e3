"""The measurements of the steering study, in the order of a method section."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.directions import ConceptDirections, TokenCloud
from geometry.experiments.evaluator import Strength
from geometry.experiments.steering.result import Arrays, Chosen, SteeringResult
from geometry.experiments.steering.setup import CONTROLLED, Bench, prepare
from geometry.experiments.study import Step
from geometry.progress import progress_bar
from geometry.results import NullValues, TestResult
from geometry.steering import Architecture, ConceptSteering, Effect, SteeringVector, pull_back

if TYPE_CHECKING:
    from geometry.experiments.steering.study import SteeringStudy

COEFFICIENTS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
STRENGTHS = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 2.0, 4.0)
CURVES = ("parent", "child", "parent_child", "direct", "random")
GENERATED = 8


def measure_steering(study: "SteeringStudy", step: Step) -> SteeringResult:
    """Choose coefficient, block and strength on a third of the prompts; measure and generate on the others."""
    bench = prepare(study, step)
    evaluator = bench.evaluator

    step("choosing coefficient, block and strength")
    coefficient = evaluator.strongest_within(COEFFICIENTS, bench.composed)
    block, strongest, blocks = sweep_blocks(bench)
    chosen = Chosen(coefficient, *block, *strongest)
    vectors = conditions(bench, coefficient.value)
    composed = bench.composed(coefficient.value)
    vectors["before_norm"] = pull_back(composed, evaluator.model, "before_norm")
    vectors["block"] = at_block(bench, chosen.block)(chosen.strength.value)
    vectors["block_strongest"] = at_block(bench, chosen.block_strongest)(chosen.strength_strongest)

    step("measuring on the other prompts")
    effects = {name: bench.reporting.effect(vector, bench.words) for name, vector in vectors.items()}
    random: dict[str, partial[SteeringVector]] = {"random": partial(bench.concepts.random, composed)}
    random["random_residual"] = partial(composed.random)
    for name, draw in random.items():
        seeds = progress_bar(range(study.seed, study.seed + study.n_random), name)
        effects[name] = joined([bench.reporting.effect(draw(seed), bench.words) for seed in seeds])
    priced = vectors | {name: draw(study.seed) for name, draw in random.items()}
    ratios = {name: evaluator.perplexity_ratio(vector) for name, vector in priced.items()}
    controls = random_tokens(bench, coefficient.value)

    step("sweeping coefficients")
    curves = sweep_coefficients(bench)
    step("generating")
    prompts = bench.reporting.prompts[:GENERATED]
    at_last = {name: priced[name] for name in ("unsteered", "parent", "parent_child", "direct", "block", "random")}
    generations = evaluator.generations(prompts, at_last, positions="last", max_new_tokens=25, seed=study.seed)
    throughout = evaluator.generations(prompts, {"everywhere": composed}, max_new_tokens=25, seed=study.seed)
    for prompt, texts in throughout.items():
        generations[prompt] |= texts

    return SteeringResult(
        study=study,
        model=bench.unembedding.summary(),
        chosen=chosen,
        effects=effects,
        perplexity_ratios=ratios,
        unsteered_perplexity=evaluator.unsteered_perplexity,
        tests=tests(bench, effects, controls),
        random_token_control=controls,
        curves=curves,
        coefficients=np.array(COEFFICIENTS),
        blocks=blocks,
        strengths=np.array(STRENGTHS),
        vectors={name: vector.provenance if vector else "unsteered" for name, vector in vectors.items()},
        generations=generations,
        words=bench.words,
        marked=[bench.unembedding.vocabulary.text(int(token)).strip() for token in bench.words[study.parent]],
        grandparents=bench.concepts.chain(study.parent)[:-1],
        n_choosing=len(bench.choosing.prompts),
    )


def at_block(bench: Bench, block: int) -> Callable[[float], SteeringVector]:
    """From a strength, times the residual norm, to the composed vector after a block."""
    return pull_back(bench.composed(1.0), bench.evaluator.model, f"output.{block}").relative


def sweep_blocks(bench: Bench) -> tuple[tuple[int, Strength], tuple[int, float], Arrays]:
    """Blocks × strengths on the prompts to choose on: the block to steer at, the strongest cell, maps of all.

    At each block the strength is chosen by its cost; of these the block with the highest probability of the child is
    taken. The strongest cell is chosen without regard to cost. The output of the last block is the final norm's
    input, a condition of its own, and chosen only where no other block was swept.
    """
    depth = len(Architecture.of(bench.evaluator.model).blocks)
    swept = bench.study.swept(depth)
    measures = ("parent", "child", "excess_kl", "top1_rate", "perplexity_ratio")
    maps = {name: np.full((depth, len(STRENGTHS)), np.nan) for name in measures}
    maps["random"] = np.full((depth, len(CONTROLLED)), np.nan)
    strengths: dict[int, Strength] = {}
    for block in progress_bar(swept, "blocks"):
        vector_at = at_block(bench, block)
        strengths[block] = bench.evaluator.strongest_within(STRENGTHS, vector_at)
        for strength, ratio in strengths[block].ratios.items():
            maps["perplexity_ratio"][block, STRENGTHS.index(strength)] = ratio
        for column, strength in enumerate(STRENGTHS):
            for name, mean in means(bench, bench.choosing.effect(vector_at(strength), bench.words)).items():
                maps[name][block, column] = mean
        for column, strength in enumerate(CONTROLLED):
            control = bench.choosing.effect(vector_at(strength).random(bench.study.seed + block), bench.words)
            maps["random"][block, column] = means(bench, control)["child"]
    candidates = [block for block in swept if block < depth - 1] or swept
    best = max(candidates, key=lambda block: maps["child"][block, STRENGTHS.index(strengths[block].value)])
    cells = [(block, column) for block in candidates for column in range(len(STRENGTHS))]
    block, column = max(cells, key=lambda cell: maps["child"][cell])
    return (best, strengths[best]), (block, STRENGTHS[column]), maps


def conditions(bench: Bench, coefficient: float) -> dict[str, SteeringVector | None]:
    """What is compared after the final norm, by its name in results.json; random vectors are drawn elsewhere."""
    concepts, study = bench.concepts, bench.study
    contrast, composed = concepts.child(study.child, study.parent), bench.composed(coefficient)
    norm = concepts.norm(composed)
    vectors: dict[str, SteeringVector | None] = {
        "unsteered": None,
        "parent": coefficient * concepts[study.parent],
        "parent_norm_matched": norm * concepts[study.parent],
        "child": coefficient * contrast,
        "parent_child": composed,
        "direct": norm * concepts[study.child],
        "other_parent_child": coefficient * concepts[study.beside[1]] + coefficient * contrast,
    }
    if len(chain := concepts.chain(study.parent)[-2:]) > 1:
        vectors["grandparent_parent_child"] = concepts.path(dict.fromkeys((*chain, study.child), coefficient))
    return vectors


def means(bench: Bench, effect: Effect) -> dict[str, float]:
    """The measures of the sweeps, but the perplexity."""
    parent, child = bench.study.parent, bench.study.child
    return {
        "parent": effect.probability[parent].mean(),
        "child": effect.probability[child].mean(),
        "excess_kl": effect.excess_kl[child].mean(),
        "top1_rate": effect.top1_rate(bench.words[child]),
    }


def joined(effects: Sequence[Effect]) -> Effect:
    """Several effects as one over all of their prompts."""
    return Effect(
        {name: np.concatenate([effect.probability[name] for effect in effects]) for name in effects[0].probability},
        np.concatenate([effect.kl for effect in effects]),
        {name: np.concatenate([effect.excess_kl[name] for effect in effects]) for name in effects[0].excess_kl},
        np.concatenate([effect.top1 for effect in effects]),
    )


def sweep_coefficients(bench: Bench) -> dict[str, Arrays]:
    """After the final norm: condition → measure → its mean at every coefficient, on the prompts to report."""
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in CURVES}
    for coefficient in progress_bar(COEFFICIENTS, "coefficients"):
        vectors = conditions(bench, coefficient)
        vectors["random"] = bench.concepts.random(bench.composed(coefficient), bench.study.seed)
        for name, points in curves.items():
            measured = means(bench, bench.reporting.effect(vectors[name], bench.words))
            points.append(measured | {"perplexity_ratio": bench.evaluator.perplexity_ratio(vectors[name])})
    measures = ("parent", "child", "excess_kl", "perplexity_ratio")
    return {name: {m: np.array([point[m] for point in points]) for m in measures} for name, points in curves.items()}


def random_tokens(bench: Bench, coefficient: float) -> Arrays:
    """The composed vector of concepts of random nouns: it raises the words it was fitted to; which else?

    Each array has shape (n_random, prompts): the probability of the fitted and the held-out words, steered and not.
    """
    study, directions = bench.study, bench.concepts.directions
    nouns, points = directions.hierarchy, directions.cloud.points
    parents: dict[str, tuple[str, ...]] = {study.parent: (), study.child: (study.parent,)}
    pair = replace(nouns.only(parents), parents=parents)
    train = directions.train[np.isin(nouns.tokens, pair.tokens)]
    members = pair.members[pair.index(study.child)]
    rng = np.random.default_rng(study.seed)
    values: dict[str, list[NDArray[np.float64]]] = {}
    for _ in progress_bar(range(study.n_random), "random tokens"):
        drawn = rng.permutation(len(nouns.tokens))[: len(pair.tokens)]
        cloud = TokenCloud(pair, points[torch.from_numpy(drawn)])
        concepts = ConceptSteering(bench.concepts.space, ConceptDirections.fit_cloud(cloud, train=train))
        fitted, others = drawn[members[train[members]]], drawn[members[~train[members]]]
        # Drawn one by one, a word and its plural may fall on both sides.
        others = others[~np.isin(nouns.lemmas[others], nouns.lemmas[fitted])]
        sets = {"fitted": nouns.tokens[fitted], "held_out": nouns.tokens[others]}
        vectors = {"_unsteered": None, "": concepts.path({study.parent: coefficient, study.child: coefficient})}
        for ending, vector in vectors.items():
            for kind, probability in bench.reporting.effect(vector, sets).probability.items():
                values.setdefault(f"{kind}{ending}", []).append(probability)
    return {name: np.stack(each) for name, each in values.items()}


def tests(bench: Bench, effects: Mapping[str, Effect], controls: Arrays) -> dict[str, TestResult]:
    """Composition beside random vectors, and the rise of held-out words beside that of random tokens."""
    child, held_out = bench.study.child, f"{bench.study.child} held_out"
    labels = {"random": "random direction", "random_residual": "random residual vector"}
    nulls = {
        name: NullValues(effects[name].probability[child].reshape(bench.study.n_random, -1), label)
        for name, label in labels.items()
    }
    composed, unsteered = (effects[name].probability for name in ("parent_child", "unsteered"))
    rise = controls["held_out"] - controls["held_out_unsteered"]
    test = partial(TestResult, labels=bench.reporting.prompts, subject=child)
    return {
        "composition": test(
            name="composition",
            values=composed[child],
            nulls=nulls,
            title="Parent + child raises the probability of the child's words above random vectors of the same norm",
            measure="probability of the child's words",
        ),
        "held_out_words": test(
            name="held_out_words",
            values=composed[held_out] - unsteered[held_out],
            nulls={"random_token_control": NullValues(rise, "random-token control")},
            title="It raises held-out words too, which concepts of random tokens do not",
            measure="rise of the probability of held-out words",
        ),
    }
