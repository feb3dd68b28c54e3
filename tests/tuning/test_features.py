"""Features of concepts on a tiny model that predicts words like the last one: by hand, and where nothing is to find."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import SteeringError
from geometry.steering import NextToken
from geometry.tuning import SteeringFeatures, concept_features
from geometry.tuning.features import FEATURES, agreement, auc, lens_accessibility, log_odds
from tests.experiments import block_steering_worlds as worlds
from tests.experiments.block_steering_worlds import CLASSES, PROMPTS

World = worlds.World


@pytest.fixture(scope="module")
def world() -> World:
    return worlds.world()


@pytest.fixture(scope="module")
def features(world: World) -> SteeringFeatures:
    hierarchy = world.directions.hierarchy
    return concept_features(
        world.model, world.tokenizer, world.causal, hierarchy, CLASSES, prompts=PROMPTS, progress=False
    )


def test_what_can_be_counted_by_hand(world: World, features: SteeringFeatures) -> None:
    hierarchy = world.directions.hierarchy
    assert features.columns == FEATURES
    assert features.groups.tolist() == [0, 0, 1, 1]
    laws = NextToken(world.model, world.tokenizer, PROMPTS).unsteered.double().exp().numpy()
    for name in CLASSES:
        row = dict(zip(FEATURES, features.of(name), strict=True))
        assert row["log number of words"] == pytest.approx(np.log(12))
        p = float(laws[:, list(hierarchy[name].tokens)].sum(axis=1).mean())
        assert row["log-odds unsteered"] == pytest.approx(np.log(p / (1 - p)), rel=1e-5)
        assert row["existence"] > 0.2
        assert row["lens accessibility"] > 0.95
        rows = world.causal.rows(np.array(hierarchy[name].tokens)).double().numpy()
        parent = world.causal.rows(np.array(hierarchy[hierarchy.parents[name][0]].tokens)).double().numpy()
        apart = rows - parent.mean(axis=0)
        cosines = []
        for index, one in enumerate(apart):
            others = np.delete(apart, index, axis=0).mean(axis=0)
            cosines.append(one @ others / np.linalg.norm(one) / np.linalg.norm(others))
        assert row["agreement of differences"] == pytest.approx(np.mean(cosines), rel=1e-4)
    assert list(features.to_frame().columns) == list(FEATURES)


def test_what_the_unembedding_does_not_read_is_not_accessible(world: World) -> None:
    """The unembedding's rows are exchanged among the words, so that it reads others from a state than are there."""
    matrix = world.causal.unembedding.matrix
    order = torch.randperm(len(matrix) - 2, generator=torch.Generator().manual_seed(0)) + 2
    exchanged = geo.Unembedding(
        torch.cat([matrix[:2], matrix[order]]), world.causal.unembedding.vocabulary, "exchanged", "llama"
    )
    hierarchy = world.directions.hierarchy
    given: Any = (world.tokenizer, geo.CausalSpace.fit(exchanged), hierarchy, CLASSES)
    assert lens_accessibility(world.model, *given, progress=False).mean() < 0.75


def test_bad_names_are_refused(world: World) -> None:
    given = (world.model, world.tokenizer, world.causal, world.directions.hierarchy)
    with pytest.raises(SteeringError, match="at least two concepts"):
        concept_features(*given, ["bird"])
    with pytest.raises(SteeringError, match="'animal' is above 'bird'"):
        concept_features(*given, ["animal", "bird"])


def test_small_numbers_by_hand() -> None:
    assert auc(np.array([2.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(3.5 / 4)
    assert np.isnan(auc(np.array([]), np.array([1.0])))
    assert log_odds(0.2) == pytest.approx(np.log(0.25))
    assert agreement(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])) == pytest.approx(
        np.mean([2 / np.hypot(2, 3), 1 / np.hypot(1, 3), 0.0])
    )
    assert np.isnan(agreement(np.ones((1, 2))))
