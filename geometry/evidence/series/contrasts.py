"""Binary contrasts: do the differences of counterfactual pairs, king → queen, share a direction?

Park et al., arXiv 2311.03658, section 3 and figure 2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.errors import EstimationError
from geometry.significance import permutation_p
from geometry.evidence.statistics.statistic import FEWEST

__all__ = ["PairContrast", "pair_contrast"]


@dataclass(frozen=True, eq=False)
class PairContrast:
    """One family of pairs.

    Attributes
    ----------
    direction : mean difference, shape (d,).
    cosines : shape (n,), of each difference with the mean of the others.
    swapped : shape (draws,), mean of the same with the two words of random pairs swapped: no direction.
    repaired : shape (draws,), with partners shuffled among pairs: the two classes differ, pairs mean nothing.
    """

    direction: NDArray[np.float64]
    cosines: NDArray[np.float64]
    swapped: NDArray[np.float64]
    repaired: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean cosine of a pair's difference with those of the others."""
        return float(self.cosines.mean())

    @property
    def p_value(self) -> float:
        """Share of random swaps with a mean cosine at least as large, the true pairs counted as one."""
        return permutation_p(self.mean, self.swapped, "greater")

    def to_dict(self) -> dict[str, Any]:
        """Mean cosine, both nulls and p-value."""
        return {
            "mean_cosine": self.mean,
            "pairs": len(self.cosines),
            "swapped": float(self.swapped.mean()),
            "shuffled_partners": float(self.repaired.mean()),
            "p_value": self.p_value,
        }


def pair_contrast(
    first: NDArray[np.float64], second: NDArray[np.float64], *, draws: int = 99, seed: int = 0
) -> PairContrast:
    """Measure how far the differences `second` − `first` agree, each against the mean of the others.

    Parameters
    ----------
    first, second : shape (n, d), rows of the two words of each pair, n ≥ 3.

    Raises
    ------
    EstimationError
        Fewer than 3 pairs, shapes that differ, or non-finite rows.
    """
    if first.shape != second.shape or first.ndim != 2 or len(first) < FEWEST:
        raise EstimationError(f"a contrast needs at least {FEWEST} pairs, not rows {first.shape} and {second.shape}")
    difference = second - first
    if not np.isfinite(difference).all():
        raise EstimationError("a contrast needs finite rows; these hold NaN or infinite values")
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], size=(draws, len(first), 1))
    return PairContrast(
        difference.mean(axis=0),
        _against_others(difference),
        np.array([_against_others(sign * difference).mean() for sign in signs]),
        np.array([_against_others(rng.permutation(second) - first).mean() for _ in range(draws)]),
    )


def _against_others(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    others = differences.sum(axis=0) - differences
    norms = np.linalg.norm(others, axis=1) * np.linalg.norm(differences, axis=1)
    found: NDArray[np.float64] = (others * differences).sum(axis=1) / np.where(norms > 0, norms, np.inf)
    return found
