"""A space under any metric M, beside plain algebra: g = M^(1/2)(γ − γ̄), ⟨u, v⟩ = uᵀMv, and M⁻¹ in the place of Σ."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

import geometry as geo

WIDTH, COUNT = 6, 40


def rows(scale: float = 1.0) -> geo.Unembedding:
    generator = torch.Generator().manual_seed(0)
    matrix = scale * (torch.randn(COUNT, WIDTH, generator=generator) + 3)
    return geo.Unembedding(matrix, geo.Vocabulary([f"Ġw{number}" for number in range(COUNT)]), "rows")


def metric(rank: int = WIDTH, scale: float = 1.0) -> torch.Tensor:
    root = torch.randn(rank, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return scale * root.T @ root


def vectors(count: int = 5) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize("rank", [1, 3, WIDTH])
def test_it_is_the_algebra_of_the_metric(rank: int, scale: float) -> None:
    matrix = metric(rank, scale)
    space = geo.CausalSpace.with_metric(rows(), matrix)
    centred = rows().matrix.double() - rows().matrix.double().mean(dim=0)
    u, v = vectors().unbind()[:2]
    assert space.rank == rank
    torch.testing.assert_close(space.inner(u, v), u @ matrix @ v, rtol=1e-8, atol=1e-10 * scale)
    close: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-7 * scale**0.5}
    torch.testing.assert_close(space.whitener @ space.whitener, matrix, rtol=1e-7, atol=1e-9 * scale)
    torch.testing.assert_close(space.unify(rows().matrix), centred @ space.whitener, **close)
    torch.testing.assert_close(
        space.unified @ space.unified.T, centred @ matrix @ centred.T, rtol=1e-6, atol=1e-8 * scale
    )
    inverse = torch.linalg.pinv(matrix, hermitian=True)
    sigma = space.colourer @ space.colourer
    torch.testing.assert_close(sigma, inverse, rtol=1e-5, atol=1e-8 * float(inverse.abs().max()))
    between = space.whitener @ space.colourer
    torch.testing.assert_close(between, matrix @ inverse, rtol=0, atol=1e-6)


def test_the_square_root_is_that_of_scipy() -> None:
    space = geo.CausalSpace.with_metric(rows(), metric())
    np.testing.assert_allclose(space.whitener.numpy(), np.real(sqrtm(metric().numpy())), rtol=1e-8, atol=1e-10)
    assert torch.equal(space.whitener, space.whitener.T) or torch.allclose(space.whitener, space.whitener.T)


def test_scores_and_hidden_states_are_those_of_the_metric() -> None:
    space = geo.CausalSpace.with_metric(rows(), metric())
    torch.testing.assert_close(space.scores(vectors()), space.rows(range(COUNT)) @ vectors().T, rtol=1e-8, atol=1e-8)
    products = space.unify_hidden(vectors()) @ space.unified.T
    centred = rows().matrix.double() - rows().matrix.double().mean(dim=0)
    torch.testing.assert_close(products, vectors() @ centred.T, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_inverse_of_sigma_is_the_causal_space(dtype: torch.dtype) -> None:
    causal = geo.CausalSpace.fit(rows(), dtype=dtype)
    sigma = np.cov(rows().matrix.double().numpy().T, bias=True)
    space = geo.CausalSpace.with_metric(rows(), torch.from_numpy(np.linalg.inv(sigma)), dtype=dtype)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    for name in ("mean", "eigenvalues", "whitener", "colourer", "unified"):
        ours, theirs = getattr(space, name), getattr(causal, name)
        assert ours.dtype == dtype
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * float(theirs.abs().max()))
    assert (space.metric, causal.metric) == ("given", "causal")


def test_the_euclidean_metric_leaves_differences_as_they_are() -> None:
    space = geo.CausalSpace.with_metric(rows(), torch.eye(WIDTH), metric="euclidean")
    plain = rows().matrix.double()
    torch.testing.assert_close(space.unified, plain - plain.mean(dim=0))
    torch.testing.assert_close(space.inner(*vectors().unbind()[:2]), vectors()[0] @ vectors()[1])
    assert "euclidean metric" in repr(space)


def test_the_origin_is_the_mean_of_usable_rows_or_what_is_given() -> None:
    vocabulary = geo.Vocabulary(["<s>", *(f"Ġw{number}" for number in range(COUNT - 1))], special=[0])
    unembedding = geo.Unembedding(rows().matrix, vocabulary, "rows")
    space = geo.CausalSpace.with_metric(unembedding, torch.eye(WIDTH))
    torch.testing.assert_close(space.mean, rows().matrix[1:].double().mean(dim=0))
    torch.testing.assert_close(space.unified.mean(dim=0), torch.zeros(WIDTH, dtype=torch.float64), rtol=0, atol=1e-12)
    origin = vectors()[0]
    given = geo.CausalSpace.with_metric(unembedding, torch.eye(WIDTH), mean=origin)
    torch.testing.assert_close(given.rows([3])[0], rows().matrix[3].double() - origin)


def test_rounding_error_is_no_direction_and_no_refusal() -> None:
    flat = metric(3)
    noise = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    space = geo.CausalSpace.with_metric(rows(), flat + 1e-17 * float(flat.max()) * (noise + noise.T))
    assert space.rank == 3
    assert space.colourer.abs().max() < 1e3
    single = geo.CausalSpace.with_metric(rows(), flat.float())
    torch.testing.assert_close(single.whitener @ single.whitener, flat, rtol=1e-4, atol=1e-5 * float(flat.max()))


def test_claims_about_it_are_those_about_rows_that_were_transformed() -> None:
    """A space under M is that of the rows times M^(1/2), with the inner product of coordinates."""
    space = geo.CausalSpace.with_metric(rows(), metric())
    moved = geo.Unembedding((rows().matrix.double() @ space.whitener), rows().vocabulary, "moved")
    plain = geo.CausalSpace.with_metric(moved, torch.eye(WIDTH))
    torch.testing.assert_close(plain.unified, space.unified, rtol=1e-9, atol=1e-9)


INDEFINITE = torch.diag(torch.tensor([1.0, 1, 1, 1, 1, -1e-3]))
SKEW = torch.eye(WIDTH).index_put((torch.tensor(0), torch.tensor(1)), torch.tensor(0.1))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        pytest.param(torch.eye(WIDTH - 1), "is 6 x 6, not \\(5, 5\\)", id="too small"),
        pytest.param(torch.ones(WIDTH), "is 6 x 6, not \\(6,\\)", id="a vector"),
        pytest.param(torch.ones(1, WIDTH, WIDTH), "is 6 x 6, not \\(1, 6, 6\\)", id="several"),
        pytest.param(torch.full((WIDTH, WIDTH), float("nan")), "'given' is not finite", id="NaN"),
        pytest.param(float("inf") * torch.ones(WIDTH, WIDTH), "'given' is not finite", id="infinite"),
        pytest.param(SKEW, "'given' is not symmetric", id="not symmetric"),
        pytest.param(torch.zeros(WIDTH, WIDTH), "is zero or has a negative eigenvalue", id="zero"),
        pytest.param(-torch.eye(WIDTH), "is zero or has a negative eigenvalue", id="negative"),
        pytest.param(INDEFINITE, "is zero or has a negative eigenvalue", id="indefinite"),
    ],
)
def test_what_is_no_metric_is_refused(matrix: torch.Tensor, message: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=f"rows: .*{message}"):
        geo.CausalSpace.with_metric(rows(), matrix)


@pytest.mark.parametrize(
    "mean", [torch.zeros(1), torch.zeros(WIDTH + 1), torch.zeros(1, WIDTH), torch.full((WIDTH,), float("nan"))]
)
def test_an_origin_that_is_no_point_is_refused(mean: torch.Tensor) -> None:
    with pytest.raises(geo.errors.EstimationError, match="rows: mean must be 6 finite numbers"):
        geo.CausalSpace.with_metric(rows(), metric(), mean=mean)


def test_other_types_are_refused() -> None:
    with pytest.raises(geo.errors.EstimationError, match="float32 or float64"):
        geo.CausalSpace.with_metric(rows(), metric(), dtype=torch.float16)
    with pytest.raises(geo.errors.ArgumentError, match="matrix must be Tensor"):
        geo.CausalSpace.with_metric(rows(), metric().numpy())  # type: ignore[arg-type]
