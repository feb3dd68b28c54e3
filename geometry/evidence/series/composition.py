"""Additive composition: is a value's vector its category plus its position, Monday = weekday + 1st?

A two-way additive model over several series, each cell predicted from the others. The idea of a shared position
is that of successor heads (Gould et al., arXiv 2312.09230).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.errors import EstimationError
from geometry.significance import permutation_p

__all__ = ["Composition", "additive_composition"]


@dataclass(frozen=True, eq=False)
class Composition:
    """How well composed vectors retrieve the values that they were composed without.

    Attributes
    ----------
    cells : (series, value) of each cell that could be left out.
    ranks : shape (m,), place of the true value among all of its series, 1 the best.
    sizes : shape (m,), number of values in the series.
    predicted : shape (m, d), the composed vectors.
    shuffled : shape (draws,), `score` with positions shuffled within every series.
    """

    cells: tuple[tuple[str, str], ...]
    ranks: NDArray[np.int64]
    sizes: NDArray[np.int64]
    predicted: NDArray[np.float64]
    shuffled: NDArray[np.float64]

    @property
    def score(self) -> float:
        """Mean of 1 − (rank − 1)/(size − 1): 1 if the true value is always first, 0 if always last."""
        return _score(self.ranks, self.sizes)

    @property
    def per_cell(self) -> NDArray[np.float64]:
        """1 − (rank − 1)/(size − 1) of every cell, shape (m,)."""
        found: NDArray[np.float64] = 1 - (self.ranks - 1) / (self.sizes - 1)
        return found

    @property
    def p_value(self) -> float:
        """Share of shuffles that score at least as well, the true positions counted as one."""
        return permutation_p(self.score, self.shuffled, "greater")

    def to_dict(self) -> dict[str, Any]:
        """Score, null and p-value, and the rank of every cell."""
        return {
            "score": self.score,
            "by_series": {
                series: float(self.per_cell[[name == series for name, _ in self.cells]].mean())
                for series in dict.fromkeys(name for name, _ in self.cells)
            },
            "shuffled_positions": float(self.shuffled.mean()),
            "p_value": self.p_value,
            "ranks": {
                f"{series}: {value}": int(rank) for (series, value), rank in zip(self.cells, self.ranks, strict=True)
            },
        }


def additive_composition(
    series: Mapping[str, tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.float64]]],
    *,
    draws: int = 99,
    seed: int = 0,
) -> Composition:
    """Predict every value as category + position from all the others, and rank its series by cosine to that.

    Parameters
    ----------
    series : name → (values, positions of shape (k,), vectors of shape (k, d)). A cell can be predicted if its
        position occurs in another series too.
    draws : shuffles of positions within the series.

    Raises
    ------
    EstimationError
        Fewer than two series, no position in common, or non-finite vectors.

    Notes
    -----
    Leaving one cell out of a least-squares fit needs no second fit: with the hat matrix H and residuals e
    the prediction is x_i − e_i/(1 − H_ii).
    """
    names = list(series)
    if len(names) < 2 or not all(np.isfinite(vectors).all() for _, _, vectors in series.values()):
        raise EstimationError("composition needs at least two series of finite vectors")
    family = np.concatenate([np.full(len(series[name][0]), place) for place, name in enumerate(names)])
    positions = np.concatenate([series[name][1] for name in names])
    vectors = np.concatenate([series[name][2] for name in names])
    values = [value for name in names for value in series[name][0]]
    sizes = np.bincount(family)[family]
    usable, predicted = _left_out(_hat(family, positions), vectors)
    usable &= sizes > 1
    if not usable.any():
        raise EstimationError("composition needs positions that several series have in common")
    ranks = _ranks(family, predicted, vectors)
    rng = np.random.default_rng(seed)
    shuffled = []
    for _ in range(draws):
        moved = np.concatenate([rng.permutation(positions[family == place]) for place in range(len(names))])
        known, guess = _left_out(_hat(family, moved), vectors)
        known &= sizes > 1
        shuffled.append(_score(_ranks(family, guess, vectors)[known], sizes[known]))
    cells = tuple((names[place], value) for place, value in zip(family, values, strict=True))
    left_out = tuple(cell for cell, use in zip(cells, usable, strict=True) if use)
    return Composition(left_out, ranks[usable], sizes[usable], predicted[usable], np.array(shuffled))


def _hat(family: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hat matrix of the additive model, shape (n, n)."""
    places = np.unique(positions, return_inverse=True)[1]
    design = np.concatenate([np.eye(family.max() + 1)[family], np.eye(places.max() + 1)[places]], axis=1)
    return np.asarray(design @ np.linalg.pinv(design), dtype=np.float64)


def _left_out(hat: NDArray[np.float64], vectors: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which cells the others determine, and their prediction from the least-squares fit to the others."""
    leverage = hat.diagonal()
    usable = leverage < 1 - 1e-9
    remaining = np.where(usable, 1 - leverage, 1)
    return usable, vectors - (vectors - hat @ vectors) / remaining[:, None]


def _ranks(
    family: NDArray[np.int64], predicted: NDArray[np.float64], vectors: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Place of every cell among its series by cosine with its prediction, 1 the nearest."""
    units = [some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-300) for some in (predicted, vectors)]
    cosines = units[0] @ units[1].T
    same = family[:, None] == family[None]
    better = (cosines > cosines.diagonal()[:, None]) & same
    ranks: NDArray[np.int64] = better.sum(axis=1) + 1
    return ranks


def _score(ranks: NDArray[np.int64], sizes: NDArray[np.int64]) -> float:
    return float((1 - (ranks - 1) / (sizes - 1)).mean())
