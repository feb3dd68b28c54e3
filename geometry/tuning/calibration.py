"""A forecast that is ready for use: weights, error, and whether it is better than chance; kept for a model and a bound.

Of another model, another bound or other code it would be wrong, so all of that is in the key of what is kept.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.cache import Entry, Key
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.models import Unembedding, cache_folder
from geometry.tuning.features import FEATURES, Numbers

KIND = "forecasts"
UNIT = "rise of log-odds, nats"


@dataclass(frozen=True)
class Prediction:
    """What is forecast of one concept.

    Attributes:
        value: of the effect, in its unit.
        error: root mean square error on held-out concepts.
        low, high: value ± 1.96 errors.
        predictive: whether the forecast beats chance on held-out concepts at all.
        unit: of the effect.
    """

    value: float
    error: float
    low: float
    high: float
    predictive: bool
    unit: str

    def __str__(self) -> str:
        said = "" if self.predictive else "; the forecast is no better than chance on held-out concepts"
        return f"{self.value:+.2f} ± {self.error:.2f} {self.unit} (root mean square error on held-out concepts){said}"

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        return {name: getattr(self, name) for name in ("value", "error", "low", "high", "predictive", "unit")}


@dataclass(frozen=True, eq=False)
class Calibration:
    """A linear forecast from standardised features.

    Attributes:
        weights, centre, scale: shape (f,); weights are effects a standard deviation.
        intercept: the mean effect.
        error: root mean square error on held-out concepts.
        predictive: whether it beats chance there.
        unit: of the effect.
    """

    weights: Numbers
    centre: Numbers
    scale: Numbers
    intercept: float
    error: float
    predictive: bool
    unit: str

    __repr__ = short_repr

    @checked
    def predict(self, values: ArrayLike) -> Prediction:
        """The effect to be expected of a concept with these features, shape (f,); SteeringError for another number."""
        row = np.asarray(values, dtype=np.float64)
        if row.shape != self.centre.shape:
            raise SteeringError(f"the forecast takes {len(self.centre)} features, not {row.shape}")
        value = float(self.intercept + standardised(row[None], self.centre, self.scale)[0] @ self.weights)
        wide = 1.96 * self.error
        return Prediction(value, self.error, value - wide, value + wide, self.predictive, self.unit)

    def keep(self, unembedding: Unembedding, bound: float) -> None:
        """Keep it in the package's cache, for the model and the bound on KL that it was calibrated on."""
        numbers = np.array([self.intercept, self.error, float(self.predictive)])
        arrays = {"weights": self.weights, "centre": self.centre, "scale": self.scale, "numbers": numbers}
        _entry(unembedding, bound).write(arrays)

    @classmethod
    def kept(cls, unembedding: Unembedding, bound: float) -> "Calibration | None":
        """What the study of tuning kept of this model and this bound, of effects after the final norm; None if nothing.

        In the unit of `FEATURES` and rises of log-odds.
        """
        shape = ((len(FEATURES),), np.float64)
        layout = {"weights": shape, "centre": shape, "scale": shape, "numbers": ((3,), np.float64)}
        if (kept := _entry(unembedding, bound).read(layout)) is None:
            return None
        intercept, error, predictive = kept["numbers"].tolist()
        return cls(kept["weights"], kept["centre"], kept["scale"], intercept, error, bool(predictive), UNIT)


def standardised(values: Numbers, centre: Numbers, scale: Numbers) -> Numbers:
    """In standard deviations from the mean; what is not measured counts as the mean."""
    scaled = (values - centre) / scale
    return np.where(np.isfinite(scaled), scaled, 0.0)


def _entry(unembedding: Unembedding, bound: float) -> Entry:
    key = Key(KIND)
    key.add(unembedding.sha256, float(bound), FEATURES)
    key.add_code("geometry.tuning.features", __name__)  # both are loaded wherever this is asked
    return Entry.within(cache_folder(), key)
