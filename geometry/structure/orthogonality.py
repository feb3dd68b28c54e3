"""Orthogonality of levels: the claims (a) to (d) of arXiv 2406.01506, theorem 8, as cosines.

Noise and nesting satisfy them too, so none of these is evidence without its nulls.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.structure.statistic import Statistic

__all__ = [
    "chain_orthogonality",
    "parent_orthogonality",
    "sibling_contrast_orthogonality",
    "sibling_orthogonality",
]

# Positions (u1, u0, v1, v0) of a claim that ℓ_u1 − ℓ_u0 ⊥ ℓ_v1 − ℓ_v0; −1 stands for the zero vector.
Quadruple = tuple[int, int, int, int]
_ZERO = -1
_BLOCK = 4096


def _child_and_parent(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    for parent, child in hierarchy.edges:
        yield child, parent, parent, _ZERO


def _parent_and_siblings(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    for parent, children in _families(hierarchy):
        for first, second in combinations(children, 2):
            yield second, first, parent, _ZERO


def _siblings_and_their_children(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    below = dict(_families(hierarchy))
    for _, siblings in _families(hierarchy):
        for first, second in combinations(siblings, 2):
            for one in (first, second):
                for lower, upper in combinations(below.get(one, ()), 2):
                    yield second, first, upper, lower


def _links_of_a_chain(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    below = dict(_families(hierarchy))
    for top, middles in _families(hierarchy):
        for middle in middles:
            for bottom in below.get(middle, ()):
                yield bottom, middle, middle, top


def _families(hierarchy: ConceptHierarchy) -> list[tuple[int, list[int]]]:
    """(parent, its children) as positions, for every concept with children."""
    return [
        (parent, [hierarchy.index(child) for child in hierarchy.children[name]])
        for parent, name in enumerate(hierarchy.names)
        if hierarchy.children[name]
    ]


def _cosines(directions: ConceptDirections, quadruples: Iterator[Quadruple]) -> NDArray[np.float64]:
    indices = torch.tensor(list(quadruples), dtype=torch.int64).reshape(-1, 4)
    zero = torch.zeros_like(directions.vectors[:1])
    vectors = torch.cat([directions.vectors, zero])  # so that position −1 is the zero vector
    parts = [
        torch.nn.functional.cosine_similarity(vectors[a] - vectors[b], vectors[c] - vectors[d], dim=1)
        for a, b, c, d in (block.T for block in torch.split(indices, _BLOCK))
    ]
    return torch.cat(parts).cpu().numpy().astype(np.float64) if parts else np.empty(0)


def _labels(directions: ConceptDirections, quadruples: Iterator[Quadruple]) -> tuple[str, ...]:
    names = (*directions.hierarchy.names, "0")

    def contrast(upper: int, lower: int) -> str:
        return names[upper] if lower == _ZERO else f"{names[upper]} - {names[lower]}"

    return tuple(f"{contrast(a, b)} | {contrast(c, d)}" for a, b, c, d in quadruples)


def parent_orthogonality() -> Statistic:
    """Claim (a): the child's contrast with its parent, against the parent."""
    return _claim("cosine", _child_and_parent)


def sibling_orthogonality() -> Statistic:
    """Claim (b): the contrast of two siblings, against their parent."""
    return _claim("sibling-cosine", _parent_and_siblings)


def sibling_contrast_orthogonality() -> Statistic:
    """Claim (c): the contrast of two siblings, against the contrast of two children of one of them."""
    return _claim("sibling-contrast-cosine", _siblings_and_their_children, not_beside=("random_subset",))


def chain_orthogonality() -> Statistic:
    """Claim (d): one step down a chain of concepts, against the next."""
    return _claim("chain-cosine", _links_of_a_chain, not_beside=("random_subset",))


def _claim(
    name: str, quadruples: Callable[[ConceptHierarchy], Iterator[Quadruple]], not_beside: tuple[str, ...] = ()
) -> Statistic:
    return Statistic(
        f"{name}/whole",
        "whole",
        0.0,
        lambda directions: _cosines(directions, quadruples(directions.hierarchy)),
        lambda directions: _labels(directions, quadruples(directions.hierarchy)),
        not_beside,
    )
