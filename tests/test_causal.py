import numpy as np
import pytest
import torch

import geometry as geo


def unembedding(matrix: np.ndarray, tokens: int | None = None) -> geo.Unembedding:
    names = [f"Ġ{i}" for i in range(tokens or len(matrix))]
    return geo.Unembedding(torch.from_numpy(matrix), geo.Vocabulary(names), "test")


MATRIX = np.random.default_rng(1).standard_normal((500, 12)) @ np.diag(np.linspace(0.1, 4, 12)) + 3


def test_agrees_with_numpys_covariance() -> None:
    space = geo.CausalSpace.fit(unembedding(MATRIX))
    covariance = np.cov(MATRIX.T, bias=True)
    np.testing.assert_allclose(space.mean.numpy(), MATRIX.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose((space.colourer @ space.colourer).numpy(), covariance, atol=1e-10)
    np.testing.assert_allclose((space.whitener @ space.colourer).numpy(), np.eye(12), atol=1e-10)
    assert space.rank == space.width == 12


def test_the_unified_space_is_white() -> None:
    space = geo.CausalSpace.fit(unembedding(MATRIX))
    rows = space.rows(np.arange(500)).numpy()
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.eye(12), atol=1e-10)


@pytest.mark.parametrize("shape", [(12,), (3, 12), (2, 3, 12), (0, 12)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_hidden_states_are_unified_with_the_root_of_the_covariance(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    space = geo.CausalSpace.fit(unembedding(MATRIX))
    hidden = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    unified = space.unify_hidden(hidden)
    values, vectors = np.linalg.eigh(np.cov(MATRIX.T, bias=True))
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    np.testing.assert_allclose(unified.numpy(), hidden.double().numpy() @ root, atol=1e-10)
    assert (unified.shape, unified.dtype) == (shape, torch.float64)
    # ⟨l(x), g(y)⟩ are the logits, but for a constant.
    logits = hidden.double() @ (torch.from_numpy(MATRIX) - space.mean).T
    torch.testing.assert_close(unified @ space.unified.T, logits, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("wrong", [torch.ones(11), torch.ones(12, 3), torch.tensor(1.0), np.ones(12), None, "x"])
def test_hidden_states_of_another_width_are_refused(wrong: object) -> None:
    space = geo.CausalSpace.fit(unembedding(MATRIX))
    with pytest.raises(geo.errors.EstimationError, match=r"hidden must be a tensor whose last axis is of length 12"):
        space.unify_hidden(wrong)


def test_inner_product_and_scores_by_hand() -> None:
    space = geo.CausalSpace.fit(unembedding(MATRIX))
    u, v = torch.randn(2, 12, dtype=torch.float64)
    expected = u.numpy() @ np.linalg.solve(np.cov(MATRIX.T, bias=True), v.numpy())
    assert float(space.inner(u, v)) == pytest.approx(expected)
    direct = space.rows(np.arange(500)) @ torch.stack([u, v]).T
    torch.testing.assert_close(space.scores(torch.stack([u, v])), direct)


def test_a_rank_deficient_covariance_is_pseudo_inverted() -> None:
    flat = MATRIX.copy()
    flat[:, 5] = flat[:, 0] + flat[:, 1]
    flat[:, 7] = 2.0
    space = geo.CausalSpace.fit(unembedding(flat))
    assert space.rank == 10
    covariance = np.cov(flat.T, bias=True)
    np.testing.assert_allclose(
        (space.whitener @ space.whitener).numpy(), np.linalg.pinv(covariance, rcond=1e-12), atol=1e-8
    )
    rows = space.rows(np.arange(500)).numpy()
    assert np.linalg.matrix_rank(np.cov(rows.T), tol=1e-6) == 10
    # Concept vectors exist there too, and agree with the d × d solve.
    chosen = torch.from_numpy(rows[:40])
    from tests.test_estimators import assert_agrees

    assert_agrees(chosen.numpy())


def test_unusable_rows_do_not_count() -> None:
    padded = np.concatenate([MATRIX, np.full((50, 12), 99.0)])
    with_padding = geo.CausalSpace.fit(unembedding(padded, tokens=500))
    torch.testing.assert_close(with_padding.whitener, geo.CausalSpace.fit(unembedding(MATRIX)).whitener)


def test_single_precision_on_request() -> None:
    space = geo.CausalSpace.fit(unembedding(MATRIX), dtype=torch.float32)
    assert space.whitener.dtype == torch.float32
    double = geo.CausalSpace.fit(unembedding(MATRIX))
    assert torch.linalg.matrix_norm(space.whitener - double.whitener) < 1e-3


def test_too_few_or_equal_rows_are_refused() -> None:
    with pytest.raises(geo.errors.EstimationError, match="at least 2"):
        geo.CausalSpace.fit(unembedding(MATRIX[:1]))
    for value in (1.0, 0.1):
        with pytest.raises(geo.errors.EstimationError, match="equal"):
            geo.CausalSpace.fit(unembedding(np.full((200, 3), value)))


def test_numbers_that_overflow_are_refused() -> None:
    with pytest.raises(geo.errors.EstimationError, match="overflows"):
        geo.CausalSpace.fit(unembedding(MATRIX * 1e200))
    with pytest.raises(geo.errors.EstimationError, match="float32 or float64"):
        geo.CausalSpace.fit(unembedding(MATRIX), dtype=torch.float16)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_only_matrices_are_unembeddings(shape: tuple[int, ...]) -> None:
    with pytest.raises(geo.errors.ModelError, match="V x d"):
        geo.Unembedding(torch.zeros(shape), geo.Vocabulary(["Ġa"]))
