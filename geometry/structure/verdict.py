"""Verdicts in words, where a number alone would mislead."""

from typing import Literal

from geometry.structure.comparison import Comparison

__all__ = ["OrthogonalityVerdict", "orthogonality_verdict"]

OrthogonalityVerdict = Literal["not orthogonal", "by construction", "undecided"]


def orthogonality_verdict(cosines: Comparison, bound: float = 0.1) -> OrthogonalityVerdict:
    """What cosines that the theory predicts to vanish show.

    Orthogonality is an equivalence claim, and several nulls predict it as well as the theory does, so
    being different from them is not what counts:

    - "not orthogonal": the mean |cos| is not below `bound`, its 95% interval included.
    - "by construction": random subsets of the parent are as orthogonal, so nesting explains it.
    - "undecided": it is closer to 0 than nesting explains. To support the claim it would have to hold
      between word-disjoint halves, which is not tested here.

    Parameters
    ----------
    cosines : a comparison whose nulls include "random_subset".
    """
    magnitude = cosines.absolute()
    if magnitude.interval[1] >= bound:
        return "not orthogonal"
    return "undecided" if magnitude.lower_than("random_subset") else "by construction"
