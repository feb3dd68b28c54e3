"""Evaluate claims about a hierarchy: every claim between its nulls and its theory twins."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.directions import TokenCloud
from geometry.errors import EstimationError, HierarchyError
from geometry.estimators import Estimator
from geometry.evidence.against_nulls import MAX_TOKENS, test_against_nulls
from geometry.evidence.claims import CLAIMS, Claim
from geometry.evidence.nulls import NULLS, NullModel
from geometry.evidence.orthogonality.evaluate import evaluate_orthogonality
from geometry.evidence.splits import train_mask, training_parts
from geometry.evidence.statistics.statistic import FEWEST, Statistic
from geometry.evidence.strength import SignalStrength
from geometry.evidence.twin import TheoryTwin
from geometry.models.vocabulary import AnyWord
from geometry.randomness import generator
from geometry.results import Results, TestResult

# Other inner products on the same rows: is it the causal one's doing?
PRODUCTS = ("euclidean", "random_metric")
# Draws of nulls that stand beside the permutations and give no p-value.
N_OTHERS = 2
_NAMED = 3  # of the claims that cannot be measured
_WORDNET = "wordnet"
# What stands beside the cosines as published, which are of all words and so take long.
_PUBLISHED_NULLS, _N_PUBLISHED = ("random_subset", "random_parent"), 1


@checked
def evaluate_claims(
    space: CausalSpace,
    concepts: ConceptHierarchy | TokenCloud,
    *,
    claims: Sequence[Claim] = CLAIMS,
    also: Sequence[Statistic] = (),
    nulls: Sequence[str] | Mapping[str, NullModel] | None = None,
    n_permutations: int = 199,
    n_others: int = N_OTHERS,
    n_twins: int = 5,
    max_tokens: int | None = MAX_TOKENS,
    estimator: Estimator = "lda",
    published: bool = True,
    seed: int = 0,
    progress: bool | None = None,
) -> Results:
    """Test every claim about a hierarchy.

    >>> results = evaluate_claims(space, hierarchy, n_permutations=199)  # doctest: +SKIP
    >>> results["existence"].verdict  # doctest: +SKIP
    'supported'

    p-values come from permuted lemmas ("permuted"); the other nulls stand beside them, and so do theory twins, exact
    and tilted by 0.3, which say what the numbers would be if the theory were true (`TheoryTwin`). Orthogonality is
    judged by the debiased cosine beside the twins', and has no p-value; the cosine "as published" stands beside it.
    Concepts of more than `max_tokens` training tokens are fitted to so many of them, in the model, its nulls and its
    twins alike; not so the cosines as published: thinning would undo the nesting of words that makes them small.

    Parameters:
        concepts: a hierarchy, or a cloud of whatever else belongs to concepts; see `test_against_nulls`.
        also: further statistics to test in the same pass; their results follow the claims'.
        nulls: names from `NULLS`, or name → null model of one's own; "permuted" and "random_subset" are needed.
            Default: all of `NULLS`.
        n_permutations: of lemmas, shared by all claims; p-values are at least 1/(1 + n_permutations).
        n_others: draws of each other null.
        n_twins: seeds of the exact and of the tilted twin; 0 for none, and then no verdict on orthogonality.
        estimator: "lda" or "mean"; orthogonality is measured by both.
        published: whether the cosines as published are measured too.

    Returns Results: one a claim, in order, keyed by its name, p-values adjusted over these claims (not over `also`).
        A claim that the hierarchy gives nothing to measure on is there with value nan, and its verdict says what is
        lacking; `unmeasurable` says so beforehand.

    Raises EstimationError: a null that is needed is not among `nulls`, one of `also` has a claim's name, nothing can
        be measured on the hierarchy, neither the `claims` nor any of `CLAIMS`, or what `test_against_nulls` refuses.
    """
    nulls = tuple(NULLS) if nulls is None else nulls
    if unknown := [] if isinstance(nulls, Mapping) else [name for name in nulls if name not in NULLS]:
        raise EstimationError(f"unknown null model {unknown[0]!r}; there are {', '.join(NULLS)}")
    if lacking := {"permuted", "random_subset"} - set(nulls):
        raise EstimationError(f"claims need the null model {min(lacking)!r} for their p-values and verdicts")
    if taken := {claim.name for claim in claims} & {statistic.name for statistic in also}:
        raise EstimationError(f"{min(taken)!r} is the name of a claim too: give the statistic another")
    if n_twins < 0:
        raise EstimationError(f"n_twins must be at least 0, not {n_twins}")
    cloud = concepts if isinstance(concepts, TokenCloud) else TokenCloud.of(space, concepts)
    if not also:
        require_measurable(cloud.hierarchy, (*CLAIMS, *claims))
    strength = SignalStrength.of(cloud, seed=seed)
    twin = TheoryTwin.of(cloud, strength) if n_twins else None
    common: Any = {"missing": "nan", "estimator": estimator, "seed": seed, "progress": progress}
    times = {name: n_permutations if name == "permuted" else n_others for name in nulls}
    structure = [claim for claim in claims if not claim.orthogonality]
    consulted = [statistic for claim in structure for statistic in claim.consults.values()]
    statistics = [*(claim.statistic for claim in structure), *consulted, *also]
    of_twins: Any = {"twin": twin, "n_twins": n_twins}
    tests = Results([])
    if statistics:
        tests = test_against_nulls(
            space, cloud, statistics, nulls=nulls, n_permutations=times, max_tokens=max_tokens, **of_twins, **common
        )
    results = {claim.name: _result(claim, tests, strength) for claim in structure}
    if cosines := [claim for claim in claims if claim.orthogonality]:
        models = nulls if isinstance(nulls, Mapping) else {name: NULLS[name] for name in nulls}
        beside = {name: null for name, null in models.items() if name in _PUBLISHED_NULLS}
        whole: dict[str, TestResult] = {}
        if published:
            own = [claim.statistic for claim in cosines]
            tests_of_whole = test_against_nulls(
                space, cloud, own, nulls=beside, n_permutations=_N_PUBLISHED, max_tokens=None, **common
            )
            whole = {test.name: test for test in tests_of_whole}
        products = {name: models[name] for name in PRODUCTS if name in models}
        results |= evaluate_orthogonality(
            space, cloud, cosines, whole, products=products, **of_twins, estimator=estimator, seed=seed
        )
    ordered = Results([results[claim.name] for claim in claims]).adjusted()
    return Results([*ordered, *(tests[statistic.name] for statistic in also)])


def _result(claim: Claim, tests: Results, strength: SignalStrength) -> TestResult:
    return replace(
        tests[claim.statistic.name],
        name=claim.name,
        title=claim.title,
        measure=claim.measure,
        alternative=claim.alternative,
        reference="permuted",
        predicted=claim.predicted,
        rule=claim.rule,
        share=claim.share(strength) if claim.share else float("nan"),
        related={name: tests[statistic.name] for name, statistic in claim.consults.items()},
        p_adjusted=float("nan"),
    )


def unmeasurable(
    concepts: "ConceptHierarchy | str | Path | Mapping[str, Any]", *, claims: Sequence[Claim] = CLAIMS
) -> dict[str, str]:
    """Claims that cannot be measured on a hierarchy, and what it would take; no model is needed to ask.

    >>> animals = {"animal": {"mammal": ["dog", "cat", "cow"], "bird": ["owl", "crow", "swan"]}}
    >>> unmeasurable(animals)["orthogonality-b"]
    'needs at least 8 families with 16 lemmas on every side of a comparison, has 0'
    >>> "existence" in unmeasurable(animals)
    False

    Parameters:
        concepts: a hierarchy over a model's tokens; or what `geo.load_hierarchy` takes, of which every word then counts
            as a single token. A model that splits some has less: then the verdict says so, "not measurable".

    HierarchyError: what `geo.load_hierarchy` refuses, and WordNet by name: its concepts depend on a model's words.
    """
    hierarchy = concepts if isinstance(concepts, ConceptHierarchy) else without_model(concepts)
    lacking = {claim.name: claim.lacking(hierarchy, in_full=True) for claim in claims}
    return {name: reason for name, reason in lacking.items() if reason}


def without_model(source: "str | Path | Mapping[str, Any]") -> ConceptHierarchy:
    """A hierarchy as no model can exceed it: every word of it is a single token.

    HierarchyError: what `geo.load_hierarchy` refuses, and WordNet by name, whose concepts depend on a model's words.
    """
    if isinstance(source, str) and source.startswith(_WORDNET):
        raise HierarchyError(f"{source}: WordNet's concepts depend on a model's words; load it with a vocabulary")
    return load_hierarchy(source, AnyWord())


def require_measurable(hierarchy: ConceptHierarchy, claims: Sequence[Claim] = CLAIMS) -> None:
    """EstimationError for a hierarchy on which no claim can be measured, with what the first ones take."""
    if all(claim.lacking(hierarchy) for claim in claims):
        first = "; ".join(f"{claim.name} {claim.lacking(hierarchy, in_full=True)}" for claim in claims[:_NAMED])
        raise EstimationError(f"hierarchy {hierarchy.name!r}: no claim can be measured on it; {first}")


@checked
def skipped_concepts(hierarchy: ConceptHierarchy, *, seed: int = 0) -> dict[str, str]:
    """Concepts that some claims cannot be measured on, and why."""
    skipped: dict[str, str] = {}
    lemma_train = train_mask(hierarchy, "lemma", generator(seed, "lemma"))
    halves = training_parts("halves", train_mask(hierarchy, "halves", generator(seed, "halves")))
    for index, (name, members) in enumerate(zip(hierarchy.names, hierarchy.members, strict=True)):
        reasons = []
        if (held_out := int((~lemma_train[members]).sum())) < FEWEST:
            reasons.append(f"{held_out} of its {len(members)} words held out by a lemma split, {FEWEST} needed")
        if len(members) == len(hierarchy.tokens):
            reasons.append("it holds every word, which no permutation changes: left out of existence")
        if not all(part[members].any() for part in halves):
            reasons.append("all its words are forms of one lemma, so that there are no halves")
        if len(children := hierarchy.families.get(index, ())) == 1:
            reasons.append(f"a single value, {hierarchy.names[children[0]]}: no simplex")
        if reasons:
            skipped[name] = "; ".join(reasons)
    return skipped
