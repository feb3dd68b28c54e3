"""Means with their intervals as sentences and tables write them."""

import numpy as np
from numpy.typing import NDArray

from geometry.intervals import interval_of, mean_of


def said(values: NDArray[np.float64], clusters: NDArray[np.int64] | None = None, form: str = ".2f") -> str:
    """The mean with its 95% interval; of fewer than 3 values alone with how many, "–" of none."""
    count = int(np.isfinite(values).sum())
    return written(mean_of(values), interval_of(values, clusters), form, f"(n = {count})")


def written(mean: float, interval: tuple[float, float], form: str = ".2f", else_: str = "") -> str:
    """A mean with an interval, or without one and something else said; "–" for none."""
    if not np.isfinite(mean):
        return "–"
    if not np.isfinite(interval).all():
        return f"{mean:{form}} {else_}".strip()
    return f"{mean:{form}} [{interval[0]:{form}}, {interval[1]:{form}}]"
