"""A hierarchy from whatever one has: a name, a file, WordNet, nested words, a graph, a table."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import networkx as nx

from geometry.arguments import checked
from geometry.concepts.data_file import packaged_names
from geometry.concepts.handmade import hierarchy_from_words
from geometry.concepts.hierarchy import ConceptHierarchy
from geometry.concepts.natural_file import NaturalFile
from geometry.concepts.relations import Relations, is_frame, nested, of_frame, of_graph, refusal
from geometry.concepts.wordnet import PartOfSpeech, Recipe, wordnet_hierarchy
from geometry.concepts.words import Forms
from geometry.errors import ArgumentError, HierarchyError, shown
from geometry.models import Vocabulary

if TYPE_CHECKING:
    from pandas import DataFrame

_BELOW = "wordnet:"
_WORDNET: dict[str, PartOfSpeech] = {"wordnet-noun": "noun", "wordnet-verb": "verb"}


@checked
def load_hierarchy(
    source: "str | Path | Mapping[str, Any] | nx.DiGraph[Any] | DataFrame",
    vocabulary: Vocabulary,
    *,
    recipe: Recipe = "published",
    only: Collection[str] | None = None,
    forms: Forms | None = None,
    name: str | None = None,
) -> ConceptHierarchy:
    """Make a concept hierarchy of what one has, of the words that are single tokens of `vocabulary`.

    Of words and phrases of any number of tokens over `geo.concepts.AnyPhrase()`, for what is read in context.

    >>> import geometry as geo
    >>> vocabulary = geo.Unembedding.load("smollm2-135m").vocabulary
    >>> geo.load_hierarchy("wordnet-noun", vocabulary)
    ConceptHierarchy('wordnet-noun', 403 concepts, 413 edges, 16595 tokens)
    >>> geo.load_hierarchy("organisms", vocabulary, only=["animal", "bird", "mammal"]).names
    ('animal', 'mammal', 'bird')
    >>> geo.load_hierarchy({"animal": {"mammal": ["dog", "cat"], "bird": ["crow", "swan"]}}, vocabulary)
    ConceptHierarchy('animal', 3 concepts, 2 edges, 12 tokens)

    Parameters:
        source: one of

            - "wordnet-noun" or "wordnet-verb", or "wordnet:animal.n.01" for what is below a synset;
            - a packaged hierarchy (`geo.concepts.packaged_hierarchies()`);
            - the path of a YAML or JSON file, see below;
            - a mapping of concept to its words, a list, or to the concepts below it, a mapping; a list may hold both;
            - a networkx graph, edges from parent to child, whose leaves are words, or whose nodes list them as `words`;
            - a pandas table with the columns parent and child: children that are no parents are words.
        recipe: for WordNet; see `wordnet_hierarchy`, which takes other languages and WordNets of one's own too.
        only: keep these concepts alone, with the words of all that was below them; a kept concept hangs on its kept
            parents. Default: all.
        forms: in which words are looked up: "noun" adds case and plural variants, "verb" case and regular conjugation,
            "case" case alone, "none" takes them as written. Default what the file says, else "noun", and of phrases
            "none"; not for WordNet.
        name: what results call it; default the file's or the one root's.

    HierarchyError: no such hierarchy, a malformed file or mapping, or what `hierarchy_from_words` or
    `wordnet_hierarchy` refuses.

    A concept also holds the words of everything below it. A concept's name is no word of it unless it is listed. One
    that stands in several places of a mapping has several parents. A file holds such a mapping, at once or beside
    `name` and `forms`; or `name`, `forms` and `concepts`, a mapping of concept name to `words` and, below the root,
    `parents`.
    """
    if isinstance(source, str) and (source in _WORDNET or source.startswith(_BELOW)):
        if forms is not None:
            raise HierarchyError(f"{source}: forms are for words of one's own; WordNet's are those of its recipe")
        hierarchy = _of_wordnet(source, vocabulary, recipe)
        hierarchy = hierarchy if name is None else replace(hierarchy, name=name)
        return hierarchy if only is None else hierarchy.only(only)
    if isinstance(source, str | Path):
        found, own_name, own_forms = _of_file(source)
    else:
        found, own_name, own_forms = _of_object(source, name), None, None
    return hierarchy_from_words(
        name or own_name or found.root or "hierarchy",
        found.words,
        found.parents,
        vocabulary,
        forms=forms or ("none" if vocabulary.takes_phrases else own_forms) or "noun",
        only=only,
    )


def _of_wordnet(source: str, vocabulary: Vocabulary, recipe: Recipe) -> ConceptHierarchy:
    if source in _WORDNET:
        return wordnet_hierarchy(_WORDNET[source], vocabulary, recipe=recipe)
    synset = source.removeprefix(_BELOW)
    part_of_speech: PartOfSpeech = "verb" if ".v." in synset else "noun"
    return wordnet_hierarchy(part_of_speech, vocabulary, recipe=recipe, below=synset)


def _of_file(source: str | Path) -> tuple[Relations, str, Forms]:
    """What a file says of words and parents, its name and the forms of its words."""
    file = NaturalFile(source, "hierarchies", "concepts", "forms")
    forms: Forms = file.choice("forms", options=get_args(Forms), default="noun")  # type: ignore[assignment]
    if file.content is not None:
        return nested(file.content, file.refuse), file.name, forms
    names = file.mapping("concepts")
    for name in names:
        file.mapping("concepts", name, known=("words", "parents"))
    words = {name: file.words("concepts", name, "words") for name in names}
    return Relations(words, {name: file.words("concepts", name, "parents") for name in names}), file.name, forms


def _of_object(source: Any, name: str | None) -> Relations:
    this = f"hierarchy {name or 'given'!r}"
    if isinstance(source, Mapping):
        return nested(source, refusal(this))
    if isinstance(source, nx.Graph):
        return of_graph(source, this)
    if is_frame(source):
        return of_frame(source, this)
    raise ArgumentError(
        "load_hierarchy: source must be a name, a path, a mapping of concepts to words, a networkx graph or a table of"
        f" (parent, child), not {shown(source)}"
    )


def packaged_hierarchies() -> tuple[str, ...]:
    """Names of the hierarchies that come with the package."""
    return packaged_names("hierarchies")
