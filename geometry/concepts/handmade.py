"""Build a hierarchy from words and parents given by hand, or from a networkx graph."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import networkx as nx

from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.words import Forms, spelled
from geometry.errors import HierarchyError
from geometry.models import Vocabulary

__all__ = ["hierarchy_from_graph", "hierarchy_from_words"]


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

    Parameters
    ----------
    words : concept → its own words; they are spelled in `forms` and kept where they are single tokens.
    parents : concept → its parents; concepts not mentioned are roots.
    forms : "noun" (case and plural), "verb" (case and conjugation) or "none" (as written).
    only : keep these concepts alone, with the words of all that was below them; a kept concept hangs
        on its kept parents. Default: all.

    Raises
    ------
    HierarchyError
        What `ConceptHierarchy` refuses (cycles, unknown parents, concepts without a known word), or
        `only` names an unknown concept.

    Examples
    --------
    >>> vocabulary = Vocabulary(["Ġcat", "Ġcats", "Ġcrow", "Ġanimal"])
    >>> own = {"animal": ["animal"], "mammal": ["cat"], "bird": ["crow"]}
    >>> toy = hierarchy_from_words("toy", own, {"mammal": ["animal"], "bird": ["animal"]}, vocabulary)
    >>> toy["animal"].words, toy["mammal"].words
    (('cat', 'cats', 'crow', 'animal'), ('cat', 'cats'))
    """
    above = {concept: tuple(parents.get(concept, ())) for concept in words} | {
        concept: tuple(names) for concept, names in parents.items() if concept not in words
    }
    variants = spelled(dict.fromkeys(word for own in words.values() for word in own), forms)
    own = {concept: [form for word in some for form in variants[word]] for concept, some in words.items()}
    held = _with_words_below(own, above)
    if only is not None:
        if unknown := sorted(set(only) - set(words)):
            raise HierarchyError(f"hierarchy {name!r} has no concept {unknown[0]!r}; it has {', '.join(words)}")
        held = {concept: found for concept, found in held.items() if concept in only}
        above = {concept: tuple(parent for parent in above[concept] if parent in only) for concept in held}
    return ConceptHierarchy(
        name=name,
        concepts=tuple(Concept.from_words(concept, found, vocabulary) for concept, found in held.items()),
        parents=above,
        variants=variants,
        recipe=f"hand-made, words in {'the given' if forms == 'none' else f'all {forms}'} forms",
    )


def hierarchy_from_graph(
    graph: "nx.DiGraph[Any]", vocabulary: Vocabulary, *, name: str = "graph", forms: Forms = "noun"
) -> ConceptHierarchy:
    """A hierarchy from a networkx graph whose edges run from parent to child.

    Parameters
    ----------
    graph : every node is a concept; its attribute `words` lists the concept's own words (none if absent).

    Raises
    ------
    HierarchyError
        The graph is not directed, `words` is not a list of words, or what `hierarchy_from_words` refuses.
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


def _with_words_below(own: Mapping[str, list[str]], parents: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Hand every concept's words up to all its ancestors."""
    words = {name: dict.fromkeys(own[name]) for name in own}
    for name in own:
        queue, seen = list(parents[name]), {name}
        while queue:
            ancestor = queue.pop()
            if ancestor in seen or ancestor not in words:
                continue  # a cycle or an unknown name: the hierarchy's own checks name it
            seen.add(ancestor)
            words[ancestor].update(dict.fromkeys(own[name]))
            queue.extend(parents[ancestor])
    return {name: list(found) for name, found in words.items()}
