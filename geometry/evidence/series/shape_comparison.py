"""Which shape a series of values has: held-out scores beside those of the same values in another order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.evidence.series.shapes import SHAPES, left_out_score, shape_kernel
from geometry.results import NullValues, TestResult


@dataclass(frozen=True, eq=False)
class ShapeComparison:
    """Shapes beside each other.

    Attributes:
        values: what the series holds, in order.
        tests: shape → R² of values left out (`left_out_score`) beside the same values in random order
            ("permuted_order") and random rows, with an interval by the jackknife over values. A simplex predicts
            nothing, has R² 0 and no test.
        errors: shape → standard error of its R².
        leads: shape → standard error of its lead over each other shape, by the same jackknife.
        coordinates: shape (k, 2), the means on their first two principal axes, for a picture.
    """

    values: tuple[str, ...]
    tests: Mapping[str, TestResult]
    errors: Mapping[str, float]
    leads: Mapping[str, Mapping[str, float]]
    coordinates: NDArray[np.float64]

    __repr__ = short_repr

    @property
    def preferred(self) -> str:
        """The shape that predicts left-out values best, and beyond 95% of permuted orders or all; else "simplex"."""
        ordered = [shape for shape, test in self.tests.items() if test.value > 0 and _beyond(test)]
        return max(ordered, key=lambda shape: self.tests[shape].value, default="simplex")

    @property
    def rivals(self) -> tuple[str, ...]:
        """Shapes beyond permuted orders too, over which the preferred one's lead is within 1.96 standard errors.

        A line and a circle differ in the step from the end to the start alone, and can seldom be discriminated. A shape
        that predicts better than the preferred one is a rival even where few orders keep it from being beyond them.
        """
        preferred = self.preferred
        return tuple(
            shape
            for shape, test in self.tests.items()
            if preferred not in ("simplex", shape)
            and self.tests[preferred].value - test.value < 1.96 * self.leads[preferred][shape] * _beyond(test)
        )

    @property
    def verdict(self) -> str:
        """ "preferred shape: line", or that none is preferred: none predicts left-out values, or several alike."""
        clear = self.preferred != "simplex" and not self.rivals
        return f"preferred shape: {self.preferred}" if clear else "no shape preferred"

    def to_dict(self) -> dict[str, Any]:
        """The values, every shape's test, and the verdict."""
        return {
            "values": list(self.values),
            "shapes": {shape: test.to_dict() for shape, test in self.tests.items()},
            "standard_errors": dict(self.errors),
            "preferred": self.preferred,
            "rivals": list(self.rivals),
            "verdict": self.verdict,
        }


def _beyond(test: TestResult) -> bool:
    return test.p_value <= max(0.05, test.p_floor)


@checked
def compare_shapes(
    means: NDArray[np.float64],
    values: tuple[str, ...],
    *,
    positions: NDArray[Any] | None = None,
    period: float | None = None,
    groups: NDArray[Any] | None = None,
    noise: NDArray[np.float64] | None = None,
    n_permutations: int = 99,
    seed: int = 0,
) -> ShapeComparison:
    """Score all shapes on the means of a series of values, against permuted orders of the same means.

    Parameters:
        means: shape (k, d), k ≥ 4; their order is the hypothesis.
        positions, period, groups: see `shape_kernel`; default positions 0 … k − 1, and no tree without groups.
        noise: shape (permutations, k, d), means of random rows, as a further null.
        n_permutations: permuted orders; p-values are at least 1/(1 + n_permutations).

    Raises EstimationError: fewer than 4 values, non-finite or equal means, or no permutations.
    """
    if means.ndim != 2:
        raise EstimationError(f"a shape needs means of shape (k, d), not {means.shape}")
    k, width = means.shape
    if k < 4 or len(values) != k:
        raise EstimationError(f"a shape needs at least 4 values, one mean each, not {k} means of {len(values)} values")
    if not np.isfinite(means).all() or np.ptp(means, axis=0).max() == 0:
        raise EstimationError("a shape needs finite means that are not all equal")
    if n_permutations < 1:
        raise EstimationError(f"shapes need at least one random order, not {n_permutations}")
    along = np.arange(k, dtype=np.float64) if positions is None else np.asarray(positions, dtype=np.float64)
    branches = groups if groups is not None and 1 < len(np.unique(groups)) < k else None
    kernels = {
        shape: shape_kernel(shape, along, period=period, groups=branches)
        for shape in SHAPES
        if shape != "simplex" and (shape != "tree" or branches is not None)
    }
    gram = means @ means.T
    rests = [np.ix_(rest, rest) for rest in (np.delete(np.arange(k), index) for index in range(k))]
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(k) for _ in range(n_permutations)]
    tests: dict[str, TestResult] = {}
    without: dict[str, NDArray[np.float64]] = {}
    for shape, kernel in kernels.items():
        without[shape] = np.array([left_out_score(kernel[rest], gram[rest], width) for rest in rests])
        value, error = left_out_score(kernel, gram, width), _jackknife(without[shape])
        permuted = [left_out_score(kernel, gram[np.ix_(order, order)], width) for order in orders]
        nulls = {"permuted_order": NullValues(np.array(permuted)[:, None], "permuted order", ".")}
        if noise is not None:
            random = np.array([left_out_score(kernel, rows @ rows.T, width) for rows in noise])
            nulls["random_rows"] = NullValues(random[:, None], "random rows", "|")
        tests[shape] = TestResult(
            name=f"shape-{shape}",
            labels=(shape,),
            values=np.array([value]),
            nulls=nulls,
            measure="R² of left-out values",
            # Less than 1 for few values: what values that lie on the shape without noise reach.
            predicted=left_out_score(kernel, kernel, k - 1),
            # A normal interval, written as the bootstrap it stands for.
            resampled=np.asarray(value + error * norm.ppf(np.linspace(0.005, 0.995, 199))),
        )
    left, singular, _ = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    leads = {
        shape: {other: _jackknife(without[shape] - without[other]) for other in without if other != shape}
        for shape in without
    }
    errors = {shape: _jackknife(scores) for shape, scores in without.items()}
    return ShapeComparison(tuple(values), tests, errors, leads, np.pad(left * singular, ((0, 0), (0, 2)))[:, :2])


def _jackknife(without: NDArray[np.float64]) -> float:
    return float(np.sqrt((len(without) - 1) * np.var(without)))
