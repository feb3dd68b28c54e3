"""A hierarchy by name, wherever it comes from: WordNet, the packaged files, a file of the user's own."""

from collections.abc import Collection
from pathlib import Path
from typing import get_args

from geometry.arguments import checked
from geometry.concepts.data_file import DataFile, packaged_names
from geometry.concepts.handmade import hierarchy_from_words
from geometry.concepts.hierarchy import ConceptHierarchy
from geometry.concepts.wordnet import Recipe, wordnet_hierarchy
from geometry.concepts.words import Forms
from geometry.models import Vocabulary


@checked
def load_hierarchy(
    source: str | Path, vocabulary: Vocabulary, *, recipe: Recipe = "published", only: Collection[str] | None = None
) -> ConceptHierarchy:
    """Read a concept hierarchy and keep the words that are single tokens of `vocabulary`.

    >>> import geometry as geo
    >>> vocabulary = geo.Unembedding.load("smollm2-135m").vocabulary
    >>> geo.load_hierarchy("wordnet-noun", vocabulary)
    ConceptHierarchy('wordnet-noun', 403 concepts, 413 edges, 16595 tokens)
    >>> geo.load_hierarchy("organisms", vocabulary, only=["animal", "bird", "mammal"]).names
    ('animal', 'mammal', 'bird')

    Parameters:
        source: "wordnet-noun" or "wordnet-verb"; a packaged hierarchy (`geo.concepts.packaged_hierarchies()`); or the
            path of a YAML or JSON file, see below.
        recipe: for WordNet; see `wordnet_hierarchy`.
        only: keep these concepts alone, with the words of all that was below them; a kept concept hangs on its kept
            parents. Default: all.

    HierarchyError: no such hierarchy, a malformed file, or what `hierarchy_from_words` or `wordnet_hierarchy` refuses.

    A file holds `name`; `forms` ("noun" adds case and plural variants, "verb" case and regular conjugation, "case" case
    alone, and "none" takes words as written; default "noun"); and `concepts`, a mapping of concept name to `words` and,
    below the root, `parents`. A concept also holds the words of everything below it.
    """
    if source in ("wordnet-noun", "wordnet-verb"):
        hierarchy = wordnet_hierarchy("noun" if source == "wordnet-noun" else "verb", vocabulary, recipe=recipe)
        return hierarchy if only is None else hierarchy.only(only)
    file = DataFile(source, "hierarchies", "concepts", "forms")
    names = file.mapping("concepts")
    for name in names:
        file.mapping("concepts", name, known=("words", "parents"))
    return hierarchy_from_words(
        file.name,
        {name: file.words("concepts", name, "words") for name in names},
        {name: file.words("concepts", name, "parents") for name in names},
        vocabulary,
        forms=file.choice("forms", options=get_args(Forms), default="noun"),  # type: ignore[arg-type]
        only=only,
    )


def packaged_hierarchies() -> tuple[str, ...]:
    """Names of the hierarchies that come with the package."""
    return packaged_names("hierarchies")
