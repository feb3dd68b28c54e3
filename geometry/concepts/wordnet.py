"""WordNet 3.0 nouns as a concept hierarchy, after the recipe of Park et al. (arXiv 2406.01506, section 5).

Reads the packaged table, so neither NLTK nor a download is needed.
"""

import lzma
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import networkx as nx

from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.words import noun_forms
from geometry.errors import HierarchyError
from geometry.models import Vocabulary

__all__ = ["Synset", "wordnet_hierarchy", "wordnet_table"]

# The published thresholds: words before inflection, words after it, leftovers that block a merge.
_MORE_THAN_LEMMAS = 5
_MORE_THAN_WORDS = 50
_LEFT_OVER_FIRST = 6
_LEFT_OVER_SECOND = 5


@dataclass(frozen=True)
class Synset:
    """One line of the packaged table. Names follow NLTK: `bird.n.01`."""

    name: str
    hypernyms: tuple[str, ...]
    instance_hypernyms: tuple[str, ...]
    lemmas: tuple[str, ...]


@lru_cache(maxsize=1)
def wordnet_table() -> dict[str, Synset]:
    """Every noun and verb synset of WordNet 3.0 by name, nouns first, in database order."""
    packed = (files("geometry.data") / "wordnet" / "wordnet-3.0.tsv.xz").read_bytes()
    table = {}
    for line in lzma.decompress(packed).decode().splitlines():
        name, *columns = line.split("\t")
        table[name] = Synset(name, *(tuple(column.split()) for column in columns))
    return table


def wordnet_hierarchy(part_of_speech: str, vocabulary: Vocabulary) -> ConceptHierarchy:
    """The WordNet noun hierarchy over the words of a vocabulary.

    The words of a synset are the lemmas of its recursive hyponyms (its own lemmas and instances are
    not among them) that are single tokens after a space. Synsets with more than 5 are kept and linked
    to their nearest kept ancestor along every hypernym path; chains of only children are merged; each
    word is expanded to {lower, Capitalised} × {singular, plural}; synsets with more than 50 words are
    kept and chains merged again.

    Parameters
    ----------
    part_of_speech : "noun".
    vocabulary : the model's vocabulary; its word-start marker decides which words are single tokens.

    Raises
    ------
    HierarchyError
        Another part of speech, or no synset has enough words in this vocabulary.

    References
    ----------
    Park et al., The Geometry of Categorical and Hierarchical Concepts in LLMs, arXiv 2406.01506.
    """
    if part_of_speech != "noun":
        raise HierarchyError(f"WordNet hierarchy of {part_of_speech!r}: only 'noun' is available")
    synsets = {name: synset for name, synset in wordnet_table().items() if ".n." in name}
    lemmas = {
        name: words
        for name, words in _hyponym_lemmas(synsets, lambda word: vocabulary.word_id(word) is not None).items()
        if len(words) > _MORE_THAN_LEMMAS
    }
    graph = _nearest_kept_ancestors(synsets, lemmas)
    merged = _merge_only_children(graph, lemmas, _LEFT_OVER_FIRST, keep_leftovers=True)
    concepts = {name: Concept.from_words(name, _expand(lemmas[name]), vocabulary) for name in graph}
    graph.remove_nodes_from([name for name in graph if len(concepts[name]) <= _MORE_THAN_WORDS])
    words = {name: frozenset(concepts[name].words) for name in graph}
    merged += _merge_only_children(graph, words, _LEFT_OVER_SECOND, keep_leftovers=False)
    if not graph:
        raise HierarchyError(
            f"WordNet nouns: no synset has more than {_MORE_THAN_WORDS} single-token words in this vocabulary"
        )
    return ConceptHierarchy(
        name="wordnet-noun",
        concepts=tuple(concepts[name] for name in graph),
        parents={name: tuple(graph.predecessors(name)) for name in graph},
        recipe="WordNet 3.0 nouns, recipe of arXiv 2406.01506: lemmas of recursive hyponyms, instances"
        " and own lemmas left out, more than 50 words",
        notes=tuple(merged),
    )


def _expand(words: Iterable[str]) -> list[str]:
    return [form for word in sorted(words) for form in noun_forms(word)]


def _hyponym_lemmas(synsets: dict[str, Synset], wanted: Callable[[str], bool]) -> dict[str, frozenset[str]]:
    """Synset → the wanted lemmas of everything below it."""
    own = {name: frozenset(filter(wanted, synset.lemmas)) for name, synset in synsets.items()}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(synsets)
    graph.add_edges_from((parent, name) for name, synset in synsets.items() for parent in synset.hypernyms)
    below: dict[str, frozenset[str]] = {}
    for name in reversed(list(nx.topological_sort(graph))):
        below[name] = frozenset().union(*(own[child] | below[child] for child in graph.successors(name)))
    return below


def _nearest_kept_ancestors(synsets: dict[str, Synset], kept: Iterable[str]) -> "nx.DiGraph[str]":
    """Link each kept synset to the first kept one met on every path upwards."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(kept)
    for name in graph:
        seen: set[str] = set()
        queue = [*synsets[name].hypernyms, *synsets[name].instance_hypernyms]
        while queue:
            ancestor = queue.pop(0)
            if ancestor in seen:
                continue
            seen.add(ancestor)
            if ancestor in graph:
                graph.add_edge(ancestor, name)
            else:
                queue += [*synsets[ancestor].hypernyms, *synsets[ancestor].instance_hypernyms]
    return graph


def _merge_only_children(
    graph: "nx.DiGraph[str]", words: dict[str, frozenset[str]], left_over: int, *, keep_leftovers: bool
) -> list[str]:
    """Merge each only child into its parent, in place, and say what was merged.

    A merge needs the child to have no other parent, or the parent to have fewer than `left_over` words
    that the child lacks. The child's children then hang on the parent; with `keep_leftovers` the
    words the child lacked (if more than one) become a sibling of theirs, `<parent>.other`.
    """
    merged = []
    for parent in reversed(list(nx.topological_sort(graph))):
        children = list(graph.successors(parent))
        if len(children) != 1:
            continue
        child = children[0]
        leftovers = words[parent] - words[child]
        if graph.in_degree(child) > 1 and len(leftovers) >= left_over:
            continue
        grandchildren = list(graph.successors(child))
        if keep_leftovers and grandchildren and len(leftovers) > 1:
            words[f"{parent}.other"] = leftovers
            graph.add_edge(parent, f"{parent}.other")
        graph.add_edges_from((parent, grandchild) for grandchild in grandchildren)
        graph.remove_node(child)
        merged.append(f"{child} merged into {parent}")
    return merged
