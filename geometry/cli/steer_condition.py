"""`concept-geometry steer --when`: the condition on which a vector acts, of a concept or of a file of texts."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from geometry.causal import CausalSpace
from geometry.cli.placement import placement_of
from geometry.concepts import load_hierarchy
from geometry.directions import ConceptDirections
from geometry.errors import SteeringError
from geometry.models import Unembedding
from geometry.steering import ConceptSteering, Condition, Eraser, Site, SteeringVector, load_prompts
from geometry.steering.chat import chat_prompts
from geometry.steering.pair_file import load_text_pairs
from geometry.steering.prompts import LanguageModel, Tokenizer

When = Callable[[SteeringVector | Eraser, LanguageModel, Tokenizer], Condition]


def condition(options: argparse.Namespace) -> When | None:
    """What makes the condition that was asked for; GeometryError for what is not there, before the model is loaded."""
    if options.when is None:
        if options.when_site is not None:
            raise SteeringError("--when-site says where the condition of --when is read, and there is no --when")
        return None
    if not options.prompts:
        raise SteeringError("--when decides about prompts, and a file holds none: give a prompt to complete")
    if Path(options.when).suffix.lower() in (".csv", ".jsonl"):
        return _of_texts(options, load_text_pairs(options.when))
    return _of_concept(options)


def said(condition: Condition, fired: int, asked: int, acted: int) -> str:
    """How often it held, in a line."""
    what = "prompts" if condition.scope == "prompt" else "tokens"
    elsewhere = ", at none of which the vector is added (--positions all adds it everywhere)" if fired else ""
    never = "" if acted else f"{elsewhere}, so the vector did nothing"
    return f"{condition.name}, read at {condition.site}: held for {fired} of {asked} {what}{never}"


def _of_texts(options: argparse.Namespace, pairs: list[tuple[str, str]]) -> When:
    def make(vector: SteeringVector | Eraser, model: LanguageModel, tokenizer: Tokenizer) -> Condition:
        positives, negatives = ([*dict.fromkeys(texts)] for texts in zip(*pairs, strict=True))
        if options.chat:
            positives, negatives = (chat_prompts(tokenizer, texts) for texts in (positives, negatives))
        site = _site(options, vector)
        return Condition.between(model, tokenizer, positives, negatives, site, name=f"--when {options.when}")

    return make


def _of_concept(options: argparse.Namespace) -> When:
    place = placement_of(options)
    unembedding = Unembedding.load(options.model, **place.of_unembedding)
    hierarchy = load_hierarchy(options.hierarchy or "wordnet-noun", unembedding.vocabulary)
    hierarchy.index(options.when)  # refuses an unknown name before anything is fitted
    space = CausalSpace.fit(unembedding, **place.of_space)
    concepts = ConceptSteering(space, ConceptDirections.fit(space, hierarchy))

    def make(vector: SteeringVector | Eraser, model: LanguageModel, tokenizer: Tokenizer) -> Condition:
        texts = load_prompts("neutral").texts
        return Condition.of_concept(concepts, options.when, model, tokenizer, texts, site=_site(options, vector))

    return make


def _site(options: argparse.Namespace, vector: SteeringVector | Eraser) -> Site:
    site: Site | None = options.when_site
    return replace(vector.sites[0], relative=False) if site is None else site
