"""The loops of statistics over scores, compiled: sets of a few words are too little work for NumPy."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geometry.cache.kernels import compiled

Scores = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Sets(NamedTuple):
    """Sets of columns of the scores, set k being columns[starts[k]:starts[k + 1]]."""

    columns: Integers
    starts: Integers

    @classmethod
    def of(cls, sets: Sequence[Integers]) -> "Sets":
        """Laid end to end."""
        starts = np.cumsum([0, *(len(columns) for columns in sets)]).astype(np.int64)
        return cls(np.concatenate([np.empty(0, np.int64), *sets]), starts)


@compiled(nogil=True)
def aucs(
    scores: Scores, upper: Integers, lower: Integers, inside: Sets, outside: Sets, fewest: int, result: Floats
) -> None:
    """Mann–Whitney of every edge: the chance that a score of one inside exceeds one outside, ties counted half.

    Edge e is scored along row upper[e] less row lower[e]; less nothing where that is negative. What has fewer words
    than `fewest` on a side stays as it is.
    """
    for e in range(len(upper)):
        own = inside.columns[inside.starts[e] : inside.starts[e + 1]]
        others = outside.columns[outside.starts[e] : outside.starts[e + 1]]
        if min(len(own), len(others)) < fewest:
            continue
        above, below = scores[upper[e]], scores[max(lower[e], 0)]
        weight = 1.0 if lower[e] >= 0 else 0.0
        positives = np.empty(len(own))
        for i in range(len(own)):
            positives[i] = above[own[i]] - weight * below[own[i]]
        if not np.isfinite(positives[0]):
            continue
        positives.sort()
        wins = 0
        for column in others:
            score = above[column] - weight * below[column]
            left = np.searchsorted(positives, score)
            equal = left
            while equal < len(positives) and positives[equal] == score:
                equal += 1
            wins += 2 * len(positives) - left - equal
        result[e] = wins / (2 * len(own) * len(others))


@compiled(nogil=True)
def means(scores: Scores, rows: Integers, sets: Integers, words: Sets, result: Floats) -> None:
    """Mean of the scores of row rows[i] over the words of set sets[i]; nan of an empty one."""
    for i in range(len(rows)):
        own = words.columns[words.starts[sets[i]] : words.starts[sets[i] + 1]]
        row, total = scores[rows[i]], 0.0
        for column in own:
            total += row[column]
        result[i] = total / len(own) if len(own) else np.nan
