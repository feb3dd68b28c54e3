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
    that parent, and `notes` says so.

    >>> vocabulary = Vocabulary(["Ġcat", "Ġcats", "Ġcrow", "Ġanimal"])
    >>> own = {"animal": ["animal"], "mammal": ["cat"], "bird": ["crow"]}
    >>> parents = {"mammal": ["animal"], "bird": ["animal"]}
    >>> toy = hierarchy_from_words("toy", own, parents, vocabulary)
    >>> toy["animal"].words, toy["mammal"].words
    (('cat', 'cats', 'crow', 'animal'), ('cat', 'cats'))

    Parameters
    ----------
    words : concept → its own words; they are spelled in `forms` and kept where they are single tokens.
    parents : concept → its parents; concepts not mentioned are roots.
    forms : "noun" (case and plural), "verb" (case and conjugation), "case" (alone) or "none" (as written).
    only : keep these concepts alone, with the words of all that was below them; a kept concept hangs
        on its kept parents. Default: all.

    HierarchyError: what `ConceptHierarchy` refuses (cycles, unknown parents, concepts without a known word), or `only`
    names an unknown concept.
    """
    above = {concept: tuple(parents.get(concept, ())) for concept in words} | {
        concept: tuple(names) for concept, names in parents.items() if concept not in words
    }
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

    Parameters
    ----------
    graph : every node is a concept; its attribute `words` lists the concept's own words (none if absent).

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
        same = [p for p in above[name] if p in concepts and concepts[p].tokens == own and name not in _above(p, above)]
        if not own or not same:
            continue
        notes.append(f"skipped {name!r}: in this vocabulary it has exactly the words of its parent {same[0]!r}")
        del concepts[name], above[name]
        for child, parents in above.items():
            above[child] = tuple(dict.fromkeys(same[0] if parent == name else parent for parent in parents))
    return notes


def _above(name: str, parents: Mapping[str, tuple[str, ...]]) -> set[str]:
    """A concept and all its ancestors."""
    seen: set[str] = set()
    queue = [name]
    while queue:
        concept = queue.pop()
        if concept not in seen:
            seen.add(concept)
            queue.extend(parents.get(concept, ()))
    return seen


def _with_words_below(own: Mapping[str, list[str]], parents: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Hand every concept's words up to all its ancestors; unknown names are left to the hierarchy's own checks."""
    words = {name: dict.fromkeys(own[name]) for name in own}
    for name in own:
        for ancestor in _above(name, parents) & words.keys() - {name}:
            words[ancestor].update(dict.fromkeys(own[name]))
    return {name: list(held) for name, held in words.items()}
