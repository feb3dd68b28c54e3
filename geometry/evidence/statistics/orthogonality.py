"""Orthogonality of levels: the claims (a) to (d) of arXiv 2406.01506, theorem 8, as cosines.

Noise and nesting satisfy them too, so none of these is evidence without its nulls. With `words="halves"` the two
vectors of a cosine come from halves without a common word, so that a shared word cannot tie them.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.evidence.statistics.statistic import Statistic, keyed

# Positions (u1, u0, v1, v0) of a claim that ℓ_u1 − ℓ_u0 ⊥ ℓ_v1 − ℓ_v0; −1 stands for the zero vector.
Quadruple = tuple[int, int, int, int]
Quadruples = Callable[[ConceptHierarchy], Iterator[Quadruple]]
Words = Literal["whole", "halves"]
_ZERO = -1
_NUMBERS = 1 << 20


def _child_and_parent(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    for parent, child in hierarchy.reported_edges:
        yield child, parent, parent, _ZERO


def _parent_and_siblings(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    for parent, children in hierarchy.reported_families.items():
        for first, second in combinations(children, 2):
            yield second, first, parent, _ZERO


def _siblings_and_their_children(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    below = hierarchy.reported_families
    for siblings in hierarchy.families.values():
        for first, second in combinations(siblings, 2):
            for item in (first, second):
                for lower, upper in combinations(below.get(item, ()), 2):
                    yield second, first, upper, lower


def _links_of_a_chain(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    below = hierarchy.reported_families
    for top, middles in hierarchy.families.items():
        for middle in middles:
            for bottom in below.get(middle, ()):
                yield bottom, middle, middle, top


# The row nulls share the model's hierarchy, so its thousands of quadruples are listed once.
@lru_cache(maxsize=16)
def _listed(quadruples: Quadruples, hierarchy: ConceptHierarchy) -> torch.Tensor:
    return torch.tensor(list(quadruples(hierarchy)), dtype=torch.int64).reshape(-1, 4)


def parent_orthogonality(words: Words = "whole") -> Statistic:
    """Claim (a): the child's contrast with its parent, against the parent."""
    return _cosine("parent_orthogonality", _child_and_parent, words)


def sibling_orthogonality(words: Words = "whole") -> Statistic:
    """Claim (b): the contrast of two siblings, against their parent."""
    return _cosine("sibling_orthogonality", _parent_and_siblings, words)


def sibling_contrast_orthogonality(words: Words = "whole") -> Statistic:
    """Claim (c): the contrast of two siblings, against the contrast of two children of one of them."""
    return _cosine("sibling_contrast_orthogonality", _siblings_and_their_children, words)


def chain_orthogonality(words: Words = "whole") -> Statistic:
    """Claim (d): one step down a chain of concepts, against the next."""
    return _cosine("chain_orthogonality", _links_of_a_chain, words)


def _cosine(name: str, quadruples: Quadruples, words: Words) -> Statistic:
    evaluate = _cosines if words == "whole" else _cosines_across
    labels, families = partial(_labels, quadruples), partial(_families, quadruples)
    return Statistic(keyed(name, words, "whole"), words, 0.0, partial(evaluate, quadruples), labels, clusters=families)


def _cosines(quadruples: Quadruples, directions: ConceptDirections) -> NDArray[np.float64]:
    return _cosines_between(quadruples, directions, directions)


def _cosines_across(quadruples: Quadruples, one: ConceptDirections, other: ConceptDirections) -> NDArray[np.float64]:
    """Contrast of either half against the contrast or parent of the other half, averaged."""
    return (_cosines_between(quadruples, one, other) + _cosines_between(quadruples, other, one)) / 2


def _cosines_between(quadruples: Quadruples, upper: ConceptDirections, lower: ConceptDirections) -> NDArray[np.float64]:
    """cos(ℓ_u1 − ℓ_u0, ℓ_v1 − ℓ_v0) with the first contrast from `upper` and the second from `lower`."""
    indices = _listed(quadruples, upper.hierarchy)
    # A row of zeros at the end, so that position −1 is the zero vector.
    first, second = (torch.cat([subset.vectors, torch.zeros_like(subset.vectors[:1])]) for subset in (upper, lower))
    parts = [
        torch.nn.functional.cosine_similarity(first[a] - first[b], second[c] - second[d], dim=1)
        for a, b, c, d in (block.T for block in torch.split(indices, max(1, _NUMBERS // first.shape[1])))
    ]
    return torch.cat(parts).cpu().numpy().astype(np.float64)


def _families(quadruples: Quadruples, directions: ConceptDirections) -> NDArray[np.int64]:
    """By the parent of the concept that comes first."""
    first = [quadruple[0] for quadruple in quadruples(directions.hierarchy)]
    return directions.hierarchy.above[first]


def _labels(quadruples: Quadruples, directions: ConceptDirections) -> tuple[str, ...]:
    names = (*directions.hierarchy.labels, "0")

    def contrast(upper: int, lower: int) -> str:
        return names[upper] if lower == _ZERO else f"{names[upper]} - {names[lower]}"

    return tuple(f"{contrast(a, b)} | {contrast(c, d)}" for a, b, c, d in quadruples(directions.hierarchy))
