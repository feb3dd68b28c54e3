"""Two models against each other: one structure planted in both, two structures, and the traps between."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

import geometry as geo
from geometry.compare import (
    PAIR_MEASURES,
    ModelProfile,
    alignment_error,
    cka,
    claim_agreement,
    compare_pair,
    cophenetic,
    representational_similarity,
    subtree_folds,
    tree_agreement,
    word_disjoint,
)
from geometry.results import NullValues, Results, TestResult

Make = Callable[..., ModelProfile]
ALTERNATIVES = {
    "representational_similarity": "greater",
    "cka": "greater",
    "alignment_error": "less",
    "tree_agreement": "greater",
}


@pytest.fixture(scope="module")
def related(profile: Make) -> tuple[ModelProfile, ModelProfile]:
    """One structure in two widths, the words in another order, a word's start marked otherwise."""
    return profile(0, "a"), profile(0, "b", 40, order=1, marker="▁")


@pytest.fixture(scope="module")
def unrelated(profile: Make) -> list[tuple[ModelProfile, ModelProfile]]:
    """Pairs of models that give the leaves places of their own, regardless of the tree."""
    return [
        (profile(seed, "a", tree=False), profile(seed + 1, "b", 40, order=1, tree=False)) for seed in range(0, 10, 2)
    ]


def test_one_structure_in_two_models_is_found_beyond_both_nulls(related: tuple[ModelProfile, ModelProfile]) -> None:
    results = compare_pair(*related, n_permutations=39)
    assert [result.name for result in results] == [measure.name for measure in PAIR_MEASURES] == list(ALTERNATIVES)
    for result in results:
        assert result.alternative == ALTERNATIVES[result.name]
        assert result.p_against("concepts") == 1 / 40, result.name
        means = result.nulls["permuted"].means
        beyond = result.value > means.max() if result.alternative == "greater" else result.value < means.min()
        assert beyond, result.name
        # Permuted lemmas are the reference, and there are nine permutations of them.
        assert result.p_value == 1 / 10, result.name
        assert result.nulls["permuted"].values.shape == (9, len(result.values))
        assert [null.label for null in result.nulls.values()] == ["permuted lemmas", "permuted concepts"]
        assert result.subject == "a | b"
    assert results["representational_similarity"].value > 0.8
    assert results["cka"].value > 0.8
    assert results["cka"].labels == ("a | b",)
    assert results["alignment_error"].labels == related[0].hierarchy.names


def test_a_model_is_identical_to_itself(profile: Make) -> None:
    model = profile(0, "a")
    results = compare_pair(model, model, n_permutations=9)
    for measure in PAIR_MEASURES[:2]:
        assert results[measure.name].value == pytest.approx(measure.identical) == results[measure.name].predicted
    assert results["tree_agreement"].value == pytest.approx(1)
    # Not 0: of what the others do not span a rotation says nothing.
    assert 0 < results["alignment_error"].value < 0.7


def test_two_structures_are_unrelated(unrelated: list[tuple[ModelProfile, ModelProfile]]) -> None:
    pairs = [compare_pair(*pair, n_permutations=19) for pair in unrelated]
    for name in ("representational_similarity", "cka"):
        assert abs(np.mean([results[name].value for results in pairs])) < 0.15, name
        assert np.median([results[name].p_value for results in pairs]) > 0.1, name
    assert abs(np.mean([results["alignment_error"].value for results in pairs]) - 1) < 0.15


def test_the_values_are_those_of_the_measures(related: tuple[ModelProfile, ModelProfile]) -> None:
    first, second = related
    results, counted = compare_pair(*related, n_permutations=3, seed=5), word_disjoint(first.hierarchy)
    x, y = first.matrix, second.matrix
    assert results["representational_similarity"].value == representational_similarity(x, y, counted)
    assert results["cka"].value == cka(x, y, counted)
    assert results["tree_agreement"].value == tree_agreement(cophenetic(x), cophenetic(y), counted)
    errors = alignment_error(x, y, subtree_folds(first.hierarchy))
    np.testing.assert_array_equal(results["alignment_error"].values, errors)
    reordered = results["cka"].nulls["concepts"].values
    again = compare_pair(*related, n_permutations=3, seed=5)
    assert np.array_equal(reordered, again["cka"].nulls["concepts"].values)
    other_seed = compare_pair(*related, n_permutations=3, seed=6)
    assert not np.array_equal(reordered, other_seed["cka"].nulls["concepts"].values)


def test_pairs_that_share_words_have_no_say(related: tuple[ModelProfile, ModelProfile]) -> None:
    first, second = related
    shared = ~word_disjoint(first.hierarchy)[np.triu_indices(len(first.hierarchy), 1)]
    assert 0 < shared.mean() < 0.5
    noise = np.where(shared, np.random.default_rng(0).uniform(-1, 1, len(shared)), second.cosines.values)
    changed = replace(second, cosines=replace(second.cosines, values=noise))
    before, after = compare_pair(first, second, n_permutations=9), compare_pair(first, changed, n_permutations=9)
    for name in ("representational_similarity", "cka"):
        assert after[name].value == pytest.approx(before[name].value)
        np.testing.assert_allclose(after[name].nulls["concepts"].values, before[name].nulls["concepts"].values)


def test_two_models_do_not_get_the_same_permutation(profile: Make) -> None:
    # Equal to the last number, which `same_weights` would refuse: two models of one family come close to it.
    first, second = profile(0, "a"), profile(0, "twin")
    counted = word_disjoint(first.hierarchy)
    same = [representational_similarity(x, y, counted) for x, y in zip(first.permuted, second.permuted, strict=True)]
    assert same == pytest.approx([1] * 9)
    results = compare_pair(first, second, n_permutations=3)
    assert abs(results["cka"].nulls["permuted"].mean) < 0.15
    # Not 0: vectors of few words are less like others in any model, and CKA alone takes that out.
    assert 0 < results["representational_similarity"].nulls["permuted"].mean < 0.3


def with_values(model: ModelProfile, values: list[float]) -> ModelProfile:
    existence, *rest = model.claims
    return replace(model, claims=Results([replace(existence, values=np.array(values)), *rest]))


def test_agreement_on_a_claim_by_hand(profile: Make) -> None:
    model = profile(0, "a")
    k, rng = len(model.hierarchy), np.random.default_rng(0)
    values = rng.standard_normal(k)
    for theirs in (values**3, -values, rng.standard_normal(k), np.round(values)):
        result = claim_agreement(with_values(model, list(values)), with_values(model, list(theirs)))["existence"]
        assert result.value == pytest.approx(spearmanr(values, theirs).statistic)
    null = model.claims["existence"].nulls["permuted"].values
    n = len(null)
    same, opposed = (
        claim_agreement(with_values(model, list(values)), with_values(model, list(sign * values)))["existence"]
        for sign in (1, -1)
    )
    assert same.p_value == 1 / (1 + n)
    assert opposed.p_value == 1
    expected = [spearmanr(null[i], null[(i + 1) % n], nan_policy="omit").statistic for i in range(n)]
    assert same.nulls["permuted"].mean == pytest.approx(np.mean(expected))


def test_agreement_counts_what_both_have_and_needs_three(profile: Make) -> None:
    model = profile(0, "a")
    k = len(model.hierarchy)
    few = [1.0, 2.0, 4.0, *[np.nan] * (k - 3)]
    theirs = [5.0, 7.0, 6.0, 3.0, *[np.nan] * (k - 4)]

    def existence(first: list[float], second: list[float]) -> TestResult:
        return claim_agreement(with_values(model, first), with_values(model, second))["existence"]

    assert existence(few, theirs).value == pytest.approx(0.5)
    two = existence([np.nan, *few[1:]], theirs)
    assert not two.measured
    assert np.isnan(two.p_value)
    assert not existence(few, [1.0] * k).measured


def test_agreement_is_there_for_every_claim_with_values_of_its_own(profile: Make) -> None:
    first, second = profile(0, "a"), profile(1, "c", 40, order=1)
    results = claim_agreement(first, second)
    # Cosines of orthogonality are pooled over families.
    assert [result.name for result in results] == [claim.name for claim in geo.CLAIMS if not claim.orthogonality]
    assert {result.subject for result in results} == {"a | c"}
    for mine, theirs in zip(first.claims, second.claims, strict=True):
        assert mine.labels == theirs.labels


def test_models_measured_on_different_concepts_are_refused(profile: Make) -> None:
    model = profile(0, "a")
    first, *rest = model.hierarchy.concepts
    fewer_concepts = geo.ConceptHierarchy("t", tuple(rest), {})
    last = rest[-1]
    fewer_words = geo.ConceptHierarchy(
        "t",
        (first, *rest[:-1], geo.concepts.Concept(last.name, last.words[1:], last.tokens[1:])),
        model.hierarchy.parents,
    )
    for hierarchy in (fewer_concepts, fewer_words):
        other = replace(model, hierarchy=hierarchy, model={**model.model, "name": "other"})
        for compare in (compare_pair, claim_agreement):
            with pytest.raises(geo.errors.EstimationError, match="a and other were measured on different concepts"):
                compare(model, other)


def test_one_permutation_of_lemmas_is_too_few(profile: Make) -> None:
    model = profile(0, "a")
    single = NullValues(model.cosines.nulls["permuted"].values[:1], "permuted lemmas")
    few = replace(model, cosines=replace(model.cosines, nulls={"permuted": single}))
    for pair in ((model, few), (few, model)):
        with pytest.raises(geo.errors.EstimationError, match="at least 2 permutations"):
            compare_pair(*pair)
