from dataclasses import replace

import numpy as np
import pytest
import torch

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
        geo.CausalSpace.fit(planted.unembedding),
        planted.hierarchy,
        STATISTICS,
        nulls=("permuted", "shuffled", "gaussian", "random_subset"),
        n_permutations=5,
    )


def test_planted_structure_is_told_from_its_nulls(planted_tests: geo.results.Results) -> None:
    existence = planted_tests["projection_token"]
    assert existence.value > 0.8
    assert abs(existence.nulls["shuffled"].mean) < 0.2
    assert abs(existence.nulls["gaussian"].mean) < 0.2
    separation = planted_tests["separation"]
    assert separation.value > 0.95
    # Tokens are in the order of the classes, so that lemmas that change places within a band are often of one class.
    assert separation.nulls["shuffled"].mean < separation.nulls["permuted"].mean < separation.value
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
    assert list(fewer[1].nulls) == ["permuted", "gaussian", "random_subset"]
    for test in fewer:
        np.testing.assert_allclose(test.values, planted_tests[test.name].values)
        for name, null in test.nulls.items():
            np.testing.assert_allclose(null.values, planted_tests[test.name].nulls[name].values[:2])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"n_permutations": 0}, "'permuted' needs at least one permutation, not 0"),
        ({"n_permutations": {"permuted": 2, "gaussian": 2}}, "'random_subset' needs at least one permutation, not 0"),
        ({"train_fraction": 2}, "train_fraction"),
        ({"nulls": ("shuffled", "noise")}, "unknown null model 'noise'; there are permuted, shuffled"),
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
        "permuted": 2, "shuffled": 3, "gaussian": 2, "random_subset": 2, "random_parent": 2, "random_metric": 2,
        "euclidean": 1, "mean_estimator": 1,
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
    drawn = geo.directions.TokenCloud(replace(own.hierarchy, drawn={"bird": "bird"}), own.points)
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
    assert np.array_equal(by_name.nulls["permuted"].values, by_cloud.nulls["permuted"].values)
    assert np.allclose(doubled.values, by_cloud.values, atol=1e-6)
    moved = cloud.moved(cloud.points.flip(0))
    assert not np.allclose(
        geo.test_against_nulls(space, moved, [statistic], **options)[statistic.name].values, by_cloud.values
    )


def by_label(test: geo.TestResult, column: str) -> dict[str, float]:
    return dict(test.to_frame()[column].dropna())


def measured_alone(
    statistic: geo.Statistic, cloud: geo.directions.TokenCloud, null: str, number: int
) -> dict[str, list[float]]:
    """Real label → the values of the concepts that one draw of a null put in its place, each known by its own name."""
    rng = geo.randomness.generator(0, null, number)
    drawn = geo.NULLS[null].draw(None, cloud, rng)  # type: ignore[arg-type]
    assert drawn.hierarchy.drawn is not None
    train = geo.evidence.train_mask(cloud.hierarchy, statistic.split, geo.randomness.generator(0, statistic.split))
    fits = geo.ConceptDirections.fit_cloud(drawn, train=train, missing="nan")
    names = dict(zip(fits.hierarchy.labels, fits.hierarchy.names, strict=True))
    found: dict[str, list[float]] = {}
    if statistic.name.startswith("projection"):
        for index, value in zip(fits.hierarchy.reported, statistic.evaluate(fits), strict=True):
            found.setdefault(drawn.hierarchy.drawn[fits.hierarchy.names[index]], []).append(value)
        return found
    assert names
    for (parent, child), value in zip(fits.hierarchy.reported_edges, statistic.evaluate(fits), strict=True):
        real = drawn.hierarchy.drawn[fits.hierarchy.names[child]]
        found.setdefault(f"{real} < {fits.hierarchy.names[parent]}", []).append(value)
    return found


@pytest.mark.parametrize(
    ("null", "statistic"),
    [
        ("random_subset", geo.evidence.projection("token")),
        ("random_parent", geo.evidence.projection("token")),
        ("random_subset", geo.evidence.separation("token")),
        ("random_subset", geo.evidence.separation("token", contrast=True)),
    ],
)
def test_values_of_drawn_concepts_stand_beside_the_concepts_they_stand_for(
    null: str, statistic: geo.Statistic, planted: Planted, overlapping: geo.ConceptDirections
) -> None:
    """There are as many edges as concepts here, and a concept with two parents is drawn twice."""
    cloud = overlapping.cloud
    assert len(cloud.hierarchy.edges) == len(cloud.hierarchy)
    space = geo.CausalSpace.fit(planted.unembedding)
    test = geo.test_against_nulls(space, cloud, [statistic], nulls=[null], n_permutations=3, missing="nan")[0]
    alone = [measured_alone(statistic, cloud, null, number) for number in range(3)]
    found = by_label(test, null)
    assert set(found) <= set(test.labels)
    assert len(found) > 4
    for label, value in found.items():
        draws = [np.nanmean(draw[label]) for draw in alone if label in draw and np.isfinite(draw[label]).any()]
        assert value == pytest.approx(np.mean(draws)), label
    if statistic.name == "projection_token":
        assert "thing" not in found  # a root is never drawn
        assert len(alone[0]["odd"]) == 2


def test_other_edges_than_the_models_stand_beside_nothing(planted: Planted, overlapping: geo.ConceptDirections) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    test = geo.test_against_nulls(
        space, overlapping.cloud, [geo.evidence.separation("token")], nulls=["random_parent"], missing="nan"
    )[0]
    assert test.compared == ()
    assert list(test.to_frame().columns) == ["value"]
    assert np.isfinite(test.difference("random_parent").value)


def test_permutations_keep_the_labels_of_the_model(planted_tests: geo.results.Results) -> None:
    for name in ("separation", "parent_orthogonality", "projection_token"):
        test = planted_tests[name]
        assert test.compared == ("permuted", "shuffled", "gaussian", "random_subset")
        assert test.clusters is not None
        assert len(test.clusters) == len(test.labels)
    correlation = planted_tests["tree_correlation_all"]
    # Other rows on the same words have the same concepts drawn again; permuted ones are other words.
    assert correlation.nulls["shuffled"].resampled is not None
    assert correlation.nulls["permuted"].resampled is None
    low, high = correlation.difference("permuted").interval
    assert high - low == pytest.approx(correlation.interval[1] - correlation.interval[0])


@pytest.mark.parametrize("max_tokens", [None, 20])
def test_permuted_clouds_are_fitted_from_kept_products_as_if_directly(planted: Planted, max_tokens: int | None) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    cloud = geo.directions.TokenCloud.of(space, planted.hierarchy)
    train = geo.evidence.train_mask(planted.hierarchy, "lemma", geo.randomness.generator(0, "lemma"))
    options = {"train": train, "max_tokens": max_tokens}
    for number in range(3):
        permuted = geo.NULLS["permuted"].draw(space, cloud, geo.randomness.generator(0, "permuted", number))
        direct = cloud.moved(permuted.points.clone())
        assert direct.permutation_of is None
        one, other = (geo.ConceptDirections.fit_cloud(some, **options) for some in (permuted, direct))
        torch.testing.assert_close(one.vectors, other.vectors, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(one.shrinkage, other.shrinkage, rtol=1e-8)
        for statistic in (geo.evidence.projection(), geo.evidence.separation(contrast=True)):
            np.testing.assert_allclose(statistic.evaluate(one), statistic.evaluate(other), atol=1e-8)
    statistics = [geo.evidence.projection(), geo.evidence.parent_orthogonality()]
    directly = geo.NullModel(
        lambda space, cloud, rng: cloud.moved(geo.NULLS["permuted"].draw(space, cloud, rng).points), "directly"
    )
    # Of one name, and so of one seed.
    by_products, by_rows = (
        geo.test_against_nulls(space, cloud, statistics, nulls={"permuted": null}, max_tokens=max_tokens)
        for null in (geo.NULLS["permuted"], directly)
    )
    for one, other in zip(by_products, by_rows, strict=True):
        assert np.isfinite(one.nulls["permuted"].values).any()
        # Draws that are no permutations are measured in single precision.
        np.testing.assert_allclose(one.nulls["permuted"].values, other.nulls["permuted"].values, atol=1e-5)


def test_twins_are_measured_beside_the_model_on_its_splits(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    cloud = geo.directions.TokenCloud.of(space, planted.hierarchy)
    twin, statistic = geo.evidence.TheoryTwin.of(cloud), geo.evidence.separation("token")
    options = {"nulls": ["permuted"], "n_permutations": 1}
    test = geo.test_against_nulls(space, cloud, [statistic], twin=twin, n_twins=2, seed=3, **options)[0]
    train = geo.evidence.train_mask(planted.hierarchy, "token", geo.randomness.generator(3, "token"))
    for name, tilt in (("exact", 0.0), ("tilted", geo.evidence.TILT)):
        fits = [geo.ConceptDirections.fit_cloud(twin.cloud(3000 + number, tilt=tilt), train=train) for number in (0, 1)]
        assert test.twin[name] == pytest.approx([np.nanmean(statistic.evaluate(one)) for one in fits], abs=1e-5)
    assert geo.test_against_nulls(space, cloud, [statistic], **options)[0].twin == {}
