"""Significance over many tests at once."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

__all__ = ["Alternative", "permutation_p", "q_values"]

Alternative = Literal["greater", "less"]


def permutation_p(value: float, draws: NDArray[np.float64], alternative: Alternative) -> float:
    """Share of draws as extreme as the value, which counts as one of them: at least 1/(1 + draws).

    Exact where the value is exchangeable with the draws. Draws that rounding alone tells from the value
    are ties, and nan is extreme, to be on the safe side. nan if the value is. Source: Phipson & Smyth,
    Stat. Appl. Genet. Mol. Biol. 9 (2010).
    """
    if not np.isfinite(value) or not len(draws):
        return float("nan")
    ahead = draws - value if alternative == "greater" else value - draws
    return float((1 + (~(ahead < -1e-9 * max(1.0, abs(value)))).sum()) / (1 + len(draws)))


def q_values(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Benjamini–Hochberg adjusted p-values, in the order given; nan for what was not tested.

    Source: Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995).
    """
    found = np.array(p_values, dtype=np.float64)
    tested = np.isfinite(found)
    if tested.any():
        found[tested] = false_discovery_control(found[tested])
    return found
