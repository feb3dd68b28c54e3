"""Verdicts: one closed list of words, and the rules by which claims reach them."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import yaml

from geometry.evidence.orthogonality.pooled import FEWEST_FAMILIES
from geometry.evidence.orthogonality.result import OrthogonalityResult
from geometry.results import EXACT, LEVEL, TestResult

HALFWAY = 0.5  # from the null mean to the exact twin
SMALL_SHARE = 0.06  # of variance: Cohen's medium effect
ENOUGH_POWER = 0.8
# Word → what it means.
VERDICTS: dict[str, str] = yaml.safe_load(
    (files("geometry.data") / "claims" / "verdicts.yaml").read_text(encoding="utf-8")
)


def verdict_word(verdict: str) -> str:
    """The entry of `VERDICTS` that a verdict belongs to: without a number in brackets, or a shape after a colon."""
    if verdict in VERDICTS:
        return verdict
    return verdict.partition(" (")[0].partition(":")[0]


def by_verdict(tests: Iterable[TestResult]) -> dict[str, list[TestResult]]:
    """Verdict → its tests, in the order of `VERDICTS`."""
    groups: dict[str, list[TestResult]] = {word: [] for word in VERDICTS}
    for test in tests:
        groups[verdict_word(test.verdict)].append(test)
    return {word: members for word, members in groups.items() if members}


@dataclass(frozen=True)
class StructureRule:
    """The rule of claims that structure is there; for the words see `VERDICTS`.

    Attributes:
        explained_by: nulls that keep part of the structure; the model must be beyond them too, paired by label.
        strength: whether the claim is about how strong a signal is, so that the theory twin takes its strength from the
            model: then an effect is small if its noise-corrected share of variance is below 0.06. Of other claims,
            about a shape, it is small if it stands nearer to the null mean than to the exact twin.
    """

    explained_by: tuple[str, ...] = ()
    strength: bool = False

    def __call__(self, result: TestResult) -> str:
        """The verdict on a result with a reference null."""
        if not result.measured or not np.isfinite(result.p_value):
            return f"not measurable ({result.lacking})" if result.lacking else "not measurable"
        significant = result.p_adjusted <= LEVEL
        if not significant and result.p_value > result.p_floor:
            return "inconclusive" if _powerless(result) else "not significant"
        # Only by a null that the theory itself would be beyond can a claim be explained or contradicted.
        short = [null for null in self.explained_by if null in result.nulls and not result.beyond(null)]
        comparable = [null for null in short if np.isfinite(result.difference(null).interval).all()]
        telling = [null for null in comparable if _theory_beyond(result, null)]
        if any(result.short_of(null) for null in telling):
            return "contradicted"
        if short:
            return "explained by nesting" if telling else "inconclusive"
        if not significant:
            return "too few permutations to decide"
        return "significant, small effect" if self._small(result) else "supported"

    def _small(self, result: TestResult) -> bool:
        if self.strength and result.share == result.share:  # not nan
            return result.share < SMALL_SHARE
        return not result.relative(result.value) >= HALFWAY


def _powerless(result: TestResult) -> bool:
    """Whether the exact twin itself would not be significant in four of five cases."""
    return bool(result.power) and result.power["exact"] < ENOUGH_POWER * result.power["of"]


def _theory_beyond(result: TestResult, null: str) -> bool:
    """Whether exact twins are on the claimed side of a null, by twice their spread; taken for so without twins."""
    twins = result.twin.get(EXACT, np.empty(0))
    if not len(twins):
        return True
    gain = (np.mean(twins) - result.nulls[null].mean) * (-1 if result.alternative == "less" else 1)
    return bool(gain > 2 * np.std(twins))


class OrthogonalityRule:
    """The rule of claims that a cosine is 0: an equivalence claim, with a bound fixed beforehand.

    It deviates if cos² exceeds that of exact theory twins on the same comparisons, with an interval over families. All
    verdicts but "not measurable" need the power to see a tilt of 0.3: four of five tilted twins must be found.
    """

    def __call__(self, result: TestResult) -> str:
        """The verdict on an `OrthogonalityResult`."""
        if result.lacking:
            return f"not measurable ({result.lacking})"
        if not isinstance(result, OrthogonalityResult) or not result.measured:
            return f"not measurable ({FEWEST_FAMILIES} families needed)"
        if not result.cosine.measurable:
            return f"not measurable ({result.families_needed} families needed)"
        undecided = f"inconclusive ({result.families_needed} families needed)"
        if not result.power:
            return "inconclusive"
        if result.power["tilted"] < ENOUGH_POWER * result.power["of"]:
            return undecided
        if result.within:
            return "near-orthogonal: deviates, within 0.15" if result.deviates else "orthogonal within 0.15"
        return "contradicted" if result.deviates else undecided
