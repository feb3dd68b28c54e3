"""The logit lens: directions of the residual stream as tokens' z-scores and cosines with concept vectors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geometry.causal import CausalSpace
from geometry.concepts import short_name
from geometry.directions import ConceptDirections
from geometry.display import in_short, short_repr
from geometry.errors import SteeringError
from geometry.steering import Architecture, FinalNorm, SteeringVector
from geometry.steering.belonging import check_source

if TYPE_CHECKING:
    from geometry.concepts import ConceptHierarchy

Array = NDArray[np.float64]
Scored = tuple[tuple[str, float], ...]
NOTE = "read through the final norm's weight, as if later blocks left it as it is"


@dataclass(frozen=True, eq=False)
class Lens:
    """Reads directions at one site through the unembedding.

    Attributes:
        weight: of the final norm, which directions before it are multiplied with; None after it.
        removes_mean: whether that norm does.
    """

    space: CausalSpace
    directions: ConceptDirections | None
    weight: torch.Tensor | None
    removes_mean: bool

    __repr__ = short_repr

    @classmethod
    def of(
        cls,
        vector: SteeringVector,
        space: CausalSpace,
        directions: ConceptDirections | None,
        model: nn.Module | None,
    ) -> "Lens":
        """For vectors at the site of this one; SteeringError for another width or model, a lacking one or site."""
        (site,) = vector.parts
        if vector.width != space.width:
            raise SteeringError(f"{vector.provenance} is {vector.width} wide, the space {space.width}")
        if directions is not None and directions.vectors.shape[1] != space.width:
            raise SteeringError(f"the concept vectors are {directions.vectors.shape[1]} wide, the space {space.width}")
        if site.place == "after_norm":
            return cls(space, directions, None, False)
        if model is None:
            raise SteeringError(
                f"{vector.provenance} acts at {site}, before the final norm; give explain the model too"
            )
        vector.check_family(str(getattr(getattr(model, "config", None), "model_type", "")) if vector.model else "")
        check_source(model, vector)
        Architecture.of(model).check(site)
        norm = FinalNorm.of(model)
        if len(norm.weight) != space.width:
            raise SteeringError(f"the model is {len(norm.weight)} wide, the space {space.width}")
        return cls(space, directions, norm.weight, norm.removes_mean)

    def unified(self, shifts: torch.Tensor) -> torch.Tensor:
        """Directions (n, d) at the site in the unified space."""
        if self.weight is not None:
            shifts = (shifts - shifts.mean(dim=1, keepdim=True) if self.removes_mean else shifts) * self.weight
        return self.space.unify_hidden(shifts)

    def scores(self, unit: torch.Tensor) -> tuple[NDArray[np.int64], Array]:
        """Ids of all usable tokens, and their z-scores under unit vectors (n, d), shape (V, n).

        Products of g(y) with a unit vector have variance 1 over the vocabulary.
        """
        rows = self.space.unembedding.rows
        return rows, self.space.scores(unit).cpu()[torch.from_numpy(rows)].double().numpy()

    def words(self, rows: NDArray[np.int64], z: Array, count: int) -> tuple[Scored, Scored]:
        """The tokens with the largest z, and those with the smallest, strongest first."""
        order, vocabulary = np.argsort(-z, kind="stable"), self.space.unembedding.vocabulary

        def named(places: NDArray[np.int64]) -> Scored:
            return tuple((vocabulary.text(int(rows[place])), float(z[place])) for place in places)

        return named(order[:count]), named(order[::-1][:count])


def cosines_with(directions: ConceptDirections, unit: torch.Tensor) -> Array:
    """Of unit vectors (n, d) with every concept vector, shape (n, k)."""
    rows = directions.vectors.to(unit)
    return np.asarray((unit @ (rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)).T).cpu().numpy())


def nearest_concepts(directions: ConceptDirections, cosines: Array, count: int) -> tuple[Scored, Scored]:
    """The nearest concepts by their cosines (k,), and the most opposite."""
    order, names = np.argsort(-cosines, kind="stable"), directions.hierarchy.names
    nearest = tuple((names[k], float(cosines[k])) for k in order[:count])
    return nearest, tuple((names[k], float(cosines[k])) for k in order[::-1][:count])


def path_to(hierarchy: "ConceptHierarchy", name: str) -> tuple[str, ...]:
    """From the root to the concept, by the first parent of each."""
    path = [name]
    while above := hierarchy.parents.get(path[0], ()):
        path.insert(0, above[0])
    return tuple(path)


def said_path(path: tuple[str, ...]) -> str:
    """A path by short names."""
    return " › ".join(map(short_name, path))


def said_words(pairs: Scored) -> str:
    """Tokens with their z-scores."""
    return ", ".join(f"{in_short(repr(token), 24)} {z:+.1f}" for token, z in pairs)


def said_concepts(pairs: Scored) -> str:
    """Concepts with their cosines."""
    return ", ".join(f"{short_name(name)} {cosine:+.2f}" for name, cosine in pairs)
