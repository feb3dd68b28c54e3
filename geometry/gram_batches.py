"""The fits of `geometry.gram` as batches of equal size, for devices that a loop over sets would leave idle."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_FEWEST_ROWS = 3  # as of `geometry.estimators`
_SLACK = 16  # as of `geometry.gram_kernels`
_GROWTH = 1.3  # times the rows of a batch's smallest set that its largest may have
_NUMBERS = 1 << 27  # of a batch at most: half a gigabyte of rows


def fit_in_batches(
    rows: torch.Tensor, sets: Sequence[NDArray[np.int64]], products: torch.Tensor | None
) -> tuple[torch.Tensor, NDArray[np.float64], NDArray[np.bool_]]:
    """ℓ of each set of rows, shape (k, d), its shrinkage and where it is degenerate, as `RowGram.fit` has them.

    Parameters:
        rows: Y, shape (T, d), on any device.
        sets: row numbers of each, ascending.
        products: YYᵀ on and below its diagonal, shape (T, T); None: formed set by set.
    """
    vectors = torch.full((len(sets), rows.shape[1]), torch.nan, dtype=rows.dtype, device=rows.device)
    shrinkage = torch.full((len(sets),), torch.nan, dtype=torch.float64, device=rows.device)
    degenerate = torch.ones(len(sets), dtype=torch.bool, device=rows.device)
    for batch in _batches([len(own) for own in sets], rows.shape[1]):
        members, sizes = _padded([sets[index] for index in batch])
        where, counts = torch.from_numpy(members).to(rows.device), torch.from_numpy(sizes).to(rows.device)
        own = rows[where]
        if products is None:
            gram = (own @ own.mT).double()
        else:
            lower = torch.maximum(where[:, :, None], where[:, None, :])
            gram = products[lower, torch.minimum(where[:, :, None], where[:, None, :])].double()
        used = torch.arange(members.shape[1], device=rows.device) < counts[:, None]
        epsilon = torch.finfo(rows.dtype if products is None else products.dtype).eps
        weights, a, failed = _weigh(gram, used, counts.double(), rows.shape[1], epsilon)
        places = torch.tensor(batch, device=rows.device)
        vectors[places] = (weights.to(rows)[:, None] @ own)[:, 0]
        shrinkage[places], degenerate[places] = a, failed
    return vectors, shrinkage.cpu().numpy(), degenerate.cpu().numpy()


def _weigh(
    gram: torch.Tensor, used: torch.Tensor, n: torch.Tensor, width: int, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The rows' weights in ℓ, the shrinkage, and where ℓ is the mean, of G, shape (b, m, m), of `used` rows."""
    both = used[:, :, None] & used[:, None, :]
    gram = gram.masked_fill(~both, 0)
    total = gram.diagonal(dim1=1, dim2=2).sum(dim=1)
    r = gram.sum(dim=2) / n[:, None]
    q = r.sum(dim=1) / n
    gram = (gram - r[:, :, None] - r[:, None, :] + q[:, None, None]).masked_fill(~both, 0)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    diagonal.clamp_(min=0)
    trace, fourth = diagonal.sum(dim=1), diagonal.square().sum(dim=1)
    mu, frobenius = trace / (n * width), gram.square().sum(dim=(1, 2)) / n**2
    delta = (frobenius - width * mu**2) / width
    beta = torch.minimum((fourth / n - frobenius) / (width * n), delta)
    a = torch.where(beta > 0, beta / delta, 0.0)
    failed = (n < _FEWEST_ROWS) | (a * trace <= _SLACK * epsilon * total) | ~(q > 0)
    whole = a == 1
    c = torch.where(failed | whole, 0.0, a * mu * n / (1 - a))
    # A set that needs no solution, and what fills up the others, are given one that exists.
    plain = failed | whole
    diagonal.add_(torch.where(used & ~plain[:, None], c[:, None], 1.0))
    factor, broken = torch.linalg.cholesky_ex(gram.masked_fill(plain[:, None, None] & ~_identity(gram), 0))
    along_rows = (r - q[:, None]).masked_fill(~used, 0)
    w = torch.cholesky_solve(along_rows[:, :, None], factor)[:, :, 0]
    along = q - (w * along_rows).sum(dim=1)
    squared = along - c * w.square().sum(dim=1)
    failed = failed | (~whole & ((broken != 0) | ~(squared > 0)))
    mean = (failed | whole)[:, None]
    centred = 1 / n[:, None] - (w - w.sum(dim=1, keepdim=True) / n[:, None])
    weights = torch.where(mean, 1 / n[:, None], centred * (along / squared)[:, None]).masked_fill(~used, 0)
    return weights, torch.where(failed, torch.nan, a), failed


def _identity(gram: torch.Tensor) -> torch.Tensor:
    return torch.eye(gram.shape[1], dtype=torch.bool, device=gram.device)


def _batches(sizes: Sequence[int], width: int) -> Iterator[list[int]]:
    """Sets of about equal size, none of them empty."""
    batch: list[int] = []
    for index in sorted((index for index, size in enumerate(sizes) if size), key=lambda index: sizes[index]):
        largest = sizes[index]
        numbers = (len(batch) + 1) * largest * (largest + width)
        if batch and (largest > _GROWTH * sizes[batch[0]] + 8 or numbers > _NUMBERS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _padded(sets: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    sizes = np.array([len(own) for own in sets], dtype=np.int64)
    members: Any = np.zeros((len(sets), int(sizes.max())), dtype=np.int64)
    members[np.arange(members.shape[1]) < sizes[:, None]] = np.concatenate(sets)
    return members, sizes
