"""Means with bootstrap intervals. Imports nothing of ours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 2000


def summarise(values: NDArray[np.float64]) -> dict[str, Any]:
    """Mean, standard deviation, count and a 95% bootstrap interval of the mean.

    Units are the concepts or edges (columns of a (permutations, m) array, averaged over permutations). The
    bootstrap takes them for independent; nested concepts share tokens, so the true interval is wider.
    """
    flat = values[np.isfinite(values)]
    if not len(flat):
        return {"mean": None, "sd": None, "n": 0, "interval": None}
    return {
        "mean": float(flat.mean()),
        "sd": float(flat.std()),
        "n": len(_units(values)),
        "interval": list(interval_of(values)),
    }


def mean_of(values: NDArray[np.float64]) -> float:
    """Over everything finite; nan if nothing is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _units(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.atleast_2d(values)
    rows = rows[:, np.isfinite(rows).any(axis=0)]
    return np.asarray(np.nanmean(rows, axis=0))


def interval_of(values: NDArray[np.float64]) -> tuple[float, float]:
    """95% bootstrap interval of the mean over units; of one number a permutation, 95% of the permutations."""
    if values.ndim == 2 and values.shape[1] == 1 and len(values) > 1:
        return central(values.ravel())
    units = _units(values)
    if not len(units):
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    return central(units[rng.integers(0, len(units), size=(_RESAMPLES, len(units)))].mean(axis=1))


def central(means: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95% of bootstrap means."""
    low, high = np.nanquantile(means, [0.025, 0.975]) if np.isfinite(means).any() else (np.nan, np.nan)
    return float(low), float(high)
