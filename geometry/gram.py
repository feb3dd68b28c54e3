"""Concept vectors of many sets of rows from inner products of rows, which serve every permutation of them.

A permutation of rows is an index into K = YYᵀ, so K is computed once for a model and all of its permutations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.gram_batches import fit_in_batches
from geometry.symmetric import lower_gram

_EXACT_BYTES = 1 << 28  # up to which K is held in float64
_MOST_BYTES = 1 << 31  # beyond which it is not held at all
_BLOCK = 1024  # rows that are multiplied at a time
_ONE_AT_A_TIME = Lock()


class SetFits(NamedTuple):
    """ℓ of each set, shape (k, d), its shrinkage, and where it is the mean for want of rows, both of shape (k,)."""

    vectors: torch.Tensor
    shrinkage: NDArray[np.float64]
    degenerate: NDArray[np.bool_]

    def __repr__(self) -> str:
        return short_repr(self)


@dataclass(frozen=True, eq=False)
class RowGram:
    """The rows Y of a cloud, and LDA fits to sets of them from their inner products.

    >>> gram = RowGram(torch.eye(4, dtype=torch.float64))
    >>> fits = gram.fit([np.array([0, 1]), np.array([1, 2, 3])])
    >>> fits.vectors.shape, fits.degenerate.tolist()
    (torch.Size([2, 4]), [True, False])

    Attributes:
        rows: Y, shape (T, d).
        kept: whether K = YYᵀ is worth its T²d operations, because many fits will be asked for. It is held in float64
            or, where that takes more than a quarter of a gigabyte, in float32; beyond two gigabytes it is not held, and
            each set's products are formed from its rows.

    Fits are computed in float64 from products in the rows' own precision: the same as `concept_vector` to rounding, or
    to about 1e-6 from rows or a K in float32. Means
    far longer or shorter than the rows' spread cost digits, as their ratio's square.

    With G = YYᵀ of n rows, not centred, r = G1/n, q the mean of r, shrinkage a, t = aμ and c = tn/(1 − a): the centred
    rows X have XXᵀ = HGH with entries Gᵢⱼ − rᵢ − rⱼ + q, Xm = r − q and mᵀm = q. With w = (XXᵀ + cI)⁻¹ Xm, as in
    `geometry.estimators`, C⁻¹m ∝ m − Xᵀw = Yᵀ(1/n − Hw), whose product with m is q − wᵀXm, and whose square this less
    cwᵀw.
    """

    rows: torch.Tensor
    kept: bool = True

    __repr__ = short_repr

    @cached_property
    def _dense(self) -> NDArray[Any]:
        rows = self.rows.detach().cpu()
        return np.ascontiguousarray((rows if rows.dtype == torch.float32 else rows.double()).numpy())

    def form(self) -> None:
        """Compute K, where it is kept, now and with all of torch's threads: those who fit may have one each."""
        _ = self._products

    @cached_property
    def _products(self) -> torch.Tensor | None:
        with _ONE_AT_A_TIME:  # threads that ask together would each compute it
            held = self.__dict__
            return held["_products"] if "_products" in held else self._multiplied()

    def _multiplied(self) -> torch.Tensor | None:
        n, rows = len(self.rows), self.rows.detach()
        if not self.kept or 4 * n * n > _MOST_BYTES:
            return None
        dtype = torch.float32 if in_single_precision(n) else torch.float64
        held = torch.empty(n, n, dtype=dtype, device=rows.device)
        if not _in_batches(rows):  # NumPy asks for large pages, in which numbers are found in half the time
            held = torch.from_numpy(np.empty((n, n), np.float32 if dtype == torch.float32 else np.float64))
        rows = rows.to(dtype)
        for start in range(0, n, _BLOCK):  # K is symmetric, and what lies above its diagonal never touched
            stop = min(start + _BLOCK, n)
            held[start:stop, :stop] = rows[start:stop] @ rows[:stop].T
        return held

    def fit(self, sets: Sequence[NDArray[np.int64]]) -> SetFits:
        """ℓ of each set of row numbers; nan of an empty set."""
        sets = [np.sort(rows) for rows in sets]  # K is known below its diagonal
        if _in_batches(self.rows):
            return SetFits(*fit_in_batches(self.rows, sets, self._products))
        members, starts = _flat(sets)
        weights = np.zeros(len(members))
        shrinkage = np.full(len(sets), np.nan)
        degenerate = np.ones(len(sets), dtype=np.bool_)
        from geometry.gram_kernels import weigh, weigh_all  # numba takes a second to import

        width, products = self.rows.shape[1], self._products
        source = self._dense if products is None else products.numpy()
        epsilon = float(np.finfo(source.dtype).eps)
        if products is None:
            for k in np.flatnonzero([len(own) for own in sets]):
                gram = lower_gram(source[sets[k]]).astype(np.float64, copy=False)
                one = slice(k, k + 1)
                weigh(gram, width, epsilon, weights[starts[k] : starts[k + 1]], shrinkage[one], degenerate[one])
        else:
            weigh_all(source, members, starts, width, epsilon, weights, shrinkage, degenerate)
        return SetFits(self._combined(weights, members, starts), shrinkage, degenerate)

    def means(self, sets: Sequence[NDArray[np.int64]]) -> torch.Tensor:
        """Mean of each set of rows, shape (k, d); nan of an empty one."""
        members, starts = _flat(sets)
        sizes = np.diff(starts)
        if _in_batches(self.rows):
            of = torch.from_numpy(np.repeat(np.arange(len(sets)), sizes)).to(self.rows.device)
            sums = torch.zeros(len(sets), self.rows.shape[1], dtype=self.rows.dtype, device=self.rows.device)
            sums.index_add_(0, of, self.rows[torch.from_numpy(members).to(self.rows.device)])
            return sums / torch.from_numpy(sizes).to(self.rows)[:, None]
        return self._combined(np.repeat(1 / np.maximum(sizes, 1), sizes), members, starts)

    def _combined(
        self, weights: NDArray[np.float64], members: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> torch.Tensor:
        from geometry.gram_kernels import combine

        vectors = np.zeros((len(starts) - 1, self.rows.shape[1]), dtype=self._dense.dtype)
        combine(self._dense, members, starts, weights.astype(self._dense.dtype), vectors)
        vectors[np.diff(starts) == 0] = np.nan
        return torch.from_numpy(vectors).to(self.rows)


def in_single_precision(n: int) -> bool:
    """Whether the products of so many rows are too many to be held in float64."""
    return 8 * n * n > _EXACT_BYTES


def _in_batches(rows: torch.Tensor) -> bool:
    """Whether a loop over sets would leave the device idle."""
    return rows.device.type != "cpu"


def _flat(sets: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.concatenate([[0], np.cumsum([len(members) for members in sets])]).astype(np.int64)
    return np.concatenate([np.empty(0, np.int64), *sets]).astype(np.int64), starts
