"""Hierarchies whose words lie where a test puts them, without a model between."""

from dataclasses import replace

import numpy as np
import torch

import geometry as geo
from geometry.directions import TokenCloud
from tests.planted import nested_words, synthetic


def planted_cloud(
    hierarchy: geo.ConceptHierarchy, lengths: tuple[float, ...], noise: float = 0.0, seed: int = 0
) -> TokenCloud:
    """Every child a step from its parent, of its level's length, orthogonal to all but its siblings', which sum to 0.

    Without noise the contrasts of a level of n words a child are eigenvectors of eigenvalue n × length².
    """
    rng = np.random.default_rng(seed)
    axes = np.eye(len(hierarchy))
    points = rng.standard_normal((len(hierarchy.tokens), len(hierarchy))) * noise
    for siblings in hierarchy.families.values():
        steps = axes[list(siblings)] - axes[list(siblings)].mean(axis=0)
        for child, step in zip(siblings, steps, strict=True):
            points[hierarchy.members[child]] += lengths[hierarchy.depths[child] - 1] * step
    return TokenCloud(hierarchy, torch.from_numpy(points))


def noise_cloud(hierarchy: geo.ConceptHierarchy, seed: int, width: int = 64) -> TokenCloud:
    """Standard normal rows."""
    return TokenCloud(
        hierarchy, torch.from_numpy(np.random.default_rng(seed).standard_normal((len(hierarchy.tokens), width)))
    )


def regular(levels: tuple[int, ...], per_leaf: int = 8) -> geo.ConceptHierarchy:
    """A tree in which concepts of one level have as many children each."""
    words, parents = nested_words(levels, per_leaf)
    return synthetic(np.ones((len(words["r"]), 2)), words, parents)[1]


def tangled() -> geo.ConceptHierarchy:
    """A tree of three levels with words in two branches, words in two forms, and a child of two words of its own."""
    words, parents = nested_words((3, 3, 2), 5)
    for one, other in (("raaa", "rbbb"), ("raab", "rcca")):
        for length in range(2, 5):
            words[other[:length]] += [word for word in words[one][:2] if word not in words[other[:length]]]
    for name in ("r", "ra", "rab", "raba"):
        words[name] += [word.capitalize() for word in words["raba"][:3]]
    parents["rare"], words["rare"] = ("ra",), ["rarewx", "rarewy"]
    for name in ("r", "ra"):
        words[name] += words["rare"]
    return synthetic(np.ones((len(words["r"]), 2)), words, parents)[1]


def fitted(cloud: TokenCloud) -> geo.ConceptDirections:
    """By means."""
    return geo.ConceptDirections.fit_cloud(cloud, estimator="mean")


def fitted_halves(cloud: TokenCloud) -> tuple[geo.ConceptDirections, geo.ConceptDirections]:
    """By means, of halves that share no lemma."""
    mask = geo.evidence.train_mask(cloud.hierarchy, "halves", np.random.default_rng(0))
    one, other = (
        geo.ConceptDirections.fit_cloud(cloud, estimator="mean", train=part, missing="nan")
        for part in geo.evidence.training_parts("halves", mask)
    )
    return one, other


def without_variance(cloud: TokenCloud) -> TokenCloud:
    """Every word at the same place."""
    return cloud.moved(torch.full_like(cloud.points, 0.3))


def with_vectors(directions: geo.ConceptDirections, vectors: np.ndarray) -> geo.ConceptDirections:
    """The same concepts with other vectors."""
    return replace(directions, vectors=torch.from_numpy(vectors))
