"""The loops over sets of `geometry.gram`, compiled: gathering a few products at a time is too little for NumPy."""

from typing import Any

import numpy as np

from geometry.cache.kernels import compiled

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]

_FEWEST_ROWS = 3  # as of `geometry.estimators`
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
    r = np.zeros(n)
    total = 0.0
    for i in range(n):
        for j in range(i):
            r[i] += gram[i, j]
            r[j] += gram[i, j]
        r[i] += gram[i, i]
        total += gram[i, i]
    r /= n
    q = r.mean()
    # Centred before it is squared: the difference of squares loses all digits where the mean is long.
    trace, fourth, square = 0.0, 0.0, 0.0
    for i in range(n):
        for j in range(i):
            gram[i, j] -= r[i] + r[j] - q
            square += 2 * gram[i, j] * gram[i, j]
        gram[i, i] = max(gram[i, i] - 2 * r[i] + q, 0.0)
        trace += gram[i, i]
        fourth += gram[i, i] * gram[i, i]
    mu = trace / (n * width)
    frobenius = (square + fourth) / n**2
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
    lower, positive = _factor(gram)
    if not positive:
        return
    w = r - q
    for i in range(n):
        for j in range(i):
            w[i] -= lower[i, j] * w[j]
        w[i] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        w[i] /= lower[i, i]
        for j in range(i):
            w[j] -= lower[i, j] * w[i]
    along = q - (w * (r - q)).sum()
    squared = along - c * (w * w).sum()
    if not squared > 0:
        return
    degenerate[0] = False
    shrinkage[0] = a
    weights[:] = (1 / n - (w - w.mean())) * (along / squared)


@compiled(nogil=True)
def _factor(matrix: Floats) -> tuple[Any, bool]:
    """Cholesky's factor of a matrix from its lower triangle, and whether rounding has left it positive definite."""
    try:
        return np.linalg.cholesky(matrix), True
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
        for i in range(len(own)):
            row = products[own[i]]
            for j in range(i + 1):
                gram[i, j] = row[own[j]]
        weigh(gram, width, epsilon, weights[starts[k] : starts[k + 1]], shrinkage[k : k + 1], degenerate[k : k + 1])


@compiled(nogil=True)
def combine(rows: Floats, members: Integers, starts: Integers, weights: Floats, sums: Floats) -> None:
    """The weighted sum of every set of rows, added to zeros: what a sparse product gives, but for threads too."""
    for k in range(len(starts) - 1):
        for i in range(starts[k], starts[k + 1]):
            row, weight = rows[members[i]], weights[i]
            for j in range(len(row)):
                sums[k, j] += weight * row[j]
