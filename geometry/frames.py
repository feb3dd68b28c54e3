"""Orthonormal frames spanned by a few vectors, and the coordinates of points in them (for 2D and 3D views)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.display import short_repr
from geometry.errors import EstimationError


@dataclass(frozen=True, eq=False)
class Frame:
    """An orthonormal basis, shape (r, d), of the span of r vectors, seen from `origin`, shape (d,).

    >>> frame = Frame.spanned_by(torch.tensor([2.0, 0, 0]), torch.tensor([1.0, 3, 0]))
    >>> frame.coordinates(torch.tensor([5.0, 6, 7]))
    array([5., 6.])
    """

    basis: torch.Tensor
    origin: torch.Tensor

    __repr__ = short_repr

    @classmethod
    def spanned_by(cls, *vectors: torch.Tensor, origin: torch.Tensor | None = None) -> "Frame":
        """Gram–Schmidt in the order given: axis i is the part of vector i not in the earlier ones.

        EstimationError: the vectors are linearly dependent.
        """
        if not vectors or len(vectors) > len(vectors[0]):
            raise EstimationError(f"{len(vectors)} vectors of a frame cannot be independent in this space")
        stacked = torch.stack(vectors)
        precision = 100 * torch.finfo(stacked.dtype).eps
        q, r = torch.linalg.qr(stacked.T)
        diagonal = r.diagonal()
        if bool((~(diagonal.abs() > precision * torch.linalg.vector_norm(stacked, dim=1))).any()):
            raise EstimationError(f"the {len(vectors)} vectors of a frame are linearly dependent")
        basis = (q * diagonal.sign()).T
        return cls(basis, torch.zeros_like(stacked[0]) if origin is None else origin)

    def coordinates(self, points: torch.Tensor) -> NDArray[np.float64]:
        """Coordinates of points (..., d), shape (..., r)."""
        return ((points - self.origin) @ self.basis.T).cpu().numpy().astype(np.float64)

    def of_vocabulary(self, space: CausalSpace) -> NDArray[np.float64]:
        """Coordinates of g(y) for every token that text can produce, shape (n, r)."""
        rows = torch.from_numpy(space.unembedding.rows)
        return (space.scores(self.basis)[rows] - self.basis @ self.origin).cpu().numpy().astype(np.float64)
