"""Read a hand-made concept hierarchy from YAML or JSON, refusing anything ambiguous with its place.

Format: `name`; `forms`, where "noun" adds case and plural variants, "verb" case and regular conjugation, and
"none" takes words as written; and `concepts`, a mapping of concept name to `words` and, below the root,
`parents`. A concept also holds the words of everything below it.
"""

import json
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml

from geometry.concepts.handmade import hierarchy_from_words
from geometry.concepts.hierarchy import ConceptHierarchy
from geometry.concepts.words import Forms
from geometry.errors import HierarchyError
from geometry.models import Vocabulary

__all__ = ["load_hierarchy", "packaged_hierarchies"]

_KEYS = {"name", "source", "licence", "forms", "concepts"}
_CONCEPT_KEYS = {"words", "parents"}


def packaged_hierarchies() -> tuple[str, ...]:
    """Names of the hierarchies that come with the package."""
    folder = files("geometry.data") / "hierarchies"
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir()))


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
    label, text = _read(source)
    document = _parse(label, text)
    entries = document["concepts"]
    return hierarchy_from_words(
        document.get("name", label),
        {name: _strings(label, f"{name}: words", entry.get("words", [])) for name, entry in entries.items()},
        {name: _strings(label, f"{name}: parents", entry.get("parents", [])) for name, entry in entries.items()},
        vocabulary,
        forms=document.get("forms", "noun"),
        only=only,
    )


def _read(source: str | Path) -> tuple[str, str]:
    packaged = packaged_hierarchies()
    try:
        if str(source) in packaged:
            entry = files("geometry.data") / "hierarchies" / f"{source}.yaml"
            return str(source), entry.read_text(encoding="utf-8")
        return Path(source).name, Path(source).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HierarchyError(f"no hierarchy {str(source)!r}; packaged: {', '.join(packaged)}, or give a file") from None
    except (OSError, ValueError) as error:
        raise HierarchyError(f"{source}: cannot be read: {error}") from error


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a mapping with the same key twice; YAML itself keeps the last."""


def _unique_mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Hashable, Any]:
    mapping: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in mapping:
            raise yaml.MarkedYAMLError(problem=f"duplicate entry {key!r}", problem_mark=key_node.start_mark)
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(key for key, _ in pairs)
    if repeated := [key for key, count in counts.items() if count > 1]:
        raise HierarchyError(f"duplicate entry {repeated[0]!r}")
    return dict(pairs)


def _parse(label: str, text: str) -> dict[str, Any]:
    try:
        # YAML reads most JSON, but not JSON indented with tabs.
        if label.endswith(".json"):
            document = json.loads(text, object_pairs_hook=_unique_object)
        else:
            document = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 (a SafeLoader)
    except HierarchyError as error:
        raise HierarchyError(f"{label}: {error}") from error
    except json.JSONDecodeError as error:
        raise HierarchyError(f"{label}, line {error.lineno}: {error.msg}") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise HierarchyError(f"{label}{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # Besides its own errors YAML lets those of its number and date parsing through.
        raise HierarchyError(f"{label}: not readable: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("concepts"), dict):
        raise HierarchyError(f"{label}: expected a mapping with an entry 'concepts'")
    _refuse_unknown(label, document, _KEYS)
    if not isinstance(document.get("name", label), str):
        raise HierarchyError(f"{label}: name must be a text")
    if document.get("forms", "noun") not in get_args(Forms):
        raise HierarchyError(f"{label}: forms must be one of {', '.join(get_args(Forms))}, not {document['forms']!r}")
    for name, entry in document["concepts"].items():
        if not isinstance(name, str) or not isinstance(entry, dict):
            raise HierarchyError(f"{label}: concept {name!r} must be a name with 'words' and 'parents' below it")
        _refuse_unknown(f"{label}: concept {name!r}", entry, _CONCEPT_KEYS)
    return document


def _refuse_unknown(label: str, mapping: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(str(key) for key in mapping if key not in known):
        raise HierarchyError(f"{label}: unknown entry {unknown[0]!r}; known: {', '.join(sorted(known))}")


def _strings(label: str, place: str, value: Any) -> list[str]:
    # `no` and `on` are booleans in YAML, and so a likely accident in a word list.
    if not isinstance(value, list) or not all(
        isinstance(item, str) and item.strip() and item.isprintable() for item in value
    ):
        raise HierarchyError(f"{label}: {place} must be a list of words (quote those that YAML reads otherwise)")
    return [item.strip() for item in value]
