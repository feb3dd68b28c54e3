from dataclasses import replace

import numpy as np
import pytest

import geometry as geo
from tests.planted import Planted

STATISTICS = [
    geo.evidence.projection("token"),
    geo.evidence.parent_orthogonality(),
    geo.evidence.separation("lemma"),
    geo.evidence.tree_correlation("all"),
    geo.evidence.tree_correlation("word-disjoint"),
]


@pytest.fixture(scope="module")
def planted_tests(planted: Planted) -> geo.results.Results:
    return geo.test_against_nulls(
        geo.CausalSpace.fit(planted.unembedding), planted.hierarchy, STATISTICS, n_permutations=5
    )


def test_planted_structure_is_told_from_its_nulls(planted_tests: geo.results.Results) -> None:
    existence = planted_tests["projection_token"]
    assert existence.value > 0.8
    assert abs(existence.nulls["shuffled"].mean) < 0.2
    assert abs(existence.nulls["gaussian"].mean) < 0.2
    separation = planted_tests["separation"]
    assert separation.value > 0.95
    for null in ("shuffled", "gaussian", "random_subset"):
        assert abs(separation.nulls[null].mean - 0.5) < 0.15
        assert separation.effect(null) > 2


def test_a_noise_model_shows_no_existence_and_no_separation(planted: Planted) -> None:
    rng = np.random.default_rng(3)
    matrix = planted.unembedding.matrix.clone()
    noise = geo.Unembedding(
        matrix.new_tensor(rng.standard_normal(tuple(matrix.shape))), planted.unembedding.vocabulary, "noise"
    )
    tests = geo.test_against_nulls(geo.CausalSpace.fit(noise), planted.hierarchy, STATISTICS, n_permutations=5)
    assert abs(tests["projection_token"].value) < 0.25
    assert abs(tests["separation"].value - 0.5) < 0.15
    # The headline claim holds on noise as well, which is why it proves nothing alone.
    assert tests["parent_orthogonality"].absolute().value < 0.2


def test_more_draws_leave_the_earlier_ones_alone(planted: Planted, planted_tests: geo.results.Results) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    fewer = geo.test_against_nulls(space, planted.hierarchy, STATISTICS[1:3], n_permutations=2)
    for test in fewer:
        np.testing.assert_allclose(test.values, planted_tests[test.name].values)
        for name, null in test.nulls.items():
            np.testing.assert_allclose(null.values, planted_tests[test.name].nulls[name].values[:2])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"n_permutations": 0}, "'shuffled' needs at least one permutation, not 0"),
        ({"n_permutations": {"shuffled": 2, "gaussian": 2}}, "'random_subset' needs at least one permutation, not 0"),
        ({"train_fraction": 2}, "train_fraction"),
        ({"nulls": ("shuffled", "noise")}, "unknown null model 'noise'; there are shuffled, gaussian"),
    ],
)
def test_bad_settings_are_refused(planted: Planted, options: dict, complaint: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=complaint):
        geo.test_against_nulls(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy, STATISTICS, **options)


def test_a_null_of_ones_own(planted: Planted) -> None:
    def origin(
        _: geo.CausalSpace, cloud: geo.directions.TokenCloud, rng: np.random.Generator
    ) -> geo.directions.TokenCloud:
        return cloud.moved(cloud.points * 0 + rng.standard_normal())

    space = geo.CausalSpace.fit(planted.unembedding)
    nulls = {"one point": geo.NullModel(origin, "one point")}
    tests = geo.test_against_nulls(space, planted.hierarchy, [geo.evidence.separation("token")], nulls=nulls)
    assert list(tests["separation_token"].nulls) == ["one point"]
    assert tests["separation_token"].nulls["one point"].mean == pytest.approx(0.5, abs=0.1)


def test_every_null_is_drawn_as_often_as_it_is_random(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    tests = geo.test_against_nulls(
        space,
        planted.hierarchy,
        [geo.evidence.projection("lemma"), geo.evidence.tree_correlation()],
        nulls=tuple(geo.NULLS),
        n_permutations={name: 3 if name == "shuffled" else 2 for name in geo.NULLS},
    )
    times = {name: len(null.values) for name, null in tests["projection"].nulls.items()}
    assert times == {
        "shuffled": 3, "gaussian": 2, "frequency_matched": 2, "random_subset": 2, "random_parent": 2,
        "random_metric": 2, "euclidean": 1, "mean_estimator": 1,
    }  # fmt: skip
    assert set(times) - set(tests["tree_correlation"].nulls) == {"random_subset", "random_parent"}
    train = geo.evidence.train_mask(planted.hierarchy, "lemma", geo.randomness.generator(0, "lemma"))
    means = geo.ConceptDirections.fit(space, planted.hierarchy, estimator="mean", train=train)
    np.testing.assert_allclose(
        tests["projection"].nulls["mean_estimator"].values, [geo.evidence.projection("lemma").evaluate(means)]
    )


def test_a_hierarchy_without_edges_is_refused_where_edges_are_measured(planted: Planted) -> None:
    flat = geo.ConceptHierarchy("flat", (planted.hierarchy["mammal"], planted.hierarchy["tree"]), {})
    space = geo.CausalSpace.fit(planted.unembedding)
    with pytest.raises(
        geo.errors.EstimationError, match="parent_orthogonality: nothing to measure it on in hierarchy 'flat'"
    ):
        geo.test_against_nulls(space, flat, [geo.evidence.parent_orthogonality()])
    unmeasured = geo.test_against_nulls(
        space, flat, [geo.evidence.parent_orthogonality()], n_permutations=1, missing="nan"
    )
    assert not unmeasured["parent_orthogonality"].measured
    assert (
        geo.test_against_nulls(space, flat, [geo.evidence.projection("token")], n_permutations=1)[
            "projection_token"
        ].value
        > 0.5
    )


def test_a_drawn_concept_without_training_words_is_missing_and_stops_nothing(planted: Planted) -> None:
    own = geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    bird = planted.hierarchy.index("bird")
    train = np.ones(len(own.points), dtype=bool)
    train[planted.hierarchy.members[bird]] = False
    drawn = geo.directions.TokenCloud(replace(own.hierarchy, drawn=frozenset({"bird"})), own.points)
    directions = geo.ConceptDirections.fit_cloud(drawn, train=train)
    assert directions["bird"].isnan().all()
    assert directions.degenerate[bird]
    assert np.isnan(geo.evidence.projection("token").evaluate(directions)).tolist() == [True]
    with pytest.raises(geo.errors.EstimationError, match="'bird' has no token in the training part"):
        geo.ConceptDirections.fit_cloud(own, train=train)


def test_a_cloud_stands_for_its_hierarchy(planted: Planted) -> None:
    """Points that are no rows of the model are taken as they are; of the model's own, nothing changes."""
    space = geo.CausalSpace.fit(planted.unembedding)
    cloud = geo.directions.TokenCloud.of(space, planted.hierarchy)
    statistic = geo.evidence.parent_orthogonality()
    options = {"nulls": geo.evidence.PROMPT_NULLS, "n_permutations": 2}
    by_name, by_cloud, doubled = (
        geo.test_against_nulls(space, some, [statistic], **options)[statistic.name]
        for some in (planted.hierarchy, cloud, cloud.moved(2 * cloud.points))
    )
    assert np.array_equal(by_name.values, by_cloud.values)
    assert np.array_equal(by_name.nulls["shuffled"].values, by_cloud.nulls["shuffled"].values)
    assert np.allclose(doubled.values, by_cloud.values, atol=1e-6)
    moved = cloud.moved(cloud.points.flip(0))
    assert not np.allclose(
        geo.test_against_nulls(space, moved, [statistic], **options)[statistic.name].values, by_cloud.values
    )
