"""Two models against each other: planted alike, planted apart, and the traps between."""

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
    pair_p_value,
    representational_similarity,
    subtree_folds,
    tree_agreement,
    word_disjoint,
)

Make = Callable[..., ModelProfile]
ALTERNATIVES = {"similarity": "greater", "cka": "greater", "alignment": "less", "tree": "greater"}


@pytest.fixture(scope="module")
def alike(profile: Make) -> tuple[ModelProfile, ModelProfile]:
    """One structure in two widths, the words in another order, a word's start marked otherwise."""
    return profile(0, "a"), profile(0, "b", 40, order=1, marker="▁")


@pytest.fixture(scope="module")
def apart(profile: Make) -> list[tuple[ModelProfile, ModelProfile]]:
    """Pairs of models that give the leaves places of their own, regardless of the tree."""
    return [
        (profile(seed, "a", tree=False), profile(seed + 1, "b", 40, order=1, tree=False)) for seed in range(0, 10, 2)
    ]


def test_one_structure_in_two_models_is_found_beyond_both_nulls(alike: tuple[ModelProfile, ModelProfile]) -> None:
    found = compare_pair(*alike, permutations=39)
    assert list(found) == [measure.name for measure in PAIR_MEASURES]
    for name, alternative in ALTERNATIVES.items():
        comparison = found[name]
        assert comparison.p_value("permuted", alternative) == 1 / 40, name
        means = np.nanmean(comparison.nulls["shuffled"], axis=1)
        assert (comparison.mean > means.max()) if alternative == "greater" else (comparison.mean < means.min()), name
        assert comparison.nulls["shuffled"].shape == (4, len(comparison.values))
    assert found["similarity"].mean > 0.8
    assert found["cka"].mean > 0.8
    assert found["similarity"].labels == ("a | b",)
    assert found["alignment"].labels == alike[0].hierarchy.names


def test_a_model_is_wholly_like_itself(profile: Make) -> None:
    one = profile(0, "a")
    found = compare_pair(one, one, permutations=9)
    for measure in PAIR_MEASURES[:2]:
        assert found[measure.name].mean == pytest.approx(measure.alike)
    assert found["tree"].mean == pytest.approx(1)
    # Not 0: of what the others do not span a rotation says nothing.
    assert 0 < found["alignment"].mean < 0.7


def test_two_structures_are_not_alike(apart: list[tuple[ModelProfile, ModelProfile]]) -> None:
    found = [compare_pair(*pair, permutations=19) for pair in apart]
    for name in ("similarity", "cka"):
        assert abs(np.mean([pair[name].mean for pair in found])) < 0.15, name
        assert np.median([pair_p_value(pair[name]) for pair in found]) > 0.1, name
    assert abs(np.mean([pair["alignment"].mean for pair in found]) - 1) < 0.15


def test_the_values_are_those_of_the_measures(alike: tuple[ModelProfile, ModelProfile]) -> None:
    one, other = alike
    found, counted = compare_pair(*alike, permutations=3, seed=5), word_disjoint(one.hierarchy)
    x, y = one.matrix, other.matrix
    assert found["similarity"].mean == representational_similarity(x, y, counted)
    assert found["cka"].mean == cka(x, y, counted)
    assert found["tree"].mean == tree_agreement(cophenetic(x), cophenetic(y), counted)
    np.testing.assert_array_equal(found["alignment"].values, alignment_error(x, y, subtree_folds(one.hierarchy)))
    again = compare_pair(*alike, permutations=3, seed=5)
    assert np.array_equal(found["cka"].nulls["permuted"], again["cka"].nulls["permuted"])
    other_seed = compare_pair(*alike, permutations=3, seed=6)
    assert not np.array_equal(found["cka"].nulls["permuted"], other_seed["cka"].nulls["permuted"])


def test_pairs_that_share_words_have_no_say(alike: tuple[ModelProfile, ModelProfile]) -> None:
    one, other = alike
    shared = ~word_disjoint(one.hierarchy)[np.triu_indices(len(one.hierarchy), 1)]
    assert 0 < shared.mean() < 0.5
    noise = np.where(shared, np.random.default_rng(0).uniform(-1, 1, len(shared)), other.cosines.values)
    changed = replace(other, cosines=replace(other.cosines, values=noise))
    before, after = compare_pair(one, other, permutations=9), compare_pair(one, changed, permutations=9)
    for name in ("similarity", "cka"):
        assert after[name].mean == pytest.approx(before[name].mean)
        np.testing.assert_allclose(after[name].nulls["permuted"], before[name].nulls["permuted"])


def test_models_of_one_tokenizer_do_not_get_the_same_shuffle(profile: Make) -> None:
    # Alike to the last number, which `same_weights` would refuse: two models of one family come close to it.
    one, other = profile(0, "a"), profile(0, "twin")
    counted = word_disjoint(one.hierarchy)
    same = [representational_similarity(x, y, counted) for x, y in zip(one.shuffled, other.shuffled, strict=True)]
    assert same == pytest.approx([1] * 4)
    found = compare_pair(one, other, permutations=3)
    assert abs(found["similarity"].nulls["shuffled"]).max() < 0.3
    assert abs(found["cka"].nulls["shuffled"]).max() < 0.3


def with_values(one: ModelProfile, values: list[float], q: float = 0.001) -> ModelProfile:
    first = one.claims[0]
    test = replace(first.test, values=np.array(values))
    return replace(one, claims=(replace(first, test=test, q_value=q), *one.claims[1:]))


def test_agreement_on_a_claim_by_hand(profile: Make) -> None:
    one = profile(0, "a")
    k, rng = len(one.hierarchy), np.random.default_rng(0)
    values = rng.standard_normal(k)
    for other_values in (values**3, -values, rng.standard_normal(k), np.round(values)):
        other = with_values(one, list(other_values))
        found = claim_agreement(with_values(one, list(values)), other)["existence"]
        assert found["rho"] == pytest.approx(spearmanr(values, other_values).statistic)
        assert found["n"] == k
    draws = len(one.claims[0].test.nulls["shuffled"])
    alike, opposed = (
        claim_agreement(with_values(one, list(values)), with_values(one, list(s * values))) for s in (1, -1)
    )
    assert alike["existence"]["p"] == 1 / (1 + draws)
    assert opposed["existence"]["p"] == 1
    null = one.claims[0].test.nulls["shuffled"]
    drawn = [spearmanr(null[i], null[(i + 1) % draws], nan_policy="omit").statistic for i in range(draws)]
    assert alike["existence"]["shuffled"] == pytest.approx(np.mean(drawn))


def test_agreement_counts_what_both_have_and_needs_three(profile: Make) -> None:
    one = profile(0, "a")
    k = len(one.hierarchy)
    few = [1.0, 2.0, 4.0, *[np.nan] * (k - 3)]
    other = [5.0, 7.0, 6.0, 3.0, *[np.nan] * (k - 4)]
    found = claim_agreement(with_values(one, few), with_values(one, other))["existence"]
    assert (found["n"], found["rho"]) == (3, pytest.approx(0.5))
    found = claim_agreement(with_values(one, [np.nan, *few[1:]]), with_values(one, other))["existence"]
    assert (found["n"], found["rho"], found["p"]) == (2, None, None)
    constant = claim_agreement(with_values(one, few), with_values(one, [1.0] * k))["existence"]
    assert (constant["n"], constant["rho"]) == (3, None)


def test_agreement_names_both_verdicts_of_every_claim(profile: Make) -> None:
    one, other = profile(0, "a"), profile(1, "c", 40, order=1)
    found = claim_agreement(one, other)
    assert list(found) == [claim.name for claim in geo.CLAIMS]
    for mine, theirs in zip(one.claims, other.claims, strict=True):
        assert found[mine.claim.name]["verdicts"] == [mine.verdict, theirs.verdict]
        assert mine.test.labels == theirs.test.labels


def test_models_measured_on_different_concepts_are_refused(profile: Make) -> None:
    one = profile(0, "a")
    first, *rest = one.hierarchy.concepts
    fewer_concepts = geo.ConceptHierarchy("t", tuple(rest), {})
    last = rest[-1]
    fewer_words = geo.ConceptHierarchy(
        "t",
        (first, *rest[:-1], geo.concepts.Concept(last.name, last.words[1:], last.tokens[1:])),
        one.hierarchy.parents,
    )
    for hierarchy in (fewer_concepts, fewer_words):
        other = replace(one, hierarchy=hierarchy, model={**one.model, "name": "other"})
        for compare in (compare_pair, claim_agreement):
            with pytest.raises(geo.errors.EstimationError, match="a and other were measured on different concepts"):
                compare(one, other)


def test_one_draw_of_shuffled_rows_is_too_few(profile: Make) -> None:
    one = profile(0, "a")
    few = replace(one.cosines, nulls={"shuffled": one.cosines.nulls["shuffled"][:1]})
    for pair in ((one, replace(one, cosines=few)), (replace(one, cosines=few), one)):
        with pytest.raises(geo.errors.EstimationError, match="at least 2 draws"):
            compare_pair(*pair)
