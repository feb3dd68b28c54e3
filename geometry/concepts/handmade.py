"""Build a hierarchy from words and parents given by hand, or from a networkx graph."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import networkx as nx

from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.words import Forms, spelled
from geometry.errors import HierarchyError
from geometry.models import Vocabulary


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

    The words are kept where, spelled in `forms`, they are single tokens: "noun" (case and plural), "verb" (case and
    conjugation), "case" (alone) or "none" (as written).

    HierarchyError: what `ConceptHierarchy` refuses, or `only` names an unknown concept.
    """
    above = {concept: tuple(parents.get(concept, ())) for concept in (*words, *parents)}
    variants = spelled(dict.fromkeys(word for own in words.values() for word in own), forms)
    own = {concept: [form for word in listed for form in variants[word]] for concept, listed in words.items()}
    held = _with_words_below(own, above)
    if only is not None:
        if unknown := sorted(set(only) - set(words)):
            raise HierarchyError(f"hierarchy {name!r} has no concept {unknown[0]!r}; it has {', '.join(words)}")
        held = {concept: own_forms for concept, own_forms in held.items() if concept in only}
        above = {concept: tuple(parent for parent in above[concept] if parent in only) for concept in held}
    concepts = {concept: Concept.from_words(concept, own_forms, vocabulary) for concept, own_forms in held.items()}
    notes = _merge_identical(concepts, above)
    return ConceptHierarchy(
        name=name,
        concepts=tuple(concepts.values()),
        parents=above,
        variants=variants,
        notes=tuple(notes),
        recipe=f"hand-made, words in {'the given' if forms == 'none' else f'all {forms}'} forms",
    )


def hierarchy_from_graph(
    graph: "nx.DiGraph[Any]", vocabulary: Vocabulary, *, name: str = "graph", forms: Forms = "noun"
) -> ConceptHierarchy:
    """A hierarchy from a networkx graph whose edges run from parent to child.

    Every node is a concept; its attribute `words` lists the concept's own words (none if absent).

    HierarchyError: the graph is not directed, `words` is not a list of words, or what `hierarchy_from_words` refuses.
    """
    if not graph.is_directed():
        raise HierarchyError(f"hierarchy {name!r}: a directed graph is needed, edges from parent to child")
    words = {}
    for node, attributes in graph.nodes(data=True):
        own = attributes.get("words", [])
        if isinstance(own, str) or not all(isinstance(word, str) for word in own):
            raise HierarchyError(f"hierarchy {name!r}: node {node!r} needs 'words', a list of strings")
        words[str(node)] = list(own)
    parents = {str(node): [str(parent) for parent in graph.predecessors(node)] for node in graph}
    return hierarchy_from_words(name, words, parents, vocabulary, forms=forms)


def _merge_identical(concepts: dict[str, Concept], above: dict[str, tuple[str, ...]]) -> list[str]:
    """Take concepts out that are no smaller than a parent, in place, and say which."""
    notes = []
    for name in list(concepts):
        own = concepts[name].tokens
        # Concepts of a cycle have the same words as well; the hierarchy's own checks name the cycle.
        same = [parent for parent in above[name] if parent in concepts and concepts[parent].tokens == own]
        same = [parent for parent in same if name != parent and name not in nx.descendants(_upwards(above), parent)]
        if own and same:
            notes.append(f"skipped {name!r}: in this vocabulary it has exactly the words of its parent {same[0]!r}")
            del concepts[name], above[name]
            for child, parents in above.items():
                above[child] = tuple(dict.fromkeys(same[0] if parent == name else parent for parent in parents))
    return notes


def _upwards(parents: Mapping[str, tuple[str, ...]]) -> "nx.DiGraph[str]":
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(parents)
    graph.add_edges_from((child, parent) for child, listed in parents.items() for parent in listed)
    return graph


def _with_words_below(own: Mapping[str, list[str]], parents: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Hand every concept's words up to all its ancestors; unknown names are left to the hierarchy's own checks."""
    words = {name: dict.fromkeys(own[name]) for name in own}
    upwards = _upwards(parents)
    for name in own:
        for ancestor in nx.descendants(upwards, name) & words.keys():
            words[ancestor].update(dict.fromkeys(own[name]))
    return {name: list(held) for name, held in words.items()}
