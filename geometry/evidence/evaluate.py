"""Evaluate claims about a hierarchy: every claim against every null in one pass over the permutations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import TokenCloud
from geometry.errors import EstimationError
from geometry.evidence.against_nulls import MAX_TOKENS, test_against_nulls
from geometry.evidence.claims import CLAIMS, Claim
from geometry.evidence.nulls import NULLS, NullModel
from geometry.evidence.splits import train_mask, training_parts
from geometry.evidence.statistics.statistic import FEWEST, Statistic
from geometry.randomness import generator
from geometry.results import Results, TestResult


def evaluate_claims(
    space: CausalSpace,
    concepts: ConceptHierarchy | TokenCloud,
    *,
    claims: Sequence[Claim] = CLAIMS,
    also: Sequence[Statistic] = (),
    nulls: Sequence[str] | Mapping[str, NullModel] | None = None,
    n_permutations: int = 99,
    n_others: int | None = None,
    max_tokens: int | None = MAX_TOKENS,
    seed: int = 0,
    progress: bool | None = None,
) -> Results:
    """Test every claim about a hierarchy.

    >>> results = evaluate_claims(space, hierarchy, n_permutations=99)  # doctest: +SKIP
    >>> results["existence"].verdict  # doctest: +SKIP
    'supported'

    p-values come from shuffled rows, the other nulls stand beside them. Concepts of more than `max_tokens` training
    tokens are fitted to so many of them, in the model and in its nulls alike; not so the cosines "as published", which
    are of all words: thinning would undo the nesting of words that makes them small.

    Parameters:
        concepts: a hierarchy, or a cloud of whatever else belongs to concepts; see `test_against_nulls`.
        also: further statistics to test in the same pass; their results follow the claims'.
        nulls: names from `NULLS`, or name → null model of one's own; "shuffled" and "random_subset" are needed.
            Default: all of `NULLS`.
        n_permutations: of shuffled rows, shared by all claims; p-values are at least 1/(1 + n_permutations).
        n_others: draws of each other null; default n_permutations/20, at least 3.

    Returns Results: one a claim, in order, keyed by its name, p-values adjusted over these claims (not over `also`).
        A claim that the hierarchy gives nothing to measure on is there with value nan.

    Raises EstimationError: a null that is needed is not among `nulls`, one of `also` has a claim's name, or what
        `test_against_nulls` refuses.
    """
    nulls = tuple(NULLS) if nulls is None else nulls
    if lacking := {"shuffled", "random_subset"} - set(nulls):
        raise EstimationError(f"claims need the null model {min(lacking)!r} for their p-values and verdicts")
    if taken := {claim.name for claim in claims} & {statistic.name for statistic in also}:
        raise EstimationError(f"{min(taken)!r} is the name of a claim too: give the statistic another")
    others = max(3, n_permutations // 20) if n_others is None else n_others
    times = {name: n_permutations if name == "shuffled" else others for name in nulls}
    common: Any = {"nulls": nulls, "missing": "nan", "seed": seed, "progress": progress}
    consulted = [statistic for claim in claims for statistic in claim.consults.values()]
    statistics = [*(claim.statistic for claim in claims), *consulted, *also]
    tests = test_against_nulls(space, concepts, statistics, n_permutations=times, max_tokens=max_tokens, **common)
    if published := [claim.published for claim in claims if claim.published is not None]:
        whole = test_against_nulls(space, concepts, published, n_permutations=others, max_tokens=None, **common)
        again = {test.name for test in whole}
        tests = Results([*(test for test in tests if test.name not in again), *whole])
    results = Results([_result(claim, tests) for claim in claims]).adjusted()
    return Results([*results, *(tests[statistic.name] for statistic in also)])


def _result(claim: Claim, tests: Results) -> TestResult:
    test = tests[claim.statistic.name]
    related = {name: tests[statistic.name] for name, statistic in claim.consults.items()}
    if claim.published is not None:
        test = test.absolute()
        whole = tests[claim.published.name]
        related["published"] = replace(whole, alternative=claim.alternative, p_adjusted=float("nan"))
    return replace(
        test,
        name=claim.name,
        title=claim.title,
        measure=claim.measure,
        alternative=claim.alternative,
        reference="shuffled",
        predicted=claim.predicted,
        rule=claim.rule,
        related=related,
        p_adjusted=float("nan"),
    )


def skipped_concepts(hierarchy: ConceptHierarchy, *, seed: int = 0) -> dict[str, str]:
    """Concepts that some claims cannot be measured on, and why."""
    skipped: dict[str, str] = {}
    lemma_train = train_mask(hierarchy, "lemma", generator(seed, "lemma"))
    halves = training_parts("halves", train_mask(hierarchy, "halves", generator(seed, "halves")))
    for index, (name, members) in enumerate(zip(hierarchy.names, hierarchy.members, strict=True)):
        reasons = []
        if (held_out := int((~lemma_train[members]).sum())) < FEWEST:
            reasons.append(f"{held_out} of its {len(members)} words held out by a lemma split, {FEWEST} needed")
        if not all(part[members].any() for part in halves):
            reasons.append("all its words are forms of one lemma, so that there are no halves")
        if len(children := hierarchy.families.get(index, ())) == 1:
            reasons.append(f"a single value, {hierarchy.names[children[0]]}: no simplex")
        if reasons:
            skipped[name] = "; ".join(reasons)
    return skipped
