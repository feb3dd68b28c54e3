"""The loops over sets of `geometry.gram`, compiled: gathering a few products at a time is too little for NumPy."""

from typing import Any

import numpy as np

from geometry.cache.kernels import compiled

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]

_FEWEST_ROWS = 3  # as of `geometry.estimators`
_REORDERED = {"reassoc", "contract"}  # sums may be taken in another order, and so several numbers at a time
_SLACK = 16  # products of equal rows differ by so many units of their last digit at most


@compiled(nogil=True)
def weigh(
    gram: Floats,
    width: int,
    epsilon: float,
    weights: Floats,
    shrinkage: Floats,
    degenerate: Booleans,
) -> None:
    """The rows' weights α in ℓ = Yᵀα, from the lower triangle of their G, which is overwritten."""
    n = len(gram)
    if n == 0:
        return
    weights[:] = 1 / n
    r, total = _row_means(gram)
    q = r.mean()
    trace, fourth, square = _centre(gram, r)
    mu = trace / (n * width)
    frobenius = (2 * square + fourth) / n**2
    delta = (frobenius - width * mu * mu) / width
    beta = min((fourth / n - frobenius) / (width * n), delta)
    a = beta / delta if beta > 0 else 0.0
    if n < _FEWEST_ROWS or a * trace <= _SLACK * epsilon * total or not q > 0:
        return
    if a == 1.0:
        degenerate[0] = False
        shrinkage[0] = a
        return
    c = a * mu * n / (1 - a)
    for i in range(n):
        gram[i, i] += c
    upper, positive = _factor(gram)
    if not positive:
        return
    w = _solved(upper, r - q)
    along = q - (w * (r - q)).sum()
    squared = along - c * (w * w).sum()
    if not squared > 0:
        return
    degenerate[0] = False
    shrinkage[0] = a
    weights[:] = (1 / n - (w - w.mean())) * (along / squared)


@compiled(nogil=True, fastmath=_REORDERED)
def _row_means(gram: Floats) -> tuple[Floats, float]:
    """Mean of each row of a symmetric matrix and its trace, from its lower triangle."""
    n = len(gram)
    sums, trace = np.zeros(n), 0.0
    for i in range(n):
        row, total = gram[i], 0.0
        for j in range(i):
            total += row[j]
            sums[j] += row[j]
        sums[i] += total + row[i]
        trace += row[i]
    return sums / n, trace


@compiled(nogil=True, fastmath=_REORDERED)
def _centre(gram: Floats, r: Floats) -> tuple[float, float, float]:
    """HGH in the place of G, by the means of its rows: its trace, and the squares on and below the diagonal, summed.

    Centred before it is squared: the difference of squares loses all digits where the mean is long.
    """
    n, q = len(gram), r.mean()
    trace, fourth, square = 0.0, 0.0, 0.0
    for i in range(n):
        row, own = gram[i], r[i] - q
        for j in range(i):
            row[j] -= own + r[j]
            square += row[j] * row[j]
        row[i] = max(row[i] - r[i] - own, 0.0)
        trace += row[i]
        fourth += row[i] * row[i]
    return trace, fourth, square


@compiled(nogil=True, fastmath=_REORDERED)
def _solved(upper: Floats, right: Floats) -> Floats:
    """(UᵀU)⁻¹ of a vector."""
    n, w = len(right), right.copy()
    for i in range(n):
        row = upper[i]
        w[i] /= row[i]
        for j in range(i + 1, n):
            w[j] -= row[j] * w[i]
    for i in range(n - 1, -1, -1):
        row, total = upper[i], 0.0
        for j in range(i + 1, n):
            total += row[j] * w[j]
        w[i] = (w[i] - total) / row[i]
    return w


@compiled(nogil=True)
def _factor(matrix: Floats) -> tuple[Any, bool]:
    """Cholesky's factor, upper, of a matrix from its lower triangle, and whether rounding has left it that definite."""
    try:
        return np.linalg.cholesky(matrix).T, True  # which is how LAPACK leaves it
    except Exception:  # the one kind that compiled code can tell from none
        return matrix, False


@compiled(nogil=True)
def weigh_all(
    products: Floats,
    members: Integers,
    starts: Integers,
    width: int,
    epsilon: float,
    weights: Floats,
    shrinkage: Floats,
    degenerate: Booleans,
) -> None:
    """`weigh` every set of rows, set k being members[starts[k]:starts[k + 1]], from the products of all rows.

    Sets are ascending, and products of a row with later ones are not looked at.
    """
    for k in range(len(starts) - 1):
        own = members[starts[k] : starts[k + 1]]
        gram = np.empty((len(own), len(own)))
        _gather(products, own, gram)
        weigh(gram, width, epsilon, weights[starts[k] : starts[k + 1]], shrinkage[k : k + 1], degenerate[k : k + 1])


@compiled(nogil=True)
def _gather(products: Floats, own: Integers, gram: Floats) -> None:
    """The products of some rows on and below the diagonal: of four rows at a time, as the memory answers several."""
    i = 0
    while i + 4 <= len(own):
        one, two, three, four = products[own[i]], products[own[i + 1]], products[own[i + 2]], products[own[i + 3]]
        for j in range(i + 1):
            column = own[j]
            gram[i, j], gram[i + 1, j] = one[column], two[column]
            gram[i + 2, j], gram[i + 3, j] = three[column], four[column]
        for row in range(i + 1, i + 4):
            for j in range(i + 1, row + 1):
                gram[row, j] = products[own[row], own[j]]
        i += 4
    for row in range(i, len(own)):
        for j in range(row + 1):
            gram[row, j] = products[own[row], own[j]]


@compiled(nogil=True, fastmath=_REORDERED)
def combine(rows: Floats, members: Integers, starts: Integers, weights: Floats, sums: Floats) -> None:
    """The weighted sum of every set of rows, added to zeros: what a sparse product gives, but for threads too.

    Of eight rows at a time: a sum is read and written as often as there are passes over it.
    """
    for k in range(len(starts) - 1):
        total, i, stop = sums[k], starts[k], starts[k + 1]
        while i + 8 <= stop:
            a, b, c, d = rows[members[i]], rows[members[i + 1]], rows[members[i + 2]], rows[members[i + 3]]
            e, f, g, h = rows[members[i + 4]], rows[members[i + 5]], rows[members[i + 6]], rows[members[i + 7]]
            s, t, u, v = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
            w, x, y, z = weights[i + 4], weights[i + 5], weights[i + 6], weights[i + 7]
            for j in range(len(total)):
                first = s * a[j] + t * b[j] + u * c[j] + v * d[j]
                total[j] += first + (w * e[j] + x * f[j] + y * g[j] + z * h[j])
            i += 8
        while i < stop:
            row, weight = rows[members[i]], weights[i]
            for j in range(len(total)):
                total[j] += weight * row[j]
            i += 1
