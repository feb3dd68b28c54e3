"""Null models: clouds in which the claimed structure cannot be, to stand beside every statistic.

A null takes the model's own cloud and returns another; the same estimators and statistics then run on it.
"""

from collections.abc import Callable

import numpy as np
import torch

from geometry.causal import CausalSpace
from geometry.concepts import Concept, ConceptHierarchy
from geometry.directions import TokenCloud

__all__ = ["NULLS", "Null", "gaussian_rows", "random_subset", "shuffled_rows"]

Null = Callable[[CausalSpace, TokenCloud, np.random.Generator], TokenCloud]


def shuffled_rows(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:
    """Every token gets the row of another: permute the usable vocabulary, keep the hierarchy's part."""
    rows = rng.permutation(space.unembedding.rows)[: len(cloud.points)]
    return cloud.moved(space.rows(rows).to(cloud.points))


def gaussian_rows(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """Standard normal rows: what a Gaussian unembedding of any covariance is in its own unified space.

    Whitening by the sample covariance instead would differ by O(√(d/V)).
    """
    return cloud.moved(torch.from_numpy(rng.standard_normal(tuple(cloud.points.shape))).to(cloud.points))


def random_subset(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """The model's rows, but each child is a random subset of its parent, of the child's size.

    Whole lemmas are drawn, as real concepts hold whole lemmas. One subset an edge, so a child of two
    parents has two. What nesting alone explains, this shows too: E⟨m_C − m_P, m_P⟩ = 0 for a random
    C ⊂ P in any dimension and under any inner product.
    """
    real = cloud.hierarchy
    # All real concepts stay, so that tokens, points and fitted vectors can be shared with the model.
    concepts = {concept.name: concept for concept in real}
    parents: dict[str, tuple[str, ...]] = {}
    for parent, child in real.edges:
        source, size = real.concepts[parent], len(real.concepts[child])
        lemmas = real.lemmas[real.members[parent]]
        place = rng.permutation(int(lemmas.max()) + 1)
        chosen = np.sort(np.argsort(place[lemmas], kind="stable")[:size])
        name = f"{size} of {source.name}, for {real.names[child]}"
        concepts[name] = Concept(
            name,
            tuple(source.words[index] for index in chosen),
            tuple(source.tokens[index] for index in chosen),
        )
        parents[name] = (source.name,)
    subsets = ConceptHierarchy(f"{real.name}, random subsets", tuple(concepts.values()), parents, real.variants)
    drawn = frozenset(child for _, child in subsets.edges)
    return TokenCloud(subsets, cloud.points, drawn)


NULLS: dict[str, Null] = {
    "shuffled": shuffled_rows,
    "gaussian": gaussian_rows,
    "random_subset": random_subset,
}
