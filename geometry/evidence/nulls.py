"""Null models: clouds in which the claimed structure cannot be, to stand beside every statistic.

A null takes the model's own cloud and returns another; the same estimators and statistics then run on it.
Three kinds: rows that mean nothing (permuted lemmas, shuffled, Gaussian), concepts that mean nothing (random
subsets, random parents), and another geometry on the same rows (random metric, Euclidean, mean estimator).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import Concept, ConceptHierarchy
from geometry.directions import TokenCloud
from geometry.display import short_repr
from geometry.estimators import Estimator
from geometry.evidence.lemma_blocks import LemmaBlocks

Draw = Callable[[CausalSpace, TokenCloud, np.random.Generator], TokenCloud]
Drawn = tuple[Concept, str, str]  # a concept, the parent it hangs on, the real child it stands for


@checked
@dataclass(frozen=True)
class NullModel:
    """A null model, or another measurement to stand beside the model's; it owns how figures show it.

    >>> def reversed_rows(space, cloud, rng):
    ...     return cloud.moved(cloud.points.flip(0))
    >>> mine = NullModel(reversed_rows, label="reversed rows", marker="*", random=False)
    >>> nulls = {**NULLS, "reversed": mine}

    Attributes:
        draw: from the space, the model's cloud and a random generator to another cloud.
        label, marker: its name in figures and tables, and matplotlib's marker.
        estimator: of its vectors, where it is not the model's.
        random: False where every draw is the same, so that one is enough.
    """

    draw: Draw
    label: str
    marker: str = "|"
    estimator: Estimator | None = None
    random: bool = True

    __repr__ = short_repr


# A run permutes one hierarchy many times.
_blocks = lru_cache(maxsize=8)(LemmaBlocks.of)


def permuted_lemmas(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """Every lemma gets the rows of another as frequent, form by form: what concepts are if they mean nothing.

    The hierarchy's own lemmas change places, within the strata of `LemmaBlocks`, so that the forms of a word stay
    together and each concept keeps its share of frequent words.
    """
    return cloud.permuted(_blocks(cloud.hierarchy).permutation(rng))


def shuffled_rows(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:
    """Every token gets the row of another: permute the usable vocabulary, keep the hierarchy's part."""
    rows = rng.permutation(len(space.unembedding.rows))[: len(cloud.hierarchy.tokens)]
    return cloud.gathered(partial(_usable, space, cloud, rows))


def _usable(space: CausalSpace, cloud: TokenCloud, rows: NDArray[np.int64], tokens: NDArray[np.int64]) -> torch.Tensor:
    return space.usable(rows[tokens]).to(cloud.points)


def permuted_points(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """Every point of the cloud gets the place of another: concepts of the same things, chosen without meaning."""
    return cloud.permuted(rng.permutation(len(cloud.points)))


def gaussian_rows(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """Standard normal rows: what a Gaussian unembedding of any covariance is in its own unified space."""
    # Whitening by the sample covariance instead would differ by O(√(d/V)).
    return cloud.moved(torch.from_numpy(rng.standard_normal(tuple(cloud.points.shape))).to(cloud.points))


def random_metric(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:
    """The model's rows under Q diag(eigenvalue^(-1/2)) Qᵀ: Σ^(-1/2)'s spectrum along Haar-random axes Q."""
    gaussian = torch.from_numpy(rng.standard_normal((space.width, space.width))).to(space.mean)
    axes = torch.linalg.qr(gaussian).Q  # Haar but for signs, which cancel
    spectrum = torch.linalg.eigvalsh(space.whitener)
    return cloud.moved(((_centred_rows(space, cloud) @ axes) * spectrum @ axes.T).to(cloud.points))


def euclidean(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """The model's centred rows γ − γ̄ themselves: the Euclidean product instead of the causal one."""
    return cloud.moved(_centred_rows(space, cloud).to(cloud.points))


def _centred_rows(space: CausalSpace, cloud: TokenCloud) -> torch.Tensor:
    return space.unembedding.matrix[torch.from_numpy(cloud.hierarchy.tokens)].to(space.mean) - space.mean


def unchanged(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """The model itself, for another estimator."""
    return cloud


def random_subset(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """The model's rows, but each child is a random subset of its parent, of the child's size.

    Whole lemmas, as in real concepts; one subset an edge, so a child of two parents has two. What nesting alone
    explains, this shows too: E⟨m_C − m_P, m_P⟩ = 0 for a random C ⊂ P in any dimension and under any inner product.
    """
    return _random_subsets(cloud, cloud.hierarchy.lemmas, rng)


def random_subset_of_points(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """The same, points drawn one by one: where a lemma is a whole template of prompts, and no random thing."""
    return _random_subsets(cloud, np.arange(len(cloud.points)), rng)


def _random_subsets(cloud: TokenCloud, units: NDArray[np.int64], rng: np.random.Generator) -> TokenCloud:
    """For every edge a random child of the parent's points, units (a number for each point) kept together."""
    real = cloud.hierarchy
    drawn: dict[str, Drawn] = {}
    for parent, child in real.edges:
        source, size, own = real.concepts[parent], len(real.concepts[child]), units[real.members[parent]]
        position = rng.permutation(int(own.max()) + 1)
        chosen = np.sort(np.argsort(position[own], kind="stable")[:size])
        name = f"{size} of {source.name}, for {real.names[child]}"
        words, tokens = (tuple(of[index] for index in chosen) for of in (source.words, source.tokens))
        drawn[name] = Concept(name, words, tokens), source.name, real.names[child]
    return _with_drawn(cloud, "random subsets", drawn)


def random_parent(space: CausalSpace, cloud: TokenCloud, rng: np.random.Generator) -> TokenCloud:  # noqa: ARG001
    """The model's vectors, but each child hangs on a concept that is neither its parent, nor itself, nor below it."""
    real = cloud.hierarchy
    drawn: dict[str, Drawn] = {}
    for parent, child in real.edges:
        name, concept = real.names[child], real.concepts[child]
        kin = {name, *real.parents[name], *real.descendants(name)}
        if others := [other for other in real if other.name not in kin and other.tokens != concept.tokens]:
            other = others[rng.integers(len(others))]
            label = f"{name}, not of {real.names[parent]} but {other.name}"
            drawn[label] = Concept(label, concept.words, concept.tokens), other.name, name
    return _with_drawn(cloud, "random parents", drawn)


def _with_drawn(cloud: TokenCloud, kind: str, drawn: Mapping[str, Drawn]) -> TokenCloud:
    """The cloud with further concepts, each under one parent; all real ones stay, so that fits can be shared."""
    real = cloud.hierarchy
    hierarchy = ConceptHierarchy(
        f"{real.name}, {kind}",
        (*real.concepts, *(concept for concept, _, _ in drawn.values())),
        {**real.parents, **{name: (parent,) for name, (_, parent, _) in drawn.items()}},
        real.variants,
        drawn={name: child for name, (_, _, child) in drawn.items()},
    )
    return TokenCloud(hierarchy, cloud.points)


NULLS: dict[str, NullModel] = {
    "permuted": NullModel(permuted_lemmas, "permuted lemmas", "."),
    "shuffled": NullModel(shuffled_rows, "shuffled rows", "1"),
    "gaussian": NullModel(gaussian_rows, "Gaussian rows", "|"),
    "random_subset": NullModel(random_subset, "random subset of the parent", "d"),
    "random_parent": NullModel(random_parent, "random parent", "v"),
    "random_metric": NullModel(random_metric, "random metric", "x"),
    "euclidean": NullModel(euclidean, "Euclidean product", "+", random=False),
    "mean_estimator": NullModel(unchanged, "mean estimator", "2", estimator="mean", random=False),
}
BASIC_NULLS = ("permuted", "gaussian", "random_subset")
# Of clouds that hold something else than rows of the vocabulary.
PROMPT_NULLS: dict[str, NullModel] = {
    "permuted": NullModel(permuted_points, "permuted prompts", "."),
    "random_subset": NullModel(random_subset_of_points, "random subset of the parent", "d"),
}
