"""Bootstrap intervals against plain resampling, and their coverage where words are shared in families."""

import numpy as np
import pytest

from geometry.intervals import RESAMPLES, bootstrap_means, central, cluster_weights, interval_of, summarise


def families(rng: np.random.Generator, n: int = 25, each: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Values around 1, half of whose variance is their family's."""
    cluster = np.arange(n * each) // each
    return 1 + rng.standard_normal(n)[cluster] + rng.standard_normal(n * each), cluster


def test_clusters_are_drawn_again_with_all_their_units() -> None:
    values, cluster = np.array([1.0, 2, 3, 10, 20, np.nan, 5, 6, 7]), np.array([7, 7, 7, 2, 2, 2, 0, 1, 9])
    expected = []
    for times in cluster_weights(5):
        drawn = [values[cluster == own] for own, n in zip((0, 1, 2, 7, 9), times, strict=True) for _ in range(int(n))]
        expected.append(np.nanmean(np.concatenate(drawn)))
    np.testing.assert_allclose(bootstrap_means(values, cluster), expected)
    assert len(set(expected)) > 50


def test_weights_are_draws_with_replacement() -> None:
    weights = cluster_weights(5)
    assert weights.shape == (RESAMPLES, 5)
    assert (weights.sum(axis=1) == 5).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(5), abs=0.1)
    assert weights.var() == pytest.approx(0.8, rel=0.1)
    assert np.array_equal(weights, cluster_weights(5))


def test_clustered_intervals_are_wider_and_cover_where_others_do_not() -> None:
    rng = np.random.default_rng(0)
    covered = {"clustered": 0, "each by itself": 0}
    for _ in range(200):
        values, cluster = families(rng)
        clustered, alone = interval_of(values, cluster), interval_of(values)
        assert clustered[1] - clustered[0] > 1.3 * (alone[1] - alone[0])
        covered["clustered"] += clustered[0] <= 1 <= clustered[1]
        covered["each by itself"] += alone[0] <= 1 <= alone[1]
    assert 176 <= covered["clustered"] <= 198
    assert covered["each by itself"] < 150


@pytest.mark.parametrize("clusters", [1, 2, 4])
def test_so_few_clusters_cannot_say_how_clusters_vary(clusters: int) -> None:
    values = np.random.default_rng(0).standard_normal(30)
    assert (
        interval_of(values, np.arange(30) % clusters) == interval_of(values) != interval_of(values, np.arange(30) % 5)
    )
    assert interval_of(values)[0] < values.mean() < interval_of(values)[1]


def test_samples_of_paired_values_are_the_same() -> None:
    rng = np.random.default_rng(0)
    values, cluster = families(rng)
    np.testing.assert_allclose(bootstrap_means(values + 2, cluster) - bootstrap_means(values, cluster), 2)


def test_permutations_of_a_unit_are_averaged_and_of_one_number_are_the_interval() -> None:
    values = np.random.default_rng(0).standard_normal((9, 20))
    values[:, 3] = np.nan
    assert interval_of(values) == pytest.approx(interval_of(values.mean(axis=0)))
    assert interval_of(np.arange(101.0)[:, None]) == pytest.approx((2.5, 97.5))
    assert summarise(values)["n"] == 19


def test_nothing_measured_has_no_interval() -> None:
    assert np.isnan(interval_of(np.full(4, np.nan), np.arange(4))).all()
    assert np.isnan(central(np.empty(0))).all()
    assert bootstrap_means(np.full(3, np.nan)).shape == (0,)
    assert summarise(np.array([np.nan])) == {"mean": None, "sd": None, "n": 0, "interval": None}


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.7], [0.5, np.nan, np.nan]])
def test_of_one_or_two_values_there_is_no_interval(values: list[float]) -> None:
    assert np.isnan(interval_of(np.array(values))).all()
    assert np.isfinite(interval_of(np.array([*values, 0.1, 0.2]))).all()
