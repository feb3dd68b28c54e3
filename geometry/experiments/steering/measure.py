"""The measurements of the steering study, in the order of a method section."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from geometry.directions import ConceptDirections, TokenCloud
from geometry.experiments.evaluator import Strength
from geometry.experiments.steering.result import Arrays, Chosen, SteeringResult
from geometry.experiments.steering.setup import Bench, prepare
from geometry.experiments.study import Step
from geometry.results import NullValues, TestResult
from geometry.steering import Architecture, ConceptSteering, Effect, SteeringVector, pull_back

if TYPE_CHECKING:
    from geometry.experiments.steering.study import SteeringStudy

COEFFICIENTS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
STRENGTHS = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 2.0, 4.0)
# Of these the random control is measured at every block.
CONTROLLED = (0.25, 0.5, 1.0, 4.0)
CURVES = ("parent", "child", "parent_child", "direct", "random")
GENERATED = 8

Vectors = dict[str, SteeringVector | None]


def measure_steering(study: "SteeringStudy", step: Step) -> SteeringResult:
    """Choose coefficient, block and strength on a third of the prompts; measure and generate on the others."""
    bench = prepare(study, step)
    evaluator = bench.evaluator

    step("choosing coefficient, block and strength")
    coefficient = evaluator.strongest_within(COEFFICIENTS, bench.composed)
    block, strongest, blocks = sweep_blocks(bench)
    chosen = Chosen(coefficient, *block, *strongest)
    vectors = conditions(bench, coefficient.value)
    vectors["before_norm"] = pull_back(bench.composed(coefficient.value), evaluator.model, "before_norm")
    vectors["block"] = at_block(bench, chosen.block)(chosen.strength.value)
    vectors["block_strongest"] = at_block(bench, chosen.block_strongest)(chosen.strength_strongest)

    step("measuring on the other prompts")
    composed = bench.composed(coefficient.value)
    effects = {name: bench.reporting.effect(vector, bench.words) for name, vector in vectors.items()}
    random: dict[str, Callable[[int], SteeringVector]] = {
        "random": lambda seed: bench.concepts.random(composed, seed),
        "random_residual": composed.random,
    }
    seeds = range(study.seed, study.seed + study.n_random)
    for name, draw in random.items():
        each = tqdm(seeds, desc=name, disable=None, leave=False)
        effects[name] = joined([bench.reporting.effect(draw(seed), bench.words) for seed in each])
    priced = vectors | {name: draw(study.seed) for name, draw in random.items()}
    ratios = {name: evaluator.perplexity_ratio(vector) for name, vector in priced.items()}
    controls = random_tokens(bench, coefficient.value)

    step("sweeping coefficients")
    curves = sweep_coefficients(bench)
    step("generating")
    prompts = bench.reporting.prompts[:GENERATED]
    at_last: Vectors = {name: priced[name] for name in ("unsteered", "parent", "parent_child", "direct", "block")}
    at_last["random"] = priced["random"]
    generations = evaluator.generations(prompts, at_last, positions="last", max_new_tokens=25, seed=study.seed)
    throughout = {"everywhere": composed}
    for prompt, texts in evaluator.generations(prompts, throughout, max_new_tokens=25, seed=study.seed).items():
        generations[prompt] |= texts

    return SteeringResult(
        study=study,
        model=bench.unembedding.summary(),
        chosen=chosen,
        effects=effects,
        perplexity_ratios=ratios,
        unsteered_perplexity=evaluator.unsteered_perplexity,
        tests=tests(study, bench.reporting.prompts, effects, controls),
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
    study, child = bench.study, bench.study.child
    depth = len(Architecture.of(bench.evaluator.model).blocks)
    swept = study.swept(depth)
    measures = ("parent", "child", "excess_kl", "top1_rate", "perplexity_ratio")
    maps = {name: np.full((depth, len(STRENGTHS)), np.nan) for name in measures}
    maps["random"] = np.full((depth, len(CONTROLLED)), np.nan)
    strengths: dict[int, Strength] = {}
    for block in tqdm(swept, desc="blocks", disable=None, leave=False):
        vector_at = at_block(bench, block)
        strengths[block] = bench.evaluator.strongest_within(STRENGTHS, vector_at)
        for strength, ratio in strengths[block].ratios.items():
            maps["perplexity_ratio"][block, STRENGTHS.index(strength)] = ratio
        for column, strength in enumerate(STRENGTHS):
            effect = bench.choosing.effect(vector_at(strength), bench.words)
            maps["parent"][block, column] = effect.probability[study.parent].mean()
            maps["child"][block, column] = effect.probability[child].mean()
            maps["excess_kl"][block, column] = effect.excess_kl[child].mean()
            maps["top1_rate"][block, column] = effect.top1_rate(bench.words[child])
        for column, strength in enumerate(CONTROLLED):
            control = vector_at(strength).random(study.seed + block)
            maps["random"][block, column] = bench.choosing.effect(control, bench.words).probability[child].mean()
    candidates = [block for block in swept if block < depth - 1] or swept
    best = max(candidates, key=lambda block: maps["child"][block, STRENGTHS.index(strengths[block].value)])
    cells = [(block, column) for block in candidates for column in range(len(STRENGTHS))]
    block, column = max(cells, key=lambda cell: maps["child"][cell])
    return (best, strengths[best]), (block, STRENGTHS[column]), maps


def conditions(bench: Bench, coefficient: float) -> Vectors:
    """What is compared after the final norm, by its name in results.json; random vectors are drawn elsewhere."""
    concepts, study = bench.concepts, bench.study
    contrast, composed = concepts.child(study.child, study.parent), bench.composed(coefficient)
    norm = concepts.norm(composed)
    vectors: Vectors = {
        "unsteered": None,
        "parent": coefficient * concepts[study.parent],
        "parent_norm_matched": norm * concepts[study.parent],
        "child": coefficient * contrast,
        "parent_child": composed,
        "direct": norm * concepts[study.child],
        "other_parent_child": coefficient * concepts[study.beside[1]] + coefficient * contrast,
    }
    if grandparents := concepts.chain(study.parent)[:-1]:
        chain = (grandparents[-1], study.parent, study.child)
        vectors["grandparent_parent_child"] = concepts.path(dict.fromkeys(chain, coefficient))
    return vectors


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
    study = bench.study
    measures = ("parent", "child", "excess_kl", "perplexity_ratio")
    curves: dict[str, Arrays] = {name: {m: np.full(len(COEFFICIENTS), np.nan) for m in measures} for name in CURVES}
    for index, coefficient in enumerate(tqdm(COEFFICIENTS, desc="coefficients", disable=None, leave=False)):
        vectors = conditions(bench, coefficient)
        vectors["random"] = bench.concepts.random(bench.composed(coefficient), study.seed)
        for name, curve in curves.items():
            effect = bench.reporting.effect(vectors[name], bench.words)
            curve["parent"][index] = effect.probability[study.parent].mean()
            curve["child"][index] = effect.probability[study.child].mean()
            curve["excess_kl"][index] = effect.excess_kl[study.child].mean()
            curve["perplexity_ratio"][index] = bench.evaluator.perplexity_ratio(vectors[name])
    return curves


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
    for _ in tqdm(range(study.n_random), desc="random tokens", disable=None, leave=False):
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


def tests(
    study: "SteeringStudy", prompts: Sequence[str], effects: Mapping[str, Effect], controls: Arrays
) -> dict[str, TestResult]:
    """Composition beside random vectors, and the rise of held-out words beside that of random tokens."""
    child, held_out = study.child, f"{study.child} held_out"
    labels = {"random": "random direction", "random_residual": "random residual vector"}
    nulls = {
        name: NullValues(effects[name].probability[child].reshape(study.n_random, -1), label)
        for name, label in labels.items()
    }
    composed, unsteered = (effects[name].probability for name in ("parent_child", "unsteered"))
    rise = controls["held_out"] - controls["held_out_unsteered"]
    return {
        "composition": TestResult(
            name="composition",
            labels=tuple(prompts),
            values=composed[child],
            nulls=nulls,
            title="Parent + child raises the probability of the child's words above random vectors of the same norm",
            measure="probability of the child's words",
            subject=child,
        ),
        "held_out_words": TestResult(
            name="held_out_words",
            labels=tuple(prompts),
            values=composed[held_out] - unsteered[held_out],
            nulls={"random_token_control": NullValues(rise, "random-token control")},
            title="It raises held-out words too, which concepts of random tokens do not",
            measure="rise of the probability of held-out words",
            subject=child,
        ),
    }
