"""Words and parents of concepts as people have them: nested mappings and lists, graphs, tables of (parent, child)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from geometry.errors import HierarchyError, shown

Keys = tuple[Any, ...]
Refusal = Callable[[Keys, str], HierarchyError]

_MOST_ITEMS = 2_000_000  # that are looked at; one list may stand in many places
_DEEPEST = 1_000
_LONGEST_WORD = 200
_PARENT, _CHILD, KIND = "parent", "child", "kind"


@dataclass
class Relations:
    """Concept → its own words, and concept → its parents."""

    words: dict[str, list[str]] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)

    @property
    def root(self) -> str | None:
        """The one concept without parents, if there is one."""
        roots = [name for name in self.words if not self.parents.get(name)]
        return roots[0] if len(roots) == 1 else None


def nested(document: Mapping[str, Any], refuse: Refusal) -> Relations:
    """Of concept → its words, a list, or its children, a mapping; a list may hold both.

    >>> nested({"animal": ["creature", {"mammal": ["dog", "cat"], "bird": ["crow"]}]}, lambda keys, problem: problem)
    ... # doctest: +NORMALIZE_WHITESPACE
    Relations(words={'animal': ['creature'], 'mammal': ['dog', 'cat'], 'bird': ['crow']},
              parents={'animal': [], 'mammal': ['animal'], 'bird': ['animal']})

    A concept that stands in several places has several parents; its words stand with one of them, or with all alike.
    """
    found = Relations()
    # Where it stands, under which concept, what stands there.
    waiting: list[tuple[Keys, str | None, Any]] = [((), None, document)]
    looked_at = 0
    while waiting:
        keys, parent, value = waiting.pop()
        entries = [((*keys, name), name, below) for name, below in value.items()]
        looked_at += len(entries)
        inner: list[tuple[Keys, str | None, Any]] = []
        for place, name, below in entries:
            _check_name(place, name, refuse)
            own, children = _parts(place, below, refuse)
            looked_at += len(own)
            if found.words.setdefault(name, own) != own and own:
                if found.words[name]:
                    raise refuse(place, f"{shown(name)} stands elsewhere with other words; give them once")
                found.words[name] = own
            above = found.parents.setdefault(name, [])
            if parent is not None and parent not in above:
                above.append(parent)
            inner += [(where, name, child) for where, child in children]
        waiting += reversed(inner)
        if len(keys) > 2 * _DEEPEST:  # names, and places in lists
            raise refuse(keys[:1], f"more than {_DEEPEST:,} levels, or it holds itself")
        if looked_at > _MOST_ITEMS:
            raise refuse((), f"more than {_MOST_ITEMS:,} words and concepts, counted where they are repeated too")
    return found


def related(edges: Iterable[tuple[Any, Any, Any]], this: str) -> Relations:
    """Of (parent, child, kind): a child that is no parent is a word, unless its kind says "word" or "concept".

    A parent that is its own child is a concept and its word.
    """
    edges = list(edges)
    for parent, child, kind in edges:
        for name in (parent, child):
            if not isinstance(name, str) or not name.strip():
                raise HierarchyError(f"{this}: {shown(name)} in the link {shown((parent, child))} must be a text")
        if kind not in (None, "word", "concept"):
            raise HierarchyError(f"{this}: the kind of {shown(child)} must be 'word' or 'concept', not {shown(kind)}")
    concepts = {parent for parent, _, _ in edges} | {child for _, child, kind in edges if kind == "concept"}
    found = Relations()
    for parent, child, kind in edges:
        found.words.setdefault(parent, [])
        if kind == "word" or (kind is None and (child not in concepts or child == parent)):
            found.words[parent].append(child)
        else:
            found.words.setdefault(child, [])
            found.parents.setdefault(child, []).append(parent)
    return found


def of_graph(graph: "nx.Graph[Any]", this: str) -> Relations:
    """Of a networkx graph: own words by the nodes' attribute `words`; of one without any, the leaves are words."""
    if not graph.is_directed():
        raise HierarchyError(f"{this}: a directed graph is needed, edges from parent to child")
    if not any("words" in attributes for _, attributes in graph.nodes(data=True)):
        if lone := [node for node in graph if not graph.degree(node)]:
            problem = "has no links and no attribute 'words', so that it is neither a concept nor the word of one"
            raise HierarchyError(f"{this}: node {shown(lone[0])} {problem}")
        return related(((parent, child, None) for parent, child in graph.edges()), this)
    words: dict[str, list[str]] = {}
    for node, attributes in graph.nodes(data=True):
        if str(node) in words:
            raise HierarchyError(f"{this}: two nodes are both called {shown(str(node))}; rename one")
        own = attributes.get("words", [])
        if isinstance(own, str) or not all(isinstance(word, str) for word in own):
            raise HierarchyError(f"{this}: node {shown(node)} needs 'words', a list of strings")
        words[str(node)] = list(own)
    parents: dict[str, list[str]] = {name: [] for name in words}
    for parent, child in graph.edges():
        parents[str(child)].append(str(parent))
    return Relations(words, parents)


def of_frame(frame: Any, this: str) -> Relations:
    """Of a table of pandas with the columns parent and child, or with two columns; a column kind may be there."""
    columns = list(frame.columns)
    names = [_PARENT, _CHILD] if {_PARENT, _CHILD} <= set(columns) else columns
    if len(names) != 2:
        raise HierarchyError(f"{this}: a table needs the columns 'parent' and 'child', not {shown(columns)}")
    if not len(frame):
        raise HierarchyError(f"{this}: the table has no rows")
    kinds = frame[KIND].tolist() if KIND in columns and KIND not in names else [None] * len(frame)
    return related(zip(frame[names[0]].tolist(), frame[names[1]].tolist(), kinds, strict=True), this)


def refusal(this: str) -> Refusal:
    """What makes the errors of something in memory, by where in it they are."""

    def refuse(keys: Keys, problem: str) -> HierarchyError:
        field = ".".join(key if isinstance(key, str) and len(key) <= _LONGEST_WORD else shown(key) for key in keys)
        return HierarchyError(f"{this}: {field + ': ' if field else ''}{problem}")

    return refuse


def is_frame(source: object) -> bool:
    """Whether this is a table of pandas, without loading it."""
    return hasattr(source, "columns") and hasattr(source, "itertuples")


def _check_name(keys: Keys, name: object, refuse: Refusal) -> None:
    if not isinstance(name, str) or not name.strip():
        raise refuse(keys, f"{shown(name)} must be a name (quote what YAML reads otherwise)")
    if len(name) > _LONGEST_WORD:
        raise refuse(keys, f"a name of {len(name):,} characters; {_LONGEST_WORD} at most")


def _parts(keys: Keys, value: object, refuse: Refusal) -> tuple[list[str], list[tuple[Keys, Mapping[str, Any]]]]:
    """A concept's own words, and where its children stand."""
    if isinstance(value, Mapping):
        return [], [(keys, value)]
    if not isinstance(value, list | tuple | set | frozenset | None):
        raise refuse(keys, f"must be a list of words or a mapping of concepts below it, not {shown(value)}")
    words: list[str] = []
    children: list[tuple[Keys, Mapping[str, Any]]] = []
    for index, item in enumerate(sorted(value) if isinstance(value, set | frozenset) else value or ()):
        if isinstance(item, Mapping):
            children.append(((*keys, index), item))
        elif isinstance(item, str) and item.strip() and item.isprintable() and len(item) <= _LONGEST_WORD:
            words.append(item.strip())
        else:
            problem = f"must be a word, or a mapping of concepts (quote what YAML reads otherwise), not {shown(item)}"
            raise refuse((*keys, index), problem)
    return words, children
