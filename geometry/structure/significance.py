"""Significance over many tests at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

__all__ = ["q_values"]


def q_values(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Benjamini–Hochberg adjusted p-values, in the order given; nan for what was not tested.

    Source: Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995).
    """
    found = np.array(p_values, dtype=np.float64)
    tested = np.isfinite(found)
    if tested.any():
        found[tested] = false_discovery_control(found[tested])
    return found
