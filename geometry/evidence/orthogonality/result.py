"""The result of a claim of orthogonality: the cosine beside its twins, and the verdict's numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from geometry.display import fitted
from geometry.evidence.orthogonality.pooled import FEWEST_FAMILIES, PooledCosine, signed_root
from geometry.results import EXACT, TILTED, Difference, NullValues, TestResult

BOUND = 0.15  # of the cosine, fixed beforehand
_NORMAL, _DETECTED = 1.96, 0.84  # normal quantiles of 97.5% and of a power of 80%


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OrthogonalityResult(TestResult):
    """A debiased cosine over all comparisons of a claim, beside unrelated references and beside theory twins.

    `value` and `interval` are the cosine's, sign · √|cos²|; `values` are those of each family.

    Attributes:
        cosine: of the claim's comparisons.
        unrelated: the same contrasts against references that share no lemma with them.
        exact, tilted: the same comparisons on each theory twin, without and with a tilt of 0.3.
        calibrated: whether contrast and reference share words, so that the theory itself does not predict 0: then the
            bound is compared with how far cos² exceeds the exact twins'.
        products: the same comparisons under other inner products, by the name of the null model.
        bound: within which it counts as orthogonal.
        by_estimator: the same test with another estimator.
    """

    cosine: PooledCosine
    unrelated: PooledCosine
    exact: Sequence[PooledCosine] = ()
    tilted: Sequence[PooledCosine] = ()
    products: Mapping[str, PooledCosine] = field(default_factory=dict)
    calibrated: bool = False
    bound: float = BOUND
    by_estimator: "Mapping[str, OrthogonalityResult]" = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The pooled cosine."""
        return self.cosine.value

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Its 95% interval, families drawn again."""
        return self.cosine.interval

    @property
    def n(self) -> int:
        """How many comparisons."""
        return self.cosine.n

    @property
    def measured(self) -> bool:
        """Whether there was a comparison."""
        return self.cosine.n > 0

    @property
    def ends(self) -> tuple[float, float]:
        """The tilted and the exact twins' mean cosine: what contradicts the theory, and what it predicts."""
        return (_mean_value(self.tilted), _mean_value(self.exact)) if self.exact else (float("nan"), float("nan"))

    def difference(self, null: str) -> Difference:
        """Of cos² from that under another inner product, or with unrelated references, paired by family."""
        if null in self.products:
            return self.cosine.difference([self.products[null]])
        if null == "unrelated":
            return self.cosine.among(self.unrelated).difference([self.unrelated])
        return super().difference(null)

    @property
    def compared(self) -> tuple[str, ...]:
        """The inner products."""
        return tuple(self.products)

    @property
    def excess(self) -> Difference:
        """cos² less the mean of the exact twins', paired by family."""
        return self.cosine.difference(self.exact)

    @property
    def smallest_bound(self) -> float:
        """The smallest bound that would hold: the upper limit of the cosine, or of its excess where calibrated."""
        upper = self.excess.interval[1] if self.calibrated else self.cosine.squared_interval[1]
        return float(np.maximum(0.0, signed_root(upper)))  # nan stays nan, within no bound

    @property
    def within(self) -> bool:
        """Whether the bound holds."""
        return self.smallest_bound < self.bound

    @property
    def deviates(self) -> bool:
        """Whether the excess over the exact twins is above 0, its interval included."""
        return self.excess.interval[0] > 0

    @cached_property
    def power(self) -> Mapping[str, int]:
        """How many tilted and how many exact twins this test would find to deviate, of how many."""
        if not self.exact or not self.tilted:
            return {}
        tilted = sum(one.difference(self.exact).interval[0] > 0 for one in self.tilted)
        others = [[other for other in self.exact if other is not one] for one in self.exact]
        exact = sum(one.difference(rest).interval[0] > 0 for one, rest in zip(self.exact, others, strict=True))
        return {"tilted": tilted, "exact": exact, "of": len(self.tilted)}

    @cached_property
    def families_needed(self) -> int:
        """About how many families would show a tilt of 0.3 in four of five cases, or decide where power is enough."""
        n = self.cosine.n_families
        if not self.cosine.measurable or not self.exact:
            return max(self.cosine.families_for_signal, FEWEST_FAMILIES)
        differences = [one.difference(self.exact) for one in self.tilted]
        size = float(np.mean([difference.value for difference in differences] or [np.nan]))
        error = float(np.mean([_error(difference) for difference in differences] or [np.nan]))
        times = _times((_NORMAL + _DETECTED) * error, size)
        if times <= 1:  # there are enough to see a tilt: what is open is on which side of the bound it lies
            squared = self.excess.value if self.calibrated else self.cosine.squared
            wide = (_NORMAL + _DETECTED) * _error(self.excess)
            times = min(_times(wide, self.excess.value), _times(wide, self.bound**2 - squared))
        return max(n, int(np.ceil(n * times))) + 1 if np.isfinite(times) else 10 * n

    def to_dict(self) -> dict[str, Any]:
        """As of `TestResult`, with the debiased cosine."""
        entry = super().to_dict()
        entry["debiased"] = {
            "value": self.value,
            "interval": list(self.interval),
            "squared": self.cosine.squared,
            "squared_interval": list(self.cosine.squared_interval),
            "comparisons": self.cosine.n,
            "families": self.cosine.n_families,
            "bound": self.bound,
            "bound_that_holds": self.smallest_bound,
            "unrelated": self.unrelated.value,
            "unrelated_interval": list(self.unrelated.interval),
            "excess_of_squared": self.excess.value,
            "excess_interval": list(self.excess.interval),
            "by_estimator": {
                name: {
                    "value": other.value,
                    "interval": list(other.interval),
                    "exact_twin": other.ends[1],
                    "tilted_twin": other.ends[0],
                    "verdict": other.verdict,
                }
                for name, other in self.by_estimator.items()
            },
        }
        return entry

    def __repr__(self) -> str:
        low, high = self.interval
        head = f"{self.subject + ', ' if self.subject else ''}{self.name}: debiased cos {self.value:.3f}"
        head += f" [{low:.3f}, {high:.3f}] ({self.n} comparisons, {self.cosine.n_families} families)"
        beside = [f"exact twin {self.ends[1]:.3f}, twin tilted by 0.3 {self.ends[0]:.3f}"] if self.exact else []
        beside.append(f"unrelated {self.unrelated.value:.3f}")
        return fitted(head, beside, (f"; {self.verdict}" if self.rule else "") + self.lost_in_short, "; ")


def orthogonality_result(
    cosines: tuple[PooledCosine, PooledCosine],
    exact: Sequence[PooledCosine],
    tilted: Sequence[PooledCosine],
    products: Mapping[str, PooledCosine],
    family_names: Sequence[str],
    **fields: Any,
) -> OrthogonalityResult:
    """From the cosine and the unrelated one, and those of twins; the labels are the families'."""
    own, unrelated = cosines
    values = [
        PooledCosine(_part(own, number), own.family[own.family == number]).value for number in range(len(family_names))
    ]
    return OrthogonalityResult(
        labels=tuple(family_names),
        values=np.array(values, dtype=np.float64),
        twin={
            name: np.array([one.value for one in twins]) for name, twins in ((EXACT, exact), (TILTED, tilted)) if twins
        },
        reference=None,
        predicted=0.0,
        cosine=own,
        unrelated=unrelated,
        exact=tuple(exact),
        tilted=tuple(tilted),
        products=products,
        nulls={"unrelated": NullValues(np.array([[unrelated.value]]), "unrelated references", "v")},
        **fields,
    )


def _part(cosine: PooledCosine, number: int) -> Any:
    return type(cosine.products)(*(part[cosine.family == number] for part in cosine.products))


def _mean_value(cosines: Sequence[PooledCosine]) -> float:
    """The root of the mean cos²."""
    return signed_root(float(np.mean([cosine.squared for cosine in cosines]))) if cosines else float("nan")


def _error(difference: Difference) -> float:
    return (difference.interval[1] - difference.interval[0]) / (2 * _NORMAL)


def _times(error: float, size: float) -> float:
    """How many times as many families bring the error below the size; inf where it has the wrong sign."""
    return (error / size) ** 2 if size > 0 and np.isfinite(error) else float("inf")
