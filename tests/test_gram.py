"""Fits from inner products against `concept_vector`, which knows nothing of them."""

from itertools import count

import numpy as np
import pytest
import torch

import geometry as geo
from geometry import gram, gram_kernels
from geometry.estimators import concept_vector
from geometry.gram import RowGram

BATCHES = {"_in_batches": lambda _: True}
ROUTES = {
    "kept": {},
    "single": {"_EXACT_BYTES": 0, "_BLOCK": 7},
    "rows": {"_MOST_BYTES": 0},
    "batches": BATCHES,
    "batches of rows": {**BATCHES, "_MOST_BYTES": 0},
}
EXACT = pytest.mark.parametrize("route", [route for route in ROUTES if route != "single"], indirect=True)


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """K in float64, K in float32, or none; set by set or, as on other devices, in batches."""
    for limit, value in ROUTES[request.param].items():
        monkeypatch.setattr(gram, limit, value)
    return request.param


def spread_rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * np.linspace(0.2, 3, d) + rng.standard_normal(d)


def furthest_off(rows: np.ndarray, sets: list[np.ndarray], dtype: torch.dtype = torch.float64) -> float:
    """Largest relative error of ℓ or the shrinkage, once the flags are found to agree."""
    points = torch.from_numpy(rows).to(dtype)
    fits = RowGram(points).fit([np.asarray(own) for own in sets])
    assert fits.vectors.dtype == dtype
    errors = [0.0]
    for own, vector, shrinkage, degenerate in zip(sets, *fits, strict=True):
        alone = concept_vector(points[torch.from_numpy(np.asarray(own))].double())
        assert degenerate == alone.degenerate
        assert np.isnan(shrinkage) == np.isnan(alone.shrinkage)
        length = float(alone.vector.norm())
        errors.append(float((vector.double() - alone.vector).norm()) / (length or 1))
        if not degenerate:
            errors.append(abs(shrinkage / alone.shrinkage - 1))
    return max(errors)


def limit(route: str) -> float:
    return 3e-6 if route == "single" else 1e-10


def test_each_limit_forces_its_route(route: str) -> None:
    products = RowGram(torch.from_numpy(spread_rows(6, 4)))._products
    assert (products is None) == ("rows" in route)
    assert products is None or products.dtype == (torch.float32 if route == "single" else torch.float64)
    assert RowGram(torch.zeros(6, 4), kept=False)._products is None


def test_sets_of_every_size_are_fitted_as_alone(route: str) -> None:
    rows = spread_rows(200, 40)
    rng = np.random.default_rng(1)
    sizes = [1, 2, 3, 4, 7, 39, 40, 41, 128, 200]
    sets = [rng.permutation(200)[:size] for size in sizes]
    assert furthest_off(rows, sets) < limit(route)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["single", "double"])
def test_combinations_of_every_number_of_rows_are_weighted_sums(dtype: type) -> None:
    rng = np.random.default_rng(0)
    rows, sizes = rng.standard_normal((40, 33)).astype(dtype), np.arange(20)
    members = [rng.choice(40, size, replace=False) for size in sizes]
    weights = [rng.standard_normal(size).astype(dtype) for size in sizes]
    sums, starts = np.zeros((20, 33), dtype), np.concatenate([[0], np.cumsum(sizes)])
    gram_kernels.combine(rows, np.concatenate(members), starts, np.concatenate(weights), sums)
    expected = [own.astype(np.float64) @ rows[where] for own, where in zip(weights, members, strict=True)]
    np.testing.assert_allclose(sums, expected, atol=1e-5 if dtype == np.float32 else 1e-13)


def test_an_empty_set_is_missing(route: str) -> None:
    points = torch.from_numpy(spread_rows(9, 5))
    empty = np.empty(0, np.int64)
    vectors, shrinkage, degenerate = RowGram(points).fit([empty, np.arange(9), empty])
    assert vectors.isnan().all(dim=1).tolist() == [True, False, True]
    assert np.isnan(shrinkage).tolist() == degenerate.tolist() == [True, False, True]
    assert RowGram(points).means([empty]).isnan().all()
    for nothing in (RowGram(points).fit([]).vectors, RowGram(points).means([])):
        assert nothing.shape == (0, 5)


@pytest.mark.usefixtures("route")
def test_means_are_means() -> None:
    points = torch.from_numpy(spread_rows(30, 5)).float()
    sets = [np.array([3]), np.arange(4, 20), np.array([29, 0, 7])]
    expected = torch.stack([points[torch.from_numpy(own)].double().mean(dim=0).float() for own in sets])
    torch.testing.assert_close(RowGram(points).means(sets), expected)


def test_repeated_rows_are_fitted_as_alone(route: str) -> None:
    few = spread_rows(5, 30)
    rows = np.concatenate([np.repeat(few, 6, axis=0), spread_rows(3, 30, seed=1)])
    assert furthest_off(rows, [np.arange(30), np.arange(24, 33), np.arange(12)]) < limit(route)


@pytest.mark.parametrize("width", [3, 40, 1000])
def test_equal_rows_give_the_mean_flagged(route: str, width: int) -> None:
    rows = np.tile(spread_rows(1, width) / 3, (50, 1))
    for size in (3, 7, 50):
        vectors, shrinkage, degenerate = RowGram(torch.from_numpy(rows)).fit([np.arange(size)])
        np.testing.assert_allclose(vectors[0].numpy(), rows[0], rtol=1e-12)
        assert degenerate[0]
        assert np.isnan(shrinkage[0])


def test_two_points_give_the_mean_flagged(route: str) -> None:
    one, other = spread_rows(2, 30) / 3
    rows = np.stack([one, other] * 8)
    vectors, _, degenerate = RowGram(torch.from_numpy(rows)).fit([np.arange(16)])
    assert degenerate[0]
    np.testing.assert_allclose(vectors[0].numpy(), (one + other) / 2, rtol=1e-12)


def test_a_mean_of_zero_is_flagged(route: str) -> None:
    rows = np.concatenate([np.eye(4, 9), -np.eye(4, 9)])
    vectors, _, degenerate = RowGram(torch.from_numpy(rows)).fit([np.arange(8)])
    assert degenerate[0]
    assert not vectors.any()


def full_shrinkage(n: int, d: int) -> np.ndarray:
    """Rows around zero whose shrinkage is 1."""
    drawn = (np.random.default_rng(seed).standard_normal((n, d)) for seed in count())
    return next(rows for rows in drawn if concept_vector(torch.from_numpy(rows)).shrinkage == 1.0)


@pytest.mark.parametrize(("n", "d"), [(8, 8), (4, 5), (12, 6)])
def test_full_shrinkage_gives_the_mean_unflagged(route: str, n: int, d: int) -> None:
    rows = full_shrinkage(n, d) + 1
    vectors, shrinkage, degenerate = RowGram(torch.from_numpy(rows)).fit([np.arange(n)])
    assert (shrinkage[0], degenerate[0]) == (pytest.approx(1.0, abs=1e-6 if route == "single" else 0), False)
    np.testing.assert_allclose(vectors[0].numpy(), rows.mean(axis=0), rtol=1e-5 if route == "single" else 1e-12)


@EXACT
@pytest.mark.parametrize("mean", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("step", [10, 20, 30, 44])
def test_shrinkage_just_below_one(route: str, mean: float, step: int) -> None:
    # Bisection between rows whose shrinkage is 1 and rows whose is not; −log₂(1 − a) grows with the steps.
    whole = full_shrinkage(12, 6)
    drawn = (np.random.default_rng(seed).standard_normal((12, 6)) for seed in count())
    below = next(rows for rows in drawn if concept_vector(torch.from_numpy(rows)).shrinkage < 0.99)
    for _ in range(step):
        middle = (below + whole) / 2
        if concept_vector(torch.from_numpy(middle)).shrinkage == 1.0:
            whole = middle
        else:
            below = middle
    shrinkage = concept_vector(torch.from_numpy(below)).shrinkage
    assert 1e-16 < 1 - shrinkage < 2.0 ** (3 - step)
    assert furthest_off(below + mean, [np.arange(12)]) < 1e-10


@EXACT
@pytest.mark.parametrize(("times", "tolerance"), [(30, 1e-11), (1000, 1e-8)])
def test_a_mean_many_times_the_spread(route: str, times: float, tolerance: float) -> None:
    rows = spread_rows(40, 30)
    rows -= rows.mean(axis=0)
    direction = np.random.default_rng(5).standard_normal(30)
    rows += times * np.sqrt(np.square(rows).sum(axis=1).mean()) * direction / np.linalg.norm(direction)
    assert furthest_off(rows, [np.arange(14), np.arange(40)]) < tolerance


def test_a_mean_thirty_times_the_spread_from_single_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "_EXACT_BYTES", 0)
    rows = spread_rows(40, 30)
    rows += 30 * np.sqrt(np.square(rows - rows.mean(axis=0)).sum(axis=1).mean()) * np.eye(30)[3]
    assert furthest_off(rows, [np.arange(14), np.arange(40)]) < 5e-3


@EXACT
def test_a_mean_a_hundredth_of_the_spread(route: str) -> None:
    rows = spread_rows(40, 30)
    rows += 0.01 * np.eye(30)[7] - rows.mean(axis=0)
    assert furthest_off(rows, [np.arange(40)]) < 1e-10


def test_rows_in_single_precision_are_fitted_in_double(route: str) -> None:
    # What is left is the rounding of the result to the rows' own precision.
    assert furthest_off(spread_rows(60, 40), [np.arange(20), np.arange(60)], torch.float32) < 1e-6


def test_a_permutation_is_a_fit_of_permuted_rows(route: str) -> None:
    points = torch.from_numpy(spread_rows(80, 30))
    rng = np.random.default_rng(3)
    sets = [rng.permutation(80)[:size] for size in (2, 10, 45)]
    moved = rng.permutation(80)
    one = RowGram(points).fit([moved[own] for own in sets])
    other = RowGram(points[torch.from_numpy(moved)]).fit(sets)
    torch.testing.assert_close(one.vectors, other.vectors, rtol=1e-5 if route == "single" else 1e-12, atol=1e-6)
    np.testing.assert_allclose(one.shrinkage, other.shrinkage, rtol=1e-5 if route == "single" else 1e-12)
    assert (one.degenerate == other.degenerate).all()


@pytest.mark.parametrize("noise", 10.0 ** -np.arange(2, 10))
def test_covariances_on_the_verge_of_singular_raise_nothing(route: str, noise: float) -> None:
    # Rows ±u along one line shrink by about the square of what leaves it.
    rng = np.random.default_rng(4)
    line, other = rng.standard_normal((2, 500))
    sides = np.resize([1.0, -1.0], 40)[:, None]
    for centre in (0.3, 30.0):
        rows = (sides + centre) * line + noise * rng.standard_normal((40, 1)) * other
        vectors, _, degenerate = RowGram(torch.from_numpy(rows)).fit([np.arange(40)])
        assert vectors.isfinite().all()
        assert degenerate[0] or not concept_vector(torch.from_numpy(rows)).degenerate
        if degenerate[0]:
            np.testing.assert_allclose(vectors[0].numpy(), rows.mean(axis=0), rtol=1e-10)
        else:
            assert vectors[0].norm() <= np.linalg.norm(rows.mean(axis=0)) * 1.01


def test_a_matrix_that_has_no_factor_is_told() -> None:
    assert gram_kernels._factor(np.array([[1.0, 0], [2.0, 1.0]]))[1] is False
    upper, positive = gram_kernels._factor(np.array([[4.0, np.nan], [2.0, 5.0]]))
    assert positive
    np.testing.assert_array_equal(upper, [[2, 1], [0, 2]])


@pytest.mark.parametrize("route", ["kept", "batches"], indirect=True)
def test_what_cholesky_refuses_falls_back_on_the_mean(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Products that belong to no rows: centred they have eigenvalues far below zero.
    rows = RowGram(torch.from_numpy(spread_rows(4, 50)))
    impossible = np.eye(4) + 3
    impossible[1, 0] = impossible[0, 1] = -30
    monkeypatch.setitem(rows.__dict__, "_products", torch.from_numpy(impossible))
    vectors, shrinkage, degenerate = rows.fit([np.arange(4)])
    torch.testing.assert_close(vectors[0], rows.rows.mean(dim=0))
    assert degenerate[0]
    assert np.isnan(shrinkage[0])


def test_nouns_of_a_real_model_are_fitted_as_alone(
    smollm2_space: geo.CausalSpace, smollm2_nouns: geo.ConceptHierarchy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gram, "_EXACT_BYTES", 0)
    sets = [geo.directions.thinned(members, 60) for members in smollm2_nouns.members[::7]]
    names = np.unique(np.concatenate(sets))
    rows = smollm2_space.rows(smollm2_nouns.tokens[names]).double().numpy()
    assert furthest_off(rows, [np.searchsorted(names, own) for own in sets]) < 3e-6
