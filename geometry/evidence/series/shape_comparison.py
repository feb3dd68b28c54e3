"""Which shape a series of values has: held-out scores beside those of the same values in another order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.errors import EstimationError
from geometry.evidence.series.shapes import SHAPES, Shape, left_out_score, shape_kernel
from geometry.significance import permutation_p

__all__ = ["ShapeComparison", "compare_shapes"]


@dataclass(frozen=True, eq=False)
class ShapeComparison:
    """Shapes beside each other.

    Attributes
    ----------
    scores : shape → `left_out_score`, R² of values left out; a simplex has 0.
    nulls : shape → scores of the values in random order, shape (draws,).
    noise : shape → scores of random rows, shape (draws,); empty if none were given.
    errors : shape → standard error of its score, by the jackknife over values.
    leads : shape → standard error of its lead over each other shape, by the same jackknife.
    exact : shape → the score of values that lie on it without noise, less than 1 for few values.
    coordinates : shape (k, 2), the means on their first two principal axes, for a picture.
    """

    values: tuple[str, ...]
    scores: dict[str, float]
    nulls: dict[str, NDArray[np.float64]]
    noise: dict[str, NDArray[np.float64]]
    errors: dict[str, float]
    leads: dict[str, dict[str, float]]
    exact: dict[str, float]
    coordinates: NDArray[np.float64]

    def p_value(self, shape: str) -> float:
        """Share of random orders that score at least as well, the true one counted; nan for a simplex."""
        if shape == "simplex":
            return float("nan")
        return permutation_p(self.scores[shape], self.nulls[shape], "greater")

    @property
    def winner(self) -> str:
        """The shape that predicts left-out values best, and beyond 95% of random orders or all; else "simplex"."""
        ordered = [shape for shape in self.nulls if self.scores[shape] > 0 and self._beyond(shape)]
        return max(ordered, key=self.scores.__getitem__, default="simplex")

    @property
    def rivals(self) -> tuple[str, ...]:
        """Shapes beyond random orders too, over which the winner's lead is within 1.96 standard errors.

        A line and a circle differ in the step from the end to the start alone, and are seldom told apart.
        """
        winner = self.winner
        return tuple(
            shape
            for shape in self.nulls
            if winner not in ("simplex", shape)
            and self._beyond(shape)
            and self.scores[winner] - self.scores[shape] < 1.96 * self.leads[winner][shape]
        )

    def _beyond(self, shape: str) -> bool:
        return self.p_value(shape) <= max(0.05, 1 / (1 + len(self.nulls[shape])))

    def to_dict(self) -> dict[str, Any]:
        """Scores, null means and p-values by shape, and the winner."""
        return {
            "values": list(self.values),
            "scores": self.scores,
            "standard_errors": self.errors,
            "random_order": {shape: float(draws.mean()) for shape, draws in self.nulls.items()},
            "random_rows": {shape: float(draws.mean()) for shape, draws in self.noise.items()},
            "p_values": {shape: self.p_value(shape) for shape in self.scores},
            "exact_shape": self.exact,
            "winner": self.winner,
            "rivals": list(self.rivals),
        }


def compare_shapes(
    means: NDArray[np.float64],
    values: tuple[str, ...],
    *,
    positions: NDArray[Any] | None = None,
    period: float | None = None,
    groups: NDArray[Any] | None = None,
    noise: NDArray[np.float64] | None = None,
    draws: int = 99,
    seed: int = 0,
) -> ShapeComparison:
    """Score all shapes on the means of a series of values, against random orders of the same means.

    Parameters
    ----------
    means : shape (k, d), k ≥ 4; their order is the hypothesis.
    positions, period, groups : see `shape_kernel`; default positions 0 … k − 1, and no tree without groups.
    noise : shape (draws, k, d), means of random rows, as a further null.
    draws : random orders; p-values are at least 1/(1 + draws).

    Raises
    ------
    EstimationError
        Fewer than 4 values, non-finite or equal means, or no draws.
    """
    if means.ndim != 2:
        raise EstimationError(f"a shape needs means of shape (k, d), not {means.shape}")
    k, width = means.shape
    if k < 4 or len(values) != k:
        raise EstimationError(f"a shape needs at least 4 values, one mean each, not {k} means of {len(values)} values")
    if not np.isfinite(means).all() or np.ptp(means, axis=0).max() == 0:
        raise EstimationError("a shape needs finite means that are not all equal")
    if draws < 1:
        raise EstimationError(f"shapes need at least one random order, not {draws}")
    places = np.arange(k, dtype=np.float64) if positions is None else np.asarray(positions, dtype=np.float64)
    branches = groups if groups is not None and 1 < len(np.unique(groups)) < k else None
    shapes: list[Shape] = [shape for shape in SHAPES if shape != "tree" or branches is not None]
    kernels: dict[str, NDArray[np.float64]] = {
        shape: shape_kernel(shape, places, period=period, groups=branches) for shape in shapes
    }
    gram = means @ means.T
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(k) for _ in range(draws)]
    scores = {shape: left_out_score(kernel, gram, width) for shape, kernel in kernels.items()}
    scores["simplex"] = 0.0  # exactly, whatever rounding left
    varied = {shape: kernel for shape, kernel in kernels.items() if shape != "simplex"}
    nulls = {
        shape: np.array([left_out_score(kernel, gram[np.ix_(order, order)], width) for order in orders])
        for shape, kernel in varied.items()
    }
    random_rows = (
        {}
        if noise is None
        else {
            shape: np.array([left_out_score(kernel, some @ some.T, width) for some in noise])
            for shape, kernel in varied.items()
        }
    )
    without = {
        shape: np.array(
            [
                left_out_score(kernel[np.ix_(rest, rest)], gram[np.ix_(rest, rest)], width)
                for rest in (np.delete(np.arange(k), i) for i in range(k))
            ]
        )
        for shape, kernel in varied.items()
    }
    centred = means - means.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    axes = np.pad(left * singular, ((0, 0), (0, 2)))[:, :2]
    return ShapeComparison(
        tuple(values),
        scores,
        nulls,
        random_rows,
        {shape: _jackknife(some) for shape, some in without.items()},
        {one: {two: _jackknife(without[one] - without[two]) for two in without if two != one} for one in without},
        {shape: left_out_score(kernel, kernel, k - 1) for shape, kernel in varied.items()},
        axes,
    )


def _jackknife(without: NDArray[np.float64]) -> float:
    return float(np.sqrt((len(without) - 1) * np.var(without)))
