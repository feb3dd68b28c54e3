from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.moments import moments

CPU = torch.device("cpu")
N, D = 20_000, 12


def cloud(scale: float = 1.0, offset: float = 0.0, drift: float = 0.0) -> torch.Tensor:
    """Rows of a known shape, whose mean lies off 0 and wanders from the first to the last."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn((N, D), generator=generator, dtype=torch.float64) * torch.linspace(0.2, 3, D)
    return scale * (rows + offset + drift * torch.linspace(0, 1, N)[:, None])


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    ("scale", "offset", "drift"), [(1, 0, 0), (1, 50, 0), (1, 0, 5), (1e-20, 3, 0), (1e18, 3, 1), (1e-3, 0, 2)]
)
@pytest.mark.parametrize("every", [1, 3])
def test_moments_are_those_of_numpy(single: bool, scale: float, offset: float, drift: float, every: int) -> None:
    matrix = cloud(scale, offset, drift).float()
    rows = torch.arange(0, N, every)
    mean, covariance = moments(matrix, rows, single=single, device=CPU)
    chosen = matrix[rows].numpy().astype(np.float64)
    expected = np.cov(chosen.T, bias=True)
    tolerance = 3e-7 if single else 1e-11
    np.testing.assert_allclose(mean.numpy(), chosen.mean(axis=0), atol=tolerance * np.abs(chosen).max(), rtol=0)
    np.testing.assert_allclose(covariance.numpy(), expected, atol=tolerance * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rows_stored_in_half_precision_are_converted_exactly(dtype: torch.dtype) -> None:
    matrix = cloud().to(dtype)
    half = moments(matrix, torch.arange(N), single=True, device=CPU)
    whole = moments(matrix.double(), torch.arange(N), single=False, device=CPU)
    torch.testing.assert_close(half.covariance, whole.covariance, rtol=0, atol=1e-6)


def space(matrix: torch.Tensor, **options: Any) -> geo.CausalSpace:
    vocabulary = geo.Vocabulary([f"Ġw{index}" for index in range(len(matrix))])
    return geo.CausalSpace.fit(geo.Unembedding(matrix, vocabulary), **options)


def test_float32_products_give_the_space_of_float64_ones() -> None:
    matrix = cloud(offset=2).float()
    single, double = space(matrix), space(matrix.double())
    assert not torch.equal(single.whitener, double.whitener)
    g = single.rows(np.arange(50)), double.rows(np.arange(50))
    assert float((g[0] - g[1]).norm() / g[1].norm()) < 4e-7


@pytest.mark.parametrize("least", [0.0, 1e-4])
def test_where_float32_products_would_not_do_they_are_not_used(least: float) -> None:
    matrix = cloud().float()
    matrix[:, 0] = matrix[:, 1] + least * matrix[:, 0]
    fitted, double = space(matrix), space(matrix.double())
    assert fitted.rank == double.rank == (D if least else D - 1)
    torch.testing.assert_close(fitted.whitener, double.whitener, rtol=1e-9, atol=1e-9)


def test_a_row_beyond_the_squares_of_float32_is_counted() -> None:
    matrix = cloud().float()
    matrix[-1] = 1e25
    torch.testing.assert_close(space(matrix).eigenvalues, space(matrix.double()).eigenvalues, rtol=1e-9, atol=0)
