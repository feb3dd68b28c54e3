"""Verdicts: one closed list of words, and the rules by which claims reach them."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

import yaml

from geometry.results import TestResult

LEVEL, BOUND = 0.05, 0.1
HALFWAY = 0.5  # from the null mean to the prediction
# Word → what it means.
VERDICTS: dict[str, str] = yaml.safe_load(
    (files("geometry.data") / "claims" / "verdicts.yaml").read_text(encoding="utf-8")
)


def verdict_word(verdict: str) -> str:
    """The entry of `VERDICTS` that a verdict belongs to: itself, but for "preferred shape: line" and the like."""
    return verdict.partition(":")[0]


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
        explained_by: nulls that keep part of the structure, and that the model must be beyond as well, with 95%
            intervals apart.
    """

    explained_by: tuple[str, ...] = ()

    def __call__(self, result: TestResult) -> str:
        """The verdict on a result with a prediction and a reference null."""
        if not result.measured:
            return "not measurable"
        significant = result.p_adjusted <= LEVEL
        if not significant and result.p_value > result.p_floor:
            return "not significant"
        if not all(result.beyond(null) for null in self.explained_by if null in result.nulls):
            return "explained by nesting"
        if not significant:
            return "too few permutations to decide"
        return "supported" if result.relative(result.value) >= HALFWAY else "significant, small effect"


@dataclass(frozen=True)
class OrthogonalityRule:
    """The rule of claims that |cos| is 0, tested between halves of the words that share none.

    Orthogonality is an equivalence claim, and several nulls predict it as well as the theory does, so being different
    from them is not what counts. It consults two related results: "published", signed cosines of all words with the
    null "random_subset", and "separation", the AUC of child contrasts, without which contrasts may be noise, which is
    orthogonal to anything.
    """

    bound: float = BOUND

    def __call__(self, result: TestResult) -> str:
        """The verdict on a result that holds magnitudes of cosines between halves."""
        published, separation = result.related.get("published"), result.related.get("separation")
        if published is None or not published.measured:
            return "not measurable"
        magnitude = published.absolute()
        if magnitude.interval[1] >= self.bound:
            return "contradicted"
        if not magnitude.beyond("random_subset"):
            return "explained by nesting"
        if separation is None:
            return "inconclusive"
        holds = result.interval[1] < self.bound and result.p_adjusted <= LEVEL
        return "supported" if holds and separation.beyond("random_subset") else "inconclusive"
