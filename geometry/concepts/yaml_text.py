"""YAML as plain values with their lines, read event by event: of bounded depth and size, each entry once.

PyYAML's own loaders recurse for each level, and their C form ends the process where the levels are too many.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from geometry.errors import shown

_DEEPEST = 50
_MOST = 1_000_000  # entries and ends of lists; a hierarchy of 50,000 concepts has some 600,000
_LONGEST_NUMBER = 100  # characters; Python takes the square of the length to read one

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT = "tag:yaml.org,2002:str"
_ABSENT = object()


class YAMLText:
    """A text's one document: `value` of mappings, lists, texts, numbers, dates, booleans and None.

    >>> document = YAMLText("words:\\n  cat: [cats]")
    >>> document.value, document.line(["words", "cat"])
    ({'words': {'cat': ['cats']}}, 2)

    yaml.YAMLError, ValueError: no YAML, a key twice, an alias within what it stands for, too deep or too large.
    """

    def __init__(self, text: str) -> None:
        self._resolve: Any = yaml.resolver.Resolver().resolve
        self._construct: Any = yaml.constructor.SafeConstructor()
        # By the identity of each mapping and list, all of which `value` keeps alive.
        self._lines: dict[int, dict[Any, int]] = {}
        self.value = self._read(text)

    def line(self, keys: Sequence[Any]) -> int | None:
        """The line of a key or an item of a list, 1-based; of the last of the keys that is there."""
        line, value = None, self.value
        for key in keys:
            lines = self._lines.get(id(value), {})
            if key not in lines:
                break
            line, value = lines[key], value[key]
        return line

    def _read(self, text: str) -> Any:
        anchors: dict[str, Any] = {}
        open_ones: list[tuple[Any, str | None, Any]] = []
        keys: list[Any] = []  # of each open mapping the key whose value comes next
        document = _ABSENT
        events: Iterator[Any] = yaml.parse(text, Loader=_PARSER)
        for number, event in enumerate(events):
            if number > _MOST:
                raise _refused(f"more than {_MOST:,} entries", event)
            mark = event.start_mark
            if isinstance(event, yaml.ScalarEvent):
                value = self._scalar(event)
                if event.anchor:
                    anchors[event.anchor] = value
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    raise _refused(f"alias {shown(event.anchor)} of nothing that stands before it", event)
                value = anchors[event.anchor]
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if len(open_ones) == _DEEPEST:
                    raise _refused(f"more than {_DEEPEST} levels", event)
                open_ones.append((self._container(event), event.anchor, mark))
                keys.append(_ABSENT)
                continue
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                value, anchor, mark = open_ones.pop()
                keys.pop()
                if anchor:
                    anchors[anchor] = value
            elif isinstance(event, yaml.DocumentStartEvent) and document is not _ABSENT:
                raise _refused("expected a single document, but found another one", event)
            else:
                continue
            if not open_ones:
                document = value
                continue
            holder = open_ones[-1][0]
            lines = self._lines[id(holder)]
            if isinstance(holder, list):
                lines[len(holder)] = mark.line + 1
                holder.append(value)
            elif keys[-1] is _ABSENT:
                if isinstance(value, dict | list):
                    raise yaml.MarkedYAMLError(problem="a mapping or a list is no name", problem_mark=mark)
                if value in holder:
                    raise yaml.MarkedYAMLError(problem=f"duplicate entry {shown(value)}", problem_mark=mark)
                keys[-1], lines[value] = value, mark.line + 1
            else:
                holder[keys[-1]], keys[-1] = value, _ABSENT
        return None if document is _ABSENT else document

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == _TEXT:
            return event.value
        if len(event.value) > _LONGEST_NUMBER:
            raise _refused(f"a number or date of {len(event.value):,} characters", event)
        try:
            return self._construct.construct_document(yaml.ScalarNode(tag, event.value, event.start_mark))
        except (ValueError, LookupError, AttributeError, OverflowError) as error:  # of what YAML lets through
            kind = tag.rpartition(":")[2]
            raise _refused(f"{shown(event.value)} is not readable as {kind}: {error}", event) from error

    def _container(self, event: Any) -> dict[Any, Any] | list[Any]:
        container: dict[Any, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.tag not in (None, "!", f"tag:yaml.org,2002:{'map' if isinstance(container, dict) else 'seq'}"):
            raise _refused(f"could not determine a constructor for the tag {shown(event.tag)}", event)
        self._lines[id(container)] = {}
        return container


def _refused(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
