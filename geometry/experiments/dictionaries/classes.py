"""The classes that are steered to: sibling concepts by words, behaviours by prompts; others' words judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy, behaviour_words, class_concept, load_behaviour
from geometry.display import short_repr
from geometry.errors import GeometryError, SteeringError
from geometry.evidence import lemma_folds
from geometry.experiments.dictionaries.setup import Bench
from geometry.layers import load_contexts, read_phrases
from geometry.randomness import generator
from geometry.steering import concept_tokens, read_activations

Ids = NDArray[np.int64]
_FEWEST_TOKENS, _FEWEST_JUDGING, _FEWEST_ROWS = 24, 4, 8
_MOST_SHARE = 0.2  # of the hierarchy's words that a class may hold
_ROWS, _BACKGROUND = 24, 150  # words of a class, and of none of them
_SIBLINGS = 2  # of a family


@dataclass(frozen=True, eq=False)
class SteeredClass:
    """A class with the rows that its vectors are made of, and the tokens that judge them.

    Attributes:
        name, family: what it is called, and its parent or its behaviour.
        own, siblings: rows of the class and of the others of its family, each (·, d).
        others: rows of all other classes and of none, siblings among them.
        judged: ids of its words that are no part of its rows.
        tokens: ids of all of its words, which are the target of off-target KL.
    """

    name: str
    family: str
    own: torch.Tensor
    siblings: torch.Tensor
    others: torch.Tensor
    judged: Ids
    tokens: Ids

    __repr__ = short_repr


def steered_classes(bench: Bench) -> tuple[list[SteeredClass], dict[str, str]]:
    """Concepts and behaviours, and of what cannot be had why; SteeringError where there are none."""
    made: list[SteeredClass] = []
    left_out: dict[str, str] = {}
    for name, group in (("concepts", _concepts), (bench.study.behaviour, _behaviours)):
        try:
            made += group(bench)
        except GeometryError as error:
            left_out[name] = str(error)
    if not made:
        raise SteeringError(f"nothing to steer to: {'; '.join(left_out.values())}")
    return made, left_out


def sibling_pairs(hierarchy: ConceptHierarchy, count: int) -> list[tuple[str, str]]:
    """(parent, child), two children of a parent, of the smallest parents first: these have the most specific ones.

    Children without children of their own, so that no class holds another.
    """
    most = _MOST_SHARE * len(hierarchy.tokens)

    def usable(name: str) -> bool:
        return not hierarchy.children[name] and _FEWEST_TOKENS <= len(hierarchy[name]) <= most

    chosen: list[tuple[str, str]] = []
    taken: set[str] = set()
    for parent in sorted(hierarchy.names, key=lambda name: (len(hierarchy[name]), name)):
        children = [child for child in hierarchy.children[parent] if usable(child) and child not in taken]
        children.sort(key=lambda name: (-len(hierarchy[name]), name))
        if len(children) >= _SIBLINGS and len(chosen) + _SIBLINGS <= max(count, _SIBLINGS):
            chosen += [(parent, child) for child in children[:_SIBLINGS]]
            taken |= set(children[:_SIBLINGS])
    return chosen


def _concepts(bench: Bench) -> list[SteeredClass]:
    hierarchy, seed = bench.hierarchy, bench.study.seed
    pairs = sibling_pairs(hierarchy, bench.study.n_classes)
    if not pairs:
        raise SteeringError(
            f"hierarchy {hierarchy.name!r}: no parent has {_SIBLINGS} children of {_FEWEST_TOKENS} words or more that"
            " have none themselves"
        )
    tokens = concept_tokens(hierarchy, [child for _, child in pairs])
    fold = dict(
        zip(hierarchy.tokens.tolist(), lemma_folds(hierarchy, 2, generator(seed, "judging words")), strict=True)
    )
    word = dict(zip(hierarchy.tokens.tolist(), hierarchy.words, strict=True))
    rng = generator(seed, "words of classes")
    made_of = {
        name: _some([token for token in ids.tolist() if fold[token] == 0], _ROWS, rng) for name, ids in tokens.items()
    }
    judged = {name: np.array([token for token in ids.tolist() if fold[token] == 1]) for name, ids in tokens.items()}
    enough = [
        (parent, child) for parent, child in pairs
        if len(made_of[child]) >= _FEWEST_ROWS and len(judged[child]) >= _FEWEST_JUDGING
    ]  # fmt: skip
    if len(enough) < _SIBLINGS:
        raise SteeringError(
            f"hierarchy {hierarchy.name!r}: too few words of siblings to make vectors and to judge them"
        )
    of_classes = {token for _, child in pairs for token in hierarchy[child].tokens}
    none = _some([t for t in hierarchy.tokens.tolist() if t not in of_classes and fold[t] == 0], _BACKGROUND, rng)
    every = [*none, *(token for _, child in enough for token in made_of[child])]
    context = load_contexts("neutral").templates[0]  # type: ignore[union-attr]
    read = read_phrases(
        bench.model, bench.tokenizer, [word[token] for token in every], contexts=[context], sites=[bench.site],
        cache=True,
    ).mean(bench.site)  # fmt: skip
    labels = np.array([""] * len(none) + [child for _, child in enough for _ in made_of[child]])
    made = []
    for parent, child in enough:
        kin = [other for above, other in enough if above == parent and other != child]
        # A sibling may have had too few words.
        siblings = read[np.isin(labels, kin)] if kin else read[labels != child]
        own, others = read[labels == child], read[labels != child]
        made.append(SteeredClass(child, parent, own, siblings, others, judged[child], tokens[child]))
    return made


def _behaviours(bench: Bench) -> list[SteeredClass]:
    if not bench.study.behaviour:
        return []
    family = load_behaviour(bench.study.behaviour)
    words = behaviour_words([family], bench.unembedding.vocabulary)
    names = [class_concept(family, item.name) for item in family.classes]
    tokens = concept_tokens(words, names)
    texts = dict(zip(names, family.texts().values(), strict=True))
    prompts = [text for own in texts.values() for text in own]
    neutral = list(bench.prompts.texts)
    rows: Any = read_activations(bench.model, bench.tokenizer, [*prompts, *neutral], [bench.site], cache=True)[
        bench.site
    ]
    labels = np.array([name for name, own in texts.items() for _ in own] + [""] * len(neutral))
    return [
        SteeredClass(
            name, family.name, rows[labels == name], rows[(labels != name) & (labels != "")], rows[labels != name],
            tokens[name], tokens[name],
        )
        for name in names
        if len(texts[name]) >= _FEWEST_ROWS
    ]  # fmt: skip


def _some(tokens: Sequence[int], count: int, rng: np.random.Generator) -> list[int]:
    chosen = (
        tokens if len(tokens) <= count else [tokens[i] for i in np.sort(rng.choice(len(tokens), count, replace=False))]
    )
    return list(chosen)
