"""Read a hand-made concept hierarchy from YAML, refusing anything ambiguous with its line.

Format: `name`, `forms` ("noun" adds case and plural variants, "none" takes words as written), and
`concepts`, a mapping of concept name to `words` and, below the root, `parents`. A concept also holds
the words of everything below it.
"""

from collections.abc import Hashable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.words import noun_forms
from geometry.errors import HierarchyError
from geometry.models import Vocabulary

__all__ = ["load_hierarchy", "packaged_hierarchies"]

_KEYS = {"name", "source", "licence", "forms", "concepts"}
_CONCEPT_KEYS = {"words", "parents"}


def packaged_hierarchies() -> tuple[str, ...]:
    """Names of the hierarchies that come with the package."""
    folder = files("geometry.data") / "hierarchies"
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir()))


def load_hierarchy(source: str | Path, vocabulary: Vocabulary) -> ConceptHierarchy:
    """Read a hand-made hierarchy and keep the words that are single tokens of `vocabulary`.

    Parameters
    ----------
    source : the name of a packaged hierarchy ("organisms") or the path of a YAML file.

    Raises
    ------
    HierarchyError
        No such hierarchy, malformed YAML or structure, duplicate or empty concepts, a cycle, or a
        concept none of whose words is in the vocabulary.
    """
    label, text = _read(source)
    document = _parse(label, text)
    forms = document.get("forms", "noun")
    own: dict[str, list[str]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for name, entry in document["concepts"].items():
        words = _strings(label, f"{name}: words", entry.get("words", []))
        own[name] = [form for word in words for form in noun_forms(word)] if forms == "noun" else words
        parents[name] = tuple(_strings(label, f"{name}: parents", entry.get("parents", [])))
    below = _with_words_below(own, parents)
    return ConceptHierarchy(
        name=str(document.get("name", label)),
        concepts=tuple(Concept.from_words(name, words, vocabulary) for name, words in below.items()),
        parents=parents,
        recipe=f"hand-made ({label}), words in {'all noun' if forms == 'noun' else 'the given'} forms",
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
    except (OSError, UnicodeDecodeError) as error:
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


def _parse(label: str, text: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise HierarchyError(f"{label}{line}: {error.problem}") from error
    except (yaml.YAMLError, TypeError, RecursionError) as error:
        raise HierarchyError(f"{label}: not readable YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("concepts"), dict):
        raise HierarchyError(f"{label}: expected a mapping with an entry 'concepts'")
    _refuse_unknown(label, document, _KEYS)
    if document.get("forms", "noun") not in {"noun", "none"}:
        raise HierarchyError(f"{label}: forms must be 'noun' or 'none', not {document['forms']!r}")
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
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise HierarchyError(f"{label}: {place} must be a list of words (quote those that YAML reads otherwise)")
    return [item.strip() for item in value]


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
