"""The result of testing one claim: the numbers, the p- and q-value, the verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geometry.structure.claims import Claim
from geometry.structure.comparison import Comparison
from geometry.structure.significance import q_values
from geometry.structure.verdict import standing, verdict

__all__ = ["ClaimResult", "adjusted", "judge"]


@dataclass(frozen=True, eq=False)
class ClaimResult:
    """One claim about one hierarchy or series.

    Attributes
    ----------
    hierarchy : its name, or that of the series.
    test : the statistic beside its nulls, of which "shuffled" gives the p-value.
    p_value : permutation test; nan if nothing was measured.
    q_value : Benjamini–Hochberg over all claims that were `adjusted` together.
    judged : from a result to its verdict.
    published : of an orthogonality claim, signed cosines of all words.
    """

    claim: Claim
    hierarchy: str
    test: Comparison
    p_value: float
    q_value: float
    judged: "Callable[[ClaimResult], str]"
    published: Comparison | None = None

    @classmethod
    def of(
        cls,
        claim: Claim,
        hierarchy: str,
        test: Comparison,
        judged: "Callable[[ClaimResult], str] | None" = None,
        published: Comparison | None = None,
    ) -> "ClaimResult":
        """A result by itself: its q-value is its p-value."""
        p_value = test.p_value("shuffled", claim.alternative)
        return cls(claim, hierarchy, test, p_value, p_value, judged or judge, published)

    @property
    def floor(self) -> float:
        """The smallest p-value that the number of draws allows."""
        return 1 / (1 + len(self.test.nulls["shuffled"]))

    @property
    def verdict(self) -> str:
        """In a word or two; see `geometry.structure.verdict`."""
        return self.judged(self)

    def relative(self, value: float) -> float:
        """A value of the statistic on a scale from noise (0) to the theory's prediction (1); nan if they coincide."""
        return standing(value, self.test.null_mean("shuffled"), self.claim.predicted)

    def to_dict(self) -> dict[str, Any]:
        """An entry of results.claims: the mean's value and interval, each null's mean, p, q and verdict."""
        test = self.test
        entry: dict[str, Any] = {
            "claim": self.claim.name,
            "says": self.claim.says,
            "hierarchy": self.hierarchy,
            "value": test.mean,
            "interval": list(test.interval) if test.measured else None,
            "n": int(np.isfinite(test.values).sum()),
            "predicted": self.claim.predicted,
            "nulls": {name: test.null_mean(name) for name in test.nulls},
            "effects": {name: test.effect(name) for name in test.nulls},
            "draws": {name: len(values) for name, values in test.nulls.items()},
            "alternative": self.claim.alternative,
            "p_value": self.p_value,
            "p_floor": self.floor,
            "q_value": self.q_value,
            "verdict": self.verdict,
        }
        if self.published is not None:
            whole = self.published.absolute()
            entry["all_words"] = {
                "value": whole.mean,
                "interval": list(whole.interval) if whole.measured else None,
                "nulls": {name: whole.null_mean(name) for name in whole.nulls},
            }
        return entry

    def __str__(self) -> str:
        nulls = ", ".join(f"{name} {self.test.null_mean(name):.3f}" for name in self.test.nulls)
        return f"{self.hierarchy}, {self.claim.name}: {self.test.mean:.3f} ({nulls}); {self.verdict}"


def judge(result: ClaimResult) -> str:
    """The verdict on a claim that structure is there."""
    claim = result.claim
    return verdict(
        result.test,
        claim.alternative,
        result.q_value,
        predicted=claim.predicted,
        explained_by=claim.explained_by,
        attainable=result.floor,
    )


def adjusted(results: Sequence[ClaimResult]) -> list[ClaimResult]:
    """The results with q-values over all of them together."""
    q = q_values([result.p_value for result in results])
    return [replace(result, q_value=float(value)) for result, value in zip(results, q, strict=True)]
