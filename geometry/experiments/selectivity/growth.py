"""Whether side effects grow with closeness, in words, and means by distance: what sentences and figures share."""

import numpy as np
from numpy.typing import NDArray

from geometry.intervals import mean_of
from geometry.selectivity import ClosenessTest, TreeEffects

LEVEL = 0.05


def growth(*tests: ClosenessTest) -> str:
    """Whether side effects grow with closeness by all of some tests, in a verb."""
    if all(test.p <= LEVEL for test in tests):
        return "grow"
    few = all(test.p <= LEVEL or test.p * (1 + len(test.null)) <= 1 + LEVEL for test in tests)
    return "may grow (too few permutations to decide)" if few else "do not significantly grow"


def by_distance(effects: TreeEffects) -> NDArray[np.float64]:
    """Mean off-target change at each tree distance over targets and prompts, shape (12,)."""
    return np.array([mean_of(effects.by_distance[:, step]) for step in range(effects.by_distance.shape[1])])
