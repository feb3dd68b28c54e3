"""Steering at a block with vectors found there, pulled back from the output, of means, at random: at equal cost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.errors import SteeringError
from geometry.experiments.layers.block_steering_result import (
    FOUND,
    MEAN_DIFFERENCE,
    MEASURES,
    PULLED_BACK,
    RANDOM,
    VECTORS,
    BlockSteeringResult,
    Numbers,
)
from geometry.experiments.layers.draw_intervals import mean_over
from geometry.layers.block_vectors import BlockSteering, check_phrases, check_space, mean_difference, steerable
from geometry.layers.equal_kl import EqualKL, off_target_kl
from geometry.layers.phrase_activations import PhraseActivations
from geometry.progress import progress_bar
from geometry.steering import (
    ConceptSteering,
    Site,
    SiteLike,
    SteeringVector,
    TextCost,
    concept_tokens,
    generate,
    load_prompts,
    probability,
    pull_back,
    steer_each,
)
from geometry.steering.vector import depth

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

N_RANDOM = 5
_PROMPTS, _TEXTS, _GENERATED = 24, 2, 12


@checked
def measure_block_steering(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    activations: PhraseActivations,
    spaces: Mapping[SiteLike, CausalSpace],
    hierarchy: ConceptHierarchy,
    causal_space: CausalSpace,
    directions_at_output: ConceptDirections,
    concepts: Sequence[tuple[str, str]],
    *,
    nats: float = 0.5,
    n_random: int = N_RANDOM,
    prompts: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> BlockSteeringResult:
    """What vectors of concepts do at each block where the next-token law on neutral prompts changes by so many nats.

    Example::

        spaces = {site: activations.space(site, neutral.covariance(site)) for site in ("output.6", "output.12")}
        result = measure_block_steering(
            model, tokenizer, activations, spaces, nouns.over(activations.vocabulary), causal_space, directions,
            [("animal.n.01", "bird.n.01")], nats=0.5,
        )
        print(*result.summary(), sep="\\n")

    Parent + (child − parent), each part of norm 1 in its space, is composed of vectors found at the block and of the
    output layer's, pulled back through the final norm; beside them the mean of the child's phrases less that of all
    others, and random directions of the block's space. All are added at the last token, in units of the residual
    norm.

    Parameters:
        spaces: site → of the phrases there, `activations.space(site, metric)`.
        hierarchy: over `activations.vocabulary`.
        causal_space, directions_at_output: of the model's unembedding, and of its hierarchy's concepts; its tokens are
            the words whose probability is measured, those that the vectors were fitted to among them.
        concepts: (parent, child) by names that both hierarchies hold.
        nats: the mean KL divergence on the prompts.
        n_random: random directions a block, each measured on every concept.
        prompts, texts: beginnings of sentences, and texts whose perplexity is measured; default, 24 and 2 of the
            packaged neutral ones.

    Raises SteeringError: no concepts or prompts, a concept that a hierarchy lacks, a child not below its parent,
        sites that are no blocks or not the spaces' own, or what `EqualKL` refuses.
    """
    sites = sorted(map(steerable, spaces), key=depth)
    if not sites:
        raise SteeringError("there are no spaces; give activations.space(site, metric) for each site to steer at")
    if aside := [site for site in sites if site.block is None]:
        raise SteeringError(f"{aside[0]}: vectors are compared at blocks; write such as output.3")
    check_phrases(activations, hierarchy)
    if n_random < 1:
        raise SteeringError(f"n_random: at least one random direction is needed as a control, not {n_random}")
    _check_concepts(concepts, {"phrases": hierarchy, "unembedding": directions_at_output.hierarchy})
    neutral = load_prompts("neutral")
    prompts = neutral.beginnings[:_PROMPTS] if prompts is None else tuple(prompts)
    texts = neutral.texts[:_TEXTS] if texts is None else tuple(texts)
    at_output = ConceptSteering(causal_space, directions_at_output)
    fitted = hierarchy.only({name for pair in concepts for name in _line(hierarchy, *pair)})
    by_site = {site: next(space for key, space in spaces.items() if steerable(key) == site) for site in sites}
    for site, space in by_site.items():
        check_space(space, site)
    vectors: dict[tuple[str, int, int], SteeringVector] = {}
    for column, (site, space) in enumerate(by_site.items()):
        at_block = BlockSteering(space, ConceptDirections.fit(space, fitted), site, unit=True)
        for row, (parent, child) in enumerate(concepts):
            steps = {parent: 1.0, child: 1.0}
            vectors[FOUND, row, column] = at_block.path(steps)
            vectors[PULLED_BACK, row, column] = pull_back(at_output.path(steps), model, site)
            vectors[MEAN_DIFFERENCE, row, column] = mean_difference(activations, hierarchy, child, site)
        for draw in range(n_random):
            like = vectors[FOUND, 0, column]
            vectors[RANDOM, draw, column] = at_block.random(like, seed + n_random * column + draw)
    vectors = {key: vector.relative(1) for key, vector in vectors.items()}

    words = concept_tokens(directions_at_output.hierarchy, [*dict.fromkeys(name for pair in concepts for name in pair)])
    equal = EqualKL(model, tokenizer, prompts, nats)
    cost = TextCost(model, tokenizer, texts)
    shape = (len(concepts), len(sites), len(VECTORS))
    steered = {name: np.full((*shape, len(prompts)), np.nan) for name in MEASURES}
    draws = {name: np.full((n_random, *shape[:2], len(prompts)), np.nan) for name in MEASURES}
    coefficients, perplexities = np.full(shape, np.nan), np.full(shape, np.nan)
    random_coefficients = np.full((n_random, len(sites)), np.nan)
    keys, not_reached, chosen = list(vectors), {}, {}
    names = {key: _name(concepts, sites, *key) for key in keys}
    shown: Any = {"total": len(keys), "desc": "vectors at equal KL", "progress": progress}
    with progress_bar(**shown) as bar:
        for at in equal.find(list(vectors.values())):
            (kind, index, column), law = keys[at.index], at.log_probabilities
            key = (kind, index, column)
            bar.update()
            if law is None:
                not_reached[names[key]] = at.why_not
                continue
            chosen[key] = at.coefficient * vectors[key]
            # What a random direction does is measured on every concept.
            for row in range(len(concepts)) if kind == RANDOM else [index]:
                effect = _effect(law, at.kl, equal.unsteered, *(words[name] for name in concepts[row]))
                for name, values in effect.items():
                    if kind == RANDOM:
                        draws[name][index, row, column] = values
                    else:
                        steered[name][row, column, VECTORS.index(kind)] = values
            if kind == RANDOM:
                random_coefficients[index, column] = at.coefficient
                if index == 0:
                    perplexities[:, column, VECTORS.index(kind)] = cost.ratio(chosen[key])
            else:
                coefficients[index, column, VECTORS.index(kind)] = at.coefficient
                perplexities[index, column, VECTORS.index(kind)] = cost.ratio(chosen[key])
    for name, values in draws.items():
        steered[name][:, :, VECTORS.index(RANDOM)] = mean_over(values)
    coefficients[:, :, VECTORS.index(RANDOM)] = mean_over(random_coefficients)
    unsteered = {
        "child": np.stack([probability(equal.unsteered, words[child]) for _, child in concepts]),
        "parent": np.stack([probability(equal.unsteered, words[parent]) for parent, _ in concepts]),
        "top1": np.stack([np.isin(equal.unsteered.argmax(dim=1).numpy(), words[child]) for _, child in concepts]),
    }
    written = [key for key in keys if key in chosen and (key[0] != RANDOM or key[1] == 0)]
    with steer_each(model, [None, *(chosen[key] for key in written)], positions="last"):
        after = generate(model, tokenizer, [prompts[0]] * (1 + len(written)), max_new_tokens=_GENERATED)
    labels = ["unsteered", *(names[key] for key in written)]
    return BlockSteeringResult(
        model=activations.model,
        metric=", ".join(dict.fromkeys(space.metric for space in by_site.values())),
        sites=tuple(map(str, sites)),
        blocks=tuple(int(site.block or 0) + (site.place == "output") for site in sites),
        concepts=tuple((parent, child) for parent, child in concepts),
        phrases=tuple(len(hierarchy[child]) for _, child in concepts),
        words=tuple(len(words[child]) for _, child in concepts),
        prompts=tuple(prompts),
        nats=nats,
        tolerance=equal.tolerance,
        seed=seed,
        n_random=n_random,
        coefficients=coefficients,
        perplexities=perplexities,
        steered=steered,
        random=draws["child"],
        unsteered={name: values.astype(np.float64) for name, values in unsteered.items()},
        not_reached=not_reached,
        generations={label: generation.text for label, (generation,) in zip(labels, after, strict=True)},
        provenances={names[key]: vector.provenance for key, vector in vectors.items()},
    )


def _effect(
    law: torch.Tensor, kl: Numbers, unsteered: torch.Tensor, parent: NDArray[np.int64], child: NDArray[np.int64]
) -> dict[str, Numbers]:
    """`MEASURES` of a steered next-token law, each of shape (n,)."""
    return {
        "child": probability(law, child),
        "parent": probability(law, parent),
        "top1": np.isin(law.argmax(dim=1).numpy(), child).astype(np.float64),
        "kl": kl,
        "off_target_kl": off_target_kl(law, unsteered, np.union1d(child, parent)),
    }


def _name(concepts: Sequence[tuple[str, str]], sites: Sequence[Site], kind: str, index: int, column: int) -> str:
    """What documents call a vector."""
    return f"{f'{index + 1}' if kind == RANDOM else concepts[index][1]} {sites[column]} {kind}"


def _check_concepts(concepts: Sequence[tuple[str, str]], hierarchies: Mapping[str, ConceptHierarchy]) -> None:
    if not concepts:
        raise SteeringError("there are no concepts; give pairs such as ('animal.n.01', 'bird.n.01')")
    if len(set(children := [child for _, child in concepts])) < len(children):
        raise SteeringError(f"concepts: the same child stands there twice, among {', '.join(children)}")
    for whose, hierarchy in hierarchies.items():
        for parent, child in concepts:
            if lacking := [name for name in (parent, child) if name not in hierarchy]:
                raise SteeringError(
                    f"concept {lacking[0]!r}: not in hierarchy {hierarchy.name!r} over the {whose}; choose concepts"
                    " that both hierarchies hold"
                )
            if child not in hierarchy.descendants(parent):
                raise SteeringError(f"{parent!r} is no ancestor of {child!r} in the hierarchy over the {whose}")


def _line(hierarchy: ConceptHierarchy, parent: str, child: str) -> set[str]:
    """The parent, the child, and all that lies between."""
    below = {parent} | hierarchy.descendants(parent)
    return {name for name in below if name == child or child in hierarchy.descendants(name)}
