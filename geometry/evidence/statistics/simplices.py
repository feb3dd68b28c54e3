"""A categorical concept as a simplex: how regular its vertices are, and whether words know their own.

The vertices alone prove little: k vectors of noise in high dimension are a nearly regular simplex too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.directions import ConceptDirections
from geometry.errors import EstimationError
from geometry.evidence.statistics.statistic import Statistic


@dataclass(frozen=True, eq=False)
class Simplex:
    """The simplex of k concepts and the held-out tokens around it.

    Attributes
    ----------
    names : the k concepts.
    edges : shape (k(k − 1)/2,), distances between vertices in `itertools.combinations` order.
    confusion : shape (k, k), held-out tokens of concept i whose nearest vertex is j.
    """

    names: tuple[str, ...]
    edges: NDArray[np.float64]
    confusion: NDArray[np.int64]

    @property
    def edge_variation(self) -> float:
        """Standard deviation of the edge lengths over their mean; 0 for a regular simplex."""
        return float(self.edges.std() / self.edges.mean())

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of each concept's held-out tokens that are nearest to its vertex; the mean is balanced accuracy."""
        return self.confusion.diagonal() / self.confusion.sum(axis=1)


def simplex(directions: ConceptDirections, names: Sequence[str]) -> Simplex:
    """Measure the simplex whose vertices are ℓ of `names`, on tokens the directions were not fitted to.

    Tokens that belong to several of the concepts are left out.

    Raises EstimationError: fewer than two concepts, or one without held-out tokens.
    """
    if len(names) < 2:
        raise EstimationError("a simplex needs at least two concepts")
    indices = [directions.hierarchy.index(name) for name in names]
    confusion = nearest_vertices(directions, indices)
    for name, count in zip(names, confusion.sum(axis=1), strict=True):
        if not count:
            raise EstimationError(f"concept {name!r} has no held-out token of its own for a simplex")
    vertices = directions.vectors[torch.tensor(indices)]
    edges = [float(torch.linalg.vector_norm(vertices[i] - vertices[j])) for i, j in combinations(range(len(names)), 2)]
    return Simplex(tuple(names), np.array(edges), confusion)


def nearest_vertices(directions: ConceptDirections, concepts: Sequence[int]) -> NDArray[np.int64]:
    """Held-out tokens of concept i alone among `concepts`, whose nearest ℓ is that of j: counts, shape (k, k)."""
    members = directions.hierarchy.members
    owners = np.zeros(len(directions.train), dtype=np.int64)
    for concept in concepts:
        owners[members[concept]] += 1
    held_out = [tokens[owners[tokens] == 1] for tokens in map(directions.held_out, concepts)]
    points = directions.cloud.points[torch.from_numpy(np.concatenate(held_out))]
    vertices = directions.vectors[torch.tensor(concepts)]
    # ‖y − ℓ‖² without the ‖y‖² that all vertices have in common.
    distances = vertices.square().sum(dim=1) - points @ (2 * vertices).T
    truth = np.repeat(np.arange(len(concepts)), [len(tokens) for tokens in held_out])
    flat = np.bincount(truth * len(concepts) + distances.argmin(dim=1).cpu().numpy(), minlength=len(concepts) ** 2)
    return flat.reshape(len(concepts), len(concepts))


def simplex_membership(names: Sequence[str]) -> Statistic:
    """`Simplex.recall` after a lemma split; its mean is balanced accuracy, by chance 1/k."""
    return Statistic(
        "simplex_membership",
        "lemma",
        1 / len(names),
        lambda directions: simplex(directions, names).recall,
        lambda _: tuple(names),
        not_beside=("random_subset",),
    )


def simplex_edge_variation(names: Sequence[str]) -> Statistic:
    """`Simplex.edge_variation` after a lemma split, one number."""
    return Statistic(
        "simplex_edge_variation",
        "lemma",
        0.0,
        lambda directions: np.array([simplex(directions, names).edge_variation]),
        lambda _: ("edge lengths",),
        not_beside=("random_subset",),
    )
