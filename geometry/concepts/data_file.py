"""Read the project's YAML and JSON data files, refusing anything ambiguous with its file, line and field.

Owns files, syntax and the checks that all kinds of files share; what entries mean is the business of its users.
"""

import json
from collections import Counter
from collections.abc import Collection, Hashable
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from geometry.errors import HierarchyError

Keys = tuple[Any, ...]
_ABSENT = object()


def packaged_names(folder: str) -> tuple[str, ...]:
    """Names of the data files of a kind that come with the package."""
    return tuple(sorted(Path(entry.name).stem for entry in (files("geometry.data") / folder).iterdir()))


class DataFile:
    """A packaged data file, or a YAML or JSON file of the user's own; entries are asked for by their keys in it.

    The source is a packaged name of `folder` or a path. The `entry` must be there and be a mapping; `optional` ones may
    be there, and `name`, `content`, `source` and `licence`.

    HierarchyError: no such file, not readable, malformed, a key twice, an unknown or a missing entry. So do the
    methods, for an entry that is not what was asked for.
    """

    def __init__(self, source: str | Path, folder: str, entry: str, *optional: str) -> None:
        self.label, self._text = _read(source, folder)
        self._document = _parse(self.label, self._text)
        if not isinstance(self._document, dict) or not isinstance(self._document.get(entry), dict):
            raise HierarchyError(f"{self.label}: expected a mapping with an entry {entry!r}")
        self.mapping(known=("name", "content", "source", "licence", entry, *optional))
        self.name = self.text("name", default=self.label)

    def refuse(self, keys: Keys, problem: str) -> HierarchyError:
        """The error that names file, line and field."""
        line = self._line_of(keys)
        where = "" if line is None else f", line {line}"
        field = ".".join(map(str, keys))
        return HierarchyError(f"{self.label}{where}: {field + ': ' if field else ''}{problem}")

    def get(self, *keys: Any, default: Any = None) -> Any:
        """What stands under these keys, `default` where nothing does."""
        value = self._document
        for key in keys:
            if not (isinstance(value, dict) and key in value) and not isinstance(value, list):
                return default
            value = value[key]
        return value

    def mapping(self, *keys: Any, known: Collection[str] = ()) -> dict[str, Any]:
        """A mapping whose keys are names, and where `known` are given, those."""
        value = self.get(*keys)
        if not isinstance(value, dict):
            raise self.refuse(keys, f"expected a mapping{' with ' if known else ''}{', '.join(sorted(known))}")
        for key in value:
            if known and key not in known:
                raise self.refuse((*keys, key), f"unknown; known here: {', '.join(sorted(known))}")
            if not isinstance(key, str) or not key.strip():
                raise self.refuse((*keys, key), f"{key!r} must be a name (quote what YAML reads otherwise)")
        return value

    def text(self, *keys: Any, default: str | None = None) -> str:
        """A text with single spaces."""
        value = self.get(*keys, default=_ABSENT)
        if value is _ABSENT and default is not None:
            return default
        # `no` and `on` are booleans in YAML, and so a likely accident.
        if not isinstance(value, str) or not value.strip():
            raise self.refuse(keys, f"must be a text (quote what YAML reads otherwise), not {value!r}")
        return " ".join(value.split())

    def texts(self, *keys: Any) -> list[str]:
        """A list of texts that is not empty."""
        value = self.get(*keys)
        if not isinstance(value, list) or not value:
            raise self.refuse(keys, "must be a list, and not empty")
        return [self.text(*keys, index) for index in range(len(value))]

    def words(self, *keys: Any) -> list[str]:
        """A list of words, trimmed; empty where nothing stands."""
        value = self.get(*keys, default=[])
        items: list[Any] = value if isinstance(value, list) else [None]
        if not all(isinstance(item, str) and item.strip() and item.isprintable() for item in items):
            raise self.refuse(keys, "must be a list of words (quote what YAML reads otherwise)")
        return [item.strip() for item in items]

    def pair(self, *keys: Any) -> tuple[str, str]:
        """Two different texts."""
        value = self.get(*keys)
        if isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value):
            first, second = (" ".join(text.split()) for text in value)
            if first and second and first != second:
                return first, second
        raise self.refuse(keys, f"must be two different texts, not {value!r}")

    def choice(self, *keys: Any, options: Collection[str], default: str) -> str:
        """One of some texts."""
        value = self.get(*keys, default=default)
        if not isinstance(value, str) or value not in options:
            raise self.refuse(keys, f"must be one of {', '.join(filter(None, options))}, not {value!r}")
        return value

    def partition(self, *keys: Any, names: Collection[str]) -> dict[Any, tuple[str, ...]]:
        """Groups of names, a mapping of lists or a list of lists: each name stands in one of them."""
        groups = self.get(*keys)
        if not isinstance(groups, dict | list):
            raise self.refuse(keys, "expected groups, each a list of names")
        labels = groups if isinstance(groups, dict) else range(len(groups))
        parts = {label: tuple(self.texts(*keys, label)) for label in labels}
        grouped: set[str] = set()
        for group, members in parts.items():
            for name in members:
                if name not in names:
                    raise self.refuse((*keys, group), f"{name!r} is unknown; there are {', '.join(names)}")
                if name in grouped:
                    raise self.refuse((*keys, group), f"{name!r} stands in a group already")
                grouped.add(name)
        if missing := [name for name in names if name not in grouped]:
            raise self.refuse(keys, f"{missing[0]!r} is in no group")
        return parts

    def _line_of(self, keys: Keys) -> int | None:
        """The line of a key or an item of a list, 1-based; of the last of the keys that is there."""
        try:
            node = yaml.compose(self._text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, ValueError):
            return None
        line = None
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                marked, node = next(((k, v) for k, v in node.value if k.value == key), (None, None))
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                marked = node = node.value[key]
            else:
                break
            if marked is None:
                break
            line = int(marked.start_mark.line) + 1
        return line


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
    if repeated := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
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
