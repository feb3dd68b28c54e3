import numpy as np
import pytest

import geometry as geo


def benjamini_hochberg(p_values: list[float]) -> list[float]:
    tested = sorted(p for p in p_values if not np.isnan(p))
    m, adjusted = len(tested), {}
    for p in tested:
        ranks = [rank for rank, other in enumerate(tested, 1) if other >= p]
        adjusted[p] = min(1.0, *(tested[rank - 1] * m / rank for rank in [*ranks, ranks[-1]]))
    return [adjusted.get(p, np.nan) for p in p_values]


def test_q_values_of_a_worked_example() -> None:
    assert geo.significance.adjusted_p_values([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert geo.significance.adjusted_p_values([0.9, np.nan, 0.02]) == pytest.approx([0.9, np.nan, 0.04], nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_q_values_are_benjamini_hochbergs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_values = np.round(rng.random(40) ** 3, 2)
    p_values[rng.integers(40, size=6)] = np.nan
    np.testing.assert_allclose(geo.significance.adjusted_p_values(p_values.tolist()), benjamini_hochberg(p_values.tolist()))


def test_nothing_tested_gives_no_q_values() -> None:
    assert np.isnan(geo.significance.adjusted_p_values([np.nan, np.nan])).all()
    assert len(geo.significance.adjusted_p_values([])) == 0


def comparison(value: float, draws: list[float]) -> geo.TestResult:
    """A model of mean `value` beside draws of the given means, each over two labels."""
    null = np.array([[draw - 1, draw + 1] for draw in draws])
    return geo.TestResult("x", ("a", "b", "c"), np.array([value - 1, np.nan, value + 1]), {"null": null})


def test_p_values_count_draws_as_extreme_as_the_model() -> None:
    draws = [1.0, 2.0, 3.0, 4.0]
    assert comparison(3.5, draws).p_value("null", "greater") == 2 / 5
    assert comparison(3.5, draws).p_value("null", "less") == 4 / 5
    assert comparison(9, draws).p_value("null", "greater") == 1 / 5
    assert comparison(9, draws).p_value("null", "less") == 1
    assert comparison(0, draws).p_value("null", "less") == 1 / 5


def test_ties_are_extreme_on_both_sides() -> None:
    tied = comparison(2, [1.0, 2.0, 2.0, 3.0])
    assert tied.p_value("null", "greater") == 4 / 5
    assert tied.p_value("null", "less") == 4 / 5


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_draws_that_could_not_be_measured_are_extreme(alternative: str) -> None:
    far = 9 if alternative == "greater" else -9
    assert comparison(far, [1.0, np.nan, np.nan]).p_value("null", alternative) == 3 / 4


def test_p_values_of_what_was_not_measured() -> None:
    assert np.isnan(comparison(np.nan, [1.0]).p_value("null", "greater"))
    assert np.isnan(geo.TestResult("x", ("a",), np.ones(1), {"null": np.empty((0, 1))}).p_value("null", "less"))


def test_p_values_of_exchangeable_draws_are_uniform() -> None:
    rng = np.random.default_rng(0)
    found = [comparison(draws[0], draws[1:].tolist()).p_value("null", "greater") for draws in rng.random((2000, 20))]
    counts = np.bincount(np.round(np.array(found) * 20).astype(int), minlength=21)[1:]
    assert counts.sum() == 2000
    assert counts.min() > 60
    assert counts.max() < 140


def test_beyond_is_one_sided_and_never_of_what_was_not_measured() -> None:
    spread = np.array([[0.0, 0.1, 0.2, 0.3]])
    high = geo.TestResult("x", tuple("abcd"), spread[0] + 1, {"null": spread, "none": np.full((2, 4), np.nan)})
    assert high.beyond("null", "greater")
    assert not high.beyond("null", "less")
    assert not high.beyond("none", "greater")
    assert not high.beyond("none", "less")
    touching = geo.TestResult("x", tuple("abcd"), spread[0] + 0.05, {"null": spread})
    assert not touching.beyond("null", "greater")


def test_beyond_uses_resampled_means_where_they_are_given() -> None:
    null = {"null": np.array([[0.1], [0.2]])}
    narrow = geo.TestResult("x", ("a",), np.array([0.5]), null, resampled=np.linspace(0.4, 0.6, 50))
    wide = geo.TestResult("x", ("a",), np.array([0.5]), null, resampled=np.linspace(0, 1, 50))
    assert narrow.beyond("null", "greater")
    assert not wide.beyond("null", "greater")
    assert narrow.interval == pytest.approx((0.405, 0.595))
