"""Representational similarity of two models: rank correlation and kernel alignment of their concepts' cosines."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from geometry.concepts import ConceptHierarchy
from geometry.evidence.statistics.statistic import FEWEST

Matrix = NDArray[np.float64]


def representational_similarity(first: Matrix, second: Matrix, counted: NDArray[np.bool_]) -> float:
    """Spearman's ρ between two k × k matrices over the pairs that count (RSA).

    >>> representational_similarity(first.matrix, second.matrix, word_disjoint(first.hierarchy))  # doctest: +SKIP

    Concepts with common words are similar in any model, so count word-disjoint pairs. nan for fewer than 3 pairs.
    Source: Kriegeskorte et al., Front. Syst. Neurosci. 2 (2008).
    """
    upper = np.triu(counted, 1)
    return pearson(rankdata(first[upper]), rankdata(second[upper]))


def pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Pearson's r; nan for fewer than 3 pairs or a constant side."""
    return float(np.corrcoef(x, y)[0, 1]) if len(x) >= FEWEST and x.std() != 0 and y.std() != 0 else float("nan")


def cka(first: Matrix, second: Matrix, counted: NDArray[np.bool_]) -> float:
    """Debiased linear centred kernel alignment (CKA) of two k × k Gram matrices over the pairs that count.

    Each matrix is centred by the effects aᵢ + aⱼ that fit its counted pairs best; if all pairs of different concepts
    count, this is the unbiased HSIC's centring. 0 is expected of unrelated models, 1 of identical ones; nan for
    pairs that leave nothing once centred. Sources: Kornblith et al., arXiv 1905.00414; Song et al., J. Mach. Learn.
    Res. 13 (2012).
    """
    weights = (counted & ~np.eye(len(counted), dtype=bool)).astype(np.float64)
    grams = np.stack([first, second])
    # The normal equations of the two fits, which have the pairs in common.
    wanted = (weights * grams).sum(axis=2)
    effects = np.linalg.lstsq(np.diag(weights.sum(axis=1)) + weights, wanted.T, rcond=None)[0].T
    x, y = weights * (grams - effects[:, :, None] - effects[:, None])
    scale = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / scale) if scale > len(first) * np.finfo(np.float64).eps else float("nan")


def word_disjoint(hierarchy: ConceptHierarchy) -> NDArray[np.bool_]:
    """Which pairs of concepts have no word in common, shape (k, k)."""
    return hierarchy.shared_tokens() == 0
