"""Representational similarity of two models: rank correlation and kernel alignment of their concepts' cosines."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError
from geometry.evidence.requirements import FEWEST, Requirement

Matrix = NDArray[np.float64]


@checked(first=ArrayLike, second=ArrayLike, counted=ArrayLike)
def representational_similarity(first: Matrix, second: Matrix, counted: NDArray[np.bool_]) -> float:
    """Spearman's ρ between two k × k matrices over the pairs that count (RSA).

    >>> representational_similarity(first.matrix, second.matrix, word_disjoint(first.hierarchy))  # doctest: +SKIP

    Concepts with common words are similar in any model, so count word-disjoint pairs. nan for fewer than 3 pairs.
    Source: Kriegeskorte et al., Front. Syst. Neurosci. 2 (2008).
    """
    first, second, counts = squares(first=first, second=second, counted=counted)
    upper = np.triu(counts != 0, 1)
    return pearson(rankdata(first[upper]), rankdata(second[upper]))


def pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Pearson's r; nan for fewer than 3 pairs or a constant side."""
    return float(np.corrcoef(x, y)[0, 1]) if len(x) >= FEWEST and x.std() != 0 and y.std() != 0 else float("nan")


@checked(first=ArrayLike, second=ArrayLike, counted=ArrayLike)
def cka(first: Matrix, second: Matrix, counted: NDArray[np.bool_]) -> float:
    """Debiased linear centred kernel alignment (CKA) of two k × k Gram matrices over the pairs that count.

    Each matrix is centred by the effects aᵢ + aⱼ that fit its counted pairs best; if all pairs of different concepts
    count, this is the unbiased HSIC's centring. 0 is expected of unrelated models, 1 of identical ones; nan for
    pairs that leave nothing once centred. Sources: Kornblith et al., arXiv 1905.00414; Song et al., J. Mach. Learn.
    Res. 13 (2012).
    """
    first, second, counts = squares(first=first, second=second, counted=counted)
    weights = ((counts != 0) & ~np.eye(len(first), dtype=bool)).astype(np.float64)
    grams = np.stack([first, second])
    # The normal equations of the two fits, which have the pairs in common.
    wanted = (weights * grams).sum(axis=2)
    effects = np.linalg.lstsq(np.diag(weights.sum(axis=1)) + weights, wanted.T, rcond=None)[0].T
    x, y = weights * (grams - effects[:, :, None] - effects[:, None])
    scale = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / scale) if scale > len(first) * np.finfo(np.float64).eps else float("nan")


@checked
def word_disjoint(hierarchy: ConceptHierarchy) -> NDArray[np.bool_]:
    """Which pairs of concepts have no word in common, shape (k, k)."""
    return hierarchy.shared_tokens() == 0


def _n_disjoint(hierarchy: ConceptHierarchy) -> int:
    return int(np.triu(word_disjoint(hierarchy), 1).sum())


DISJOINT_PAIRS = Requirement("pairs of concepts without a common word", FEWEST, _n_disjoint)


def squares(**matrices: ArrayLike) -> list[Matrix]:
    """The matrices as arrays; EstimationError for one that is not square, not of numbers or of another size."""
    arrays = {name: np.asarray(matrix) for name, matrix in matrices.items()}
    (first, one), *_ = arrays.items()
    for name, array in arrays.items():
        if array.ndim != 2 or array.shape[0] != array.shape[1] or not len(array) or array.dtype.kind not in "biuf":
            problem = f"a square matrix of numbers, a row a concept, not {array.dtype} {array.shape}"
            raise EstimationError(f"{name} must be {problem}")
        if array.shape != one.shape:
            raise EstimationError(f"{name} must have the shape of {first}, {one.shape}, not {array.shape}")
    return list(arrays.values())
