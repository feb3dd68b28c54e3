"""The causal inner product: Σ = Cov(γ) over the vocabulary, and the unified space it whitens to.

Notation of Park et al., arXiv 2311.03658 and 2406.01506.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.display import html_table, in_short
from geometry.errors import EstimationError, shown
from geometry.memory import in_passing
from geometry.models import Unembedding, cache_folder
from geometry.models.placement import checked_device
from geometry.moments import moments
from geometry.spectrum_cache import Spectrum, kept_spectrum

# Numbers that are converted at a time: 8 MB in float64.
_SLICE = 1 << 20
_MOST_KEPT = 1 << 29
_MANY_ROWS = 1 << 14
_CONDITIONED = 1e-5  # least eigenvalue over largest; float32 products are right to about 1e-8 of the largest


@dataclass(frozen=True, eq=False)
class CausalSpace:
    """The unified space of a model: g(y) = Σ^(-1/2) (γ(y) − γ̄), in which ⟨u, v⟩ = uᵀΣ⁻¹v is Euclidean.

    >>> import geometry as geo
    >>> space = geo.CausalSpace.fit(geo.Unembedding.load("smollm2-135m"))
    >>> space.width, space.rank, space.rows([314, 2718]).shape
    (576, 576, torch.Size([2, 576]))

    All tensors share a device and a dtype.

    Attributes:
        unembedding: the γ it was fitted on.
        mean: γ̄, shape (d,).
        eigenvalues, eigenvectors: of Σ, shapes (d,) ascending and (d, d).
        whitener: Σ^(-1/2), shape (d, d), symmetric; on a rank-deficient Σ its pseudo-inverse.
        colourer: Σ^(1/2), shape (d, d); takes final hidden states λ to l = Σ^(1/2) λ.
        rank: eigenvalues above rounding error.
        metric: what the inner product is called, where it is not the causal one.
    """

    unembedding: Unembedding
    mean: torch.Tensor
    eigenvalues: torch.Tensor
    eigenvectors: torch.Tensor
    whitener: torch.Tensor
    colourer: torch.Tensor
    rank: int
    metric: str = "causal"

    @classmethod
    @checked
    def fit(
        cls, unembedding: Unembedding, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> "CausalSpace":
        """Estimate γ̄ and Σ over the rows that text can produce (`unembedding.rows`).

        Parameters:
            unembedding: γ, shape (V, d).
            dtype: of the computation and of everything derived from it.
            device: where to compute, "auto" too; default, where the matrix lies.

        EstimationError: fewer than two usable rows, or all of them equal; no such device. OutputError: the limit of the
            cache is no number.

        Σ is the biased estimate (division by the number of rows), as published, and summed in float64. Products of many
        rows that are stored in less are float32, unless Σ is so ill-conditioned that it shows. Cost V d² + d³, in one
        pass over γ, which is converted in blocks, so memory stays near that of γ itself. Of a large γ on the CPU what
        was computed is kept, and taken again bit for bit, in the cache under the hash of its numbers.

        Source: Park et al., arXiv 2311.03658, theorem 3.2; 2406.01506, section 2.
        """
        device = unembedding.matrix.device if device is None else torch.device(checked_device(device))
        rows = torch.from_numpy(unembedding.rows)
        width = unembedding.matrix.shape[1]
        _check_dtype(dtype)
        if len(rows) < 2:
            raise EstimationError(f"{unembedding.name}: {len(rows)} usable unembedding rows; Σ needs at least 2")

        def compute() -> Spectrum:
            single = unembedding.matrix.dtype != torch.float64 and len(rows) >= _MANY_ROWS
            mean, eigenvalues, eigenvectors = _spectrum(unembedding, rows, dtype, device, single=single)
            if single and not bool(eigenvalues[0] > _CONDITIONED * eigenvalues[-1]):
                return _spectrum(unembedding, rows, dtype, device, single=False)
            return mean, eigenvalues, eigenvectors

        mean, eigenvalues, eigenvectors = kept_spectrum(
            compute, unembedding.matrix, rows, dtype=dtype, device=device, cache=cache_folder()
        )
        kept = eigenvalues > eigenvalues[-1] * width * torch.finfo(dtype).eps
        rounding = torch.finfo(dtype).eps * torch.linalg.vector_norm(mean)
        if not bool(eigenvalues[-1] > rounding**2):
            raise EstimationError(f"{unembedding.name}: all usable unembedding rows are equal; Σ is zero")
        return cls._of_spectrum(unembedding, mean, eigenvalues, eigenvectors, kept, "causal")

    @classmethod
    @checked
    def with_metric(
        cls,
        unembedding: Unembedding,
        matrix: torch.Tensor,
        *,
        mean: torch.Tensor | None = None,
        metric: str = "given",
        dtype: torch.dtype = torch.float64,
    ) -> "CausalSpace":
        """Rows under any other inner product: ⟨u, v⟩ = uᵀMv, g(y) = M^(1/2) (γ(y) − γ̄); Σ stands for M⁻¹.

        >>> import geometry as geo, torch
        >>> rows = geo.WordVectors(torch.tensor([[2.0, 0], [0, 1]]), geo.Vocabulary([" oak", " owl"]))
        >>> geo.CausalSpace.with_metric(rows, torch.eye(2), mean=torch.zeros(2), metric="euclidean").rows([0, 1])
        tensor([[2., 0.],
                [0., 1.]], dtype=torch.float64)

        Parameters:
            unembedding: the rows, of whatever: an unembedding, word vectors, activations of phrases.
            matrix: M, shape (d, d), symmetric and positive semi-definite.
            mean: the origin γ̄, shape (d,); default, the mean of the usable rows.
            metric: what figures call the inner product.

        EstimationError: another shape, not finite, not symmetric, zero, or with a negative eigenvalue; a mean of
            another shape, or not finite.
        """
        _check_dtype(dtype)
        width, name = unembedding.matrix.shape[1], unembedding.name
        given = matrix.to(unembedding.matrix.device, torch.float64)
        if given.shape != (width, width):
            raise EstimationError(f"{name}: a metric of its rows is {width} x {width}, not {tuple(given.shape)}")
        if not bool(given.isfinite().all()):
            raise EstimationError(f"{name}: the metric {metric!r} is not finite")
        if not torch.allclose(given, given.T, rtol=1e-6, atol=1e-9 * float(given.abs().max())):
            raise EstimationError(f"{name}: the metric {metric!r} is not symmetric")
        values, vectors = torch.linalg.eigh((given + given.T) / 2)
        tiny = float(values[-1]) * width * torch.finfo(torch.float64).eps
        if not float(values[-1]) > 0 or float(values[0]) < -1e-6 * float(values[-1]):
            raise EstimationError(f"{name}: the metric {metric!r} is zero or has a negative eigenvalue")
        kept = values > tiny
        # Descending eigenvalues of M are ascending ones of Σ.
        spread, axes = torch.where(kept, 1 / values, 0), vectors
        order = torch.argsort(spread, stable=True)
        if mean is None:
            mean = unembedding.matrix[torch.from_numpy(unembedding.rows)].double().mean(dim=0)
        if mean.shape != (width,) or not bool(mean.isfinite().all()):
            raise EstimationError(f"{name}: mean must be {width} finite numbers, of shape {(width,)}")
        numbers = (mean.to(given), spread[order], axes[:, order])
        origin, spread, axes = (number.to(dtype) for number in numbers)
        return cls._of_spectrum(unembedding, origin, spread, axes, kept[order], metric)

    @classmethod
    def _of_spectrum(
        cls,
        unembedding: Unembedding,
        mean: torch.Tensor,
        eigenvalues: torch.Tensor,
        eigenvectors: torch.Tensor,
        kept: torch.Tensor,
        metric: str,
    ) -> "CausalSpace":
        roots = torch.where(kept, eigenvalues, 0).sqrt()
        inverse_roots = torch.where(kept, 1 / roots, 0)
        return cls(
            unembedding=unembedding,
            mean=mean,
            eigenvalues=eigenvalues,
            eigenvectors=eigenvectors,
            whitener=(eigenvectors * inverse_roots) @ eigenvectors.T,
            colourer=(eigenvectors * roots) @ eigenvectors.T,
            rank=int(kept.sum()),
            metric=metric,
        )

    def to(self, dtype: torch.dtype) -> "CausalSpace":
        """The same space for work in another precision: float32 halves time and memory of what follows."""
        _check_dtype(dtype)
        converted = {
            name: getattr(self, name).to(dtype)
            for name in ("mean", "eigenvalues", "eigenvectors", "whitener", "colourer")
        }
        return replace(self, **converted)

    @property
    def width(self) -> int:
        """d, the length of every vector of the space."""
        return int(self.mean.shape[0])

    def unify(self, gamma: torch.Tensor) -> torch.Tensor:
        """Unembedding rows in the unified space: Σ^(-1/2) (γ − γ̄), shape (..., d) from (..., d).

        EstimationError: another width than d; so do `unify_hidden`, `scores` and `inner`.
        """
        self._check_width(gamma=gamma)
        return (gamma.to(self.mean) - self.mean) @ self.whitener

    def unify_hidden(self, hidden: torch.Tensor) -> torch.Tensor:
        """Final hidden states in the unified space: l(x) = Σ^(1/2) λ(x), shape (..., d) from (..., d).

        >>> import geometry as geo, torch
        >>> vocabulary = geo.Vocabulary(["Ġa", "Ġb", "Ġc", "Ġd"])
        >>> gamma = torch.tensor([[2.0, 0], [-2, 0], [0, 1], [0, -1]])
        >>> space = geo.CausalSpace.fit(geo.Unembedding(gamma, vocabulary, "toy"))
        >>> space.unify_hidden(torch.tensor([8**0.5, 8**0.5])).numpy().round(6)  # Σ is diag(2, ½)
        array([4., 2.])

        λ is what the unembedding is multiplied with, after the final norm. Then ⟨l(x), g(y)⟩ = λ(x)ᵀ(γ(y) − γ̄): the
        logits but for a constant. Differences of such states lie beside concept vectors.

        EstimationError: another width than d.

        Source: Park et al., arXiv 2311.03658, theorem 3.2; 2406.01506, section 2.
        """
        self._check_width(hidden=hidden)
        return hidden.to(self.mean) @ self.colourer

    def rows(self, tokens: ArrayLike) -> torch.Tensor:
        """g(y) of the given token ids, shape (n, d) from (n,).

        EstimationError: no list of whole numbers, or a token that has no row.
        """
        listed, rows = np.asarray(tokens), len(self.unembedding.matrix)
        if listed.ndim != 1 or (listed.dtype.kind not in "iu" and len(listed)):
            raise EstimationError(f"tokens must be a list of ids, whole numbers, not {listed.dtype} {listed.shape}")
        if beyond := listed[(listed < 0) | (listed >= rows)].tolist():  # a negative id would count from the end
            raise EstimationError(f"token id {beyond[0]} has no row; the unembedding has {rows}, counted from 0")
        ids = torch.from_numpy(listed.astype(np.int64))
        unified = torch.empty((len(ids), self.width), dtype=self.mean.dtype, device=self.mean.device)
        matrix, step = self.unembedding.matrix, max(1, _SLICE // self.width)
        blocks = zip(
            torch.split(unified, step), in_passing(matrix, torch.split(ids, step), scattered=True), strict=True
        )
        for block, some in blocks:
            block.copy_(self.unify(matrix[some]))
        return unified

    @cached_property
    def unified(self) -> torch.Tensor:
        """g(y) of all usable rows (`unembedding.rows`), shape (n, d): computed when first asked for, then kept."""
        return self.rows(self.unembedding.rows)

    def usable(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """g(y) of some usable rows by their index among these, shape (n, d), for nulls that draw rows many times.

        Looked up in `unified`, or computed afresh where all of it would take more than half a gigabyte.
        """
        if len(self.unembedding.rows) * self.width * self.mean.element_size() > _MOST_KEPT:
            return self.rows(self.unembedding.rows[indices])
        return self.unified[torch.from_numpy(np.asarray(indices)).to(self.mean.device)]

    def scores(self, directions: torch.Tensor) -> torch.Tensor:
        """⟨direction, g(y)⟩ for every token y, shape (V, k) from directions (k, d).

        The directions are whitened instead of the vocabulary, so no V × d copy is made.
        """
        self._check_width(directions=directions)
        whitened = directions.to(self.mean) @ self.whitener
        offset = whitened @ self.mean
        matrix = self.unembedding.matrix
        blocks = in_passing(matrix, torch.split(matrix, max(1, _SLICE // self.width)))
        return torch.cat([block.to(self.mean) @ whitened.T - offset for block in blocks])

    def inner(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Causal inner product uᵀΣ⁻¹v of unembedding differences, over the last axis."""
        self._check_width(u=u, v=v)
        return ((u.to(self.mean) @ self.whitener) * (v.to(self.mean) @ self.whitener)).sum(dim=-1)

    def __repr__(self) -> str:
        size = f"width {self.width}, rank {self.rank}, {len(self.unembedding.rows):,} rows"
        metric = "" if self.metric == "causal" else f"{self.metric} metric, "
        return f"CausalSpace({in_short(repr(self.unembedding.name), 80)}, {size}, {metric}{self._kind})"

    def _repr_html_(self) -> str:
        kept = self.eigenvalues[-self.rank :]
        rows = {
            "model": self.unembedding.name,
            "width d": self.width,
            "rank of Σ": self.rank,
            "rows": f"{len(self.unembedding.rows):,} of {len(self.unembedding.matrix):,}",
            "eigenvalues of Σ": f"{float(kept[0]):.3g} to {float(kept[-1]):.3g}",
            "numbers": self._kind,
        }
        return html_table(("", "causal space"), rows.items(), repr(self))

    @property
    def _kind(self) -> str:
        return f"{str(self.mean.dtype).removeprefix('torch.')} on {self.mean.device}"

    def _check_width(self, **vectors: torch.Tensor) -> None:
        for name, given in vectors.items():
            if not isinstance(given, torch.Tensor) or given.shape[-1:] != self.mean.shape:
                what = tuple(given.shape) if isinstance(given, torch.Tensor) else shown(given)
                raise EstimationError(f"{name} must be a tensor whose last axis is of length {self.width}, not {what}")


def _spectrum(
    unembedding: Unembedding, rows: torch.Tensor, dtype: torch.dtype, device: torch.device, *, single: bool
) -> Spectrum:
    """γ̄, and the eigenvalues and eigenvectors of Σ."""
    mean, covariance = moments(unembedding.matrix, rows, single=single, device=device)
    covariance = covariance.to(dtype)
    if not bool(covariance.isfinite().all()):
        if single:
            return _spectrum(unembedding, rows, dtype, device, single=False)
        raise EstimationError(f"{unembedding.name}: Σ overflows {dtype}; rescale the matrix or use float64")
    return mean.to(dtype), *torch.linalg.eigh(covariance)


def _check_dtype(dtype: torch.dtype) -> None:
    if dtype not in {torch.float32, torch.float64}:
        raise EstimationError(f"dtype: Σ is computed in float32 or float64, not {shown(str(dtype))}")
