"""Directions on null models: fitted as the model's were, and only where concepts stay the same."""

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.randomness import generator


def test_a_null_is_fitted_to_the_same_words_by_the_same_estimator(
    space: geo.CausalSpace, held_out: geo.ConceptDirections
) -> None:
    null = geo.views.null_directions(space, held_out, "gaussian", seed=5)
    cloud = geo.NULLS["gaussian"].draw(space, held_out.cloud, generator(5, "gaussian"))
    expected = geo.ConceptDirections.fit_cloud(cloud, train=held_out.train)
    torch.testing.assert_close(null.vectors, expected.vectors)
    assert null.estimator == held_out.estimator
    np.testing.assert_array_equal(null.train, held_out.train)
    assert geo.views.null_directions(space, held_out, "mean_estimator").estimator == "mean"
    other = geo.views.null_directions(space, held_out, "gaussian", seed=6)
    assert not torch.equal(null.vectors, other.vectors)


def test_a_null_of_ones_own_will_do(space: geo.CausalSpace, directions: geo.ConceptDirections) -> None:
    def negated(space: geo.CausalSpace, cloud: geo.directions.TokenCloud, rng: object) -> geo.directions.TokenCloud:
        return cloud.moved(-cloud.points)

    null = geo.views.null_directions(space, directions, geo.NullModel(negated, "negated rows"))
    torch.testing.assert_close(null.vectors, -directions.vectors)


@pytest.mark.parametrize(
    ("null", "problem"),
    [("nothing", "no null model is called 'nothing'"), ("random_subset", "draws other concepts"), (3, "null must be")],
    ids=["unknown", "concepts", "number"],
)
def test_what_gives_no_vectors_is_refused(
    space: geo.CausalSpace, directions: geo.ConceptDirections, null: object, problem: str
) -> None:
    with pytest.raises(geo.GeometryError, match=problem):
        geo.views.null_directions(space, directions, null)
