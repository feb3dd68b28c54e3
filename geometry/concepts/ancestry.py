"""What follows from who is whose parent: an order, words handed up, equals merged; cycles and depths are refused.

Nothing recurs, and time grows with the links and the words that are handed up.
"""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from geometry.errors import HierarchyError, shown

_MOST_CONCEPTS = 100_000
_DEEPEST = 1_000
_MOST_HANDED_UP = 50_000_000


def parents_first(this: str, parents: Mapping[str, Iterable[str]]) -> list[str]:
    """The keys of `parents`, each after those of its parents that are keys, otherwise in the order given.

    >>> parents_first("toy", {"bird": ["animal"], "animal": [], "plant": []})
    ['animal', 'bird', 'plant']

    HierarchyError, which begins with `this`: a cycle, more than 1,000 steps from a root, more than 100,000 concepts.
    """
    if len(parents) > _MOST_CONCEPTS:
        raise HierarchyError(f"{this} has {len(parents):,} concepts; {_MOST_CONCEPTS:,} at most, leave some out")
    names = list(parents)
    position = {name: index for index, name in enumerate(names)}
    waiting = [0] * len(names)
    below: list[list[int]] = [[] for _ in names]
    for child, name in enumerate(names):
        for parent in dict.fromkeys(parents[name]):
            if parent in position:
                waiting[child] += 1
                below[position[parent]].append(child)
    ready = [index for index, count in enumerate(waiting) if not count]
    heapify(ready)
    ordered, depth = [], [0] * len(names)
    while ready:
        ordered.append(names[index := heappop(ready)])
        for child in below[index]:
            depth[child] = max(depth[child], depth[index] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                heappush(ready, child)
    if len(ordered) < len(names):
        loop = _loop(parents, {name for name, count in zip(names, waiting, strict=True) if count})
        raise HierarchyError(f"{this} has a cycle: {' → '.join([*loop, loop[0]])}")
    if (deepest := max(depth, default=0)) > _DEEPEST:
        name = names[depth.index(deepest)]
        problem = f"{shown(name)} is {deepest:,} steps below a root; {_DEEPEST:,} at most, merge some of the levels"
        raise HierarchyError(f"{this} is too deep: {problem}")
    return ordered


def _loop(parents: Mapping[str, Iterable[str]], stuck: set[str]) -> list[str]:
    """Names each of which is a parent of the next, the last of the first, among those that all have such parents."""
    path: dict[str, None] = {}
    name = next(name for name in parents if name in stuck)
    while name not in path:
        path[name] = None
        name = next(parent for parent in parents[name] if parent in stuck)
    upwards = list(path)
    return upwards[upwards.index(name) :][::-1]


def handed_up(
    this: str, own: Mapping[str, NDArray[np.int64]], parents: Mapping[str, Iterable[str]]
) -> dict[str, NDArray[np.int64]]:
    """Concept → its own numbers and those of everything below it, ascending, without repeats.

    HierarchyError: as of `parents_first`, or more than 50,000,000 numbers would be handed from children to parents.
    """
    gathered: dict[str, list[NDArray[np.int64]]] = {name: [numbers] for name, numbers in own.items()}
    held, total = {}, 0
    for name in reversed(parents_first(this, {name: parents.get(name, ()) for name in own})):
        held[name] = np.unique(np.concatenate(gathered.pop(name)))
        for parent in dict.fromkeys(parents.get(name, ())):
            if parent in gathered:
                gathered[parent].append(held[name])
                total += len(held[name])
        if total > _MOST_HANDED_UP:
            raise HierarchyError(
                f"{this} is too large: its concepts hand more than {_MOST_HANDED_UP:,} words up to their parents"
            )
    return {name: held[name] for name in own}


def merged_into(
    sizes: Mapping[str, int], parents: Mapping[str, Iterable[str]]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Concept → the parent that it is one with, as large as itself; and the parents that all others then have.

    A parent holds what its children hold, so that equal sizes mean equal concepts. One of size 0 is left alone.
    """
    into: dict[str, str] = {}
    nearer: dict[str, str] = {}  # the same, or a step further up, so that no path is walked twice

    def kept(name: str) -> str:
        path = []
        while name in nearer:
            path.append(name)
            name = nearer[name]
        nearer.update(dict.fromkeys(path, name))
        return name

    def above(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kept(parent) for parent in parents.get(name, ())))

    for name, size in sizes.items():
        same = [parent for parent in above(name) if sizes.get(parent) == size]
        if size and same:
            into[name] = nearer[name] = same[0]
    return into, {name: above(name) for name in parents if name not in into}
