"""The theory twin, a positive control: the model's own words, sizes and noise, with the theory planted in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.sparse import csr_array

from geometry.concepts import ConceptHierarchy
from geometry.directions import TokenCloud
from geometry.display import short_repr
from geometry.evidence.lemma_blocks import LemmaBlocks
from geometry.evidence.strength import SignalStrength
from geometry.randomness import generator

TILT = 0.3  # the cosine with its parent at which contrasts of a tilted twin are planted


@dataclass(frozen=True, eq=False)
class TheoryTwin:
    """Clouds in which every concept adds a contrast of the model's own length, orthogonal to all above it.

    >>> twin = TheoryTwin.of(TokenCloud.of(space, hierarchy))  # doctest: +SKIP
    >>> exact, tilted = twin.cloud(seed=0), twin.cloud(seed=0, tilt=0.3)  # doctest: +SKIP

    A word lies at the sum of the contrasts of all concepts that hold it, of siblings that hold it too at their mean.
    Its noise is the model's row of another lemma with as many forms. Lengths are such that each child's mean differs
    from the rest of its parent's by as much as in the model, freed of noise; the mean of all words, to which contrasts
    are orthogonal too, is as long as the model's.

    Attributes:
        cloud_of_model: the model's.
        shares: shape (T, k), what a token has of each concept's contrast: 1, or less where siblings hold it too.
        lengths: shape (k,), of the planted contrasts.
        negative: how many contrasts came out with a squared length below zero in the model, and are planted as 0.
        blocks: the lemmas that change places.
    """

    cloud_of_model: TokenCloud
    shares: csr_array
    lengths: NDArray[np.float64]
    negative: int
    blocks: LemmaBlocks

    __repr__ = short_repr

    @classmethod
    def of(
        cls,
        cloud: TokenCloud,
        strength: SignalStrength | None = None,
        blocks: LemmaBlocks | None = None,
    ) -> "TheoryTwin":
        """Take the measure of a model's cloud; strength and blocks may be given if they are known already."""
        strength = strength or SignalStrength.of(cloud)
        shares = _shares(cloud.hierarchy)
        lengths = _lengths(cloud.hierarchy, shares, strength)
        negative = int((strength.contrast < 0).sum())
        return cls(cloud, shares, lengths, negative, blocks or LemmaBlocks.of(cloud.hierarchy, by_frequency=False))

    def cloud(self, seed: int, *, tilt: float = 0.0) -> TokenCloud:
        """The twin of a seed; with `tilt`, contrasts have that cosine with their parents, by turns of either sign.

        An exact and a tilted twin of one seed have the same noise and the same axes.
        """
        points, hierarchy = self.cloud_of_model.points, self.cloud_of_model.hierarchy
        rng = generator(seed, "twin")
        noise = points[torch.from_numpy(self.blocks.permutation(rng))]
        above = points.mean(dim=0).cpu().double().numpy()
        contrasts = self.lengths[:, None] * _directions(hierarchy, self.lengths, above, tilt, rng)
        signal = self.shares @ contrasts
        # Contrasts have a mean of their own: with it the mean of all words is as long as the model's, if it can be.
        kept = 1 - float(np.square(signal.mean(axis=0)).sum()) / max(float(above @ above), 1e-300)
        signal -= above * (1 - np.sqrt(max(0.0, kept)))
        return self.cloud_of_model.moved(noise + torch.from_numpy(signal).to(noise))


def twin_seed(seed: int, number: int) -> int:
    """The seed of a run's twin number so and so: other runs' twins are others."""
    return 1000 * seed + number


def _shares(hierarchy: ConceptHierarchy) -> csr_array:
    """Of each token in each concept that holds it: one over how many of its siblings do, itself counted."""
    held = np.zeros((len(hierarchy.tokens), len(hierarchy)))
    for index, members in enumerate(hierarchy.members):
        held[members, index] = 1
    roots = [index for index, name in enumerate(hierarchy.names) if not hierarchy.parents[name]]
    shares, families = np.zeros_like(held), np.zeros(len(hierarchy))
    for siblings in (roots, *(list(children) for children in hierarchy.families.values())):
        own = held[:, siblings]
        shares[:, siblings] += own / np.maximum(own.sum(axis=1, keepdims=True), 1)
        families[siblings] += 1
    return csr_array(shares / families)  # of a concept with several parents the mean


def _lengths(hierarchy: ConceptHierarchy, shares: csr_array, strength: SignalStrength) -> NDArray[np.float64]:
    """Lengths u ≥ 0 at which Σ_A w²_A u²_A is each contrast's square, w_A the difference of A's share in its groups."""
    usable = np.isfinite(strength.contrast)
    edges, squared = strength.edges[usable], np.maximum(strength.contrast[usable], 0)
    if not len(edges):
        return np.zeros(len(hierarchy))
    everything = np.arange(len(hierarchy.tokens))
    differences = []
    for parent, child in edges:
        own = hierarchy.members[child]
        rest = np.setdiff1d(everything if parent < 0 else hierarchy.members[parent], own)
        differences.append(shares[own].mean(axis=0) - shares[rest].mean(axis=0))
    system = np.square(np.where(np.abs(differences) < 1e-9, 0, differences))  # what only rounding sets apart from 0
    solved, _ = nnls(system, squared, maxiter=20 * len(hierarchy) + 100)
    return np.sqrt(solved)


def _directions(
    hierarchy: ConceptHierarchy,
    lengths: NDArray[np.float64],
    above: NDArray[np.float64],
    tilt: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """A unit vector for each concept, orthogonal to `above`, to its ancestors and to these' siblings, then tilted."""
    k, d = len(hierarchy), len(above)
    axes = _axes(hierarchy, above, k, d, rng)
    if not tilt:
        return axes
    centre = np.zeros((k, d))
    signs = _signs(hierarchy, rng)
    for index, name in enumerate(hierarchy.names):
        parents = [centre[hierarchy.index(parent)] for parent in hierarchy.parents[name]]
        centre[index] = np.mean(parents or [above], axis=0)
        if parents and (norm := float(np.linalg.norm(centre[index]))) > 0:
            axes[index] = np.sqrt(1 - tilt**2) * axes[index] + signs[index] * tilt * centre[index] / norm
        centre[index] += lengths[index] * axes[index]
    return axes


def _axes(
    hierarchy: ConceptHierarchy, above: NDArray[np.float64], k: int, d: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    random = rng.standard_normal((d, k))
    if k < d:
        return np.linalg.qr(np.column_stack([above, random]))[0].T[1:]
    axes = random.T / np.linalg.norm(random, axis=0)[:, None]
    place = np.empty(k, dtype=np.int64)
    # By depth, so that an ancestor's siblings come before whatever order the hierarchy lists them in.
    place[order := np.argsort(_depths(hierarchy), kind="stable")] = np.arange(k)
    for index in order:
        kin = [other for other in _kin(hierarchy, hierarchy.names[index]) if place[other] < place[index]]
        basis = np.linalg.qr(np.column_stack([above, *axes[kin][: d - 2]]))[0]
        axes[index] -= basis @ (basis.T @ axes[index])
        axes[index] /= np.linalg.norm(axes[index])
    return axes


def _depths(hierarchy: ConceptHierarchy) -> NDArray[np.int64]:
    """Edges on the longest way down to each concept."""
    depths = np.zeros(len(hierarchy), dtype=np.int64)
    for parent, child in hierarchy.edges:  # ordered by child, and parents come before children
        depths[child] = max(depths[child], depths[parent] + 1)
    return depths


def _kin(hierarchy: ConceptHierarchy, name: str) -> Sequence[int]:
    """Ancestors, then the siblings of the concept and of each of them, nearest first."""
    ancestors: dict[str, None] = {}
    level = [name]
    while level:
        level = list(dict.fromkeys(parent for one in level for parent in hierarchy.parents[one]))
        ancestors |= dict.fromkeys(level)
    siblings = (child for parent in ancestors for child in hierarchy.children[parent])
    return [hierarchy.index(one) for one in dict.fromkeys([*ancestors, *siblings]) if one != name]


def _signs(hierarchy: ConceptHierarchy, rng: np.random.Generator) -> NDArray[np.float64]:
    """+1 and −1 by turns among the children of each first parent."""
    signs = rng.choice([-1.0, 1.0], size=len(hierarchy))
    for parent, children in hierarchy.children.items():
        own = [hierarchy.index(child) for child in children if hierarchy.parents[child][0] == parent]
        if own:
            signs[own] = signs[own[0]] * (-1.0) ** np.arange(len(own))
    return signs
