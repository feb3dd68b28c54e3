"""Does parent + child steer towards the child? Probabilities, what they cost, and where in the model it works.

    python -m analysis.steering [--model M] [--parent SYNSET] [--child SYNSET] [--out DIR] [--seed N] [--quick]

Writes four figures, completions.html, results.json and results.npz to figures/<model>/steering/. Concept vectors
are fitted to 70% of the lemmas of WordNet's nouns, so that words the vector never saw can be told from those it did.
Coefficient, block and strength are chosen on a third of the prompts and reported on the others.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import geometry as geo
from analysis.script import Run, arguments, run, whole_number
from analysis.steering_figures import (
    blocks_figure,
    coefficients_figure,
    completions_page,
    conditions_figure,
    report,
    words_figure,
)
from analysis.steering_study import KINDS, Study, Tokens, prepare

COEFFICIENTS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
PRICED_STRENGTHS = (0.25, 0.5, 1.0, 2.0)
PRICED_BLOCKS = 3  # every third, from the last
SWEPT = ("parent", "child", "parent_child", "own", "random")
PRICED = ("parent_child", "own", "random")
ON_TOP = 0.75
COMPLETED = 8

Cell = tuple[int, float]  # a block, and a strength in units of the stream's norm
Vectors = dict[str, geo.SteeringVector | None]
Arrays = dict[str, NDArray[np.float64]]


def main() -> int:
    """Parse arguments and run."""
    parser = arguments("steering", __doc__.splitlines()[0])
    parser.add_argument("--parent", default="animal.n.01", metavar="SYNSET", help="default: animal.n.01")
    parser.add_argument("--child", default="bird.n.01", metavar="SYNSET", help="below the parent; default: bird.n.01")
    parser.add_argument(
        "--beside",
        nargs=2,
        default=["mammal.n.01", "plant.n.02"],
        metavar="SYNSET",
        help="measured too: a concept below the parent and one outside it (default: mammal.n.01 plant.n.02)",
    )
    parser.add_argument("--prompts", default="neutral", help="packaged set of prompts, or a YAML or JSON file")
    parser.add_argument("--draws", type=whole_number(1), default=49, help="random vectors of each kind (default: 49)")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "--every",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="sweep every N-th block, from the last (default: 1)",
    )
    amount.add_argument(
        "--quick", action="store_true", help="sweep three blocks, one in the middle of each third of the model"
    )
    return run("steering", parser.parse_args(), analyse)


def analyse(this: Run) -> None:
    """The whole analysis, in the order of a method section."""
    this.step(f"reading the unembedding of {this.model} and fitting concepts")
    unembedding, study = prepare(this)

    this.step("choosing coefficient, block and strength")
    coefficient = choose_coefficient(study)
    gentle, strong, blocks = sweep_blocks(study, swept(study, this.settings["every"], quick=this.settings["quick"]))
    vectors = conditions(study, coefficient)
    vectors["before_norm"] = geo.pull_back(study.composed(coefficient), study.model, "before_norm")
    for name, (block, strength) in {"block": gentle, "block_strongest": strong}.items():
        vectors[name] = geo.pull_back(study.composed(1.0), study.model, f"output.{block}").relative(strength)

    this.step("measuring on the other prompts")
    effects = measure(study, vectors, study.composed(coefficient), this.settings["draws"])
    prices = {name: study.perplexity(vector) for name, vector in vectors.items()}
    prices["random"] = study.perplexity(study.concepts.random(study.composed(coefficient), study.seed))
    prices["random_residual"] = study.perplexity(study.composed(coefficient).random(study.seed))
    curves = sweep_coefficients(study)
    nonsense = measure_nonsense(study, coefficient)
    this.step("completing prompts")
    written = completions(study, vectors, coefficient)

    this.step("drawing")
    found = summary(study, effects, prices)
    self_described = {name: vector.provenance if vector else "nothing" for name, vector in vectors.items()}
    chosen = {"coefficient": coefficient, "block": gentle, "block_strongest": strong}
    this.output.figure("conditions", conditions_figure(study, effects, found, chosen))
    this.output.figure("words", words_figure(study, effects, nonsense))
    this.output.figure("coefficients", coefficients_figure(study, curves, COEFFICIENTS, chosen, found))
    this.output.figure("blocks", blocks_figure(study, blocks, STRENGTHS, PRICED_STRENGTHS, chosen, found))
    this.output.text("completions.html", completions_page(study, written, chosen))
    this.write_results(
        unembedding.summary(),
        {
            "chosen": chosen,
            **found,
            "nonsense": {name: float(values.mean()) for name, values in nonsense.items()},
            "vectors": self_described,
            "completions": written,
        },
    )
    this.output.arrays("results", **arrays(effects, curves, blocks))
    report(study, effects, found, written)


def gentlest(effects: Mapping[Any, geo.steering.Effect], child: str, tokens: Tokens) -> Any:
    """Of the settings that put a word of the child on top of most prompts, the one that distorts least.

    Where none does, the one that comes nearest.
    """
    enough = {setting: effect for setting, effect in effects.items() if effect.top1_rate(tokens) >= ON_TOP}
    if not enough:
        return max(effects, key=lambda setting: effects[setting].top1_rate(tokens))
    return min(enough, key=lambda setting: float(enough[setting].excess_kl[child].mean()))


def choose_coefficient(study: Study) -> float:
    """The gentlest coefficient after the final norm, on the prompts to choose on."""
    effects = {c: study.choosing.effect(study.composed(c), study.words) for c in COEFFICIENTS}
    return float(gentlest(effects, study.child, study.words[study.child]))


def swept(study: Study, every: int, *, quick: bool) -> list[int]:
    """The blocks to sweep: every so many from the last, or for a quick look the middle of each third of the model."""
    depth = len(geo.steering.Architecture.of(study.model).blocks)
    if quick:
        return sorted({depth * sixths // 6 for sixths in (1, 3, 5)})
    return list(range((depth - 1) % every, depth, every))


def sweep_blocks(study: Study, blocks: list[int]) -> tuple[Cell, Cell, Arrays]:
    """Blocks × strengths on the prompts to choose on: the gentlest and the strongest, and maps of all.

    The output of the last block is the final norm's input, a condition of its own, and chosen only where no other
    block was swept.
    """
    depth = len(geo.steering.Architecture.of(study.model).blocks)
    priced = blocks if len(blocks) <= PRICED_BLOCKS else blocks[::-1][::PRICED_BLOCKS]
    maps = {kind: np.full((depth, len(STRENGTHS)), np.nan) for kind in ("parent", "child", "excess", "top")}
    maps |= {kind: np.full((depth, len(PRICED_STRENGTHS)), np.nan) for kind in ("random", "perplexity")}
    effects = {}
    for block in tqdm(blocks, desc="blocks", disable=None, leave=False):
        vector = geo.pull_back(study.composed(1.0), study.model, f"output.{block}")
        for column, strength in enumerate(STRENGTHS):
            scaled = vector.relative(strength)
            effect = study.choosing.effect(scaled, study.words)
            maps["parent"][block, column] = effect.probability[study.parent].mean()
            maps["child"][block, column] = effect.probability[study.child].mean()
            if strength in PRICED_STRENGTHS:
                control = study.choosing.effect(scaled.random(study.seed + block), study.words)
                maps["random"][block, PRICED_STRENGTHS.index(strength)] = control.probability[study.child].mean()
            maps["excess"][block, column] = effect.excess_kl[study.child].mean()
            maps["top"][block, column] = effect.top1_rate(study.words[study.child])
            if block < depth - 1 or blocks == [block]:
                effects[block, strength] = effect
        if block in priced:
            for column, strength in enumerate(PRICED_STRENGTHS):
                maps["perplexity"][block, column] = study.perplexity(vector.relative(strength))
    strongest = max(effects, key=lambda cell: float(effects[cell].probability[study.child].mean()))
    return gentlest(effects, study.child, study.words[study.child]), strongest, maps


def conditions(study: Study, coefficient: float) -> Vectors:
    """What is compared after the final norm, by its name in results.json; random vectors are drawn elsewhere."""
    concepts, c = study.concepts, coefficient
    contrast, composed = concepts.child(study.child, study.parent), study.composed(c)
    length = concepts.norm(composed)
    vectors: Vectors = {
        "none": None,
        "parent": c * concepts[study.parent],
        "parent_long": length * concepts[study.parent],
        "child": c * contrast,
        "parent_child": composed,
        "own": length * concepts[study.child],
        "other_parent_child": c * concepts[study.other] + c * contrast,
    }
    if grandparents := concepts.chain(study.parent)[:-1]:
        vectors["grandparent_parent_child"] = concepts.path({grandparents[-1]: c, study.parent: c, study.child: c})
    return vectors


def measure(study: Study, vectors: Vectors, composed: geo.SteeringVector, draws: int) -> dict[str, geo.steering.Effect]:
    """Condition → effect on the prompts to report; of random vectors that of all draws together."""
    found = {name: study.reporting.effect(vector, study.words) for name, vector in vectors.items()}
    kinds: dict[str, Callable[[int], geo.SteeringVector]] = {
        "random": lambda seed: study.concepts.random(composed, seed),
        "random_residual": composed.random,
    }
    for name, draw in kinds.items():
        seeds = tqdm(range(study.seed, study.seed + draws), desc=name, disable=None, leave=False)
        found[name] = joined([study.reporting.effect(draw(seed), study.words) for seed in seeds])
    return found


def joined(effects: list[geo.steering.Effect]) -> geo.steering.Effect:
    """Several effects as one over all of their prompts."""
    first = effects[0]
    return geo.steering.Effect(
        {name: np.concatenate([effect.probability[name] for effect in effects]) for name in first.probability},
        np.concatenate([effect.kl for effect in effects]),
        {name: np.concatenate([effect.excess_kl[name] for effect in effects]) for name in first.excess_kl},
        np.concatenate([effect.top1 for effect in effects]),
    )


def sweep_coefficients(study: Study) -> dict[str, Arrays]:
    """After the final norm: condition → quantity → its mean at every coefficient, on the prompts to report."""
    curves: dict[str, Arrays] = {
        name: {kind: np.full(len(COEFFICIENTS), np.nan) for kind in ("parent", "child", "excess", "perplexity")}
        for name in SWEPT
    }
    for place, coefficient in enumerate(tqdm(COEFFICIENTS, desc="coefficients", disable=None, leave=False)):
        vectors = conditions(study, coefficient)
        vectors["random"] = study.concepts.random(study.composed(coefficient), study.seed)
        for name in SWEPT:
            effect = study.reporting.effect(vectors[name], study.words)
            curves[name]["parent"][place] = effect.probability[study.parent].mean()
            curves[name]["child"][place] = effect.probability[study.child].mean()
            curves[name]["excess"][place] = effect.excess_kl[study.child].mean()
            if name in PRICED:
                curves[name]["perplexity"][place] = study.perplexity(vectors[name])
    return curves


def measure_nonsense(study: Study, coefficient: float) -> Arrays:
    """The composed vector of concepts of random words: it raises the words it was fitted to; which else?"""
    cloud, train, nouns = study.cloud, study.train, study.cloud.hierarchy
    drawn = np.random.default_rng(study.seed).permutation(len(nouns.tokens))
    directions = geo.ConceptDirections.fit_cloud(cloud.moved(cloud.points[torch.from_numpy(drawn)]), train=train)
    concepts = geo.ConceptSteering(study.concepts.space, directions)
    members = nouns.members[nouns.index(study.child)]
    fitted, others = drawn[members[train[members]]], drawn[members[~train[members]]]
    # Drawn one by one, a word and its plural may fall on both sides.
    others = others[~np.isin(nouns.lemmas[others], nouns.lemmas[fitted])]
    sets = {"fitted": nouns.tokens[fitted], "held_out": nouns.tokens[others]}
    before = study.reporting.effect(None, sets)
    after = study.reporting.effect(concepts.path({study.parent: coefficient, study.child: coefficient}), sets)
    return {f"{kind}_unsteered": before.probability[kind] for kind in sets} | dict(after.probability)


def completions(study: Study, vectors: Vectors, coefficient: float) -> dict[str, dict[str, str]]:
    """Prompt → condition → completion, steered at the prompt's last token; "everywhere" half as much at all."""
    cases: dict[str, tuple[geo.SteeringVector | None, geo.steering.PositionName]] = {
        name: (vectors[name], "last") for name in ("none", "parent", "parent_child", "own", "block")
    }
    cases["everywhere"] = (study.composed(coefficient / 2), "all")
    cases["random"] = (study.concepts.random(study.composed(coefficient), study.seed), "last")
    prompts = study.reporting.prompts[:COMPLETED]
    written: dict[str, dict[str, str]] = {prompt: {} for prompt in prompts}
    for name, (vector, positions) in cases.items():
        with geo.steer(study.model, vector, positions=positions) if vector else nullcontext():
            texts = geo.generate(
                study.model,
                study.tokenizer,
                prompts,
                max_new_tokens=25,
                temperature=0.7,
                top_p=0.9,
                frequency_penalty=1.0,
                seed=study.seed,
            )
        for prompt, (completion,) in zip(prompts, texts, strict=True):
            written[prompt][name] = completion.text
    return written


def summary(study: Study, effects: Mapping[str, geo.steering.Effect], prices: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Quantity → condition → its mean over prompts, for results.json."""

    def probabilities(kind: str = "") -> dict[str, dict[str, float]]:
        return {
            name: {concept: float(effect.probability[concept + kind].mean()) for concept in study.names}
            for name, effect in effects.items()
        }

    found: dict[str, dict[str, Any]] = {"probability": probabilities()}
    found |= {f"probability_{kind}": probabilities(f" {kind}") for kind in KINDS}
    child, prompts = study.child, len(study.reporting.prompts)
    reached = found["probability"]["parent_child"][child]
    draws = {name: effects[name].probability[child].reshape(-1, prompts) for name in ("random", "random_residual")}
    return found | {
        "child_on_top": {name: effect.top1_rate(study.words[child]) for name, effect in effects.items()},
        "divergence": {name: float(effect.kl.mean()) for name, effect in effects.items()},
        "excess_divergence": {name: float(effect.excess_kl[child].mean()) for name, effect in effects.items()},
        "perplexity": dict(prices),
        "p_value": {name: geo.significance.permutation_p(reached, some.mean(axis=1), "greater") for name, some in draws.items()},
        "prompts": {"choosing": len(study.choosing.prompts), "reported": prompts},
        "words": {name: len(tokens) for name, tokens in study.words.items()},
    }


def arrays(effects: Mapping[str, geo.steering.Effect], curves: Mapping[str, Arrays], blocks: Arrays) -> Arrays:
    """What the figures are drawn from."""
    found = {
        f"probability/{name}/{concept}": values
        for name, effect in effects.items()
        for concept, values in effect.probability.items()
    }
    found |= {f"divergence/{name}": effect.kl for name, effect in effects.items()}
    found |= {f"curves/{name}/{kind}": values for name, by in curves.items() for kind, values in by.items()}
    found |= {f"blocks/{kind}": values for kind, values in blocks.items()}
    return found | {"coefficients": np.array(COEFFICIENTS), "strengths": np.array(STRENGTHS)}


if __name__ == "__main__":
    sys.exit(main())
