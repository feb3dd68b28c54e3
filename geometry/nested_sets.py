"""Concept vectors of sets of more points than dimensions, most of which lie inside each other."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.estimators import ConceptVector, lda_from_scatter
from geometry.symmetric import lower_scatter, mirrored

_BLOCK = 4096  # rows that are multiplied at a time


def fit_nested(points: torch.Tensor, sets: Mapping[int, NDArray[np.int64]]) -> dict[int, ConceptVector]:
    """`concept_vector` of each set of points: Σyyᵀ is summed from sets inside it and the points that these leave over.

    >>> from geometry.estimators import concept_vector
    >>> points = torch.tensor([[1.0, 0], [3, 1], [2, 5], [4, 4]], dtype=torch.float64)
    >>> fits = fit_nested(points, {7: np.array([0, 1, 2]), 8: np.array([0, 1, 2, 3])})
    >>> bool(torch.isclose(fits[8].vector, concept_vector(points).vector).all())
    True

    Parameters:
        points: shape (T, d).
        sets: key → positions of points, at least three.

    Cost: T d² for all sets of a tree, more as far as sets overlap, and d³ a set. One d × d sum is held for every set
    around the present one.
    """
    inner, rest = _decomposed(len(points), sets)
    means: dict[int, torch.Tensor] = {}
    totals: dict[int, torch.Tensor] = {}
    for key in sorted(sets, key=lambda key: len(sets[key])):
        totals[key] = torch.zeros_like(points[0])
        for sign, rows in _blocks(points, rest[key], power=1):
            totals[key].add_(rows.sum(dim=0), alpha=sign)
        for smaller in inner[key]:
            totals[key] += totals[smaller]
        means[key] = totals[key] / len(sets[key])
    along = dict(zip(means, (points @ torch.stack([*means.values()]).T).T, strict=True))
    squared_norms = torch.linalg.vector_norm(points, dim=1).square()
    fits: dict[int, ConceptVector] = {}

    def moment(key: int) -> torch.Tensor:
        """Σyyᵀ on and below its diagonal; on the way, the fits of the set and of those inside it."""
        total = torch.zeros(points.shape[1], points.shape[1], dtype=points.dtype, device=points.device)
        for smaller in inner[key]:
            total += moment(smaller)
        for sign, rows in _blocks(points, rest[key], power=0.5):
            total.add_(lower_scatter(rows), alpha=sign)
        mean, own = means[key], torch.from_numpy(sets[key]).to(points.device)
        scatter = mirrored(total).addr_(mean, mean, alpha=-len(own))
        norms = (squared_norms - 2 * along[key])[own] + mean @ mean
        fits[key] = lda_from_scatter(mean, scatter, norms)
        return total

    inside = {smaller for those in inner.values() for smaller in those}
    for key in sets:
        if key not in inside:
            moment(key)
    return fits


def _blocks(points: torch.Tensor, times: NDArray[np.int64], power: float) -> Iterator[tuple[int, torch.Tensor]]:
    """Points that are to be counted so many times, which may be negative: a sign, and some of them by |times|^power."""
    for sign in (1, -1):
        chosen = np.flatnonzero(sign * times > 0)
        for first in range(0, len(chosen), _BLOCK):
            some = chosen[first : first + _BLOCK]
            rows, often = points[torch.from_numpy(some).to(points.device)], np.abs(times[some])
            if often.max() > 1:
                rows = rows * torch.from_numpy(often**power).to(points)[:, None]
            yield sign, rows


def _decomposed(
    count: int, sets: Mapping[int, NDArray[np.int64]]
) -> tuple[dict[int, list[int]], dict[int, NDArray[np.int64]]]:
    """For each set some inside it, each inside one alone, and how often every point must be counted besides them.

    Of sets that overlap a point is in several, and counted a negative number of times.
    """
    inner: dict[int, list[int]] = {}
    rest: dict[int, NDArray[np.int64]] = {}
    free: list[int] = []
    for key in sorted(sets, key=lambda key: len(sets[key])):
        times = np.zeros(count, dtype=np.int64)
        times[sets[key]] = 1
        inside = times > 0
        inner[key] = []
        for smaller in reversed(free):
            own = sets[smaller]
            if inside[own].all() and 2 * (times[own] == 1).sum() > len(own):
                inner[key].append(smaller)
                times[own] -= 1
        free = [smaller for smaller in free if smaller not in inner[key]] + [key]
        rest[key] = times
    return inner, rest
