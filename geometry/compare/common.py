"""The words that several models have in common, so that the size of a vocabulary is not mistaken for geometry."""

from collections.abc import Mapping

from geometry.arguments import checked
from geometry.errors import HierarchyError
from geometry.models import Vocabulary


@checked
def common_vocabulary(vocabularies: Mapping[str, Vocabulary]) -> Vocabulary:
    """The first model's vocabulary without the words that another lacks as a single token after a space.

    >>> first, second = Vocabulary(["Ġbird", "Ġowl"]), Vocabulary(["▁owl", "▁fish"])
    >>> common_vocabulary({"first": first, "second": second}).words
    {'owl': 1}

    A hierarchy built on it has words of all models alone; `ConceptHierarchy.over` gives it another's tokens.

    Raises HierarchyError: the models have no word in common.
    """
    words = {name: set(vocabulary.words) for name, vocabulary in vocabularies.items()}
    shared = set.intersection(*words.values()) if words else set()
    if not shared:
        sizes = ", ".join(f"{name} {len(own)}" for name, own in words.items())
        raise HierarchyError(f"these models have no word in common that is a single token in each (words: {sizes})")
    return next(iter(vocabularies.values())).restricted(shared)
