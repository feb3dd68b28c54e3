import numpy as np
import pytest

import geometry as geo
from tests.planted import result


def benjamini_hochberg(p_values: list[float]) -> list[float]:
    tested = sorted(p for p in p_values if not np.isnan(p))
    m, adjusted = len(tested), {}
    for p in tested:
        ranks = [rank for rank, other in enumerate(tested, 1) if other >= p]
        adjusted[p] = min(1.0, *(tested[rank - 1] * m / rank for rank in [*ranks, ranks[-1]]))
    return [adjusted.get(p, np.nan) for p in p_values]


def test_adjusted_p_values_of_a_worked_example() -> None:
    assert geo.significance.adjusted_p_values([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert geo.significance.adjusted_p_values([0.9, np.nan, 0.02]) == pytest.approx([0.9, np.nan, 0.04], nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_are_benjamini_hochbergs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_values = np.round(rng.random(40) ** 3, 2)
    p_values[rng.integers(40, size=6)] = np.nan
    np.testing.assert_allclose(
        geo.significance.adjusted_p_values(p_values.tolist()), benjamini_hochberg(p_values.tolist())
    )


def test_nothing_tested_gives_no_adjusted_p_values() -> None:
    assert np.isnan(geo.significance.adjusted_p_values([np.nan, np.nan])).all()
    assert len(geo.significance.adjusted_p_values([])) == 0


def beside(value: float, draws: list[float], alternative: str = "greater") -> geo.TestResult:
    """A model of mean `value` beside draws of the given means, each over two labels."""
    null = np.array([[draw - 1, draw + 1] for draw in draws])
    return result(np.array([value - 1, np.nan, value + 1]), {"null": null}, alternative=alternative)


def test_p_values_count_draws_as_extreme_as_the_model() -> None:
    draws = [1.0, 2.0, 3.0, 4.0]
    assert beside(3.5, draws, "greater").p_value == 2 / 5
    assert beside(3.5, draws, "less").p_value == 4 / 5
    assert beside(9, draws, "greater").p_value == 1 / 5
    assert beside(9, draws, "less").p_value == 1
    assert beside(0, draws, "less").p_value == 1 / 5


def test_ties_are_extreme_on_both_sides() -> None:
    for alternative in ("greater", "less"):
        assert beside(2, [1.0, 2.0, 2.0, 3.0], alternative).p_value == 4 / 5


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_draws_that_could_not_be_measured_do_not_count(alternative: str) -> None:
    far = 9 if alternative == "greater" else -9
    measured = beside(far, [1.0, np.nan, np.nan], alternative)
    assert measured.p_value == measured.p_floor == 1 / 2
    assert np.isnan(beside(far, [np.nan], alternative).p_value)


def test_p_values_of_what_was_not_measured() -> None:
    assert np.isnan(beside(np.nan, [1.0], "greater").p_value)
    assert np.isnan(result(np.ones(1), {"null": np.empty((0, 1))}).p_value)


def test_p_values_of_exchangeable_draws_are_uniform() -> None:
    rng = np.random.default_rng(0)
    found = [beside(draws[0], draws[1:].tolist(), "greater").p_value for draws in rng.random((2000, 20))]
    counts = np.bincount(np.round(np.array(found) * 20).astype(int), minlength=21)[1:]
    assert counts.sum() == 2000
    assert counts.min() > 60
    assert counts.max() < 140
