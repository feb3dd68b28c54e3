"""Estimate one concept vector from the unified-space rows of its tokens, in the cheaper of two exact forms."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from geometry.display import short_repr
from geometry.errors import EstimationError

Estimator = Literal["lda", "mean"]

# With fewer rows the Ledoit–Wolf shrinkage is exactly 0 and the covariance singular.
_FEWEST_ROWS = 3


@dataclass(frozen=True, eq=False)
class ConceptVector:
    """ℓ of one concept, shape (d,).

    `shrinkage` is the Ledoit–Wolf intensity in [0, 1], nan for the mean estimator and degenerate fits: those whose
    covariance could not be used, so that ℓ is the mean.
    """

    vector: torch.Tensor
    shrinkage: float
    degenerate: bool

    __repr__ = short_repr


def concept_vector(rows: torch.Tensor, estimator: Estimator = "lda") -> ConceptVector:
    """Concept vector ℓ of a set of tokens from their rows g(y).

    >>> rows = torch.tensor([[1.0, 2], [3, 2], [2, 5]], dtype=torch.float64)
    >>> concept_vector(rows, "mean").vector
    tensor([2., 3.], dtype=torch.float64)

    "lda": g̃ = C⁻¹m / ‖C⁻¹m‖ and ℓ = (g̃ᵀm) g̃, with m the mean and C the Ledoit–Wolf covariance
    of the rows. "mean": ℓ = m.

    Parameters:
        rows: shape (n, d), n ≥ 1, finite; computed in their own dtype.
        estimator: "lda" or "mean".

    EstimationError: no rows, not a matrix, non-finite values, or an unknown estimator.

    With X the centred rows, S = XᵀX/n, μ = tr(S)/d, shrinkage a and t = aμ, C = (1 − a) S + t I. For n < d the d × d
    matrix is never formed: by the Woodbury identity C⁻¹m = [m − Xᵀ (G + (tn/(1 − a)) I)⁻¹ X m] / t with G = XXᵀ, at a
    cost of n²d. For n ≥ d one Cholesky factorisation of C. The shrinkage needs only ‖S‖², tr(S) and Σ‖xᵢ‖⁴.

    Source: Park et al., arXiv 2406.01506, section 4. Ledoit & Wolf, J. Multivariate Analysis 88 (2004).
    """
    if rows.ndim != 2 or rows.shape[0] == 0:
        raise EstimationError(f"a concept vector needs an n x d matrix with n ≥ 1, not {tuple(rows.shape)}")
    if estimator not in get_args(Estimator):
        raise EstimationError(f"unknown estimator {estimator!r}; choose from {', '.join(get_args(Estimator))}")
    mean = rows.mean(dim=0)
    if not bool(mean.isfinite().all()):
        raise EstimationError("a concept vector needs finite rows; these hold NaN or infinite values")
    if estimator == "mean":
        return ConceptVector(mean, float("nan"), False)

    centred = rows - mean
    squared_norms = torch.linalg.vector_norm(centred, dim=1).square()
    if rows.shape[0] < rows.shape[1]:
        return _lda_from_gram(mean, centred, squared_norms)
    return lda_from_scatter(mean, centred.T @ centred, squared_norms)


def _lda_from_gram(mean: torch.Tensor, centred: torch.Tensor, squared_norms: torch.Tensor) -> ConceptVector:
    gram = centred @ centred.T
    n, d = centred.shape
    shrinkage, t = _ledoit_wolf(gram, squared_norms, d)
    if (fallback := _mean_instead(mean, shrinkage, t, squared_norms)) is not None:
        return fallback
    gram.diagonal().add_(t * n / (1 - shrinkage))
    solved = _solve(gram, centred @ mean)
    return _along(None if solved is None else mean - centred.T @ solved, mean, shrinkage)


def lda_from_scatter(mean: torch.Tensor, scatter: torch.Tensor, squared_norms: torch.Tensor) -> ConceptVector:
    """The n ≥ d form of `concept_vector(..., "lda")`, for callers that hold its ingredients.

    They are m, XᵀX of the centred rows, shape (d, d), which is overwritten, and ‖xᵢ‖² of these, shape (n,).
    """
    n, d = len(squared_norms), len(mean)
    shrinkage, t = _ledoit_wolf(scatter, squared_norms, d)
    if (fallback := _mean_instead(mean, shrinkage, t, squared_norms)) is not None:
        return fallback
    covariance = scatter.mul_((1 - shrinkage) / n)
    covariance.diagonal().add_(t)
    return _along(_solve(covariance, mean), mean, shrinkage)


def _ledoit_wolf(scatter: torch.Tensor, squared_norms: torch.Tensor, d: int) -> tuple[float, float]:
    """(shrinkage a, t = aμ) from XXᵀ or XᵀX, whose norms and traces agree."""
    n = len(squared_norms)
    mu = float(squared_norms.sum()) / (n * d)
    frobenius = float(torch.linalg.vector_norm(scatter)) ** 2 / n**2
    beta = (float(squared_norms.square().sum()) / n - frobenius) / (d * n)
    delta = (frobenius - d * mu**2) / d
    beta = min(beta, delta)
    shrinkage = beta / delta if beta > 0 else 0.0
    return shrinkage, shrinkage * mu


def _mean_instead(mean: torch.Tensor, shrinkage: float, t: float, squared_norms: torch.Tensor) -> ConceptVector | None:
    """ℓ = m where C is a multiple of I (a = 1) or, flagged, where C is singular or m zero."""
    n, d = len(squared_norms), len(mean)
    mu = float(squared_norms.sum()) / (n * d)
    if n < _FEWEST_ROWS or t <= torch.finfo(mean.dtype).eps * mu or not bool(mean.any()):
        return ConceptVector(mean, float("nan"), True)
    return ConceptVector(mean, 1.0, False) if shrinkage == 1.0 else None


def _along(solved: torch.Tensor | None, mean: torch.Tensor, shrinkage: float) -> ConceptVector:
    if solved is None:
        return ConceptVector(mean, float("nan"), True)
    direction = solved / torch.linalg.vector_norm(solved)
    return ConceptVector((direction @ mean) * direction, shrinkage, False)


def _solve(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor | None:
    """The solution, or None where rounding has left the matrix not positive definite."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool(failed):
        return None
    return torch.cholesky_solve(vector.unsqueeze(1), factor).squeeze(1)
