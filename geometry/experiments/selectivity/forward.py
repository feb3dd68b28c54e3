"""Effects that take passes of the model: mean differences of a block's activations, and prompting by words."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import Concept, ConceptHierarchy
from geometry.experiments.selectivity.methods import MEAN_DIFFERENCE, NATS, PROMPTING
from geometry.experiments.selectivity.setup import Bench
from geometry.layers import EqualKL, load_contexts, mean_difference, read_phrases
from geometry.randomness import generator
from geometry.selectivity import TreeEffects
from geometry.steering import NextToken, Site
from geometry.steering.architecture import Architecture

Array = NDArray[np.float64]
_PHRASES = 16  # of each concept
_OTHERS = 128  # further words of the hierarchy
_DEPTH = 0.5  # of the model: where activations are read and added to
_WORDS = 6  # in front of a prompt


def block(bench: Bench) -> Site:
    """The block in the middle of the model, where mean differences are read and added."""
    return Site("output", int(_DEPTH * len(Architecture.of(bench.model).blocks)))


def by_mean_difference(bench: Bench, targets: Sequence[str]) -> list[TreeEffects]:
    """The mean activation of a target's phrases less that of others, added at the block, at every KL divergence."""
    hierarchy, rng = bench.hierarchy, generator(bench.study.seed, "phrases")
    own = {name: _some(hierarchy[name].words, _PHRASES, rng) for name in targets}
    others = _some(hierarchy.words, _OTHERS, rng)
    phrases = tuple(dict.fromkeys(word for words in (*own.values(), others) for word in words))
    site = block(bench)
    contexts = load_contexts(load_contexts("neutral").templates[:1])  # type: ignore[union-attr]
    activations = read_phrases(bench.model, bench.tokenizer, phrases, contexts=contexts, sites=[site], cache=True)
    # Side by side: what is whose parent is of no account here.
    read = ConceptHierarchy(
        "read", tuple(Concept.from_words(name, words, activations.vocabulary) for name, words in own.items()), {}
    )
    vectors = [mean_difference(activations, read, name, site).relative(1) for name in targets]
    selectivity, effects = bench.only(tuple(targets)), []
    for nats in NATS:
        found: list[Array | str] = [""] * len(targets)
        for at in EqualKL(bench.model, bench.tokenizer, bench.beginnings, nats).find(vectors):
            law = at.log_probabilities
            found[at.index] = at.why_not if law is None else np.exp(law.double().numpy())
        effects.append(selectivity.measured(MEAN_DIFFERENCE, found, nats))
    return effects


def by_prompting(bench: Bench, targets: Sequence[str]) -> TreeEffects:
    """The law after "words of the target. prompt" beside that after the prompt, at whatever KL divergence it has."""

    def laws() -> Iterator[Array]:
        for name in targets:
            prompts = [f"{prefix(bench, name)} {text}" for text in bench.beginnings]
            law = NextToken(bench.model, bench.tokenizer, prompts).unsteered
            yield np.exp(law.double().numpy())

    return bench.only(tuple(targets)).measured(PROMPTING, laws())


def prefix(bench: Bench, name: str) -> str:
    """Words of a concept, drawn at random, as they stand in front of a prompt."""
    words = _some(bench.hierarchy[name].words, _WORDS, generator(bench.study.seed, f"prefix {name}"))
    return f"{', '.join(words).capitalize()}."


def _some(words: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """At most so many, one spelling of each."""
    different = list(dict.fromkeys(word.lower() for word in words))
    spelled = {word.lower(): word for word in reversed(words)}
    chosen = (
        different
        if len(different) <= count
        else [different[i] for i in np.sort(rng.choice(len(different), count, replace=False))]
    )
    return [spelled[word] for word in chosen]
