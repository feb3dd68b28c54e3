"""A planted effect is forecast on concepts that nothing was fitted to; of shuffled effects nothing is said."""

import numpy as np
import pytest

from geometry.errors import SteeringError
from geometry.tuning import Forecast, SteeringFeatures
from geometry.tuning.forecast import _ALPHAS, _ridge

COLUMNS = ("one", "two", "three")
WEIGHTS = np.array([2.0, 0.0, -1.0])


def table(k: int = 60, groups: int = 15, seed: int = 0) -> tuple[SteeringFeatures, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((k, 3)) * [1.0, 5.0, 0.1] + [0.0, 3.0, 1.0]
    effects = ((values - [0.0, 3.0, 1.0]) / [1.0, 5.0, 0.1]) @ WEIGHTS + 0.5 * rng.standard_normal(k) + 4
    names = tuple(f"concept {number}" for number in range(k))
    return SteeringFeatures(names, COLUMNS, values, np.arange(k) % groups), effects


def test_a_planted_effect_is_recovered_with_its_error() -> None:
    features, effects = table()
    forecast = Forecast.fit(features, effects, n_permutations=49, unit="nats")
    assert forecast.predictive
    assert forecast.r2 > 0.9
    assert forecast.intervals["r2"][0] > 0.85
    assert forecast.p == pytest.approx(1 / 50)
    assert abs(forecast.rho_nulls.mean()) < 0.3
    assert 0.4 < forecast.error < 0.8
    np.testing.assert_allclose(forecast.weights, WEIGHTS, atol=0.3)
    prediction = forecast.predict(np.array([1.0, 3.0, 1.0]))
    assert prediction.value == pytest.approx(6.0, abs=0.4)
    assert prediction.high - prediction.value == pytest.approx(1.96 * forecast.error)
    assert "no better than chance" not in str(prediction)
    assert "forecasts R²" in repr(forecast)
    blank = forecast.predict(np.full(3, np.nan))
    assert blank.value == pytest.approx(effects.mean())


def test_of_shuffled_effects_it_says_that_nothing_is_forecast() -> None:
    features, effects = table()
    said = []
    for seed in range(8):
        shuffled = np.random.default_rng(seed).permutation(effects)
        forecast = Forecast.fit(features, shuffled, n_permutations=39, seed=seed)
        said.append(forecast.predictive)
        assert forecast.r2 < 0.2
    assert sum(said) <= 1
    assert "forecasts nothing" in repr(forecast)
    assert "no better than chance" in str(forecast.predict(np.zeros(3)))


def test_what_is_told_apart_by_groups_alone_is_not_forecast() -> None:
    """Each group has a value of its own, in features as in effects, which says nothing of other groups."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(12), 5)
    own = rng.standard_normal((12, 3))[groups]
    features = SteeringFeatures(tuple(map(str, range(60))), COLUMNS, own, groups)
    forecast = Forecast.fit(features, rng.standard_normal(12)[groups], n_permutations=39)
    assert not forecast.predictive
    assert forecast.r2 < 0.1


def test_held_out_forecasts_do_not_see_their_own_group() -> None:
    features, effects = table(24, 6)
    moved = effects.copy()
    moved[features.groups == 2] += 100
    first, second = (Forecast.fit(features, each, n_permutations=1) for each in (effects, moved))
    own = features.groups == 2
    np.testing.assert_allclose(first.held_out[own], second.held_out[own])
    assert not np.allclose(first.held_out[~own], second.held_out[~own])


def test_more_features_are_weighed_against_fewer() -> None:
    features, effects = table()
    both, less = (Forecast.fit(features.only(names), effects, n_permutations=1) for names in (COLUMNS, COLUMNS[1:]))
    gain, low, high = both.gain_over(less)
    assert gain == pytest.approx(both.r2 - less.r2)
    assert 0.4 < low < gain < high
    with pytest.raises(SteeringError, match="different effects"):
        both.gain_over(Forecast.fit(features, effects + 1, n_permutations=1))


def test_effects_that_could_not_be_measured_are_left_out() -> None:
    features, effects = table()
    effects[:5] = np.nan
    features.values[7, 1] = np.nan
    forecast = Forecast.fit(features, effects, n_permutations=1)
    assert len(forecast.effects) == 55
    assert np.isfinite(forecast.held_out).all()
    assert forecast.to_dict()["concepts"][0] == "concept 5"


def test_the_ridge_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import RidgeCV

    features, effects = table(30)
    several = np.column_stack([effects, np.random.default_rng(3).permutation(effects)])
    weights, intercept, centre, scale = _ridge(features.values, several)
    for column in range(2):
        theirs = RidgeCV(_ALPHAS).fit((features.values - centre) / scale, several[:, column])
        np.testing.assert_allclose(weights[:, column], theirs.coef_, rtol=1e-6)
        assert intercept[column] == pytest.approx(theirs.intercept_)


def test_bad_input_is_refused() -> None:
    features, effects = table()
    with pytest.raises(SteeringError, match="one for each of 60"):
        Forecast.fit(features, effects[:4])
    with pytest.raises(SteeringError, match="takes 12 measured concepts in 4 groups, not 60 in 3"):
        Forecast.fit(SteeringFeatures(features.names, COLUMNS, features.values, features.groups % 3), effects)
    with pytest.raises(SteeringError, match="takes 3 features"):
        Forecast.fit(features, effects, n_permutations=1).predict([1.0])
    with pytest.raises(SteeringError, match="no feature 'four'"):
        features.only(["four"])
    with pytest.raises(SteeringError, match="no features of 'x'"):
        features.of("x")
