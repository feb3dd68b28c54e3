"""Build a hierarchy from words and parents given by hand, or from a networkx graph."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.concepts.ancestry import handed_up, merged_into
from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.relations import of_graph
from geometry.concepts.words import Forms, spelled
from geometry.errors import HierarchyError
from geometry.models import Vocabulary


@checked
def hierarchy_from_words(
    name: str,
    words: Mapping[str, Iterable[str]],
    parents: Mapping[str, Iterable[str]],
    vocabulary: Vocabulary,
    *,
    forms: Forms = "noun",
    only: Collection[str] | None = None,
) -> ConceptHierarchy:
    """A hierarchy whose concepts hold their own words and those of everything below them.

    A concept to which the vocabulary leaves exactly the words of a parent is skipped; its children hang on
    that parent, and `notes` says so. Concepts without `parents` are roots. For `only` see `load_hierarchy`.
    Words of which no form is a single token are named by `lost`.

    The words are kept where, spelled in `forms`, they are single tokens: "noun" (case and plural), "verb" (case and
    conjugation), "case" (alone) or "none" (as written); a word's own spelling ("US", "iPhone") is always among them.

    HierarchyError: what `ConceptHierarchy` refuses, or `only` names an unknown concept.
    """
    above = {concept: tuple(parents.get(concept, ())) for concept in (*words, *parents)}
    words = {concept: tuple(own) for concept, own in words.items()}
    variants = spelled(dict.fromkeys(word for own in words.values() for word in own), forms, as_written=True)
    known: dict[int, tuple[int, str]] = {}
    own = {concept: _tokens(map(variants.__getitem__, own), vocabulary, known) for concept, own in words.items()}
    this = f"hierarchy {name!r}"
    held = handed_up(this, own, above)
    unknown_words = [word for word, forms_of in variants.items() if vocabulary.words.keys().isdisjoint(forms_of)]
    number = {word: index for index, word in enumerate(unknown_words)}
    lost = {
        concept: np.array([number[w] for w in listed if w in number], np.int64) for concept, listed in words.items()
    }
    lost = handed_up(this, lost, above)
    if only is not None:
        if unknown := sorted(set(only) - set(words)):
            raise HierarchyError(f"hierarchy {name!r} has no concept {unknown[0]!r}; it has {', '.join(words)}")
        held = {concept: ids for concept, ids in held.items() if concept in only}
        above = {concept: tuple(parent for parent in above[concept] if parent in only) for concept in held}
    into, above = merged_into({concept: len(ids) for concept, ids in held.items()}, above)
    same = "in this vocabulary it has exactly the words of its parent"
    concepts = tuple(
        _concept(concept, held[concept], known, tuple(unknown_words[index] for index in lost[concept]))
        for concept in held
        if concept not in into
    )
    return ConceptHierarchy(
        name=name,
        concepts=concepts,
        parents=above,
        variants=variants,
        notes=tuple(f"skipped {concept!r}: {same} {parent!r}" for concept, parent in into.items()),
        recipe=f"hand-made, words in {'the given' if forms == 'none' else f'all {forms}'} forms",
    )


def hierarchy_from_graph(
    graph: "nx.DiGraph[Any]", vocabulary: Vocabulary, *, name: str = "graph", forms: Forms = "noun"
) -> ConceptHierarchy:
    """A hierarchy from a networkx graph whose edges run from parent to child.

    Every node is a concept; its attribute `words` lists the concept's own words (none if absent). Where no node has
    that attribute, the leaves are words of the nodes above them.

    HierarchyError: the graph is not directed, `words` is not a list of words, or what `hierarchy_from_words` refuses.
    """
    found = of_graph(graph, f"hierarchy {name!r}")
    return hierarchy_from_words(name, found.words, found.parents, vocabulary, forms=forms)


def _tokens(
    words: Iterable[Iterable[str]], vocabulary: Vocabulary, known: dict[int, tuple[int, str]]
) -> NDArray[np.int64]:
    """Ids of those forms that are single tokens, ascending; `known` is told what each stands for."""
    found = {token: form for forms in words for form in forms if (token := vocabulary.word_id(form)) is not None}
    for token, form in found.items():
        known.setdefault(token, (token, form))
    return np.array(sorted(found), dtype=np.int64)


def _concept(name: str, ids: NDArray[np.int64], known: Mapping[int, tuple[int, str]], lost: tuple[str, ...]) -> Concept:
    # Numbers and words of `known` itself: a large hierarchy repeats each a thousand times.
    tokens, words = zip(*map(known.__getitem__, ids.tolist()), strict=True) if len(ids) else ((), ())
    return Concept(name, words, tokens, lost)
