"""Agreement of two routes, against numbers worked out by hand."""

from itertools import permutations

import numpy as np
import pytest

import geometry as geo


def test_by_hand() -> None:
    one = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    other = one @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + 5  # a quarter turn and a shift
    found = geo.probing.matched_cosines(one, other)
    assert found.value == pytest.approx(0)
    assert geo.probing.matched_cosines(one, 3 * one + 7).value == pytest.approx(1)
    assert geo.probing.matched_cosines(one, -one).value == pytest.approx(-1)
    assert found.cosines[0, 1] == pytest.approx(-1)


def test_few_things_are_permuted_in_every_way() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 4, 9))
    found = geo.probing.matched_cosines(one, other)
    assert len(found.nulls["permuted"].values) == 23
    everyone = [np.mean([found.cosines[i, j] for i, j in enumerate(order)]) for order in permutations(range(4))]
    assert sorted(everyone) == pytest.approx(sorted([found.value, *found.nulls["permuted"].means]))
    assert geo.probing.matched_cosines(one, one).p_value == pytest.approx(1 / 24)
    without = geo.probing.matched_cosines(one, other, n_permutations=0)
    assert np.array_equal(without.cosines, found.cosines)
    assert not len(without.nulls["permuted"].values)


def test_many_things_are_permuted_at_random_and_noise_does_not_match() -> None:
    rng = np.random.default_rng(1)
    p = [
        geo.probing.matched_cosines(*rng.standard_normal((2, 8, 40)), n_permutations=19, seed=seed).p_value
        for seed in range(200)
    ]
    assert 1 <= sum(value <= 0.05 for value in p) <= 20


@pytest.mark.parametrize(
    ("one", "other", "complaint"),
    [
        (np.eye(2), np.eye(2), "at least 3 things"),
        (np.eye(3), np.eye(4), "at least 3 things"),
        (np.eye(3) * np.nan, np.eye(3), "finite"),
        (np.array([[1.0, 0], [-1.0, 0], [0, 0]]), np.ones((3, 2)) + np.eye(3)[:, :2], "equals its route's mean"),
    ],
)
def test_bad_routes_are_refused(one: np.ndarray, other: np.ndarray, complaint: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=complaint):
        geo.probing.matched_cosines(one, other)
