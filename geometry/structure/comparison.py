"""A statistic beside its nulls: the result object of every structure test."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geometry.structure.significance import Alternative, permutation_p

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Comparison", "summarise"]


_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Comparison:
    """A statistic of the model, per concept or edge, and the same statistic on null models.

    Attributes
    ----------
    name : of the statistic, with its split ("projection/lemma").
    labels : what each value belongs to.
    values : shape (m,); nan where skipped for want of tokens.
    nulls : null name → values, shape (draws, m').
    unstructured : the statistic's value where there is no structure.
    resampled : bootstrap means, where drawing the labels again would not be a bootstrap.
    """

    name: str
    labels: tuple[str, ...]
    values: NDArray[np.float64]
    nulls: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    unstructured: float = 0.0
    resampled: NDArray[np.float64] | None = None

    @property
    def measured(self) -> bool:
        """Whether there was anything to measure."""
        return bool(np.isfinite(self.values).any())

    @property
    def mean(self) -> float:
        """Mean over everything not skipped; nan if everything was."""
        return float(np.nanmean(self.values)) if self.measured else float("nan")

    @property
    def skipped(self) -> tuple[str, ...]:
        """Labels without a value."""
        return tuple(label for label, gone in zip(self.labels, np.isnan(self.values), strict=True) if gone)

    def null_mean(self, null: str) -> float:
        """Mean of the statistic over all draws of a null; nan if it could not be measured."""
        draws = self.nulls[null]
        return float(np.nanmean(draws)) if np.isfinite(draws).any() else float("nan")

    def beyond(self, null: str, alternative: Alternative) -> bool:
        """Whether the mean is above ("greater") or below ("less") the null's, with 95% bootstrap intervals apart."""
        own, other = self.interval, _interval(self.nulls[null])
        return own[0] > other[1] if alternative == "greater" else own[1] < other[0]

    def p_value(self, null: str, alternative: Alternative) -> float:
        """Permutation p of the mean against those of the null's draws; see `permutation_p`. nan if not measured."""
        means = [np.nanmean(draw) if np.isfinite(draw).any() else np.nan for draw in self.nulls[null]]
        return permutation_p(self.mean, np.array(means), alternative)

    @property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap interval of the mean; see `summarise`."""
        return _interval(self.values) if self.resampled is None else _quantiles(self.resampled)

    def absolute(self) -> "Comparison":
        """The same with magnitudes, for statistics whose prediction is zero."""
        nulls = {name: np.abs(values) for name, values in self.nulls.items()}
        resampled = None if self.resampled is None else np.abs(self.resampled)
        return replace(self, name=f"|{self.name}|", values=np.abs(self.values), nulls=nulls, resampled=resampled)

    def effect(self, null: str) -> float:
        """Cohen's d: difference of means in units of the pooled standard deviation over concepts."""
        single = np.isfinite(self.values).sum() < 2 or not np.isfinite(self.nulls[null]).any()
        if single:
            return float("nan")
        pooled = np.sqrt((np.nanvar(self.values) + np.nanvar(self.nulls[null])) / 2)
        return float("nan") if pooled == 0 else float((self.mean - self.null_mean(null)) / pooled)

    def to_dict(self) -> dict[str, Any]:
        """`value` (see `summarise`) and for each null its summary, draws and effect size."""
        return {
            "value": {**summarise(self.values), "interval": list(self.interval)},
            "skipped": list(self.skipped),
            "nulls": {
                name: {**summarise(values), "draws": len(values), "effect": self.effect(name)}
                for name, values in self.nulls.items()
            },
        }

    def plot(self) -> "Figure":
        """Its distribution beside those of its nulls, as a matplotlib figure."""
        from geometry.views import Distribution, plot_distributions  # numbers must not need matplotlib

        panel = Distribution("", self.name, self.values, self.nulls, self.unstructured, "")
        return plot_distributions([panel], finding=str(self))

    def __str__(self) -> str:
        nulls = ", ".join(f"{name} {self.null_mean(name):+.3f}" for name in self.nulls)
        return f"{self.name}: {self.mean:+.3f} (n = {np.isfinite(self.values).sum()}); nulls: {nulls}"


def summarise(values: NDArray[np.float64]) -> dict[str, Any]:
    """Mean, standard deviation, count and a 95% bootstrap interval of the mean.

    Units are the concepts or edges (columns of a (draws, m) array, averaged over draws). The
    bootstrap takes them for independent; nested concepts share tokens, so the true interval is wider.
    """
    flat = values[np.isfinite(values)]
    if not len(flat):
        return {"mean": None, "sd": None, "n": 0, "interval": None}
    return {
        "mean": float(flat.mean()),
        "sd": float(flat.std()),
        "n": len(_units(values)),
        "interval": list(_interval(values)),
    }


def _units(values: NDArray[np.float64]) -> NDArray[np.float64]:
    draws = np.atleast_2d(values)
    draws = draws[:, np.isfinite(draws).any(axis=0)]
    return np.asarray(np.nanmean(draws, axis=0))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    if values.ndim == 2 and values.shape[1] == 1 and len(values) > 1:
        return _quantiles(values.ravel())  # one number a draw: the draws are the units
    units = _units(values)
    if not len(units):
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    return _quantiles(units[rng.integers(0, len(units), size=(_RESAMPLES, len(units)))].mean(axis=1))


def _quantiles(means: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanquantile(means, [0.025, 0.975]) if np.isfinite(means).any() else (np.nan, np.nan)
    return float(low), float(high)
