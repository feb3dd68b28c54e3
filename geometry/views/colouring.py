"""What is coloured on maps: branches, concepts that hardly share a word, depths, the kinds of one concept."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

import geometry.plots as plots
from geometry.concepts import ConceptHierarchy, short_name
from geometry.views.selection import labels_of

_MOST = 9
_LARGEST, _SMALLEST = 0.15, 0.01  # of all words
_OVERLAP = 0.2
_DEPTHS = 8
_KINDS = 11

Members = Mapping[str, NDArray[np.int64]]


def disjoint_concepts(hierarchy: ConceptHierarchy, scores: ArrayLike | None = None, most: int = _MOST) -> list[str]:
    """Concepts of the highest scores, or the largest, that hardly share a word; none with over a seventh of all."""
    shared, sizes = hierarchy.shared_tokens(), np.array([len(members) for members in hierarchy.members])
    allowed = (sizes <= _LARGEST * len(hierarchy.tokens)) & (sizes >= _SMALLEST * len(hierarchy.tokens))
    chosen: list[int] = []
    scores = np.nan_to_num(np.asarray(sizes if scores is None else scores, dtype=np.float64))
    for index in np.argsort(-scores, kind="stable").tolist():
        apart = shared[index, chosen] <= _OVERLAP * np.minimum(sizes[index], sizes[chosen])
        if allowed[index] and apart.all():
            chosen.append(index)
    return [hierarchy.names[index] for index in chosen[:most]] or [hierarchy.names[0]]


def branches(hierarchy: ConceptHierarchy, most: int = _MOST) -> list[str]:
    """Where the tree first divides: the roots, or what is below the only one; the largest, in the tree's order."""
    tops = [name for name in hierarchy.names if not hierarchy.parents[name]]
    while len(tops) == 1 and (below := list(hierarchy.children[tops[0]])):
        tops = below
    largest = sorted(tops, key=lambda name: -len(hierarchy[name]))[:most]
    return [name for name in tops if name in largest]


def by_concept(hierarchy: ConceptHierarchy, names: Sequence[str], members: Members, n: int) -> "plots.Colouring":
    """A word of several of the concepts has the smallest one's colour, a concept that of the one above it."""
    above = [
        next((index for index, top in enumerate(names) if name == top or name in hierarchy.descendants(top)), -1)
        for name in hierarchy.names
    ]
    return plots.Colouring("concept", list(labels_of(names).values()), _codes(names, members, n), np.array(above))


def by_depth(hierarchy: ConceptHierarchy, members: Members, n: int) -> "plots.Colouring":
    """The depth of a concept, and of a word that of its deepest concept."""
    codes, depths = np.full(n, -1), np.minimum(hierarchy.depths, _DEPTHS - 1)
    for depth, name in zip(depths, hierarchy.names, strict=True):
        codes[members[name]] = np.maximum(codes[members[name]], depth)
    steps = [str(depth) for depth in range(int(depths.max()) + 1)]
    if hierarchy.depths.max() > depths.max():
        steps[-1] += " and more"
    return plots.Colouring("depth", steps, codes, depths, ordered=True)


def by_kind(hierarchy: ConceptHierarchy, concept: str, members: Members, n: int) -> "plots.Colouring":
    """The largest children of one concept."""
    kinds = sorted(hierarchy.children[concept], key=lambda name: -len(hierarchy[name]))[:_KINDS] or [concept]
    labels = list(labels_of(kinds).values())
    return plots.Colouring(f"kinds of {short_name(concept)}", labels, _codes(kinds, members, n))


def _codes(names: Sequence[str], members: Members, n: int) -> NDArray[np.int64]:
    codes = np.full(n, -1)
    for index in sorted(range(len(names)), key=lambda index: -len(members[names[index]])):
        codes[members[names[index]]] = index
    return codes
