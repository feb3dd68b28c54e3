"""Read the project's YAML and JSON data files, refusing anything ambiguous with its place.

Owns files and syntax; what the entries mean is the business of the modules that use it.
"""

import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from geometry.errors import HierarchyError


def packaged_names(folder: str) -> tuple[str, ...]:
    """Names of the data files of a kind that come with the package."""
    return tuple(sorted(Path(entry.name).stem for entry in (files("geometry.data") / folder).iterdir()))


def read_mapping(source: str | Path, folder: str, entry: str) -> tuple[str, dict[str, Any]]:
    """A label for messages, and the content of a packaged name of `folder` or of a YAML or JSON file.

    `entry` must be there and be a mapping itself.

    Raises
    ------
    HierarchyError
        No such file, not readable, malformed, a key twice, or no mapping; with file and line.
    """
    label, text = _read(source, folder)
    document = _parse(label, text)
    if not isinstance(document, dict) or not isinstance(document.get(entry), dict):
        raise HierarchyError(f"{label}: expected a mapping with an entry {entry!r}")
    return label, document


def _read(source: str | Path, folder: str) -> tuple[str, str]:
    packaged = packaged_names(folder)
    try:
        if str(source) in packaged:
            entry = files("geometry.data") / folder / f"{source}.yaml"
            return str(source), entry.read_text(encoding="utf-8")
        return Path(source).name, Path(source).read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(packaged)
        raise HierarchyError(f"no such file or packaged name: {str(source)!r}; packaged: {known}") from None
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


def _parse(label: str, text: str) -> Any:
    try:
        # YAML reads most JSON, but not JSON indented with tabs.
        if label.endswith(".json"):
            return json.loads(text, object_pairs_hook=_unique_object)
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 (a SafeLoader)
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


def line_of(source: str | Path, folder: str, place: Sequence[str | int]) -> int | None:
    """The line of a file on which an entry stands, 1-based: of its key, or of an item of a list.

    Of a place that is not there, the line of the last part that is. None where the file cannot be told lines of.
    """
    try:
        node = yaml.compose(_read(source, folder)[1], Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError):
        return None
    line = None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            key, node = next(((k, v) for k, v in node.value if k.value == part), (None, None))
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            key = node = node.value[part]
        else:
            break
        if key is None:
            break
        line = int(key.start_mark.line) + 1
    return line


def refuse_unknown(label: str, mapping: Mapping[str, Any], known: set[str]) -> None:
    """HierarchyError for the first key that is not among `known`."""
    if unknown := sorted(str(key) for key in mapping if key not in known):
        raise HierarchyError(f"{label}: unknown entry {unknown[0]!r}; known: {', '.join(sorted(known))}")


def strings(label: str, place: str, value: Any) -> list[str]:
    """The words of a list, trimmed; HierarchyError if `value` is anything else."""
    # `no` and `on` are booleans in YAML, and so a likely accident in a word list.
    if not isinstance(value, list) or not all(
        isinstance(item, str) and item.strip() and item.isprintable() for item in value
    ):
        raise HierarchyError(f"{label}: {place} must be a list of words (quote those that YAML reads otherwise)")
    return [item.strip() for item in value]
