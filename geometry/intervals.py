"""Means with bootstrap intervals, of clusters drawn together. Imports nothing of ours."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
FEWEST_CLUSTERS = 5
FEWEST_UNITS = 3  # one or two values drawn again say nothing of a third


def summarise(values: NDArray[np.float64]) -> dict[str, Any]:
    """Mean, standard deviation, count and a 95% bootstrap interval of the mean.

    Units are the concepts or edges (columns of a (permutations, m) array, averaged over permutations).
    """
    flat = values[np.isfinite(values)]
    if not len(flat):
        return {"mean": None, "sd": None, "n": 0, "interval": None}
    return {
        "mean": float(flat.mean()),
        "sd": float(flat.std()),
        "n": len(_units(values)[0]),
        "interval": list(interval_of(values)),
    }


def mean_of(values: NDArray[np.float64]) -> float:
    """Over everything finite; nan if nothing is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def means_of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of every row over what is finite in it, shape (n,); nan of a row without."""
    finite = np.isfinite(rows)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(finite, rows, 0).sum(axis=1) / finite.sum(axis=1))


def interval_of(values: NDArray[np.float64], clusters: NDArray[np.int64] | None = None) -> tuple[float, float]:
    """95% bootstrap interval of the mean over units; of one number a permutation, 95% of the permutations.

    Units of one cluster are drawn together: children of one parent share words, so that taking them for independent
    would make the interval too narrow. With fewer than 5 clusters there is nothing to draw, and it is too narrow; of
    fewer than 3 units there is none, but nan.
    """
    if values.ndim == 2 and values.shape[1] == 1 and len(values) > 1:
        return central(values.ravel())
    few = len(_units(values)[0]) < FEWEST_UNITS
    return (np.nan, np.nan) if few else central(bootstrap_means(values, clusters))


def said_mean(values: NDArray[np.float64], form: str = ".2f") -> str:
    """A mean with its 95% interval over units, as text; without one where the units are too few.

    >>> said_mean(np.array([1.0, 1.0, 1.0]))
    '1.00 [1.00, 1.00]'
    """
    low, high = interval_of(values)
    mean = format(mean_of(values), form)
    return f"{mean} [{low:{form}}, {high:{form}}]" if np.isfinite(low) else mean


def bootstrap_means(values: NDArray[np.float64], clusters: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Means of 2,000 bootstrap samples of the units (columns), shape (2000,); empty without a finite one.

    The samples are the same for equally many clusters, so that the means of paired values can be subtracted.
    """
    units, kept = _units(values)
    if not len(units):
        return np.empty(0)
    cluster = np.empty(0, np.int64) if clusters is None else np.unique(clusters[kept], return_inverse=True)[1]
    if not len(cluster) or (n := int(cluster.max()) + 1) < FEWEST_CLUSTERS:
        rng = np.random.default_rng(0)
        return units[rng.integers(0, len(units), size=(RESAMPLES, len(units)))].mean(axis=1)
    times = cluster_weights(n)
    return (times @ np.bincount(cluster, units)) / (times @ np.bincount(cluster))


@lru_cache(maxsize=32)
def cluster_weights(n: int) -> NDArray[np.float64]:
    """How often each of n clusters is drawn in each bootstrap sample, shape (2000, n); the same whenever asked."""
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
    weights.flags.writeable = False
    return weights


def central(means: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95% of bootstrap means."""
    low, high = np.nanquantile(means, [0.025, 0.975]) if np.isfinite(means).any() else (np.nan, np.nan)
    return float(low), float(high)


def _units(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean of each column that has one, and which these are."""
    rows = np.atleast_2d(values)
    kept: NDArray[np.bool_] = np.asarray(np.isfinite(rows).any(axis=0))
    return np.asarray(np.nanmean(rows[:, kept], axis=0)), kept
