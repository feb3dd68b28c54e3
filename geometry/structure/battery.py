"""The battery: every claim about every hierarchy, tested against every null in one pass over the draws."""

from collections.abc import Mapping, Sequence
from typing import Any

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import TokenCloud
from geometry.errors import EstimationError
from geometry.structure.against_nulls import compare_with_nulls, stream
from geometry.structure.claim_result import ClaimResult, adjusted
from geometry.structure.claims import CLAIMS, HierarchyClaim
from geometry.structure.comparison import Comparison
from geometry.structure.nulls import NULLS, Null
from geometry.structure.splits import train_mask, training_parts
from geometry.structure.statistics.statistic import FEWEST, Statistic
from geometry.structure.verdict import orthogonality_verdict

__all__ = ["claim_results", "claim_tests", "run_battery", "skipped_concepts"]


def run_battery(
    space: CausalSpace,
    hierarchies: Sequence[ConceptHierarchy],
    *,
    claims: Sequence[HierarchyClaim] = CLAIMS,
    nulls: Sequence[str] = tuple(NULLS),
    draws: int = 99,
    other_draws: int | None = None,
    largest: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> list[ClaimResult]:
    """Test every claim about every hierarchy; p-values come from shuffled rows, the other nulls stand beside.

    Concepts of more than `largest` training tokens are fitted to so many of them, in the model and in its
    nulls alike, which bounds the time of a draw; not so the cosines of all words, which are shown as published.

    Parameters
    ----------
    nulls : names from `NULLS`; "shuffled" and "random_subset" are needed.
    draws : of shuffled rows, shared by all claims; p-values are at least 1/(1 + draws).
    other_draws : of each other null; default draws/20, at least 3.
    largest : see above; default d/2.

    Returns
    -------
    list of `ClaimResult`, by hierarchy in the order of `claims`, q-values over all of them. A claim that
    a hierarchy gives nothing to measure on is there with value nan.

    Raises
    ------
    EstimationError
        A null that is needed is not among `nulls`, or what `compare_with_nulls` refuses.
    """
    results: list[ClaimResult] = []
    for hierarchy in hierarchies:
        tests = claim_tests(
            space,
            hierarchy,
            claims=claims,
            nulls=nulls,
            draws=draws,
            other_draws=other_draws,
            largest=largest,
            seed=seed,
            progress=progress,
        )
        results += claim_results(claims, hierarchy, tests)
    return adjusted(results)


def claim_tests(
    space: CausalSpace,
    concepts: ConceptHierarchy | TokenCloud,
    *,
    claims: Sequence[HierarchyClaim] = CLAIMS,
    also: Sequence[Statistic] = (),
    nulls: Sequence[str] | Mapping[str, Null] = tuple(NULLS),
    draws: int = 99,
    other_draws: int | None = None,
    largest: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> dict[str, Comparison]:
    """The statistics of the claims about one hierarchy, and those wanted `also`, beside their nulls, by name.

    For `concepts` see `compare_with_nulls`, for the other parameters and errors `run_battery`, which judges what
    this measures.
    """
    if lacking := {"shuffled", "random_subset"} - set(nulls):
        raise EstimationError(f"the battery needs the null model {min(lacking)!r} for its p-values and verdicts")
    others = max(3, draws // 20) if other_draws is None else other_draws
    times = {name: draws if name == "shuffled" else others for name in nulls}
    published = [claim.published for claim in claims if claim.published is not None]
    common: Any = {"nulls": nulls, "missing": "nan", "seed": seed, "progress": progress}
    largest = max(FEWEST, space.width // 2) if largest is None else largest
    statistics = [*(claim.statistic for claim in claims), *also]
    tests = compare_with_nulls(space, concepts, statistics, draws=times, largest=largest, **common)
    # Thinning would undo the nesting of training words that makes these small, so they are fitted to all.
    return tests | (compare_with_nulls(space, concepts, published, draws=others, **common) if published else {})


def claim_results(
    claims: Sequence[HierarchyClaim], hierarchy: ConceptHierarchy, tests: Mapping[str, Comparison]
) -> list[ClaimResult]:
    """One result a claim from what `claim_tests` measured; q-values are still p-values (see `adjusted`)."""
    return [_result(claim, hierarchy, tests) for claim in claims]


def _result(claim: HierarchyClaim, hierarchy: ConceptHierarchy, tests: Mapping[str, Comparison]) -> ClaimResult:
    test = tests[claim.statistic.name]
    if claim.published is None:
        return ClaimResult.of(claim, hierarchy.name, test)
    published = tests[claim.published.name]

    def orthogonal(result: ClaimResult) -> str:
        return orthogonality_verdict(
            published, halves=test, q_value=result.q_value, separation=tests.get("contrast-auc/lemma")
        )

    return ClaimResult.of(claim, hierarchy.name, test.absolute(), orthogonal, published)


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
