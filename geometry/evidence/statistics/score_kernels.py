"""The loops of statistics over scores, compiled: sets of a few words are too little work for NumPy."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geometry.cache.kernels import compiled

Scores = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_REORDERED = {"reassoc", "contract"}  # sums may be taken in another order, and so several numbers at a time


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
        negatives = np.empty(len(others))
        for i in range(len(others)):
            negatives[i] = above[others[i]] - weight * below[others[i]]
        fewer, wins = _fewer(positives, negatives), 0
        for i in range(len(others)):
            equal = fewer[i]
            while equal < len(positives) and positives[equal] == negatives[i]:
                equal += 1
            wins += 2 * len(positives) - fewer[i] - equal
        result[e] = wins / (2 * len(own) * len(others))


@compiled(nogil=True)
def _fewer(ascending: Floats, values: Floats) -> Integers:
    """How many of some numbers are less than each of others: a step of all bisections at a time, without branches."""
    found, size = np.zeros(len(values), np.int64), len(ascending)
    while size > 1:
        half = size // 2
        for i in range(len(values)):
            found[i] += half if ascending[found[i] + half - 1] < values[i] else 0
        size -= half
    for i in range(len(values)):
        found[i] += 1 if ascending[found[i]] < values[i] else 0
    return found


@compiled(nogil=True)
def means(scores: Scores, rows: Integers, sets: Integers, words: Sets, result: Floats) -> None:
    """Mean of the scores of row rows[i] over the words of set sets[i]; nan of an empty one."""
    for i in range(len(rows)):
        own = words.columns[words.starts[sets[i]] : words.starts[sets[i] + 1]]
        row, total = scores[rows[i]], 0.0
        for column in own:
            total += row[column]
        result[i] = total / len(own) if len(own) else np.nan


@compiled(nogil=True)
def nearest(scores: Scores, squares: Scores, concepts: Sets, words: Sets, result: Integers) -> None:
    """Which concept of set k each word of set k is nearest, by its place in the set; of equals the first.

    By ‖ℓ‖² − 2⟨ℓ, g(y)⟩, which leaves out the ‖g(y)‖² that all have in common. `squares` are the ‖ℓ‖².
    """
    for k in range(len(concepts.starts) - 1):
        own = concepts.columns[concepts.starts[k] : concepts.starts[k + 1]]
        columns = words.columns[words.starts[k] : words.starts[k + 1]]
        found = result[words.starts[k] : words.starts[k + 1]]
        least = np.empty(len(columns), scores.dtype)
        for place in range(len(own)):
            row, square = scores[own[place]], squares[own[place]]
            for i in range(len(columns)):
                distance = square - (row[columns[i]] + row[columns[i]])
                if place == 0 or distance < least[i]:
                    least[i], found[i] = distance, place


@compiled(nogil=True, fastmath=_REORDERED)
def products(vectors: Scores, points: Scores, rows: Integers, concepts: Sets, words: Sets, result: Scores) -> None:
    """The scores of the concepts of every set k with the words of set k: result[c, w] = ⟨vectors[c], points[rows[w]]⟩.

    Of four concepts and four words at a time, each number of which is read once for all of the sixteen; the last ones
    of a set are taken more than once.
    """
    for k in range(len(concepts.starts) - 1):
        own = concepts.columns[concepts.starts[k] : concepts.starts[k + 1]]
        columns = words.columns[words.starts[k] : words.starts[k + 1]]
        last, end = len(own) - 1, len(columns) - 1
        for j in range(0, end + 1, 4):
            w, x, y, z = columns[j], columns[min(j + 1, end)], columns[min(j + 2, end)], columns[min(j + 3, end)]
            to = points[rows[w]], points[rows[x]], points[rows[y]], points[rows[z]]
            for i in range(0, last + 1, 4):
                a, b, c, d = own[i], own[min(i + 1, last)], own[min(i + 2, last)], own[min(i + 3, last)]
                found = _sixteen(vectors[a], vectors[b], vectors[c], vectors[d], *to)
                result[a, w], result[a, x], result[a, y], result[a, z] = found[:4]
                result[b, w], result[b, x], result[b, y], result[b, z] = found[4:8]
                result[c, w], result[c, x], result[c, y], result[c, z] = found[8:12]
                result[d, w], result[d, x], result[d, y], result[d, z] = found[12:]


@compiled(nogil=True, fastmath=_REORDERED)
def _sixteen(a: Scores, b: Scores, c: Scores, d: Scores, w: Scores, x: Scores, y: Scores, z: Scores) -> Any:
    """The products of each of four vectors with each of four others, in their own precision."""
    aw = ax = ay = az = bw = bx = by = bz = cw = cx = cy = cz = dw = dx = dy = dz = a.dtype.type(0)
    for i in range(len(a)):
        one = a[i]
        aw, ax, ay, az = aw + one * w[i], ax + one * x[i], ay + one * y[i], az + one * z[i]
        one = b[i]
        bw, bx, by, bz = bw + one * w[i], bx + one * x[i], by + one * y[i], bz + one * z[i]
        one = c[i]
        cw, cx, cy, cz = cw + one * w[i], cx + one * x[i], cy + one * y[i], cz + one * z[i]
        one = d[i]
        dw, dx, dy, dz = dw + one * w[i], dx + one * x[i], dy + one * y[i], dz + one * z[i]
    return aw, ax, ay, az, bw, bx, by, bz, cw, cx, cy, cz, dw, dx, dy, dz
