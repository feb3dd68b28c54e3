"""What a null model gives, as it stands beside a result."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.intervals import interval_of, mean_of, means_of


@checked
@dataclass(frozen=True, eq=False)
class NullValues:
    """What a null model gives, and how figures and tables show it.

    Attributes:
        values: shape (permutations, m'); nan where there was nothing to measure.
        label: what figures and tables call it.
        marker: matplotlib's, in grey.
        aligned: whether column i belongs to the result's label i, so that both can be subtracted.
        resampled: bootstrap means, where the result has such.
    """

    values: NDArray[np.float64]
    label: str
    marker: str = "|"
    aligned: bool = False
    resampled: NDArray[np.float64] | None = None

    __repr__ = short_repr

    @property
    def mean(self) -> float:
        """Over all permutations; nan if nothing could be measured."""
        return mean_of(self.values)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Of each permutation, shape (permutations,)."""
        return means_of(np.atleast_2d(self.values))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap interval of the mean; of one number a permutation, 95% of the permutations."""
        return interval_of(self.values)
