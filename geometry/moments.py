"""Mean and covariance of very many rows in one pass over them, for the causal inner product."""

from typing import NamedTuple

import torch

from geometry.display import short_repr
from geometry.memory import in_passing
from geometry.symmetric import lower_scatter, mirrored

_BLOCK = 4096  # rows that are multiplied at a time


class Moments(NamedTuple):
    """The mean, shape (d,), and the covariance, shape (d, d), divided by the number of rows."""

    mean: torch.Tensor
    covariance: torch.Tensor

    def __repr__(self) -> str:
        return short_repr(self)


def moments(matrix: torch.Tensor, rows: torch.Tensor, *, single: bool, device: torch.device) -> Moments:
    """Moments of some rows of a matrix (V, d), given by ascending numbers; on the device.

    >>> moments(torch.tensor([[1.0], [9.0], [3.0]]), torch.tensor([0, 2]), single=False, device=torch.device("cpu"))
    Moments(mean=1 float64, covariance=1×1 float64)

    Sums are float64 (float32 where the device has no other), products float64 or, with `single`, float32: of
    unembeddings, whose covariance has a condition of thousands, g is then right to 4e-7, in a fifth of the time. Not
    finite where squares overflow.

    A block is read as it is stored and converted by itself, so that memory is that of the matrix and of a few d × d.
    """
    summed = torch.float32 if device.type == "mps" else torch.float64
    product = torch.float32 if single else summed
    blocks = torch.split(rows, _BLOCK)
    first = _rows(matrix, blocks[0]).to(device, summed)
    # Squares of what is far from 0 lose the digits that tell rows apart.
    shift = first.mean(dim=0).to(product)
    # Powers of 2 change no digits.
    scale = 2.0 ** -int(torch.frexp((first - shift).abs().max()).exponent)
    width = matrix.shape[1]
    total = torch.zeros(width, dtype=summed, device=device)
    scatter = torch.zeros(width, width, dtype=summed, device=device)
    for block in in_passing(matrix, blocks):
        shifted = (_rows(matrix, block).to(device, product) - shift) * scale
        total += shifted.sum(dim=0, dtype=summed)
        scatter += lower_scatter(shifted)
    mean = total / len(rows)
    covariance = mirrored(scatter).div_(len(rows)).sub_(torch.outer(mean, mean))
    return Moments(shift + mean / scale, covariance / scale**2)


def _rows(matrix: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Rows of a matrix; without a copy where they follow each other."""
    first, last = int(rows[0]), int(rows[-1])
    return matrix[first : last + 1] if last - first == len(rows) - 1 else matrix[rows.to(matrix.device)]
