"""Read the project's YAML and JSON data files, refusing anything ambiguous with its file, line and field.

Owns files, syntax and the checks that all kinds of files share; what entries mean is the business of its users.
"""

import json
from collections import Counter
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from geometry.concepts.yaml_text import YAMLText
from geometry.errors import HierarchyError, shown

Keys = tuple[Any, ...]
_ABSENT = object()
_LARGEST = 8 << 20  # bytes of a file
_LONGEST_WORD = 200  # characters; no tokenizer keeps longer ones in one token, and inflect needs the square of it
_LONGEST_TEXT = 20_000
_MOST_ITEMS = 2_000_000  # that are asked for; aliases repeat a list in a few letters


def packaged_names(folder: str) -> tuple[str, ...]:
    """Names of the data files of a kind that come with the package."""
    return tuple(sorted(Path(entry.name).stem for entry in (files("geometry.data") / folder).iterdir()))


class DataFile:
    """A packaged data file, or a YAML or JSON file of the user's own; entries are asked for by their keys in it.

    The source is a packaged name of `folder` or a path. The `entry` must be there and be a mapping; `optional` ones may
    be there, and `name`, `content`, `source` and `licence`.

    HierarchyError: no such file, not readable, malformed, too large (8 MB, 50 levels), a key twice, an unknown or a
    missing entry. So do the methods, for an entry that is not what was asked for.
    """

    def __init__(self, source: str | Path, folder: str, entry: str, *optional: str) -> None:
        self.label, self._text = _read(source, folder)
        self._document, self._yaml = _parse(self.label, self._text)
        self._items = 0
        if not isinstance(self._document, dict) or not isinstance(self._document.get(entry), dict):
            raise HierarchyError(f"{self.label}: expected a mapping with an entry {entry!r}")
        self.mapping(known=("name", "content", "source", "licence", entry, *optional))
        self.name = self.text("name", default=self.label)

    def refuse(self, keys: Keys, problem: str) -> HierarchyError:
        """The error that names file, line and field."""
        line = self._line_of(keys)
        where = "" if line is None else f", line {line}"
        field = ".".join(key if isinstance(key, str) and len(key) <= _LONGEST_WORD else shown(key) for key in keys)
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
                raise self.refuse((*keys, key), f"{shown(key)} must be a name (quote what YAML reads otherwise)")
            if len(key) > _LONGEST_WORD:
                raise self.refuse((*keys, key), f"a name of {len(key):,} characters; {_LONGEST_WORD} at most")
        return value

    def text(self, *keys: Any, default: str | None = None) -> str:
        """A text with single spaces."""
        value = self.get(*keys, default=_ABSENT)
        if value is _ABSENT and default is not None:
            return default
        # `no` and `on` are booleans in YAML, and so a likely accident.
        if not isinstance(value, str) or not value.strip():
            raise self.refuse(keys, f"must be a text (quote what YAML reads otherwise), not {shown(value)}")
        if len(value) > _LONGEST_TEXT:
            raise self.refuse(keys, f"a text of {len(value):,} characters; {_LONGEST_TEXT:,} at most")
        return " ".join(value.split())

    def texts(self, *keys: Any) -> list[str]:
        """A list of texts that is not empty."""
        value = self.get(*keys)
        if not isinstance(value, list) or not value:
            raise self.refuse(keys, "must be a list, and not empty")
        self._count(keys, len(value))
        return [self.text(*keys, index) for index in range(len(value))]

    def words(self, *keys: Any) -> list[str]:
        """A list of words, trimmed; empty where nothing stands."""
        value = self.get(*keys, default=[])
        items: list[Any] = value if isinstance(value, list) else [None]
        if not all(isinstance(item, str) and item.strip() and item.isprintable() for item in items):
            raise self.refuse(keys, "must be a list of words (quote what YAML reads otherwise)")
        self._count(keys, len(items))
        if long := [len(item) for item in items if len(item) > _LONGEST_WORD]:
            raise self.refuse(keys, f"a word of {long[0]:,} characters; {_LONGEST_WORD} at most")
        return [item.strip() for item in items]

    def pair(self, *keys: Any) -> tuple[str, str]:
        """Two different texts."""
        value = self.get(*keys)
        if isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value):
            first, second = (" ".join(text.split()) for text in value)
            if first and second and first != second:
                if max(len(first), len(second)) > _LONGEST_TEXT:
                    raise self.refuse(keys, f"a text of more than {_LONGEST_TEXT:,} characters")
                return first, second
        raise self.refuse(keys, f"must be two different texts, not {shown(value)}")

    def choice(self, *keys: Any, options: Collection[str], default: str) -> str:
        """One of some texts."""
        value = self.get(*keys, default=default)
        if not isinstance(value, str) or value not in options:
            raise self.refuse(keys, f"must be one of {', '.join(filter(None, options))}, not {shown(value)}")
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
                    raise self.refuse((*keys, group), f"{shown(name)} is unknown; there are {', '.join(names)}")
                if name in grouped:
                    raise self.refuse((*keys, group), f"{shown(name)} stands in a group already")
                grouped.add(name)
        if missing := [name for name in names if name not in grouped]:
            raise self.refuse(keys, f"{missing[0]!r} is in no group")
        return parts

    def _count(self, keys: Keys, items: int) -> None:
        self._items += items
        if self._items > _MOST_ITEMS:
            raise self.refuse(keys, f"more than {_MOST_ITEMS:,} words and texts, counted where they are repeated too")

    def _line_of(self, keys: Keys) -> int | None:
        """The line of a key or an item of a list, 1-based; of the last of the keys that is there."""
        if self._yaml is None:
            try:
                self._yaml = YAMLText(self._text)  # JSON is YAML, but for tabs
            except (yaml.YAMLError, ValueError):
                return None
        return self._yaml.line(keys)


def _read(source: str | Path, folder: str) -> tuple[str, str]:
    packaged = packaged_names(folder)
    try:
        if str(source) in packaged:
            entry = files("geometry.data") / folder / f"{source}.yaml"
            return str(source), entry.read_text(encoding="utf-8")
        return Path(source).name, _read_whole(Path(source))
    except FileNotFoundError:
        known = ", ".join(packaged)
        raise HierarchyError(f"no such file or packaged name: {shown(str(source))}; packaged: {known}") from None
    except (OSError, ValueError) as error:
        raise HierarchyError(f"{source}: cannot be read: {error}") from error


def _read_whole(path: Path) -> str:
    """The text of a file; of a pipe or a device, which may never end, an OSError."""
    if path.exists() and not path.is_file():
        raise OSError("a folder, a pipe or a device, not a file")
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"larger than {_LARGEST >> 20} MB, the most that a data file may hold")
    return content.decode("utf-8-sig")


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if repeated := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
        raise HierarchyError(f"duplicate entry {shown(repeated[0])}")
    return dict(pairs)


def _parse(label: str, text: str) -> tuple[Any, YAMLText | None]:
    """What the text holds, and where, if that is known already."""
    try:
        # YAML reads most JSON, but not JSON indented with tabs.
        if label.endswith(".json"):
            return json.loads(text, object_pairs_hook=_unique_object), None
        document = YAMLText(text)
        return document.value, document
    except HierarchyError as error:
        raise HierarchyError(f"{label}: {error}") from error
    except json.JSONDecodeError as error:
        raise HierarchyError(f"{label}, line {error.lineno}: {error.msg}") from error
    except yaml.MarkedYAMLError as error:
        # The end of the text counts as a line of its own there.
        line = min(error.problem_mark.line + 1, len(text.splitlines())) if error.problem_mark else 0
        raise HierarchyError(f"{label}{f', line {line}' if line else ''}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise HierarchyError(f"{label}: not readable: {error}") from error
