"""Additive composition: is a value's vector its category plus its position, Monday = weekday + 1st?

A two-way additive model over several series, each cell predicted from the others. The idea of a shared position
is that of successor heads (Gould et al., arXiv 2312.09230).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.errors import EstimationError
from geometry.results import NullValues, TestResult


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Composition(TestResult):
    """How well composed vectors retrieve the values that they were composed without.

    The value is the mean normalised rank 1 − (rank − 1)/(size − 1) over cells: 1 if the true value is always first, 0
    if always last.

    Attributes:
        cells: (series, value) of each cell that could be left out, shape (m,).
        ranks: shape (m,), rank of the true value among all of its series, 1 the best.
        sizes: shape (m,), number of values in the series.
        composed: shape (m, d), the composed vectors.
    """

    cells: tuple[tuple[str, str], ...]
    ranks: NDArray[np.int64]
    sizes: NDArray[np.int64]
    composed: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """The result, and the normalised rank by series and the rank of every cell."""
        owners = np.array([series for series, _ in self.cells])
        return super().to_dict() | {
            "by_series": {series: float(self.values[owners == series].mean()) for series in dict.fromkeys(owners)},
            "ranks": {label: int(rank) for label, rank in zip(self.labels, self.ranks, strict=True)},
        }


@checked
def additive_composition(
    series: Mapping[str, tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.float64]]],
    *,
    n_permutations: int = 99,
    seed: int = 0,
) -> Composition:
    """Predict every value as category + position from all the others, and rank its series by cosine to that.

    Parameters:
        series: name → (values, positions of shape (k,), vectors of shape (k, d)). A cell can be predicted if its
            position occurs in another series too.
        n_permutations: of positions within the series.

    Raises EstimationError: fewer than two series, no position in common, or non-finite vectors.

    Leaving one cell out of a least-squares fit needs no second fit: with the hat matrix H and residuals e
    the prediction is x_i − e_i/(1 − H_ii).
    """
    names = list(series)
    if len(names) < 2 or not all(np.isfinite(vectors).all() for _, _, vectors in series.values()):
        raise EstimationError("composition needs at least two series of finite vectors")
    family = np.concatenate([np.full(len(series[name][0]), index) for index, name in enumerate(names)])
    positions = np.concatenate([series[name][1] for name in names])
    vectors = np.concatenate([series[name][2] for name in names])
    values = [value for name in names for value in series[name][0]]
    sizes = np.bincount(family)[family]
    usable, composed = _left_out(family, positions, vectors)
    if not usable.any():
        raise EstimationError("composition needs positions that several series have in common")
    ranks = _ranks(family, composed, vectors)
    rng = np.random.default_rng(seed)
    shuffled = []
    for _ in range(n_permutations):
        moved = np.concatenate([rng.permutation(positions[family == index]) for index in range(len(names))])
        known, guess = _left_out(family, moved, vectors)
        shuffled.append([_normalised(_ranks(family, guess, vectors)[known], sizes[known]).mean()])
    cells = tuple((names[index], value) for index, value, use in zip(family, values, usable, strict=True) if use)
    return Composition(
        name="composition",
        labels=tuple(f"{name}: {value}" for name, value in cells),
        values=_normalised(ranks[usable], sizes[usable]),
        nulls={"shuffled_positions": NullValues(np.array(shuffled), "shuffled positions", ".")},
        title="A value is its category plus its position (Monday = weekday + 1st)",
        measure="leave-one-out retrieval, normalised rank (1: always first)",
        subject=" + ".join(names),
        unstructured=0.5,
        predicted=1.0,
        cells=cells,
        ranks=ranks[usable],
        sizes=sizes[usable],
        composed=composed[usable],
    )


def _left_out(
    family: NDArray[np.int64], positions: NDArray[np.int64], vectors: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which cells can be ranked, as the others determine them, and their prediction from the fit to the others."""
    columns = np.unique(positions, return_inverse=True)[1]
    design = np.concatenate([np.eye(family.max() + 1)[family], np.eye(columns.max() + 1)[columns]], axis=1)
    hat = np.asarray(design @ np.linalg.pinv(design), dtype=np.float64)
    leverage = hat.diagonal()
    usable = leverage < 1 - 1e-9
    remaining = np.where(usable, 1 - leverage, 1)
    return usable & (np.bincount(family)[family] > 1), vectors - (vectors - hat @ vectors) / remaining[:, None]


def _ranks(family: NDArray[np.int64], composed: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rank of every cell among its series by cosine with its prediction, 1 the nearest."""
    units = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300) for rows in (composed, vectors)]
    cosines = units[0] @ units[1].T
    better = cosines > cosines.diagonal()[:, None]
    return (better & (family[:, None] == family)).sum(axis=1) + 1


def _normalised(ranks: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    return 1 - (ranks - 1) / (sizes - 1)
