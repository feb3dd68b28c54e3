"""What the study of erasure is made on: words read at one block, in three parts, and what is erased."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import (
    AnyPhrase,
    ConceptHierarchy,
    largest_concepts,
    load_hierarchy,
    proper_concepts,
    sample_words,
    short_name,
)
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.experiments.study import Step
from geometry.layers import Contexts, OwnContexts, load_contexts, read_phrases
from geometry.layers.block_vectors import steerable
from geometry.models import Vocabulary, require_language_model
from geometry.randomness import generator
from geometry.selectivity import TreeRelations, spread_over_depths
from geometry.steering import Architecture, Site

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.experiments.erasure.study import ErasureStudy

Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]
Points = NDArray[np.float32]
MOST_FREQUENT = 20_000  # words that WordNet's phrases are made of
_FITTED, _JUDGED = 15, 8  # words of a concept in the half, and in each quarter, that it is erased or looked for on
_LARGEST = 0.5  # of all words that a concept may hold which is erased
_FEWEST_BELOW = 3  # concepts of a subtree


@dataclass(frozen=True, eq=False)
class Target:
    """What is erased at once: a concept, or a concept and all below it that are looked for.

    Attributes:
        name: of the concept.
        columns: positions of what is erased among the concepts that are looked for, the concept's own first.
    """

    name: str
    columns: Indices

    __repr__ = short_repr

    @property
    def subtree(self) -> bool:
        """Whether it is more than one concept."""
        return len(self.columns) > 1

    @property
    def label(self) -> str:
        """What figures call it."""
        return f"{short_name(self.name)} + {len(self.columns) - 1} below" if self.subtree else short_name(self.name)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all parts share; n words in c contexts, k concepts that are looked for.

    Attributes:
        hierarchy: of the k concepts, over the words that were read.
        words: n of them.
        samples: their states at the site, shape (c, n, d).
        members: which concept (column) holds which word, shape (n, k).
        fitted, first, second: positions of the words that erasers are fitted to, and of those that probes are fitted to
            and judged on, by turns.
        targets: what is erased, concepts before subtrees.
    """

    study: "ErasureStudy"
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    site: Site
    contexts: Contexts | OwnContexts
    hierarchy: ConceptHierarchy
    words: tuple[str, ...]
    samples: Points
    members: Mask
    fitted: Indices
    first: Indices
    second: Indices
    targets: tuple[Target, ...]

    __repr__ = short_repr

    @cached_property
    def points(self) -> Points:
        """Means over contexts, shape (n, d)."""
        return np.asarray(self.samples.mean(axis=0))

    @cached_property
    def relations(self) -> TreeRelations:
        """Of the k concepts."""
        return TreeRelations.of(self.hierarchy)

    @cached_property
    def later(self) -> tuple[Site, ...]:
        """The site, 4 and 8 blocks after it, and the last block."""
        last = len(Architecture.of(self.model).blocks) - 1
        start = (self.site.block or 0) - (self.site.place == "input")
        steps = [start + more for more in (4, 8) if start + more < last]
        return (self.site, *(Site("output", block) for block in [*steps, last] if block > start))

    @property
    def concepts(self) -> tuple[Target, ...]:
        """Targets of one concept."""
        return tuple(target for target in self.targets if not target.subtree)

    def spread(self, count: int) -> tuple[Target, ...]:
        """So many of the concepts that are erased, over the same depths."""
        count = min(count, len(self.concepts))
        places = ((np.arange(count) + 0.5) * len(self.concepts) / max(count, 1)).astype(int)
        return tuple(self.concepts[place] for place in places)


def prepare(study: "ErasureStudy", step: Step) -> Bench:
    """Choose words and targets, read the words; bad names and sites are refused before the model is loaded."""
    require_language_model(study.model)
    asked = None if study.site == "middle" else steerable(study.site)
    if asked is not None and asked.block is None:
        raise EstimationError(f"site must be at a block, such as output.15, not {study.site}")
    contexts = load_contexts("neutral", count=study.n_contexts)
    step(f"choosing words of {study.hierarchy}")
    of_wordnet = study.hierarchy.startswith("wordnet")
    whole = load_hierarchy(study.hierarchy, AnyPhrase(MOST_FREQUENT if of_wordnet else None))
    largest = largest_concepts(whole, study.n_concepts)
    sample = proper_concepts(sample_words(largest, study.words_per_concept, seed=study.seed))
    vocabulary = Vocabulary([f" {word}" for word in sample.words])
    hierarchy, members, parts = _looked_for(sample.over(vocabulary), study.seed)
    targets = _targets(study, hierarchy, members)
    step(f"loading {study.model}")
    model, tokenizer = step.session.language_model(study.model, study.placement)
    architecture = Architecture.of(model)
    site = asked or architecture.middle
    architecture.check(site)
    step(f"reading {len(sample.words):,} words and phrases in {len(contexts)} contexts at {site}")
    read = read_phrases(model, tokenizer, sample.words, contexts=contexts, sites=[site], cache=True)
    return Bench(
        study, model, tokenizer, site, contexts, hierarchy, read.phrases, read[site].numpy(), members, *parts,
        targets=targets,
    )  # fmt: skip


def divided(words: tuple[str, ...], seed: int) -> tuple[Indices, Indices, Indices]:
    """Half, a quarter and a quarter of the words; those with one last word stand in one part."""
    last = np.unique([word.split()[-1].lower() for word in words], return_inverse=True)[1]
    drawn = generator(seed, "parts").permutation(last.max() + 1)[last] / (last.max() + 1)
    return tuple(np.flatnonzero((drawn >= low) & (drawn < high)) for low, high in ((0, 0.5), (0.5, 0.75), (0.75, 1)))  # type: ignore[return-value]


def _looked_for(
    hierarchy: ConceptHierarchy, seed: int
) -> tuple[ConceptHierarchy, Mask, tuple[Indices, Indices, Indices]]:
    """The concepts with enough words in every part, which word they hold, and the parts."""
    words = hierarchy.words
    parts = divided(words, seed)
    least = (_FITTED, _JUDGED, _JUDGED)
    held = [np.array([np.isin(part, own).sum() for own in hierarchy.members]) for part in parts]
    enough = np.all([count >= need for count, need in zip(held, least, strict=True)], axis=0)
    if enough.sum() < 3:
        raise EstimationError(
            f"hierarchy {hierarchy.name!r}: {int(enough.sum())} concepts have {_FITTED} words to be fitted to and"
            f" {2 * _JUDGED} to be judged on, where 3 are needed; raise words_per_concept"
        )
    kept = hierarchy.only([name for name, has in zip(hierarchy.names, enough, strict=True) if has])
    members = np.zeros((len(words), len(kept)), dtype=bool)
    for column, concept in enumerate(kept):
        members[list(concept.tokens), column] = True
    return kept, members, parts


def _targets(study: "ErasureStudy", hierarchy: ConceptHierarchy, members: Mask) -> tuple[Target, ...]:
    small = [name for name, share in zip(hierarchy.names, members.mean(axis=0), strict=True) if share <= _LARGEST]
    if len(small) < 3:
        raise EstimationError(f"hierarchy {hierarchy.name!r}: fewer than 3 concepts hold at most half of its words")
    usable = hierarchy.only(small)
    chosen = [Target(name, np.array([hierarchy.index(name)])) for name in spread_over_depths(usable, study.n_erased)]
    below = {name: [hierarchy.index(each) for each in sorted(hierarchy.descendants(name))] for name in small}
    roots = [name for name in small if len(below[name]) >= _FEWEST_BELOW]
    if roots and study.n_subtrees:
        for name in spread_over_depths(hierarchy.only(roots), study.n_subtrees):
            chosen.append(Target(name, np.array([hierarchy.index(name), *below[name]])))
    return tuple(chosen)
