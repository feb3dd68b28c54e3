"""Products of a matrix with itself, in half the operations where BLAS offers that. Imports nothing of ours."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def lower_scatter(rows: torch.Tensor) -> torch.Tensor:
    """XᵀX of rows, shape (d, d) from (n, d); what stands above the diagonal means nothing.

    >>> mirrored(lower_scatter(torch.tensor([[1.0, 2], [0, 1]])))
    tensor([[1., 2.],
            [2., 5.]])
    """
    if rows.device.type != "cpu" or rows.dtype not in {torch.float32, torch.float64}:
        return rows.T @ rows
    return torch.from_numpy(_syrk(rows.detach().contiguous().numpy(), trans=0))


def lower_gram(rows: NDArray[Any]) -> NDArray[Any]:
    """XXᵀ of rows, shape (n, n) from (n, d), in float32 or float64; what stands above the diagonal means nothing."""
    return _syrk(rows, trans=1)


def mirrored(lower: torch.Tensor) -> torch.Tensor:
    """The symmetric matrix with this lower triangle, as a new one."""
    whole = lower.tril()
    whole += lower.tril(-1).T
    return whole


def _syrk(rows: NDArray[Any], *, trans: int) -> NDArray[Any]:
    from scipy.linalg import blas  # a tenth of a second to import

    syrk = blas.ssyrk if rows.dtype == np.float32 else blas.dsyrk
    # BLAS goes by columns: what is row after row here is its transpose there, and the other triangle.
    result: NDArray[Any] = syrk(1.0, np.ascontiguousarray(rows).T, trans=trans)
    return result.T
