"""Binary contrasts: do the differences of counterfactual pairs, king → queen, share a direction?

Park et al., arXiv 2311.03658, section 3 and figure 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.errors import EstimationError
from geometry.evidence.statistics.statistic import FEWEST
from geometry.results import NullValues, TestResult


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PairContrast(TestResult):
    """One family of pairs: cosines of each difference with the mean of the others, and their direction.

    Attributes:
        direction: mean difference, shape (d,).
    """

    direction: NDArray[np.float64]


@checked
def pair_contrast(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    labels: Sequence[str] = (),
    n_permutations: int = 99,
    seed: int = 0,
) -> PairContrast:
    """Measure how far the differences `second` − `first` agree, each against the mean of the others.

    Two nulls: "sign_flip" swaps the two words of random pairs, so that there is no direction, and gives the p-value;
    "shuffled_partners" shuffles partners among pairs: the two classes differ, pairs mean nothing.

    Parameters:
        first, second: shape (n, d), rows of the two words of each pair, n ≥ 3.
        labels: of the pairs; default, their numbers.

    Raises EstimationError: fewer than 3 pairs, shapes that differ, or non-finite rows.
    """
    if first.shape != second.shape or first.ndim != 2 or len(first) < FEWEST:
        raise EstimationError(f"a contrast needs at least {FEWEST} pairs, not rows {first.shape} and {second.shape}")
    difference = second - first
    if not np.isfinite(difference).all():
        raise EstimationError("a contrast needs finite rows; these hold NaN or infinite values")
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], size=(n_permutations, len(first), 1))
    flipped = [_against_others(sign * difference).mean() for sign in signs]
    shuffled = [_against_others(rng.permutation(second) - first).mean() for _ in range(n_permutations)]
    return PairContrast(
        name="contrast",
        labels=tuple(labels) or tuple(str(number) for number in range(1, len(first) + 1)),
        values=_against_others(difference),
        nulls={
            "sign_flip": NullValues(np.array(flipped)[:, None], "sign flips", "."),
            "shuffled_partners": NullValues(np.array(shuffled)[:, None], "shuffled partners", "d"),
        },
        measure="cosine of a pair's difference with the others'",
        direction=difference.mean(axis=0),
    )


def _against_others(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    others = differences.sum(axis=0) - differences
    norms = np.linalg.norm(others, axis=1) * np.linalg.norm(differences, axis=1)
    return (others * differences).sum(axis=1) / np.where(norms > 0, norms, np.inf)
