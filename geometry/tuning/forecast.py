"""Will steering work? A linear forecast of its effect from geometry, calibrated on some concepts, tested on others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.display import in_short
from geometry.errors import SteeringError
from geometry.intervals import FEWEST_CLUSTERS, central, cluster_weights
from geometry.significance import permutation_p
from geometry.tuning.calibration import Calibration, Prediction, standardised
from geometry.tuning.features import Numbers, SteeringFeatures

_ALPHAS = np.logspace(-1, 4, 11)
_FEWEST = 12  # concepts
_HALVES = 5  # divisions into two


@dataclass(frozen=True, eq=False)
class Forecast:
    """A ridge regression of effects on standardised features, with its error on concepts it was not fitted to.

    Attributes:
        features: that it was fitted to; effects: shape (k,), in `unit`.
        held_out: forecast of each concept by fits to a half of the groups that does not hold it, on average over five
            divisions, shape (k,).
        nulls: R² of the same for shuffled effects, shape (n,).
        weights, intercept, centre, scale: of the fit to all concepts; weights are effects a standard deviation.
    """

    features: SteeringFeatures
    effects: Numbers
    unit: str
    held_out: Numbers
    nulls: Numbers
    rho_nulls: Numbers
    weights: Numbers
    intercept: float
    centre: Numbers
    scale: Numbers
    seed: int

    @classmethod
    @checked
    def fit(
        cls,
        features: SteeringFeatures,
        effects: ArrayLike,
        *,
        unit: str = "log-odds, nats",
        n_permutations: int = 199,
        seed: int = 0,
    ) -> "Forecast":
        """Calibrate on half of the groups, forecast the other half, and the other way round; then fit to all.

        Example::

            forecast = geo.tuning.Forecast.fit(features, effects)
            print(forecast, forecast.predict(features.of("bird.n.01")), sep="\\n")

        Parameters:
            features: of k concepts; those of one group are never divided.
            effects: measured, shape (k,); nan for those that could not be.
            unit: of the effects.
            n_permutations: of the null, in which effects are exchanged among the concepts.

        Raises SteeringError: another number of effects, or fewer than 12 concepts or 4 groups with one.
        """
        measured = np.asarray(effects, dtype=np.float64)
        if measured.shape != (len(features.names),):
            raise SteeringError(f"effects: one for each of {len(features.names)} concepts, not {measured.shape}")
        kept = np.isfinite(measured)
        groups = np.unique(features.groups[kept], return_inverse=True)[1]
        n_groups = len(np.unique(groups))
        if kept.sum() < _FEWEST or n_groups < 4:
            raise SteeringError(
                f"a forecast takes {_FEWEST} measured concepts in 4 groups, not {kept.sum()} in {n_groups}"
            )
        names = tuple(name for name, keep in zip(features.names, kept, strict=True) if keep)
        features = SteeringFeatures(names, features.columns, features.values[kept], groups)
        measured = measured[kept]
        halves = _divisions(n_groups, seed)
        rng = np.random.default_rng(seed)
        held_out = _crossed(features.values, measured, groups, halves)
        shuffled = np.column_stack([measured[rng.permutation(len(measured))] for _ in range(n_permutations)])
        guessed = _crossed(features.values, shuffled, groups, halves)
        pairs = list(zip(shuffled.T, guessed.T, strict=True))
        r2, rho = (np.array([statistic(*pair) for pair in pairs]) for statistic in (r_squared, spearman))
        weights, intercept, centre, scale = _ridge(features.values, measured)
        return cls(features, measured, unit, held_out, r2, rho, weights, float(intercept), centre, scale, seed)

    @cached_property
    def r2(self) -> float:
        """1 − the held-out forecast's squared error over that of the mean; at most 0 of one that forecasts nothing."""
        return r_squared(self.effects, self.held_out)

    @cached_property
    def rho(self) -> float:
        """Spearman's rank correlation of forecast and effect, held out."""
        return spearman(self.effects, self.held_out)

    @cached_property
    def p(self) -> float:
        """Permutation p of the rank correlation, one-sided."""
        return float(permutation_p(self.rho, self.rho_nulls, "greater"))

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95% bootstrap intervals of "r2" and "rho" over groups."""
        pairs = [(self.effects[rows], self.held_out[rows]) for rows in self._drawn]
        return {
            "r2": central(np.array([r_squared(*pair) for pair in pairs])),
            "rho": central(np.array([spearman(*pair) for pair in pairs])),
        }

    def gain_over(self, other: "Forecast") -> tuple[float, float, float]:
        """R² less that of another forecast of the same effects, and its 95% bootstrap interval over groups."""
        if not np.array_equal(self.effects, other.effects):
            raise SteeringError("forecasts of different effects cannot be compared")
        drawn = [
            r_squared(self.effects[rows], self.held_out[rows]) - r_squared(other.effects[rows], other.held_out[rows])
            for rows in self._drawn
        ]
        return self.r2 - other.r2, *central(np.array(drawn))

    @cached_property
    def _drawn(self) -> list[NDArray[np.int64]]:
        """Concepts of 1,000 bootstrap samples of the groups; none of fewer than 5 groups."""
        groups = self.features.groups
        n = int(groups.max()) + 1
        if n < FEWEST_CLUSTERS:
            return []
        members = [np.flatnonzero(groups == group) for group in range(n)]
        return [
            np.concatenate([np.tile(members[group], int(times[group])) for group in range(n) if times[group]])
            for times in cluster_weights(n)[:1000]
        ]

    @property
    def error(self) -> float:
        """Root mean square error on held-out concepts."""
        return float(np.sqrt(np.mean((self.effects - self.held_out) ** 2)))

    @property
    def predictive(self) -> bool:
        """Whether held-out effects are forecast at all: p ≤ 0.05, and R² and its interval above 0."""
        return self.p <= 0.05 and self.intervals["r2"][0] > 0

    @property
    def calibration(self) -> Calibration:
        """The fit to all concepts, ready for use."""
        numbers = self.intercept, self.error, self.predictive
        return Calibration(self.weights, self.centre, self.scale, *numbers, self.unit)

    def predict(self, values: ArrayLike) -> Prediction:
        """The effect to be expected of a concept with these features, shape (f,); SteeringError for another number."""
        return self.calibration.predict(values)

    def __repr__(self) -> str:
        (low, high), said = self.intervals["r2"], "forecasts" if self.predictive else "forecasts nothing:"
        return in_short(
            f"Forecast({said} R² {self.r2:.2f} [{low:.2f}, {high:.2f}], ρ {self.rho:.2f} on held-out concepts,"
            f" p = {self.p:.3g}; {len(self.effects)} concepts in {int(self.features.groups.max()) + 1} groups)"
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, in words."""
        return {
            "concepts": list(self.features.names),
            "groups": self.features.groups.tolist(),
            "unit": self.unit,
            "r2": self.r2,
            "rho": self.rho,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "p": self.p,
            "null": {"r2": float(np.mean(self.nulls)), "rho": float(np.mean(self.rho_nulls)), "n": len(self.nulls)},
            "error": self.error,
            "predictive": self.predictive,
            "weights": dict(zip(self.features.columns, self.weights.tolist(), strict=True)),
            "seed": self.seed,
        }


def r_squared(measured: Numbers, forecast: Numbers) -> float:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)²."""
    total = float(((measured - measured.mean()) ** 2).sum())
    return 1 - float(((measured - forecast) ** 2).sum()) / total if total else float("nan")


def spearman(first: Numbers, second: Numbers) -> float:
    """Spearman's rank correlation; 0 where either does not vary."""
    from scipy.stats import rankdata

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def _divisions(n_groups: int, seed: int) -> list[NDArray[np.bool_]]:
    """Which groups are in the first half, division by division."""
    rng = np.random.default_rng(seed)
    return [np.isin(np.arange(n_groups), rng.permutation(n_groups)[: n_groups // 2]) for _ in range(_HALVES)]


def _crossed(
    values: Numbers, effects: Numbers, groups: NDArray[np.int64], halves: Sequence[NDArray[np.bool_]]
) -> Numbers:
    """Held-out forecasts of effects (k,) or of several kinds of them (k, m) at a time, of that shape."""
    total = np.zeros(effects.shape)
    for half in halves:
        inside = half[groups]
        for train in (inside, ~inside):
            weights, intercept, centre, scale = _ridge(values[train], effects[train])
            total[~train] += intercept + standardised(values[~train], centre, scale) @ weights
    return total / len(halves)


def _ridge(values: Numbers, effects: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Weights (f, …), intercept (…), centre and scale of a ridge whose penalty has the least leave-one-out error.

    In closed form, of all effects (k, …) at once: permutations are thousands of fits.
    """
    finite = np.isfinite(values)
    counts = np.maximum(finite.sum(axis=0), 1)
    centre = np.where(finite, values, 0.0).sum(axis=0) / counts
    scale = np.sqrt((np.where(finite, values - centre, 0.0) ** 2).sum(axis=0) / counts)
    scale = np.where(scale > 1e-12, scale, 1.0)
    several = effects.reshape(len(effects), -1)
    intercept = several.mean(axis=0)
    left, strengths, right = np.linalg.svd(standardised(values, centre, scale), full_matrices=False)
    along = left.T @ (several - intercept)
    errors = []
    for alpha in _ALPHAS:
        kept = strengths**2 / (strengths**2 + alpha)
        leverage = 1 / len(values) + left**2 @ kept
        residual = several - intercept - left @ (kept[:, None] * along)
        errors.append(((residual / (1 - leverage)[:, None]) ** 2).mean(axis=0))
    alphas = _ALPHAS[np.argmin(errors, axis=0)]
    weights = right.T @ (strengths[:, None] / (strengths[:, None] ** 2 + alphas) * along)
    return weights.reshape(-1, *effects.shape[1:]), intercept.reshape(effects.shape[1:]), centre, scale
