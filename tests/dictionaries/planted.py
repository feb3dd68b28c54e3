"""Rows that are sparse sums of known directions, and rows that are nothing."""

import numpy as np
from numpy.typing import NDArray

D, TRUE, ACTIVE = 24, 32, 3


def planted(n: int = 2000, noise: float = 0.05, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Sums of 3 of 32 unit directions in 24 dimensions with noise, and the directions."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((TRUE, D))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chosen = rng.permuted(np.tile(np.arange(TRUE), (n, 1)), axis=1)[:, :ACTIVE]
    z = np.zeros((n, TRUE))
    np.put_along_axis(z, chosen, rng.uniform(0.5, 1.5, chosen.shape), axis=1)
    rows = 3.0 + 5 * (z @ directions + noise * rng.standard_normal((n, D)))  # of some scale, and not around 0
    return rows.astype(np.float32), directions


def found(decoder: NDArray[np.float64], directions: NDArray[np.float64]) -> float:
    """Mean over the true directions of the largest cosine with any feature."""
    return float((directions @ decoder.T).max(axis=1).mean())


def recovered(decoder: NDArray[np.float64], directions: NDArray[np.float64], cosine: float = 0.9) -> float:
    """Share of the true directions that a feature is nearer to than that."""
    return float(((directions @ decoder.T).max(axis=1) > cosine).mean())
