"""Concept vectors against scikit-learn's Ledoit–Wolf and a float64 solve, the contract being 1e-6."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf

import geometry as geo


def reference(rows: np.ndarray) -> tuple[np.ndarray, float]:
    covariance, shrinkage = ledoit_wolf(rows)
    mean = rows.mean(axis=0)
    solved = np.linalg.solve(covariance, mean)
    direction = solved / np.linalg.norm(solved)
    return (direction @ mean) * direction, float(shrinkage)


def draw(n: int, d: int, *, seed: int = 0, rank: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n, rank or d)) * np.linspace(0.2, 3, rank or d)
    mixed = factors @ rng.standard_normal((rank or d, d)) if rank else factors
    return mixed + rng.standard_normal(d)


def assert_agrees(rows: np.ndarray) -> None:
    found = geo.estimators.concept_vector(torch.from_numpy(rows))
    expected, shrinkage = reference(rows)
    assert not found.degenerate
    assert found.shrinkage == pytest.approx(shrinkage, rel=1e-6)
    error = np.linalg.norm(found.vector.numpy() - expected) / np.linalg.norm(expected)
    assert error < 1e-6


@pytest.mark.parametrize("n", [3, 4, 10, 63, 64, 65, 200, 1000])
def test_agrees_with_sklearn_and_a_solve_for_any_shape(n: int) -> None:
    assert_agrees(draw(n, 64))


@pytest.mark.parametrize(("n", "rank"), [(30, 5), (64, 20), (500, 20)])
def test_agrees_when_the_rows_span_few_dimensions(n: int, rank: int) -> None:
    assert_agrees(draw(n, 64, rank=rank))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(3, 60), d=st.integers(2, 40), seed=st.integers(0, 10**6))
def test_agrees_on_random_shapes(n: int, d: int, seed: int) -> None:
    rows = draw(n, d, seed=seed)
    found = geo.estimators.concept_vector(torch.from_numpy(rows))
    expected, shrinkage = reference(rows)
    assert found.shrinkage == pytest.approx(shrinkage, rel=1e-6, abs=1e-12)
    np.testing.assert_allclose(found.vector.numpy(), expected, rtol=1e-5, atol=1e-6 * np.linalg.norm(expected))


@pytest.mark.parametrize(("n", "d"), [(8, 8), (4, 5), (12, 6)])
def test_full_shrinkage_gives_the_mean(n: int, d: int) -> None:
    samples = (np.random.default_rng(seed).standard_normal((n, d)) + 5.0 for seed in range(10_000))
    rows = next(rows for rows in samples if ledoit_wolf(rows)[1] == 1.0)
    found = geo.estimators.concept_vector(torch.from_numpy(rows))
    assert (found.shrinkage, found.degenerate) == (1.0, False)
    np.testing.assert_allclose(found.vector.numpy(), rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.vector.numpy(), reference(rows)[0], rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_rows_give_the_mean_flagged(n: int) -> None:
    rows = torch.from_numpy(draw(n, 16))
    found = geo.estimators.concept_vector(rows)
    assert found.degenerate
    assert torch.equal(found.vector, rows.mean(dim=0))


def test_identical_rows_give_the_mean_flagged() -> None:
    rows = torch.ones(10, 4, dtype=torch.float64)
    found = geo.estimators.concept_vector(rows)
    assert found.degenerate
    assert torch.equal(found.vector, rows[0])


def test_a_zero_mean_is_flagged() -> None:
    rows = torch.eye(4, 9, dtype=torch.float64)
    found = geo.estimators.concept_vector(torch.cat([rows, -rows]))
    assert found.degenerate
    assert torch.equal(found.vector, torch.zeros(9, dtype=torch.float64))


def test_the_mean_estimator() -> None:
    rows = torch.from_numpy(draw(20, 8))
    assert torch.equal(geo.estimators.concept_vector(rows, "mean").vector, rows.mean(dim=0))


def test_training_rows_project_to_one_on_average() -> None:
    rows = torch.from_numpy(draw(40, 64))
    vector = geo.estimators.concept_vector(rows).vector
    assert float((rows @ vector).mean() / (vector @ vector)) == pytest.approx(1.0)


def test_the_dtype_is_the_callers() -> None:
    rows = torch.from_numpy(draw(40, 64))
    single = geo.estimators.concept_vector(rows.float()).vector
    assert single.dtype == torch.float32
    assert torch.linalg.vector_norm(single - geo.estimators.concept_vector(rows).vector) < 1e-3


@pytest.mark.parametrize(
    ("rows", "estimator", "complaint"),
    [
        (torch.zeros(0, 4), "lda", "n ≥ 1"),
        (torch.zeros(4), "lda", "n x d"),
        (torch.tensor([[1.0, torch.nan], [1.0, 2.0], [0.0, 1.0]]), "lda", "NaN"),
        (torch.zeros(4, 4), "median", "lda, mean"),
    ],
)
def test_bad_input_is_refused(rows: torch.Tensor, estimator: str, complaint: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=complaint):
        geo.estimators.concept_vector(rows, estimator)
