"""A hierarchy by name, wherever it comes from: WordNet, the packaged files, a file of the user's own."""

from geometry.concepts.hierarchy import ConceptHierarchy
from geometry.concepts.hierarchy_file import load_hierarchy
from geometry.concepts.wordnet import Recipe, wordnet_hierarchy
from geometry.models import Vocabulary


def load_hierarchy(name: str, vocabulary: Vocabulary, *, recipe: Recipe = "published") -> ConceptHierarchy:
    """WordNet by "wordnet-noun" or "wordnet-verb" and a recipe, or what `load_hierarchy` reads.

    Raises
    ------
    HierarchyError
        What `wordnet_hierarchy` and `load_hierarchy` refuse.
    """
    if name == "wordnet-noun":
        return wordnet_hierarchy("noun", vocabulary, recipe=recipe)
    if name == "wordnet-verb":
        return wordnet_hierarchy("verb", vocabulary, recipe=recipe)
    return load_hierarchy(name, vocabulary)
