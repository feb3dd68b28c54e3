"""How well a dictionary gives rows back, and with how many features: explained variance, L0, dead features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.dictionaries.dictionary import Dictionary
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError
from geometry.intervals import bootstrap_means, central

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]
Interval = tuple[float, float]
_MOST_CLUSTERS = 500


@dataclass(frozen=True, eq=False)
class Quality:
    """What a dictionary keeps of rows.

    Attributes:
        n: rows.
        explained_variance: 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², x̄ the rows' mean; with its 95% interval over clusters of rows.
        l0: mean number of active features of a row; with its interval.
        rates: share of the rows in which each feature is active, shape (f,).
    """

    n: int
    explained_variance: float
    explained_variance_interval: Interval
    l0: float
    l0_interval: Interval
    rates: Array

    __repr__ = short_repr

    @property
    def dead(self) -> NDArray[np.int64]:
        """Numbers of the features that are active in none of the rows."""
        return np.flatnonzero(self.rates == 0)

    @property
    def dead_share(self) -> float:
        """Share of the features that are active in none of the rows."""
        return float((self.rates == 0).mean())

    def to_frame(self) -> "DataFrame":
        """A row for explained variance, L0 and the share of dead features."""
        from pandas import DataFrame

        low, high = zip(self.explained_variance_interval, self.l0_interval, strict=True)
        columns = {
            "value": [self.explained_variance, self.l0, self.dead_share],
            "low": [*low, np.nan],
            "high": [*high, np.nan],
        }
        return DataFrame(columns, index=["explained variance", "L0", "dead features"])

    def _repr_html_(self) -> str:
        rows = [(name, *row) for name, row in zip(self.to_frame().index, self.to_frame().to_numpy(), strict=True)]
        return html_table(("", "value", "low", "high"), rows, f"{self.n:,} rows")


@checked
def measure(dictionary: Dictionary, rows: ArrayLike, clusters: Sequence[int] | None = None) -> Quality:
    """Explained variance, L0 and dead features of a dictionary on rows of its own site.

    Example::

        quality = measure(dictionary, activations["output.12"])
        quality.explained_variance, quality.l0, quality.dead_share

    Parameters:
        rows: shape (n, d), of whatever float type, mapped into memory or not.
        clusters: of each row the text it is from, which is drawn as one for intervals; default, at most 500 stretches
            of neighbouring rows.

    Raises EstimationError: fewer than 2 rows, rows all at one point, of another width, with NaN or infinity; clusters
        that are not one a row.
    """
    n = len(rows)  # type: ignore[arg-type]
    if n < 2:
        raise EstimationError(f"at least 2 rows are needed, not {n}")
    groups = np.arange(n) * min(n, _MOST_CLUSTERS) // n if clusters is None else np.asarray(clusters)
    if groups.shape != (n,):
        raise EstimationError(f"{n} rows need as many clusters, not {groups.shape}")
    mean = np.zeros(dictionary.width)
    for part in dictionary.batches(rows):
        mean += part.double().sum(dim=0).numpy() / n
    left, spread, active = [], [], []
    fired = np.zeros(dictionary.n_features, dtype=np.int64)
    for part in dictionary.batches(rows):
        on = dictionary.encode(part) > 0
        fired += on.sum(dim=0).numpy()
        active.append(on.sum(dim=1).double().numpy())
        x = part.double().numpy()
        left.append(((x - dictionary.reconstruct(part).double().numpy()) ** 2).sum(axis=1))
        spread.append(((x - mean) ** 2).sum(axis=1))
    e, v, l0 = np.concatenate(left), np.concatenate(spread), np.concatenate(active)
    if not v.sum() > 0:
        raise EstimationError("the rows all lie at one point; nothing is to be explained")
    ratio = 1 - _means(e, groups) / _means(v, groups)
    return Quality(
        n, float(1 - e.sum() / v.sum()), central(ratio), float(l0.mean()), central(_means(l0, groups)), fired / n
    )


def _means(values: Array, groups: NDArray[np.int64]) -> Array:
    """Bootstrap means of clusters; the same clusters for all values, so that means can be divided."""
    return bootstrap_means(values[None, :], groups)
