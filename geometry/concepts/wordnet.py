"""WordNet nouns and verbs as concept hierarchies, after the recipe of Park et al. (arXiv 2406.01506)."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import networkx as nx

from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.wordnet_table import Synset, opened_wordnet, synsets_of, wordnet_table
from geometry.concepts.words import Forms, spelled
from geometry.errors import HierarchyError, shown
from geometry.models import Vocabulary

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

PartOfSpeech = Literal["noun", "verb"]
Recipe = Literal["published", "complete"]

# The published thresholds: words before inflection, words after it, leftovers that block a merge.
_MORE_THAN_LEMMAS = 5
_MORE_THAN_WORDS = 50
_NAMED = 3
_CLOSEST = 3
_LEFT_OVER_FIRST = 6
_LEFT_OVER_SECOND = 5


def wordnet_hierarchy(
    part_of_speech: PartOfSpeech,
    vocabulary: Vocabulary,
    *,
    recipe: Recipe = "published",
    wordnet: "WordNetCorpusReader | str | Path | None" = None,
    language: str = "eng",
    below: str | None = None,
    min_words: int | None = None,
) -> ConceptHierarchy:
    """The WordNet hierarchy of nouns or verbs over the words of a vocabulary.

    >>> import geometry as geo
    >>> vocabulary = geo.Unembedding.load("smollm2-135m").vocabulary
    >>> geo.concepts.wordnet_hierarchy("verb", vocabulary)
    ConceptHierarchy('wordnet-verb', 258 concepts, 160 edges, 9287 tokens)

    Parameters:
        recipe: "published" leaves out a noun synset's own lemmas and all instances (" bird" is not among bird.n.01's
            words), but keeps a verb's own; "complete" includes both for both.
        wordnet: a folder with WordNet's database files (data.noun, index.noun, …) or a reader of NLTK's
            (`nltk.corpus.wordnet`); default the packaged table of WordNet 3.0.
        language: of the lemmas, by its three letters ("fra"), where the reader has the Open Multilingual WordNet (after
            `nltk.download("omw-1.4")`). Other words than English are taken in both cases, but not inflected.
        below: this synset and what is below it alone, "animal.n.01".
        min_words: synsets with fewer are left out; default the published 51, and `below` a synset 6.

    Of another language, in so far as its words are single tokens of the model::

        from nltk.corpus import wordnet  # after nltk.download("wordnet") and nltk.download("omw-1.4")
        hierarchy = geo.concepts.wordnet_hierarchy("noun", vocabulary, wordnet=wordnet, language="fra")

    HierarchyError: another part of speech or recipe, min_words below 1, a WordNet that cannot be read, an unknown
    synset, or no synset has enough words.

    Over `AnyPhrase` lemmas of several words count too, and all as they are written, without other forms.

    The words of a synset are the lemmas of its recursive hyponyms that are single tokens after a space. Synsets with
    more than 5 are kept and linked to their nearest kept ancestor along every hypernym path; chains of only children
    are merged; each word is expanded to {lower, Capitalised} × {singular, plural}, or for verbs × {base, -s, -ed,
    -ing}; synsets with more than 50 words are kept and chains merged again.

    Source: Park et al., The Geometry of Categorical and Hierarchical Concepts in LLMs, arXiv 2406.01506.
    """
    if part_of_speech not in get_args(PartOfSpeech):
        options = ", ".join(get_args(PartOfSpeech))
        raise HierarchyError(f"WordNet part of speech {shown(part_of_speech)}: choose from {options}")
    if recipe not in get_args(Recipe):
        raise HierarchyError(f"WordNet recipe {shown(recipe)}: choose from {', '.join(get_args(Recipe))}")
    if min_words is not None and (not isinstance(min_words, int) or min_words < 1):
        raise HierarchyError(f"min_words must be a whole number from 1, not {shown(min_words)}")
    table, source = _table(wordnet, language)
    complete = recipe == "complete"
    own = complete or part_of_speech == "verb"
    synsets = {name: synset for name, synset in table.items() if f".{part_of_speech[0]}." in name}
    if vocabulary.takes_phrases:
        synsets = {name: replace(synset, lemmas=_spaced(synset.lemmas)) for name, synset in synsets.items()}
    if below is not None:
        synsets = _below(below, synsets, part_of_speech)
        source = f"{below} of {source}"
    fewest = (_MORE_THAN_LEMMAS if below is not None else _MORE_THAN_WORDS) + 1 if min_words is None else min_words
    above = {name: item.hypernyms + (item.instance_hypernyms if complete else ()) for name, item in synsets.items()}
    every = frozenset().union(*(synset.lemmas for synset in synsets.values()))
    single = frozenset(lemma for lemma in sorted(every) if vocabulary.word_id(lemma) is not None)
    known = _known_lemmas(synsets, above, single, own=own)
    lemmas = {name: words for name, words in known.items() if len(words) > min(_MORE_THAN_LEMMAS, fewest - 1)}
    graph = _nearest_kept_ancestors(synsets, lemmas)
    merged = _merge_only_children(graph, lemmas, _LEFT_OVER_FIRST, keep_leftovers=True)
    forms: Forms = "none" if vocabulary.takes_phrases else part_of_speech if language == "eng" else "case"
    variants = spelled(sorted(frozenset().union(*lemmas.values())), forms)
    concepts = {
        name: Concept.from_words(name, (form for word in sorted(lemmas[name]) for form in variants[word]), vocabulary)
        for name in graph
    }
    graph.remove_nodes_from([name for name in graph if len(concepts[name]) < fewest])
    words = {name: frozenset(concepts[name].words) for name in graph}
    merged += _merge_only_children(graph, words, _LEFT_OVER_SECOND, keep_leftovers=False)
    if not graph:
        words_needed = f"{fewest} words that are single tokens of this vocabulary"
        what = f"WordNet {part_of_speech}s" if below is None else f"WordNet from {below} down"
        raise HierarchyError(f"{what}: no synset has {words_needed}; lower min_words, or name a wider synset")
    return ConceptHierarchy(
        name=(f"wordnet-{part_of_speech}" if below is None else f"wordnet:{below}")
        + ("" if language == "eng" else f"-{language}"),
        concepts=tuple(concepts[name] for name in graph),
        parents={name: tuple(graph.predecessors(name)) for name in graph},
        variants=variants,
        recipe=f"{source} {part_of_speech}s, {recipe} recipe (arXiv 2406.01506): own lemmas"
        f" {'included' if own else 'left out'}, instances {'included' if complete else 'left out'},"
        f" more than {fewest - 1} words",
        notes=(_lost_in_words(every, single, vocabulary), *merged),
    )


def _table(wordnet: "WordNetCorpusReader | str | Path | None", language: str) -> tuple[dict[str, Synset], str]:
    """All synsets, and what to call where they are from."""
    if wordnet is None and language == "eng":
        return wordnet_table(), "WordNet 3.0"
    if wordnet is None:
        raise HierarchyError(f"the packaged WordNet is English; for {shown(language)} give NLTK's as `wordnet`")
    if isinstance(wordnet, str | Path):
        with opened_wordnet(wordnet) as reader:
            return _table(reader, language)
    table = synsets_of(wordnet, language)
    return table, f"WordNet {wordnet.get_version()}" + ("" if language == "eng" else f" ({language})")


def _below(top: str, synsets: Mapping[str, Synset], part_of_speech: str) -> dict[str, Synset]:
    """That synset and all below it, instances too, each with those of its hypernyms that are among them."""
    if top not in synsets:
        word = top.split(".")[0]
        close = sorted(name for name in synsets if name.split(".")[0] == word) or difflib.get_close_matches(
            top, synsets
        )
        hint = f"; did you mean {' or '.join(close[:_CLOSEST])}?" if close else ""
        raise HierarchyError(f"WordNet has no {part_of_speech} synset {shown(top)}{hint}")
    children: dict[str, list[str]] = {}
    for name, synset in synsets.items():
        for parent in (*synset.hypernyms, *synset.instance_hypernyms):
            children.setdefault(parent, []).append(name)
    kept, waiting = {top}, [top]
    while waiting:
        new = set(children.get(waiting.pop(), ())) - kept
        kept |= new
        waiting += new

    def among(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in kept)

    return {
        name: replace(synset, hypernyms=among(synset.hypernyms), instance_hypernyms=among(synset.instance_hypernyms))
        for name, synset in synsets.items()
        if name in kept
    }


def _spaced(lemmas: Iterable[str]) -> tuple[str, ...]:
    return tuple(lemma.replace("_", " ") for lemma in lemmas)


def _lost_in_words(every: frozenset[str], known: frozenset[str], vocabulary: Vocabulary) -> str:
    """How many lemmas are left out, most of them of several words, and a few that are not."""
    lost = sorted(every - known)
    named = ", ".join([lemma for lemma in lost if lemma.isalpha() and lemma.islower()][:_NAMED])
    what = "not frequent enough" if vocabulary.takes_phrases else "no single token of this vocabulary"
    return f"{len(lost):,} of {len(every):,} lemmas are {what}, such as {named or 'none'}"


def _known_lemmas(
    synsets: Mapping[str, Synset], above: Mapping[str, Iterable[str]], words: frozenset[str], *, own: bool
) -> dict[str, frozenset[str]]:
    """Synset → those lemmas of everything below it that are among the words, and its own with `own`."""
    lemmas = {name: words.intersection(synset.lemmas) for name, synset in synsets.items()}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(synsets)
    graph.add_edges_from((parent, name) for name, parents in above.items() for parent in parents)
    if unknown := [name for name in graph if name not in synsets]:
        raise HierarchyError(f"WordNet has hypernyms that are no synsets of their own, such as {shown(unknown[0])}")
    try:
        ordered = list(nx.topological_sort(graph))
    except nx.NetworkXUnfeasible as error:
        loop = " → ".join(parent for parent, _ in nx.find_cycle(graph))
        raise HierarchyError(f"WordNet has a cycle of hypernyms: {loop}") from error
    below: dict[str, frozenset[str]] = {}
    for name in reversed(ordered):
        below[name] = frozenset().union(*(lemmas[child] | below[child] for child in graph.successors(name)))
    return {name: below[name] | lemmas[name] for name in below} if own else below


def _nearest_kept_ancestors(synsets: Mapping[str, Synset], kept: Iterable[str]) -> "nx.DiGraph[str]":
    """Link each kept synset to the first kept one met on every path upwards."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(kept)
    for name in graph:
        seen: set[str] = set()
        queue = [*synsets[name].hypernyms, *synsets[name].instance_hypernyms]
        while queue:
            ancestor = queue.pop(0)
            if ancestor in graph:
                graph.add_edge(ancestor, name)
            elif ancestor not in seen:
                queue += [*synsets[ancestor].hypernyms, *synsets[ancestor].instance_hypernyms]
            seen.add(ancestor)
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
