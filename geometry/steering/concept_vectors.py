"""Steering vectors from concepts: a concept, a child less its ancestor, a path down the hierarchy, a random one.

Concept vectors live in the unified space. Adding δ = Σ^(-1/2) ℓ to the final hidden state λ adds ℓᵀg(y), and a
constant, to the logit of every token y; so these vectors are for the site "after_norm", and `pull_back` takes
them elsewhere. Imports directions.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import torch

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts.words import lost_in_words
from geometry.directions import ConceptDirections
from geometry.errors import SteeringError
from geometry.steering.belonging import RowSample
from geometry.steering.vector import Site, SteeringVector


class HierarchySteering(ABC):
    """The algebra of steering vectors of a hierarchy's concepts, in whatever space these were fitted.

    A subclass says how a direction of the space becomes a steering vector, and how long that is in the space.

    Raises SteeringError: space and directions of different width.
    """

    def __init__(self, space: CausalSpace, directions: ConceptDirections, *, unit: bool) -> None:
        if directions.vectors.shape[1] != space.width:
            raise SteeringError(f"the space is {space.width} wide, the concept vectors {directions.vectors.shape[1]}")
        self.space = space
        self.directions = directions
        self.unit = unit

    @abstractmethod
    def _steering_vector(self, direction: torch.Tensor, provenance: str) -> SteeringVector:
        """The steering vector of a direction of the space."""

    @abstractmethod
    def norm(self, vector: SteeringVector) -> float:
        """Norm in the space of a vector of this object or a sum of such."""

    def __getitem__(self, name: str) -> SteeringVector:
        """The direct concept vector ℓ; HierarchyError for an unknown name."""
        return self._steering(self.directions[name], name, name)

    def child(self, name: str, of: str | None = None) -> SteeringVector:
        """ℓ_child − ℓ_ancestor: what makes the child within its ancestor.

        `of` names the ancestor; default, the child's first parent.

        Raises HierarchyError: an unknown name.
        Raises SteeringError: a root without `of`, or an `of` that is no ancestor.
        """
        hierarchy = self.directions.hierarchy
        hierarchy.index(name)
        parents = hierarchy.parents[name]
        if of is None and not parents:
            raise SteeringError(f"{name!r} has no parent in hierarchy {hierarchy.name!r}; name an ancestor with `of`")
        ancestor = parents[0] if of is None else of
        if name not in hierarchy.descendants(ancestor):
            raise SteeringError(f"{ancestor!r} is no ancestor of {name!r} in hierarchy {hierarchy.name!r}")
        return self._steering(self.directions[name] - self.directions[ancestor], f"{name} − {ancestor}", name, ancestor)

    def path(self, coefficients: Mapping[str, float]) -> SteeringVector:
        """A chain of concepts from the most general down, each less the one before it, with a knob for each.

        `coefficients` are such as {"animal.n.01": 6, "bird.n.01": 4} for 6 × animal + 4 × (bird − animal).

        Raises HierarchyError: an unknown name.
        Raises SteeringError: no concepts, or one that does not lie below the one before it.
        """
        if not coefficients:
            raise SteeringError("a path needs a coefficient for at least one concept")
        names = list(coefficients)
        vector = coefficients[names[0]] * self[names[0]]
        for ancestor, name in pairwise(names):
            vector = vector + coefficients[name] * self.child(name, of=ancestor)
        return vector

    def chain(self, name: str) -> tuple[str, ...]:
        """The concept and its ancestors along first parents, from the root down: what `path` can be given."""
        hierarchy = self.directions.hierarchy
        names = [hierarchy.names[hierarchy.index(name)]]
        while hierarchy.parents[names[0]]:
            names.insert(0, hierarchy.parents[names[0]][0])
        return tuple(names)

    def random(self, like: SteeringVector, seed: int) -> SteeringVector:
        """A control: a random direction of the space, norm-matched there to `like`, through the same map."""
        drawn = torch.randn(self.space.width, generator=torch.Generator().manual_seed(seed)).to(self.space.mean)
        drawn = drawn * (self.norm(like) / torch.linalg.vector_norm(drawn))
        return self._steering_vector(drawn, f"norm-matched random direction {seed} for ({like.provenance})")

    def _steering(self, direction: torch.Tensor, provenance: str, *concepts: str) -> SteeringVector:
        if self.unit:
            norm = torch.linalg.vector_norm(direction)
            if not bool(norm > 0):
                raise SteeringError(f"{provenance} is zero and has no direction")
            direction = direction / norm
        hierarchy = self.directions.hierarchy
        vector = self._steering_vector(direction, provenance)
        notes = (note for name in concepts for note in lost_in_words(hierarchy[name].lost, name))
        return replace(vector, notes=(*vector.notes, *notes))


class ConceptSteering(HierarchySteering):
    """Steering vectors of the concepts of a hierarchy.

    >>> import geometry as geo
    >>> unembedding = geo.Unembedding.load("smollm2-135m")
    >>> space = geo.CausalSpace.fit(unembedding)
    >>> organisms = geo.load_hierarchy("organisms", unembedding.vocabulary)
    >>> concepts = ConceptSteering(space, geo.ConceptDirections.fit(space, organisms))
    >>> (8 * concepts["animal"] + 4 * concepts.child("bird")).provenance
    '8 × animal + 4 × (bird − animal)'

    Parameters:
        space: the unified space in which `directions` were fitted.
        directions: ℓ of every concept.
        unit: make every part of norm 1 in the unified space, so that coefficients compare across concepts: a
            coefficient is then how many nats a token moves whose g(y) has projection 1. False keeps the lengths of ℓ
            and their differences.

    Raises SteeringError: space and directions of different width.
    Source: Park et al., arXiv 2406.01506, for ℓ and δ = Σ^(-1/2) ℓ.
    """

    @checked
    def __init__(self, space: CausalSpace, directions: ConceptDirections, *, unit: bool = True) -> None:
        super().__init__(space, directions, unit=unit)
        self._sample = RowSample.of(space.unembedding)

    def norm(self, vector: SteeringVector) -> float:
        """Norm in the unified space of a vector of this object or a sum of such."""
        return float(torch.linalg.vector_norm(self.space.unify_hidden(vector["after_norm"])))

    def _steering_vector(self, direction: torch.Tensor, provenance: str) -> SteeringVector:
        family = self.space.unembedding.family
        model = "" if family == "unknown" else family.removesuffix("_text")
        part = (self.space.whitener @ direction).cpu()
        return SteeringVector({Site("after_norm"): part}, provenance, model, sample=self._sample)
