"""The battery: every claim about every hierarchy, tested against every null in one pass over the draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.structure.against_nulls import compare_with_nulls, stream
from geometry.structure.claims import CLAIMS, Claim
from geometry.structure.comparison import Comparison
from geometry.structure.nulls import NULLS
from geometry.structure.significance import q_values
from geometry.structure.splits import train_mask, training_parts
from geometry.structure.statistic import FEWEST
from geometry.structure.verdict import Verdict, orthogonality_verdict, verdict

__all__ = ["ClaimResult", "adjusted", "run_battery", "skipped_concepts"]


@dataclass(frozen=True, eq=False)
class ClaimResult:
    """One claim about one hierarchy.

    Attributes
    ----------
    test : its statistic beside the nulls; magnitudes for orthogonality.
    published : of an orthogonality claim, signed cosines of all words.
    separation : AUC of child contrasts, which orthogonality's verdict needs.
    p_value : permutation test against shuffled rows; nan if nothing was measured.
    q_value : Benjamini–Hochberg over all claims that were adjusted together.
    """

    claim: Claim
    hierarchy: str
    test: Comparison
    p_value: float
    q_value: float
    published: Comparison | None = None
    separation: Comparison | None = None

    @property
    def floor(self) -> float:
        """The smallest p-value that the number of draws allows."""
        return 1 / (1 + len(self.test.nulls["shuffled"]))

    @property
    def verdict(self) -> Verdict:
        """In a word or two; see `geometry.structure.verdict`."""
        if self.published is not None:
            return orthogonality_verdict(
                self.published, halves=self.test, q_value=self.q_value, separation=self.separation
            )
        claim = self.claim
        return verdict(
            self.test,
            claim.alternative,
            self.q_value,
            predicted=claim.predicted,
            explained_by=claim.explained_by,
            attainable=self.floor,
        )

    @property
    def progress(self) -> float:
        """Where the model stands between shuffled rows (0) and the theory's prediction (1)."""
        return self.relative(self.test.mean)

    def relative(self, value: float) -> float:
        """A value of the statistic on the scale of `progress`."""
        noise = self.test.null_mean("shuffled")
        return (value - noise) / (self.claim.predicted - noise)

    def to_dict(self) -> dict[str, Any]:
        """An entry of results.claims: the mean's value and interval, each null's mean, p, q and verdict."""
        test, measured = self.test, self.test.measured
        entry = {
            "claim": self.claim.name,
            "says": self.claim.says,
            "hierarchy": self.hierarchy,
            "value": test.mean,
            "interval": list(test.interval) if measured else None,
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


def run_battery(
    space: CausalSpace,
    hierarchies: Sequence[ConceptHierarchy],
    *,
    claims: Sequence[Claim] = CLAIMS,
    nulls: Sequence[str] = tuple(NULLS),
    draws: int = 99,
    other_draws: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> list[ClaimResult]:
    """Test every claim about every hierarchy; p-values come from shuffled rows, the other nulls stand beside.

    Concepts with d/2 training tokens or more are fitted to d/2 of them, in the model and in its nulls
    alike, which bounds the time of a draw; not so the cosines of all words, which are shown as published.

    Parameters
    ----------
    nulls : names from `NULLS`; "shuffled" and "random_subset" are needed.
    draws : of shuffled rows, shared by all claims; p-values are at least 1/(1 + draws).
    other_draws : of each other null; default draws/20, at least 3.

    Returns
    -------
    list of `ClaimResult`, by hierarchy in the order of `claims`, q-values over all of them. A claim that
    a hierarchy gives nothing to measure on is there with value nan.
    """
    others = max(3, draws // 20) if other_draws is None else other_draws
    times = {name: draws if name == "shuffled" else others for name in nulls}
    tested = [claim.statistic for claim in claims]
    published = [claim.published for claim in claims if claim.published is not None]
    half = max(FEWEST, space.width // 2)
    results = []
    for hierarchy in hierarchies:
        common: Any = {"nulls": nulls, "missing": "nan", "seed": seed, "progress": progress}
        tests = compare_with_nulls(space, hierarchy, tested, draws=times, largest=half, **common)
        # Thinning would undo the nesting of training words that makes these small, so they are fitted to all.
        tests |= compare_with_nulls(space, hierarchy, published, draws=others, **common) if published else {}
        results += [_result(claim, hierarchy, tests) for claim in claims]
    return adjusted(results)


def _result(claim: Claim, hierarchy: ConceptHierarchy, tests: Mapping[str, Comparison]) -> ClaimResult:
    test, published = tests[claim.statistic.name], None
    if claim.published is not None:
        test, published = test.absolute(), tests[claim.published.name]
    p_value = test.p_value("shuffled", claim.alternative)
    separated = tests.get("contrast-auc/lemma")
    return ClaimResult(claim, hierarchy.name, test, p_value, p_value, published, separated)


def adjusted(results: Sequence[ClaimResult], beside: Sequence[float] = ()) -> list[ClaimResult]:
    """The results with q-values over all of them, and over the p-values of other tests `beside` them."""
    q = q_values([*(result.p_value for result in results), *beside])
    return [replace(result, q_value=float(value)) for result, value in zip(results, q, strict=False)]


def skipped_concepts(hierarchy: ConceptHierarchy, *, seed: int = 0) -> dict[str, str]:
    """Concepts that parts of the battery pass over, and why."""
    skipped: dict[str, str] = {}
    lemma_train = train_mask(hierarchy, "lemma", stream(seed, "lemma"))
    halves = training_parts("halves", train_mask(hierarchy, "halves", stream(seed, "halves")))
    for index, (name, members) in enumerate(zip(hierarchy.names, hierarchy.members, strict=True)):
        unseen = int((~lemma_train[members]).sum())
        smaller = min(int(part[members].sum()) for part in halves)
        children = hierarchy.families.get(index, ())
        reasons = []
        if unseen < FEWEST:
            reasons.append(f"{unseen} of its {len(members)} words unseen after a lemma split, {FEWEST} needed")
        if smaller < 1:
            reasons.append("all its words are forms of one lemma, so that there are no halves")
        if len(children) == 1:
            reasons.append(f"a single value, {hierarchy.names[children[0]]}: no simplex")
        if reasons:
            skipped[name] = "; ".join(reasons)
    return skipped
