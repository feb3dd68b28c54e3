"""Read a hand-made concept hierarchy from YAML or JSON.

Format: `name`; `forms`, where "noun" adds case and plural variants, "verb" case and regular conjugation, and
"none" takes words as written; and `concepts`, a mapping of concept name to `words` and, below the root,
`parents`. A concept also holds the words of everything below it.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

from geometry.concepts.data_file import packaged_names, read_mapping, refuse_unknown, strings
from geometry.concepts.handmade import hierarchy_from_words
from geometry.concepts.hierarchy import ConceptHierarchy
from geometry.concepts.words import Forms
from geometry.errors import HierarchyError
from geometry.models import Vocabulary


_KEYS = {"name", "source", "licence", "forms", "concepts"}
_CONCEPT_KEYS = {"words", "parents"}


def packaged_hierarchies() -> tuple[str, ...]:
    """Names of the hierarchies that come with the package."""
    return packaged_names("hierarchies")


def load_hierarchy(
    source: str | Path, vocabulary: Vocabulary, *, only: Collection[str] | None = None
) -> ConceptHierarchy:
    """Read a hand-made hierarchy and keep the words that are single tokens of `vocabulary`.

    Parameters
    ----------
    source : the name of a packaged hierarchy ("organisms") or the path of a YAML or JSON file.
    only : keep these concepts alone; see `hierarchy_from_words`.

    Raises
    ------
    HierarchyError
        No such hierarchy, malformed YAML or structure, duplicate or empty concepts, a cycle, or a
        concept none of whose words is in the vocabulary.
    """
    label, document = read_mapping(source, "hierarchies", "concepts")
    _check(label, document)
    entries = document["concepts"]
    return hierarchy_from_words(
        document.get("name", label),
        {name: strings(label, f"{name}: words", entry.get("words", [])) for name, entry in entries.items()},
        {name: strings(label, f"{name}: parents", entry.get("parents", [])) for name, entry in entries.items()},
        vocabulary,
        forms=document.get("forms", "noun"),
        only=only,
    )


def _check(label: str, document: dict[str, Any]) -> None:
    refuse_unknown(label, document, _KEYS)
    if not isinstance(document.get("name", label), str):
        raise HierarchyError(f"{label}: name must be a text")
    if document.get("forms", "noun") not in get_args(Forms):
        raise HierarchyError(f"{label}: forms must be one of {', '.join(get_args(Forms))}, not {document['forms']!r}")
    for name, entry in document["concepts"].items():
        if not isinstance(name, str) or not isinstance(entry, dict):
            raise HierarchyError(f"{label}: concept {name!r} must be a name with 'words' and 'parents' below it")
        refuse_unknown(f"{label}: concept {name!r}", entry, _CONCEPT_KEYS)
