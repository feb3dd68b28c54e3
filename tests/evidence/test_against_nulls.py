from dataclasses import replace

import numpy as np
import pytest

import geometry as geo
from geometry.results import summarise
from tests.conftest import Planted

STATISTICS = [
    geo.evidence.projection("token"),
    geo.evidence.parent_orthogonality(),
    geo.evidence.separation("lemma"),
    geo.evidence.tree_correlation("all"),
    geo.evidence.tree_correlation("word-disjoint"),
]


@pytest.fixture(scope="module")
def planted_tests(planted: Planted) -> dict[str, geo.TestResult]:
    return geo.test_against_nulls(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy, STATISTICS, draws=5)


def test_planted_structure_is_told_from_its_nulls(planted_tests: dict[str, geo.TestResult]) -> None:
    existence = planted_tests["projection/token"]
    assert existence.mean > 0.8
    assert abs(existence.null_mean("shuffled")) < 0.2
    assert abs(existence.null_mean("gaussian")) < 0.2
    separation = planted_tests["auc/lemma"]
    assert separation.mean > 0.95
    for null in ("shuffled", "gaussian", "random_subset"):
        assert abs(separation.null_mean(null) - 0.5) < 0.15
        assert separation.effect(null) > 2


def test_a_noise_model_shows_no_existence_and_no_separation(planted: Planted) -> None:
    rng = np.random.default_rng(3)
    matrix = planted.unembedding.matrix.clone()
    noise = geo.Unembedding(
        matrix.new_tensor(rng.standard_normal(tuple(matrix.shape))), planted.unembedding.vocabulary, "noise"
    )
    tests = geo.test_against_nulls(geo.CausalSpace.fit(noise), planted.hierarchy, STATISTICS, draws=5)
    assert abs(tests["projection/token"].mean) < 0.25
    assert abs(tests["auc/lemma"].mean - 0.5) < 0.15
    # The headline claim holds on noise as well, which is why it proves nothing alone.
    assert tests["cosine/whole"].absolute().mean < 0.2


def test_more_draws_leave_the_earlier_ones_alone(planted: Planted, planted_tests: dict[str, geo.TestResult]) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    fewer = geo.test_against_nulls(space, planted.hierarchy, STATISTICS[1:3], draws=2)
    for name, test in fewer.items():
        np.testing.assert_allclose(test.values, planted_tests[name].values)
        for null, values in test.nulls.items():
            np.testing.assert_allclose(values, planted_tests[name].nulls[null][:2])


def test_comparisons_by_hand() -> None:
    values = np.array([1.0, 3.0, np.nan])
    null = np.array([[0.0, 1.0, 2.0], [1.0, 2.0, np.nan]])
    test = geo.TestResult("demo", ("a", "b", "c"), values, {"null": null})
    assert test.mean == 2.0
    assert test.skipped == ("c",)
    assert test.null_mean("null") == pytest.approx(1.2)
    pooled = np.sqrt((np.var([1, 3]) + np.var([0, 1, 2, 1, 2])) / 2)
    assert test.effect("null") == pytest.approx(0.8 / pooled)
    assert "demo: +2.000 (n = 2)" in str(test)
    summary = test.to_dict()
    assert summary["value"]["mean"] == 2.0
    assert summary["skipped"] == ["c"]
    assert summary["nulls"]["null"]["draws"] == 2
    assert geo.TestResult("x", ("a",), np.array([-0.5])).absolute().mean == 0.5


def test_a_comparison_draws_itself(planted_tests: dict[str, geo.TestResult]) -> None:
    figure = planted_tests["auc/lemma"].plot()
    texts = [text.get_text().replace("\n", " ") for text in figure.texts]
    assert str(planted_tests["auc/lemma"]) in texts[0].replace("\N{MINUS SIGN}", "-")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["model", "shuffled", "gaussian", "random_subset"]


def test_beyond_needs_intervals_apart() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, 200), rng.normal(3, 1, (2, 200))
    labels = tuple(map(str, range(200)))
    below = geo.TestResult("x", labels, low, {"null": high})
    assert below.beyond("null", "less")
    assert not below.beyond("null", "greater")
    above = geo.TestResult("x", labels, high[0], {"null": low[None]})
    assert above.beyond("null", "greater")
    assert not above.beyond("null", "less")
    alike = geo.TestResult("x", labels, low, {"null": rng.normal(0, 1, (2, 200))})
    assert not alike.beyond("null", "less")
    assert not alike.beyond("null", "greater")


def test_the_interval_covers_the_mean() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = summarise(rng.normal(1, 2, 60))["interval"]
        covered += low <= 1 <= high
    assert 180 <= covered <= 200
    assert summarise(np.array([np.nan]))["mean"] is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"draws": 0}, "'shuffled' needs at least one draw, not 0"),
        ({"draws": {"shuffled": 2, "gaussian": 2}}, "'random_subset' needs at least one draw, not 0"),
        ({"share": 2}, "share"),
        ({"nulls": ("shuffled", "noise")}, "unknown null model 'noise'; there are shuffled, gaussian"),
    ],
)
def test_bad_settings_are_refused(planted: Planted, options: dict, complaint: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=complaint):
        geo.test_against_nulls(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy, STATISTICS, **options)


def test_a_null_of_ones_own(planted: Planted) -> None:
    def origin(_: geo.CausalSpace, cloud: geo.directions.TokenCloud, rng: np.random.Generator) -> geo.directions.TokenCloud:
        return cloud.moved(cloud.points * 0 + rng.standard_normal())

    space = geo.CausalSpace.fit(planted.unembedding)
    nulls = {"one point": geo.NullModel(origin)}
    tests = geo.test_against_nulls(space, planted.hierarchy, [geo.evidence.separation("token")], nulls=nulls)
    assert list(tests["auc/token"].nulls) == ["one point"]
    assert tests["auc/token"].null_mean("one point") == pytest.approx(0.5, abs=0.1)


def test_every_null_is_drawn_as_often_as_it_is_random(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    tests = geo.test_against_nulls(
        space,
        planted.hierarchy,
        [geo.evidence.projection("lemma"), geo.evidence.tree_correlation()],
        nulls=tuple(geo.NULLS),
        draws={name: 3 if name == "shuffled" else 2 for name in geo.NULLS},
    )
    draws = {name: len(values) for name, values in tests["projection/lemma"].nulls.items()}
    assert draws == {
        "shuffled": 3, "gaussian": 2, "frequency_matched": 2, "random_subset": 2, "random_parent": 2,
        "random_metric": 2, "euclidean": 1, "mean_estimator": 1,
    }  # fmt: skip
    assert set(draws) - set(tests["tree-word-disjoint/whole"].nulls) == {"random_subset", "random_parent"}
    train = geo.evidence.train_mask(planted.hierarchy, "lemma", geo.randomness.generator(0, "lemma"))
    means = geo.ConceptDirections.fit(space, planted.hierarchy, estimator="mean", train=train)
    np.testing.assert_allclose(
        tests["projection/lemma"].nulls["mean_estimator"], [geo.evidence.projection("lemma").evaluate(means)]
    )


def test_a_hierarchy_without_edges_is_refused_where_edges_are_measured(planted: Planted) -> None:
    flat = geo.ConceptHierarchy("flat", (planted.hierarchy["mammal"], planted.hierarchy["tree"]), {})
    space = geo.CausalSpace.fit(planted.unembedding)
    with pytest.raises(geo.errors.EstimationError, match="cosine/whole: nothing to measure it on in hierarchy 'flat'"):
        geo.test_against_nulls(space, flat, [geo.evidence.parent_orthogonality()])
    unmeasured = geo.test_against_nulls(space, flat, [geo.evidence.parent_orthogonality()], draws=1, missing="nan")
    assert not unmeasured["cosine/whole"].measured
    assert geo.test_against_nulls(space, flat, [geo.evidence.projection("token")], draws=1)["projection/token"].mean > 0.5


def comparison(values: np.ndarray, subset: np.ndarray) -> geo.TestResult:
    return geo.TestResult("cosine/whole", tuple(map(str, range(len(values)))), values, {"random_subset": subset})


def test_orthogonality_verdicts() -> None:
    rng = np.random.default_rng(0)
    near, wide = rng.normal(0, 0.03, 300), rng.normal(0, 0.1, (2, 300))
    assert geo.evidence.orthogonality_verdict(comparison(rng.normal(0.4, 0.05, 300), wide)) == "not orthogonal"
    assert geo.evidence.orthogonality_verdict(comparison(near, rng.normal(0, 0.03, (2, 300)))) == "by construction"
    assert geo.evidence.orthogonality_verdict(comparison(near, rng.normal(0, 0.01, (2, 300)))) == "by construction"
    assert geo.evidence.orthogonality_verdict(comparison(near, wide)) == "undecided"


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
    options = {"nulls": geo.evidence.PROMPT_NULLS, "draws": 2}
    by_name, by_cloud, doubled = (
        geo.test_against_nulls(space, some, [statistic], **options)[statistic.name]
        for some in (planted.hierarchy, cloud, cloud.moved(2 * cloud.points))
    )
    assert np.array_equal(by_name.values, by_cloud.values)
    assert np.array_equal(by_name.nulls["shuffled"], by_cloud.nulls["shuffled"])
    assert np.allclose(doubled.values, by_cloud.values, atol=1e-6)
    moved = cloud.moved(cloud.points.flip(0))
    assert not np.allclose(
        geo.test_against_nulls(space, moved, [statistic], **options)[statistic.name].values, by_cloud.values
    )
