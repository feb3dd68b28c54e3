"""How well scores discriminate two kinds of prompts: area under the ROC curve with its interval, and the curve."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.intervals import central, cluster_weights

Scores = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Discrimination:
    """Scores of two kinds of prompts.

    Attributes:
        name: of the method.
        positives, negatives: scores, shapes (n,) and (m,).
    """

    name: str
    positives: Scores
    negatives: Scores

    __repr__ = short_repr

    @property
    def value(self) -> float:
        """Area under the ROC curve: how often a positive scores higher than a negative, ties counting half."""
        return auc(self.positives, self.negatives)

    @property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap interval; prompts of both kinds are drawn again."""
        wins = _wins(self.positives, self.negatives)
        # The same weights for both kinds would pair their prompts.
        first, second = cluster_weights(wins.shape[0]), cluster_weights(wins.shape[1])[::-1]
        return central(((first @ wins) * second).sum(axis=1) / wins.size)

    @property
    def curve(self) -> tuple[Scores, Scores]:
        """False and true positive rates, from no prompt to all, at every threshold."""
        cuts = np.sort(np.unique(np.concatenate([self.positives, self.negatives])))[::-1]
        rates = [
            np.array([0.0, *((scores >= cut).mean() for cut in cuts)]) for scores in (self.negatives, self.positives)
        ]
        return rates[0], rates[1]

    def to_dict(self) -> dict[str, Any]:
        """For results.json."""
        return {"auc": self.value, "interval": list(self.interval), "n": [len(self.positives), len(self.negatives)]}


def auc(positives: Scores, negatives: Scores) -> float:
    """`Discrimination.value` of scores."""
    return float(_wins(positives, negatives).mean())


def _wins(positives: Scores, negatives: Scores) -> Scores:
    difference = positives[:, None] - negatives
    return np.asarray((np.sign(difference) + 1) / 2)


def split(n: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Half of n prompts to train on, and the others."""
    order = rng.permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def folds(n: int, count: int) -> Sequence[NDArray[np.bool_]]:
    """Which of n are left out, in each of so many folds."""
    return [np.arange(n) % count == fold for fold in range(count)]
