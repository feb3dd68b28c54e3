"""Intervals of what was paired, and of controls that were drawn: by hand, and where there is nothing to be found."""

import numpy as np
import pytest

from geometry.experiments.layers.draw_intervals import interval_of_draws, mean_over, paired_interval


def test_means_pass_over_what_was_not_reached() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(mean_over(values), [2.0, 5.0, np.nan])


def test_of_few_concepts_prompts_are_drawn_and_of_many_concepts() -> None:
    rng = np.random.default_rng(1)
    by_concept, by_prompt = rng.standard_normal(12), 0.1 * rng.standard_normal(40)
    values = by_concept[:, None] + by_prompt
    low, high = paired_interval(values[:4])
    assert high - low == pytest.approx(2 * 1.96 * by_prompt.std() / 40**0.5, rel=0.1)
    low, high = paired_interval(values)
    assert high - low == pytest.approx(2 * 1.96 * by_concept.std() / 12**0.5, rel=0.1)
    missing = values.copy()
    missing[8:] = np.nan
    assert paired_interval(missing) == paired_interval(values[:8])
    assert np.isnan(paired_interval(values[:4, :2])).all()
    assert np.isnan(paired_interval(np.full((4, 9), np.nan))).all()


@pytest.mark.parametrize("concepts", [3, 8])
def test_draws_that_agree_add_nothing(concepts: int) -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((concepts, 1, 30))
    drawn = np.stack([values] * 5)
    np.testing.assert_allclose(interval_of_draws(drawn), paired_interval(values[:, 0]), atol=0.03)


def test_one_direction_among_others_does_not_beat_them() -> None:
    """What differs from the mean of many clearly, prompt by prompt, may well be one of them."""
    rng = np.random.default_rng(3)
    draws = rng.standard_normal((5, 3, 1, 1)) + 0.01 * rng.standard_normal((5, 3, 1, 24))
    ranked = np.sort(draws.mean(axis=(2, 3)), axis=0)
    another = ranked[3][:, None, None]
    assert paired_interval((another - mean_over(draws))[:, 0])[0] > 0.1
    assert interval_of_draws(another - draws)[0] < 0
    beyond = ranked[-1][:, None, None] + 0.5
    assert interval_of_draws(beyond - draws)[0] > 0.3


def test_draws_that_were_not_reached_are_not_taken() -> None:
    rng = np.random.default_rng(4)
    draws = rng.standard_normal((5, 3, 2, 24))
    fewer = draws.copy()
    fewer[3:] = np.nan
    low, high = interval_of_draws(fewer)
    assert low == pytest.approx(interval_of_draws(draws[:3])[0], abs=0.05)
    assert low < high
    fewer[:, 1] = np.nan
    assert np.isfinite(interval_of_draws(fewer)).all()
    assert np.isnan(interval_of_draws(np.full((5, 3, 2, 24), np.nan))).all()
    assert np.isnan(interval_of_draws(draws[..., :2])).all()
