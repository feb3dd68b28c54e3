"""Probes of all concepts at once: fitted to one quarter of the words and judged on the other, both ways round."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from geometry.experiments.erasure.setup import Bench, Indices, Mask, Points
from geometry.probing.probe import ridge

Array = NDArray[np.float64]
NEIGHBOURS = 15
Scores = Callable[[Points, Mask, Points], Array]


def linear(points: Points, members: Mask, judged: Points) -> Array:
    """Scores by ridge regression on the standardised dimensions, shape (m, k)."""
    return np.asarray(ridge(points.shape[1]).fit(points, members.astype(points.dtype)).predict(judged)).reshape(
        len(judged), -1
    )


def neighbours(points: Points, members: Mask, judged: Points) -> Array:
    """The share of each concept among the nearest neighbours, on standardised dimensions, shape (m, k)."""
    mean, spread = points.mean(axis=0), np.maximum(points.std(axis=0), 1e-12)
    first, second = ((rows - mean) / spread for rows in (points, judged))
    distances = (first * first).sum(axis=1) - 2 * second @ first.T
    count = min(NEIGHBOURS, len(points) - 1)
    nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
    return np.asarray(members[nearest].mean(axis=1))


def aucs(scores: Array, members: Mask) -> Array:
    """Of every column, the chance that a word of the concept scores above another, ties counted half; shape (k,)."""
    ranks = rankdata(scores, axis=0)
    inside = members.sum(axis=0)
    others = len(members) - inside
    with np.errstate(invalid="ignore", divide="ignore"):
        found = ((ranks * members).sum(axis=0) - inside * (inside + 1) / 2) / (inside * others)
    return np.asarray(np.where((inside > 0) & (others > 0), found, np.nan))


def both_ways(points: Points, members: Mask, first: Indices, second: Indices, probe: Scores = linear) -> Array:
    """Mean of the AUCs of probes fitted to one part and judged on the other, shape (k,)."""
    found = [
        aucs(probe(points[fit], members[fit], points[judged]), members[judged])
        for fit, judged in ((first, second), (second, first))
    ]
    return np.asarray(np.mean(found, axis=0))


def discriminated(bench: Bench, points: Points, probe: Scores = linear) -> Array:
    """AUC of every concept by its points, shape (k,)."""
    return both_ways(points, bench.members, bench.first, bench.second, probe)
