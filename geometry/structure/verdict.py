"""Verdicts in words, where a number alone would mislead."""

from collections.abc import Sequence
from typing import Literal

from geometry.structure.comparison import Comparison
from geometry.structure.significance import Alternative

__all__ = ["BOUND", "HALFWAY", "LEVEL", "Verdict", "orthogonality_verdict", "standing", "verdict"]

Verdict = Literal[
    "supported",
    "weak",
    "by construction",
    "not found",
    "not orthogonal",
    "undecided",
    "beyond all draws",
    "not measured",
]

LEVEL = 0.05
BOUND = 0.1
# From shuffled rows to the prediction.
HALFWAY = 0.5


def verdict(
    test: Comparison,
    alternative: Alternative,
    q_value: float,
    *,
    predicted: float,
    explained_by: Sequence[str] = (),
    attainable: float,
) -> Verdict:
    """What a claim that structure is there shows.

    - "not measured": the hierarchy has nothing to measure it on.
    - "not found": it is not beyond shuffled rows.
    - "by construction": it is, but a null that keeps some of the structure is as far.
    - "beyond all draws": it is beyond shuffled rows in every draw, but the draws are too few for the level.
    - "weak": it is beyond all of them, but nearer to shuffled rows than to the prediction.
    - "supported": it is beyond all of them and nearer to the prediction.

    Parameters
    ----------
    predicted : the statistic's value if the theory is right.
    q_value : of the permutation test against shuffled rows, adjusted for all claims.
    explained_by : nulls of `test` that the claim must be beyond as well, with 95% intervals apart.
    attainable : the smallest p-value that the number of draws allows.
    """
    if not test.measured:
        return "not measured"
    significant = q_value <= LEVEL
    if not significant and test.p_value("shuffled", alternative) > attainable:
        return "not found"
    if not all(test.beyond(null, alternative) for null in explained_by if null in test.nulls):
        return "by construction"
    if not significant:
        return "beyond all draws"
    return "supported" if standing(test.mean, test.null_mean("shuffled"), predicted) >= HALFWAY else "weak"


def standing(value: float, noise: float, predicted: float) -> float:
    """Where a value stands between noise (0) and prediction (1); nan where the two coincide."""
    return (value - noise) / (predicted - noise) if abs(predicted - noise) > 1e-9 else float("nan")


def orthogonality_verdict(
    cosines: Comparison,
    *,
    halves: Comparison | None = None,
    q_value: float = float("nan"),
    separation: Comparison | None = None,
    bound: float = BOUND,
) -> Verdict:
    """What cosines that the theory predicts to vanish show.

    Orthogonality is an equivalence claim, and several nulls predict it as well as the theory does, so
    being different from them is not what counts:

    - "not orthogonal": the mean |cos| is not below `bound`, its 95% interval included.
    - "by construction": random subsets of the parent are as orthogonal, so nesting explains it.
    - "undecided": it is closer to 0 than nesting explains, but one of the following is wanting.
    - "supported": besides, |cos| between halves without a common word lies below the bound, and below that
      of shuffled rows (q ≤ 0.05), and child contrasts tell unseen words apart better than random subsets do:
      the contrasts are not noise, which is orthogonal to anything.

    Parameters
    ----------
    cosines : of all words; its nulls include "random_subset".
    halves : of halves without a common word, with the `q_value` of their |cos| being less than shuffled rows'.
    separation : AUC of the child contrasts; its nulls include "random_subset".
    """
    magnitude = cosines.absolute()
    if not magnitude.measured:
        return "not measured"
    if magnitude.interval[1] >= bound:
        return "not orthogonal"
    if not magnitude.beyond("random_subset", "less"):
        return "by construction"
    if halves is None or separation is None:
        return "undecided"
    holds = halves.absolute().interval[1] < bound and q_value <= LEVEL
    return "supported" if holds and separation.beyond("random_subset", "greater") else "undecided"
