"""Sparse non-negative decomposition: a vector as a sum of few atoms, each better than chance would find.

Arrays in, arrays out; imports nothing of steering.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from geometry.arguments import checked
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError
from geometry.significance import permutation_p

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]
LEVEL = 0.05
_ROUNDING, _TINY = 1e-12, 1e-300


@dataclass(frozen=True, eq=False)
class Decomposition:
    """v ≈ Σ coefficient × atom, atoms in the order in which they were found.

    Attributes:
        names: of the atoms, shape (s,).
        coefficients: at least 0, in units of the atoms as given, shape (s,).
        gains: by how much each lowered the residual's share when it was found, shape (s,).
        p: of each gain, against the best atom for the null's residuals of the same norm, shape (s,).
        residual: what is left of v, shape (d,).
        residual_share: its squared norm over that of v.
        random_share: the same of the null's vectors by their best s atoms, found alike; shape (r,).
        stopped: why no further atom was taken.
    """

    names: tuple[str, ...]
    coefficients: Array
    gains: Array
    p: Array
    residual: Array
    residual_share: float
    random_share: Array
    stopped: str

    __repr__ = short_repr

    def to_frame(self) -> "DataFrame":
        """A row for each atom: coefficient, gain, p."""
        from pandas import DataFrame

        columns = {"coefficient": self.coefficients, "gain": self.gains, "p": self.p}
        return DataFrame(columns, index=list(self.names))

    def _repr_html_(self) -> str:
        rows = zip(self.names, self.coefficients, self.gains, self.p, strict=True)
        random = f" (of the null {self.random_share.mean():.0%})" if len(self.random_share) else ""
        return html_table(
            ("atom", "coefficient", "gain", "p"), rows, f"{self.residual_share:.0%} of the vector is left{random}"
        )


@checked
def decompose(
    vector: ArrayLike,
    atoms: ArrayLike,
    names: Sequence[str],
    *,
    most: int = 20,
    n_random: int = 99,
    null: ArrayLike | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> Decomposition:
    """A vector as a non-negative sum of few atoms, such as the concept vectors of a hierarchy.

    Example::

        found = decompose(space.unify_hidden(vector["after_norm"]), directions.vectors, directions.names)
        found.to_frame(), found.residual_share

    Orthogonal matching pursuit with non-negative coefficients: the atom that lowers the residual most is added, and all
    coefficients are fitted again. An atom is taken only where its gain exceeds what the best of all would gain of
    random residuals of the same norm, orthogonal to the atoms taken so far (p ≤ level), so that noise is left as noise.
    These are isotropic unless `null` says where vectors like this one lie: of one that a map brought here, random
    vectors through the same map, as it may bring most of them near some atom.

    Parameters:
        vector: v, shape (d,), in a space whose inner product means something, such as the unified one.
        atoms: shape (k, d), none of them 0.
        most: atoms at most.
        n_random: isotropic residuals a step, and vectors that are decomposed as a control.
        null: vectors in their place, shape (r, d), the same at every step, of which only the directions count.

    Raises EstimationError: shapes or numbers that do not fit, a zero vector or atom, names that are not one an atom, a
        null of fewer vectors than can reach the level.
    Source: Pati, Rezaiifar and Krishnaprasad, 1993, for orthogonal matching pursuit; the test of each step is ours.
    """
    v, a = (np.asarray(given, dtype=np.float64) for given in (vector, atoms))
    rows = None if null is None else np.asarray(null, dtype=np.float64)
    _check(v, a, names, most, n_random if rows is None else len(rows), level)
    if rows is not None and (rows.shape != (len(rows), len(v)) or not np.isfinite(rows).all()):
        raise EstimationError(f"the null is finite rows (r, {len(v)}), not {rows.shape}")
    lengths = np.linalg.norm(a, axis=1)
    unit = a / lengths[:, None]
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    gains: list[float] = []
    p: list[float] = []
    residual, total = v.copy(), float(v @ v)
    stopped = f"{most} atoms were taken"
    while len(chosen) < min(most, len(a)):
        basis = _basis(unit[chosen])
        free = unit - (unit @ basis.T) @ basis
        gain = _gains(residual, free)
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        if not gain[best] > _ROUNDING * total:
            stopped = "no atom points along what is left"
            break
        draws = rng.standard_normal((n_random, len(v))) if rows is None else rows
        draws = draws - draws @ basis.T @ basis
        draws *= np.linalg.norm(residual) / np.maximum(np.linalg.norm(draws, axis=1, keepdims=True), _TINY)
        by_chance = np.array([np.delete(_gains(draw, free), chosen).max() for draw in draws])
        value = permutation_p(float(gain[best]), by_chance, "greater")
        if value > level:
            stopped = "the next atom gains no more than it would of noise"
            break
        before = float(residual @ residual)
        chosen.append(best)
        residual = _residual(v, unit[chosen])[0]
        gains.append((before - float(residual @ residual)) / total)
        p.append(value)
    residual, weights = _residual(v, unit[chosen])
    share = float(residual @ residual) / total
    others = rng.standard_normal((n_random, len(v))) if rows is None else rows
    control = np.array([_share_of(other, unit, len(chosen)) for other in others])
    kept = np.array([names[index] for index in chosen], dtype=object)
    return Decomposition(
        tuple(kept), weights / lengths[chosen], np.array(gains), np.array(p), residual, share, control, stopped
    )


def _gains(residual: Array, free: Array) -> Array:
    """By how much the squared residual falls if each atom is added with a positive coefficient, shape (k,).

    `free` are the atoms less what they share with those taken: only that part can lower the residual further.
    """
    square = (free * free).sum(axis=1)
    along = np.maximum(free @ residual, 0.0)
    return np.asarray(np.where(square > 1e-10, along**2 / np.maximum(square, 1e-10), 0.0))


def _basis(rows: Array) -> Array:
    """Orthonormal rows that span the same."""
    return np.linalg.qr(rows.T)[0].T if len(rows) else np.zeros((0, rows.shape[1]))


def _residual(v: Array, unit: Array) -> tuple[Array, Array]:
    weights = weights_of(v, unit)
    return v - weights @ unit, weights


def weights_of(v: Array, unit: Array) -> Array:
    """Coefficients of at least 0 with which atoms (s, d) come nearest to a vector, shape (s,)."""
    return nnls(unit.T, v)[0] if len(unit) else np.zeros(0)


def pursued(v: Array, unit: Array, count: int) -> list[int]:
    """Unit atoms by orthogonal matching pursuit, in the order found; fewer than `count` once none gains."""
    chosen: list[int] = []
    residual = v
    while len(chosen) < count:
        basis = _basis(unit[chosen])
        gain = _gains(residual, unit - (unit @ basis.T) @ basis)
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        if not gain[best] > _ROUNDING * float(v @ v):
            break
        chosen.append(best)
        residual = _residual(v, unit[chosen])[0]
    return chosen


def _share_of(v: Array, unit: Array, count: int) -> float:
    """What the best `count` atoms leave of a vector, found by the same steps without their test."""
    residual = _residual(v, unit[pursued(v, unit, count)])[0]
    return float(residual @ residual) / max(float(v @ v), _TINY)


def _check(v: Array, a: Array, names: Sequence[str], most: int, n_random: int, level: float) -> None:
    if v.ndim != 1 or a.ndim != 2 or a.shape[1:] != v.shape or not len(a):
        raise EstimationError(f"a vector (d,) and atoms (k, d) are needed, not {v.shape} and {a.shape}")
    if len(names) != len(a):
        raise EstimationError(f"{len(a)} atoms need as many names, not {len(names)}")
    if not np.isfinite(v).all() or not np.isfinite(a).all():
        raise EstimationError("the vector or the atoms hold NaN or infinity")
    if not v.any() or not a.any(axis=1).all():
        raise EstimationError("a zero vector has no parts, and a zero atom is part of nothing; leave it out")
    if most < 1 or n_random < 1 / level - 1 or not 0 < level < 1:
        raise EstimationError(
            f"most is at least 1, a level between 0 and 1, and n_random enough to reach it, not {most}, {level} and"
            f" {n_random}"
        )
