"""Parts of a hierarchy: its largest concepts, and a sample of its words, for what costs by the word."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from geometry.arguments import checked
from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.errors import HierarchyError
from geometry.randomness import generator


@checked
def largest_concepts(hierarchy: ConceptHierarchy, count: int) -> ConceptHierarchy:
    """The concepts with the most words, under those of their parents that are kept: of a tree its upper part.

    >>> import geometry as geo
    >>> organisms = geo.load_hierarchy("organisms", geo.concepts.AnyPhrase())
    >>> largest_concepts(organisms, 3).names
    ('organism', 'animal', 'plant')

    Of equally large ones the first count. HierarchyError: a count below 1.
    """
    if count < 1:
        raise HierarchyError(f"hierarchy {hierarchy.name!r}: at least 1 concept must be kept, not {count}")
    order = sorted(range(len(hierarchy)), key=lambda index: (-len(hierarchy.concepts[index]), index))
    return hierarchy.only([hierarchy.names[index] for index in order[:count]])


@checked
def proper_concepts(hierarchy: ConceptHierarchy) -> ConceptHierarchy:
    """Without concepts that hold every word, such as WordNet's entity: where all words together are the origin, as of
    activations, their vector is nothing but rounding.

    >>> import geometry as geo
    >>> organisms = geo.load_hierarchy("organisms", geo.concepts.AnyPhrase())
    >>> "organism" in proper_concepts(organisms), len(organisms) - len(proper_concepts(organisms))
    (False, 1)

    HierarchyError: every concept does.
    """
    kept = [concept.name for concept in hierarchy if len(concept) < len(hierarchy.tokens)]
    if not kept:
        raise HierarchyError(f"hierarchy {hierarchy.name!r}: every concept holds all words; nothing sets them apart")
    return hierarchy if len(kept) == len(hierarchy) else hierarchy.only(kept)


@checked
def sample_words(hierarchy: ConceptHierarchy, per_concept: int, *, seed: int = 0) -> ConceptHierarchy:
    """The same concepts with at most so many words of each that none of its children holds, drawn at random.

    >>> import geometry as geo
    >>> organisms = geo.load_hierarchy("organisms", geo.concepts.AnyPhrase())
    >>> len(organisms.words) > len(sample_words(organisms, 5).words)
    True

    A concept keeps all words of its children, and a word that is drawn for one concept stays in all that hold it, which
    may then have more. Whole words are drawn, not their forms: a hierarchy of inflected words may keep one form and not
    another. `notes` say how many are left. HierarchyError: fewer than 1 word, or a concept that is left with exactly
    the words of a parent; try another seed.
    """
    if per_concept < 1:
        raise HierarchyError(f"hierarchy {hierarchy.name!r}: at least 1 word a concept must be kept, not {per_concept}")
    rng = generator(seed, "words")
    kept: dict[str, set[int]] = {}
    for concept in reversed(hierarchy.concepts):  # children before parents
        below: set[int] = set().union(*(hierarchy[child].tokens for child in hierarchy.children[concept.name]))
        own = np.array([token for token in concept.tokens if token not in below], dtype=np.int64)
        drawn = own if len(own) <= per_concept else rng.choice(own, per_concept, replace=False)
        handed_up = (kept[child] for child in hierarchy.children[concept.name])
        kept[concept.name] = set(drawn.tolist()).union(*handed_up)
    # What one child dropped another may have kept: then it belongs to both.
    everything: set[int] = set().union(*kept.values())
    concepts = tuple(_only(concept, everything) for concept in hierarchy)
    note = f"{len(everything)} of {len(hierarchy.tokens)} words, at most {per_concept} of each concept's own"
    return replace(hierarchy, concepts=concepts, notes=(*hierarchy.notes, note))


def _only(concept: Concept, tokens: set[int]) -> Concept:
    word_of: Mapping[int, str] = dict(zip(concept.tokens, concept.words, strict=True))
    chosen = tuple(token for token in concept.tokens if token in tokens)
    return replace(concept, words=tuple(word_of[token] for token in chosen), tokens=chosen)
