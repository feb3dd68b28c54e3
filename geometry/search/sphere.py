"""Steps on a sphere for several directions at once that are to stay orthogonal."""

import math

import torch

_RATE = 0.2  # radians of the first steps
_MOMENTUM, _FORGETTING = 0.9, 0.99
_TINY = 1e-12


def orthonormal(rows: torch.Tensor) -> torch.Tensor:
    """Gram and Schmidt's way: a row keeps what is orthogonal to those before it, float64.

    The first goes where it likes. Of directions that share alike, several would each take a part of one that matters.
    """
    basis, upper = torch.linalg.qr(rows.double().T)
    return (basis * torch.where(upper.diagonal() < 0, -1.0, 1.0)).T


class Ascent:
    """Adam along the sphere: of every direction's gradient what is tangential, in steps of an angle.

    Second moments are of a whole gradient and not of its coordinates, so that no axis of the residual stream is
    preferred. The angle falls along half a cosine from 0.2 to 0.

    Attributes:
        directions: orthonormal, float64, shape (k, d).
    """

    def __init__(self, directions: torch.Tensor, n_steps: int) -> None:
        self.directions = orthonormal(directions)
        self._n_steps, self._done = n_steps, 0
        self._first = torch.zeros_like(self.directions)
        self._second = torch.zeros_like(self.directions[:, :1])

    def step(self, gradient: torch.Tensor) -> None:
        """Up the gradient (k, d) of the objective."""
        ahead = gradient.to(self.directions)
        ahead = ahead - (ahead * self.directions).sum(dim=1, keepdim=True) * self.directions
        angle = 0.5 * _RATE * (1 + math.cos(math.pi * self._done / self._n_steps))
        self._done += 1
        self._first = _MOMENTUM * self._first + (1 - _MOMENTUM) * ahead
        self._second = _FORGETTING * self._second + (1 - _FORGETTING) * ahead.square().sum(dim=1, keepdim=True)
        mean = self._first / (1 - _MOMENTUM**self._done)
        size = (self._second / (1 - _FORGETTING**self._done)).sqrt() + _TINY
        self.directions = orthonormal(self.directions + angle * mean / size)


class SubspaceIteration:
    """The leading eigenvectors of a symmetric matrix that is known by its products alone (block power iteration).

    Attributes:
        directions: orthonormal, float64, shape (k, d); after a step, eigenvectors within their span, largest first.
    """

    def __init__(self, directions: torch.Tensor) -> None:
        self.directions = orthonormal(directions)

    def step(self, products: torch.Tensor) -> None:
        """From the products of the matrix with the directions, shape (k, d)."""
        rows = products.to(self.directions)
        within = self.directions @ rows.T
        values, turned = torch.linalg.eigh((within + within.T) / 2)
        order = torch.argsort(values, descending=True)
        self.directions = orthonormal(turned[:, order].T @ rows)
