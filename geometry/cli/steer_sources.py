"""What `concept-geometry steer` adds: bad sources are refused before the model is loaded, vectors made with it."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from geometry.causal import CausalSpace
from geometry.cli.placement import placement_of
from geometry.concepts import load_behaviour, load_hierarchy
from geometry.directions import ConceptDirections
from geometry.errors import SteeringError, shown
from geometry.models import Unembedding
from geometry.steering import (
    Architecture,
    ConceptSteering,
    Site,
    SteeringVector,
    activation_addition,
    class_difference,
    class_means,
    contrastive_activation_addition,
    pull_back,
)
from geometry.steering.block_outputs import BlockOutputs, of_ending
from geometry.steering.pair_file import load_text_pairs
from geometry.steering.prompts import LanguageModel, Tokenizer

# At a site, or where vectors of that kind are at home.
Make = Callable[[LanguageModel, Tokenizer, Site | None], SteeringVector]


def sources(options: argparse.Namespace) -> list[Make]:
    """What is to be added, unscaled; GeometryError for what is not there, or not fit for the site or the file."""
    if options.add:
        return _concepts(options)
    _check_place(options)
    if options.pair:
        return [_pair(options, *texts) for texts in options.pair]
    if options.pairs:
        return [partial(_mean_difference, load_text_pairs(path)) for path in options.pairs]
    return [_classes(entry) for entry in options.behaviour]


def _concepts(options: argparse.Namespace) -> list[Make]:
    if options.site is not None and options.site.block is not None and options.strength is None:
        raise SteeringError(f"at {options.site} the strength is a choice of yours: add --strength, such as 1")
    if _kind(options) is not None and (options.site is None or options.site.block is None):
        raise SteeringError(f"{_called(options)} acts on the outputs of blocks: add --site output.27 --strength 1")
    place = placement_of(options)
    unembedding = Unembedding.load(options.model, **place.of_unembedding)
    hierarchy = load_hierarchy(options.hierarchy or "wordnet-noun", unembedding.vocabulary)
    named = [entry.partition(":") for entry in options.add]
    for concept in (part for name, _, ancestor in named for part in (name, ancestor or name)):
        hierarchy.index(concept)  # refuses unknown names before anything is fitted
    space = CausalSpace.fit(unembedding, **place.of_space)
    concepts = ConceptSteering(space, ConceptDirections.fit(space, hierarchy))
    made = [concepts.child(name, of=ancestor) if ancestor else concepts[name] for name, _, ancestor in named]
    return [partial(_pulled_back, vector) for vector in made]


def _pulled_back(vector: SteeringVector, model: LanguageModel, _: Tokenizer, site: Site | None) -> SteeringVector:
    return vector if site in (None, Site("after_norm")) else pull_back(vector, model, site)


def _check_place(options: argparse.Namespace) -> None:
    site = options.site
    if site is not None and site.relative:
        raise SteeringError(f"{site}: texts are read at a plain site; --strength makes the vector relative")
    if (kind := _kind(options)) is not None:
        if options.pair and not kind.rows:
            raise SteeringError(f"{_called(options)} holds no rows for the tokens of a --pair: save .safetensors")
        if site is not None and (site.block is None or site.block - (site.place == "input") < kind.first):
            raise SteeringError(f"{_called(options)} acts on the outputs of blocks from {kind.first} on, not at {site}")


def _kind(options: argparse.Namespace) -> BlockOutputs | None:
    """What the format that --save asks for can express, if that is not all."""
    return of_ending(options.save) if options.save else None


def _called(options: argparse.Namespace) -> str:
    return f"a {Path(options.save).suffix.lower()} file"


def _pair(options: argparse.Namespace, promoted: str, suppressed: str) -> Make:
    if not promoted.strip() or not suppressed.strip() or promoted == suppressed:
        raise SteeringError(f"--pair takes two different texts, not {shown((promoted, suppressed))}")
    if options.positions in ("all", "prompt", "generated"):
        raise SteeringError(
            f"--pair makes a row for each token, which cannot be added at {options.positions!r} positions; use first,"
            " middle or last"
        )

    def make(model: LanguageModel, tokenizer: Tokenizer, site: Site | None) -> SteeringVector:
        begun = tokenizer.bos_token_id is not None
        place = site or Architecture.of(model).middle
        return activation_addition(model, tokenizer, promoted, suppressed, site=place, bos=begun)

    return make


def _mean_difference(
    pairs: list[tuple[str, str]], model: LanguageModel, tokenizer: Tokenizer, site: Site | None
) -> SteeringVector:
    return contrastive_activation_addition(model, tokenizer, pairs, [site or Architecture.of(model).middle])


def classes_of(entry: str) -> tuple[dict[str, tuple[str, ...]], str]:
    """The texts by class that an entry of --behaviour compares, and the class that is steered to."""
    source, colon, asked = entry.rpartition(":")
    family = load_behaviour(source if colon else entry)
    texts = family.texts()
    name, slash, other = asked.partition("/")
    wanted = [name, other] if slash else [name]
    if not colon or len(set(wanted)) < len(wanted) or not texts.keys() >= set(wanted):
        first, *_, last = texts
        raise SteeringError(
            f"--behaviour {entry}: the classes of {family.name} are {', '.join(texts)}; write for example"
            f" {source or entry}:{last}/{first}"
        )
    return {name: texts[name] for name in wanted} if slash else texts, name


def _classes(entry: str) -> Make:
    texts, name = classes_of(entry)

    def make(model: LanguageModel, tokenizer: Tokenizer, site: Site | None) -> SteeringVector:
        place = site or Architecture.of(model).middle
        return class_difference(class_means(model, tokenizer, texts, [place]), name)

    return make
