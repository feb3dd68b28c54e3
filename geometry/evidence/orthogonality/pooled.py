"""One cosine of many comparisons: squared, freed of noise, with an interval over families."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.evidence.orthogonality.debiased import Products
from geometry.intervals import central, cluster_weights
from geometry.results import Difference

FEWEST_FAMILIES = 8
_NORMAL = 1.96

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PooledCosine:
    """cos² = Σ squared / Σ lengths over comparisons.

    >>> products = Products(np.full(40, 0.09), np.ones(40))
    >>> cosine = PooledCosine(products, np.arange(40) // 4)
    >>> round(cosine.value, 2), cosine.measurable
    (0.3, True)

    Attributes:
        products: of each comparison.
        family: shape (m,), numbers; families are drawn again in a bootstrap, in the same way for any cosine of the same
            comparisons, so that differences are paired.
    """

    products: Products
    family: NDArray[np.int64]

    __repr__ = short_repr

    @cached_property
    def _kept(self) -> NDArray[np.bool_]:
        return np.isfinite(self.products.squared) & np.isfinite(self.products.lengths)

    @cached_property
    def _samples(self) -> tuple[Values, Values]:
        """Bootstrap sums of squares and of lengths."""
        family = np.unique(self.family[self._kept], return_inverse=True)[1]
        weights = cluster_weights(n := int(family.max()) + 1)
        squared, lengths = (weights @ np.bincount(family, part[self._kept], n) for part in self.products)
        return squared, lengths

    @property
    def n(self) -> int:
        """How many comparisons."""
        return int(self._kept.sum())

    @property
    def n_families(self) -> int:
        """How many families."""
        return len(np.unique(self.family[self._kept]))

    @property
    def squared(self) -> float:
        """cos², which may come out negative; nan without comparisons."""
        if not self.n:
            return float("nan")
        squared, lengths = (float(part[self._kept].sum()) for part in self.products)
        return squared / lengths if lengths else float("nan")

    @cached_property
    def resampled(self) -> Values:
        """cos² of every bootstrap sample."""
        if not self.n:
            return np.empty(0)
        squared, lengths = self._samples
        with np.errstate(invalid="ignore", divide="ignore"):
            return squared / lengths

    @property
    def squared_interval(self) -> tuple[float, float]:
        """95% bootstrap interval of cos²; nan of fewer families than can be drawn again."""
        return central(self.resampled) if self.n_families >= FEWEST_FAMILIES else (float("nan"), float("nan"))

    @property
    def value(self) -> float:
        """The cosine: the root of cos², negative where that is."""
        return signed_root(self.squared)

    @property
    def interval(self) -> tuple[float, float]:
        """The same of the interval."""
        low, high = self.squared_interval
        return signed_root(low), signed_root(high)

    @property
    def measurable(self) -> bool:
        """Enough families, and a denominator whose lower limit is above 0: contrasts are there."""
        return self.n_families >= FEWEST_FAMILIES and central(self._samples[1])[0] > 0

    @property
    def families_for_signal(self) -> int:
        """About how many families it would take to be `measurable`."""
        if not self.n:
            return FEWEST_FAMILIES
        lengths = self._samples[1]
        mean, error = float(lengths.mean()), float(lengths.std())
        if mean <= 0 or not np.isfinite(error):
            return 10 * max(FEWEST_FAMILIES, self.n_families)
        more = FEWEST_FAMILIES if self.measurable else self.n_families + 1
        return max(FEWEST_FAMILIES, more, int(np.ceil(self.n_families * (_NORMAL * error / mean) ** 2)))

    def among(self, other: "PooledCosine") -> "PooledCosine":
        """The same over those comparisons alone that another has too."""
        kept = self._kept & other._kept
        return PooledCosine(Products(*(np.where(kept, part, np.nan) for part in self.products)), self.family)

    def difference(self, others: Sequence["PooledCosine"]) -> Difference:
        """Of cos² from the mean of others on the same comparisons, paired by family."""
        if not self.n or not others:
            return Difference(float("nan"), (float("nan"), float("nan")))
        value = self.squared - float(np.mean([other.squared for other in others]))
        if self.n_families < FEWEST_FAMILIES:
            return Difference(value, (float("nan"), float("nan")))
        return Difference(value, central(self.resampled - np.mean([other.resampled for other in others], axis=0)))


def signed_root(squared: float) -> float:
    """sign · √|cos²|."""
    return float(np.sign(squared) * np.sqrt(abs(squared)))
