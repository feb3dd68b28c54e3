"""How many principal components of a few rows stand out: parallel analysis by random signs, one after the other.

Arrays in, arrays out; imports nothing of steering.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import linear_sum_assignment

from geometry.significance import permutation_p

Array = NDArray[np.float64]


def svd(rows: Array, most: int) -> tuple[Array, Array, Array]:
    """Left vectors (n, k), singular values (k,) and right vectors (k, d), largest first, of rank at most."""
    u, s, vt = np.linalg.svd(rows, full_matrices=False)
    # What rounding leaves of a matrix of lower rank is no direction.
    rank = int((s > s[:1].max(initial=0.0) * max(rows.shape) * np.finfo(np.float64).eps).sum())
    kept = min(most, rank)
    return u[:, :kept], s[:kept], vt[:kept]


def squares(gram: Array) -> Array:
    """Squared singular values of rows by their inner products, largest first."""
    return np.asarray(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0))


def largest_share(rows: Array) -> float:
    """The squared largest singular value over the squared norm of all rows."""
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    last = len(gram) - 1
    return float(eigh(gram, eigvals_only=True, subset_by_index=(last, last))[0] / np.trace(gram))


def flipped(rows: Array, rng: np.random.Generator) -> Array:
    """The same with a random sign at every number: each coordinate of each row keeps its size, and is alone."""
    return np.asarray(np.where(rng.random(rows.shape) < 0.5, rows, -rows))


def parallel_analysis(
    rows: Array, *, centred: bool, most: int, n_random: int, level: float, rng: np.random.Generator
) -> tuple[Array, list[Array]]:
    """p of the components one after the other until one is not significant, and the null's shares of each.

    Component j is taken away before j + 1 is tested: its largest share of what is left is held against that of the
    same numbers under random signs. From these is taken away too what was taken from the rows (the directions of both
    sides, and with `centred` the mean), or they would have more dimensions to spread over. A whole row's sign changes
    none of its singular values: signs are drawn number by number.

    Returns p, shape (tested,), and of each tested component the n_random shares of the squared norm of all rows.
    """
    left = np.full((len(rows), 1), len(rows) ** -0.5) if centred else np.zeros((len(rows), 0))
    right = np.zeros((0, rows.shape[1]))
    rest = rows - left @ (left.T @ rows)
    whole = float((rest * rest).sum())
    p: list[float] = []
    shares: list[Array] = []
    u, s, vt = svd(rest, most)
    for j in range(len(s)):
        energy = float((rest * rest).sum())
        null = np.empty(n_random)
        for draw in range(n_random):
            other = flipped(rest, rng)
            other -= left @ (left.T @ other)
            other -= (other @ right.T) @ right
            null[draw] = largest_share(other)
        shares.append(null * energy / whole)
        p.append(permutation_p(float(s[j] ** 2 / whole), shares[-1], "greater"))
        if p[-1] > level or min(len(rows) - left.shape[1], rows.shape[1] - len(right)) <= 2:
            break
        rest = rest - np.outer(s[j] * u[:, j], vt[j])
        left, right = np.column_stack([left, u[:, j]]), np.vstack([right, vt[j]])
    return np.array(p), shares


def split_half_cosines(
    rows: Array, directions: Array, *, centred: bool, n_splits: int, rng: np.random.Generator
) -> Array:
    """Of each direction (k, d) the mean |cosine| of its counterparts in random halves of the rows, shape (k,)."""
    found = np.full((n_splits, len(directions)), np.nan)
    for split in range(n_splits):
        order = rng.permutation(len(rows))
        sides = []
        for half in (order[: len(rows) // 2], order[len(rows) // 2 :]):
            part = rows[half] - (rows[half].mean(axis=0) if centred else 0.0)
            vt = svd(part, len(directions))[2]
            chosen, own = linear_sum_assignment(-np.abs(directions @ vt.T))
            side = np.full(directions.shape, np.nan)
            side[chosen] = vt[own]
            sides.append(side)
        found[split] = np.abs((sides[0] * sides[1]).sum(axis=1))
    finite = np.isfinite(found)
    return np.asarray(np.where(finite, found, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1))


def jackknife(values: Array) -> Array:
    """Standard errors (k,) of k estimates from those without each of m groups, shape (m, k)."""
    m = len(values)
    return np.asarray(np.sqrt((m - 1) / m * ((values - values.mean(axis=0)) ** 2).sum(axis=0)))
