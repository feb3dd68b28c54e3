"""Results by hand: means, effects, intervals, tables, pictures, pickles."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import geometry as geo
from geometry.intervals import summarise
from geometry.results import NullValues, Results, TestResult
from tests.planted import result


def test_results_by_hand() -> None:
    values = np.array([1.0, 3.0, np.nan])
    null = np.array([[0.0, 1.0, 2.0], [1.0, 2.0, np.nan]])
    test = TestResult(name="demo", labels=("a", "b", "c"), values=values, nulls={"null": null})
    assert test.value == 2.0
    assert test.skipped == ("c",)
    assert test.nulls["null"].mean == pytest.approx(1.2)
    pooled = np.sqrt((np.var([1, 3]) + np.var([0, 1, 2, 1, 2])) / 2)
    assert test.effect("null") == pytest.approx(0.8 / pooled)
    assert str(test).startswith("demo: 2.000 [")
    assert "(n = 2); null 1.200; p = 0.33" in str(test)
    entry = test.to_dict()
    assert (entry["value"], entry["n"], entry["nulls"]["null"]) == (2.0, 2, pytest.approx(1.2))
    assert entry["n_permutations"] == {"null": 2}
    assert result(np.array([-0.5])).absolute().value == 0.5


def test_without_nulls_nothing_is_tested() -> None:
    test = result(np.ones(3))
    assert np.isnan([test.p_value, test.p_floor, test.p_adjusted, test.relative(1.0)]).all()
    assert test.verdict == ""
    tested = result(np.ones(3), {"null": np.zeros((4, 3))})
    assert tested.p_value == 1 / 5
    assert np.isnan(replace(tested, reference=None, p_adjusted=np.nan).p_value)


def test_the_scale_runs_from_null_mean_to_prediction() -> None:
    test = result(np.array([3.0]), {"null": np.array([1.0, 1.0])}, predicted=5.0)
    assert test.relative(test.value) == 0.5
    assert np.isnan(replace(test, predicted=1.0).relative(3.0))


def test_beyond_is_one_sided_and_never_of_what_was_not_measured() -> None:
    spread = np.array([[0.0, 0.1, 0.2, 0.3]])
    nulls = {"null": spread, "none": np.full((2, 4), np.nan)}
    high = result(spread[0] + np.array([1.0, 1.2, 0.9, 1.1]), nulls)
    assert high.beyond("null")
    assert not high.beyond("none")
    low = result(spread[0] + 1, nulls, alternative="less")
    assert not low.beyond("null")
    assert not low.beyond("none")
    mixed = result(spread[0] + np.array([0.2, -0.1, 0.2, -0.1]), nulls)
    assert mixed.value > mixed.nulls["null"].mean
    assert not mixed.beyond("null")
    assert not mixed.short_of("null")
    assert replace(high, alternative="less").short_of("null")


def test_beyond_needs_intervals_apart() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, 200), rng.normal(3, 1, (2, 200))
    assert result(low, {"null": high}, alternative="less").beyond("null")
    assert not result(low, {"null": high}).beyond("null")
    assert result(high[0], {"null": low[None]}).beyond("null")
    for alternative in ("less", "greater"):
        assert not result(low, {"null": rng.normal(0, 1, (2, 200))}, alternative=alternative).beyond("null")


def test_differences_of_the_same_labels_are_paired_so_that_what_they_share_cancels() -> None:
    rng = np.random.default_rng(0)
    shared = 10 * rng.standard_normal(40)
    values, null = shared + 0.5 + 0.1 * rng.standard_normal(40), shared + 0.1 * rng.standard_normal((3, 40))
    test = result(values, {"paired": NullValues(null, "p", aligned=True), "apart": NullValues(null[:, ::-1], "a")})
    paired, apart = test.difference("paired"), test.difference("apart")
    assert paired.value == pytest.approx(np.mean(values - null.mean(axis=0))) == pytest.approx(apart.value)
    assert paired.interval[1] - paired.interval[0] < 0.1
    assert apart.interval[1] - apart.interval[0] > 4
    assert test.beyond("paired")
    assert not test.beyond("apart")
    assert test.compared == ("paired",)
    assert test.to_dict()["differences"] == {"paired": paired._asdict()}


def test_labels_that_a_null_lacks_are_in_no_difference() -> None:
    null = NullValues(np.array([[0.0, np.nan, 1.0], [1.0, np.nan, 1.0]]), "null", aligned=True)
    test = result(np.array([3.0, 100.0, 4.0]), {"null": null})
    assert test.difference("null").value == pytest.approx(2.75)
    nowhere = replace(test, values=np.array([np.nan, 100.0, np.nan]))
    assert np.isnan(nowhere.difference("null").value)
    assert not nowhere.beyond("null")
    assert not nowhere.short_of("null")


def test_clusters_widen_a_difference() -> None:
    family = np.arange(60) // 6
    values = np.random.default_rng(0).standard_normal(10)[family] + 1
    alone = result(values, {"null": np.zeros((3, 60))})
    together = replace(alone, clusters=family)
    widths = [high - low for low, high in (test.difference("null").interval for test in (alone, together))]
    assert widths[1] > 1.5 * widths[0]
    assert together.interval == together.difference("null").interval


def test_resamples_of_both_are_paired_and_of_one_are_the_interval_beside_the_null_mean() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(0.5, 0.1, 500)
    null = np.array([[0.1], [0.3]])
    nulls = {
        "same words": NullValues(null, "s", aligned=True, resampled=means - 0.3),
        "permuted": NullValues(null, "p", aligned=True),
    }
    test = result(np.array([0.5]), nulls, resampled=means)
    assert (test.difference("same words").value, *test.difference("same words").interval) == pytest.approx([0.3] * 3)
    low, high = test.difference("permuted").interval
    assert (low, high) == pytest.approx(np.quantile(means - 0.2, [0.025, 0.975]))


def test_standing_and_power_are_beside_the_exact_twin() -> None:
    null = np.arange(40.0)[:, None] / 40
    twin = {"exact": np.array([2.0, 2.2, 1.8, 0.5, 2.5]), "tilted": np.full(5, 1.0)}
    test = result(np.array([1.2]), {"null": null}, twin=twin, predicted=9.0)
    assert test.ends == pytest.approx((null.mean(), 1.8))
    assert test.standing == pytest.approx((1.2 - null.mean()) / (1.8 - null.mean()))
    # Half the effect of 1.8 is within the permutations, which reach 0.975; those of 2, 2.2 and 2.5 are not.
    assert test.power == {"exact": 4, "half": 4, "of": 5}
    nearer = replace(test, twin={"exact": np.array([1.3, 1.3])})
    assert nearer.power == {"exact": 2, "half": 0, "of": 2}
    below = result(np.array([-1.2]), {"null": null}, alternative="less", twin={"exact": np.full(4, -1.0)})
    assert below.power["exact"] == 4
    entry = test.to_dict()
    assert entry["twin"] == {"exact": pytest.approx(1.8), "tilted": 1.0}
    assert (entry["standing"], entry["power"]) == (test.standing, test.power)
    assert test.row()["exact twin"] == pytest.approx(1.8)
    without = replace(test, twin={})
    assert np.isnan(without.standing)
    assert without.power == {}
    assert without.ends[1] == 9.0
    assert {"twin", "standing", "power", "share"}.isdisjoint(without.to_dict())
    assert replace(test, share=0.2).to_dict()["share"] == 0.2


def test_resampled_means_are_the_interval_where_they_are_given() -> None:
    null = {"null": np.array([[0.1], [0.2]])}
    narrow = result(np.array([0.5]), null, resampled=np.linspace(0.4, 0.6, 50))
    wide = result(np.array([0.5]), null, resampled=np.linspace(0, 1, 50))
    assert narrow.beyond("null")
    assert not wide.beyond("null")
    assert narrow.interval == pytest.approx((0.405, 0.595))


def test_the_interval_covers_the_mean() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = summarise(rng.normal(1, 2, 60))["interval"]
        covered += low <= 1 <= high
    assert 180 <= covered <= 200
    assert summarise(np.array([np.nan]))["mean"] is None


@pytest.fixture
def several() -> Results:
    rng = np.random.default_rng(0)
    nulls = {"null": NullValues(rng.normal(size=(99, 5)), "a null of $one's own", "*")}
    fields = {"predicted": 10.0, "nulls": nulls}
    return Results(
        [
            result(rng.normal(8, 1, 5), name="strong", subject="first", **fields),
            result(rng.normal(0, 1, 5), name="weak", subject="first", **fields),
            result(rng.normal(8, 1, 5), name="strong", subject="second", **fields),
        ]
    )


def test_results_are_looked_up_by_what_was_called(several: Results) -> None:
    assert several["weak"] is several[1]
    assert "weak" in several
    assert "absent" not in several
    assert len(several[:2]) == 2
    with pytest.raises(geo.GeometryError, match="no result is called 'absent'; there are strong, weak"):
        several["absent"]
    with pytest.raises(geo.GeometryError, match="'strong' was tested on first, second"):
        several["strong"]
    assert several.about("second")["strong"] is several[2]


def test_p_values_are_adjusted_together(several: Results) -> None:
    adjusted = several.adjusted()
    expected = geo.significance.adjusted_p_values([test.p_value for test in several])
    assert [test.p_adjusted for test in adjusted] == pytest.approx(expected.tolist())
    assert [test.p_value for test in adjusted] == [test.p_value for test in several]


def test_tables(several: Results) -> None:
    frame = several.to_frame()
    assert list(frame.index) == [("first", "strong"), ("first", "weak"), ("second", "strong")]
    assert {"value", "low", "high", "a null of $one's own", "p_value", "p_adjusted", "verdict"} <= set(frame.columns)
    assert "<table" in several._repr_html_()
    assert "<table" in several[0]._repr_html_()
    values = several[0].to_frame()
    assert list(values.columns) == ["value"]
    aligned = replace(several[0], nulls={"null": replace(several[0].nulls["null"], aligned=True)})
    assert list(aligned.to_frame().columns) == ["value", "null"]
    np.testing.assert_allclose(aligned.to_frame()["null"], several[0].nulls["null"].values.mean(axis=0))
    np.testing.assert_array_equal(values["value"], several[0].values)
    assert len(Results([]).to_frame()) == 0


def test_a_null_of_ones_own_shows_in_every_picture(several: Results) -> None:
    forest, strip = several.plot(), several[0].plot()
    written = [text.get_text() for legend in forest.legends for text in legend.get_texts()]
    assert "a null of $one's own" in written
    labels = [label.get_text() for axes in strip.axes for label in axes.get_yticklabels()]
    assert any("a null of $one's own" in label.replace("\n", " ") for label in labels)


def test_pictures_go_into_the_users_axes(several: Results) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert several[0].plot(ax=left) is figure
    assert several.plot(ax=right) is figure
    assert left.has_data()
    assert right.has_data()


def test_results_pickle(several: Results) -> None:
    again = pickle.loads(pickle.dumps(several))  # noqa: S301 (our own bytes)
    assert repr(again) == repr(several)


def test_claims_with_their_rules_pickle() -> None:
    rule = geo.evidence.StructureRule(("random_subset",))
    test = result(np.ones(4), {"shuffled": np.zeros((99, 4))}, predicted=1.0, rule=rule)
    assert pickle.loads(pickle.dumps(test)).verdict == test.verdict == "supported"  # noqa: S301


def test_a_picture_names_no_claim_that_only_one_row_makes() -> None:
    pairs = [replace(result(np.array([0.5, 0.4])), name="contrast", title=title, subject=title) for title in "ab"]
    assert Results(pairs).forest_panel()[1] == ["contrast"]
    assert Results(pairs[:1]).forest_panel()[1] == ["a"]
