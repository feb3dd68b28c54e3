"""Significance: permutation p-values, and their adjustment over many tests. Imports nothing of ours."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

Alternative = Literal["greater", "less", "two-sided"]


def permutation_p(value: float, permuted: NDArray[np.float64], alternative: Alternative) -> float:
    """Share of permutations as extreme as the value, which counts as one of them: at least 1/(1 + permutations).

    Two-sided it is twice the smaller share of both sides.

    Exact where the value is exchangeable with the permutations. Values that rounding alone sets apart are ties.
    Permutations in which there was nothing to measure do not count; nan if the value is, or all of them are. Source:
    Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010).
    """
    permuted = permuted[~np.isnan(permuted)]
    if not np.isfinite(value) or not len(permuted):
        return float("nan")
    if alternative == "two-sided":
        return min(1.0, 2 * min(permutation_p(value, permuted, "greater"), permutation_p(value, permuted, "less")))
    ahead = permuted - value if alternative == "greater" else value - permuted
    return float((1 + (~(ahead < -1e-9 * max(1.0, abs(value)))).sum()) / (1 + len(permuted)))


def adjusted_p_values(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Benjamini–Hochberg adjusted p-values, in the order given; nan for what was not tested.

    Source: Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995).
    """
    adjusted = np.array(p_values, dtype=np.float64)
    tested = np.isfinite(adjusted)
    if tested.any():
        adjusted[tested] = false_discovery_control(adjusted[tested])
    return adjusted
