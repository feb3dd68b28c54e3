"""Do side effects grow with closeness in the tree? The statistics of addition beside those of permuted lemmas."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.intervals import mean_of, summarise
from geometry.selectivity.effects import TreeEffects
from geometry.significance import permutation_p

Statistic = Literal["sibling_excess", "closeness"]


@dataclass(frozen=True, eq=False)
class ClosenessTest:
    """One statistic of side effects beside its permutations.

    Attributes:
        statistic: "sibling_excess", the off-target change of siblings less that of unrelated concepts, or "closeness",
            Spearman's ρ of the off-target change with closeness in the tree.
        nats: the KL divergence.
        value, interval: mean over targets and prompts, and its 95% interval: over prompts, of ρ over targets.
        null: the same of each permutation, shape (m,).
        p: one-sided, that side effects grow with closeness.
    """

    statistic: Statistic
    nats: float | None
    value: float
    interval: tuple[float, float]
    null: NDArray[np.float64]
    p: float

    __repr__ = short_repr

    @classmethod
    def of(cls, statistic: Statistic, effects: TreeEffects, null: Sequence[TreeEffects]) -> "ClosenessTest":
        """Of effects and those of permuted lemmas.

        Raises SteeringError: no permutations.
        """
        if not null:
            raise SteeringError("a p-value needs permutations; give the effects of at least one")
        values = getattr(effects, statistic)
        summary = summarise(values if values.ndim == 2 else values[None])
        permuted = np.array([mean_of(getattr(each, statistic)) for each in null])
        value = mean_of(values)
        low, high = summary["interval"] or (np.nan, np.nan)
        return cls(statistic, effects.nats, value, (low, high), permuted, permutation_p(value, permuted, "greater"))

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        return {
            "statistic": self.statistic,
            "nats": self.nats,
            "value": self.value,
            "interval": list(self.interval),
            "null_mean": mean_of(self.null),
            "null_95": np.nanquantile(self.null, [0.025, 0.975]).tolist() if len(self.null) > 1 else None,
            "permutations": len(self.null),
            "p": self.p,
        }
