from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import spearmanr

import geometry as geo
from geometry.compare import ModelProfile, cka, representational_similarity, word_disjoint

Array = np.ndarray
MEASURES = [representational_similarity, cka]


def gram(seed: int, k: int = 12, d: int = 30) -> Array:
    x = np.random.default_rng(seed).standard_normal((k, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def some_pairs(k: int = 12) -> Array:
    counted = np.triu(np.random.default_rng(9).random((k, k)) < 0.7, 1)
    return counted | counted.T


def every(k: int = 12) -> Array:
    return np.ones((k, k), dtype=bool)


def unbiased_cka(x: Array, y: Array) -> float:
    """Kornblith et al. with the estimator of Song et al., equation 5, term by term."""

    def hsic(k: Array, second: Array) -> float:
        n = len(k)
        k, second = k - np.diag(np.diag(k)), second - np.diag(np.diag(second))
        ones = np.ones(n)
        total = np.trace(k @ second) + (ones @ k @ ones) * (ones @ second @ ones) / ((n - 1) * (n - 2))
        return (total - 2 / (n - 2) * (ones @ k @ second @ ones)) / (n * (n - 3))

    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def test_the_rank_correlation_is_scipys_over_the_pairs_that_count() -> None:
    counted, x, y = some_pairs(), gram(0), np.round(gram(1), 1)
    pairs = [(i, j) for i in range(12) for j in range(i) if counted[i, j]]
    assert 30 < len(pairs) < 60
    expected = spearmanr([x[pair] for pair in pairs], [y[pair] for pair in pairs]).statistic
    assert representational_similarity(x, y, counted) == pytest.approx(expected)


@pytest.mark.parametrize("k", [5, 12])
def test_cka_of_all_pairs_is_the_unbiased_estimator(k: int) -> None:
    assert cka(gram(0, k), gram(1, k), every(k)) == pytest.approx(unbiased_cka(gram(0, k), gram(1, k)))
    mixed = 0.6 * gram(0, k) + 0.4 * gram(1, k)
    assert cka(gram(0, k), mixed, every(k)) == pytest.approx(unbiased_cka(gram(0, k), mixed))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("counted", [every(), some_pairs()], ids=["all pairs", "some pairs"])
def test_rotation_scale_and_what_does_not_count_change_nothing(measure: Callable[..., float], counted: Array) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((12, 8)), rng.standard_normal((12, 5))
    value = measure(x @ x.T, y @ y.T, counted)
    turned = x @ np.linalg.qr(rng.standard_normal((8, 8)))[0] * 3
    assert measure(turned @ turned.T, y @ y.T, counted) == pytest.approx(value)
    assert measure(y @ y.T, x @ x.T, counted) == pytest.approx(value)
    other = np.where(counted & ~np.eye(12, dtype=bool), y @ y.T, rng.standard_normal((12, 12)) * 100)
    assert measure(x @ x.T, other, counted) == pytest.approx(value)
    assert measure(x @ x.T, x @ x.T, counted) == pytest.approx(1)
    order = rng.permutation(12)
    apart = np.ix_(order, order)
    assert measure((x @ x.T)[apart], (y @ y.T)[apart], counted[apart]) == pytest.approx(value)
    assert measure((x @ x.T)[apart], y @ y.T, counted) != pytest.approx(value)


def test_cka_does_not_see_what_is_added_to_all_pairs_of_a_concept() -> None:
    effects = np.random.default_rng(3).standard_normal(12)
    moved = gram(0) + effects[:, None] + effects[None]
    assert cka(moved, gram(1), some_pairs()) == pytest.approx(cka(gram(0), gram(1), some_pairs()))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("counted", [every(), some_pairs()], ids=["all pairs", "some pairs"])
def test_unrelated_models_are_at_zero_on_average(measure: Callable[..., float], counted: Array) -> None:
    values = [measure(gram(2 * seed, d=6), gram(2 * seed + 1, d=6), counted) for seed in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert np.std(values) < 0.2


@pytest.mark.parametrize("measure", MEASURES)
def test_nothing_to_compare_is_nan(measure: Callable[..., float]) -> None:
    assert np.isnan(measure(gram(0), gram(1), np.zeros((12, 12), dtype=bool)))
    assert np.isnan(measure(np.eye(12), gram(1), every()))


def test_word_disjoint_pairs_have_no_word_in_common(profile: Callable[..., ModelProfile]) -> None:
    hierarchy: geo.ConceptHierarchy = profile(0, "a").hierarchy
    disjoint = word_disjoint(hierarchy)
    for i, first in enumerate(hierarchy):
        for j, second in enumerate(hierarchy):
            assert disjoint[i, j] == (not set(first.words) & set(second.words))
