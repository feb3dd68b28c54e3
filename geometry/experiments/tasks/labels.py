"""Words and roundings that parts and figures share."""

import numpy as np
from numpy.typing import NDArray

from geometry.intervals import interval_of

TELLING = {"telling": "tell the task", "neutral": "do not tell the task"}  # kinds of sentences


def rate(values: NDArray[np.float64]) -> str:
    """Mean and 95% interval in percent, without it of fewer than three."""
    low, high = interval_of(values)
    return f"{values.mean():.0%}" + (f" [{low:.0%}, {high:.0%}]" if np.isfinite(low) else "")
