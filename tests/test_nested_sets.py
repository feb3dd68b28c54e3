"""Fits of large sets from shared sums, against each set by itself."""

import numpy as np
import pytest
import torch

from geometry import nested_sets
from geometry.estimators import concept_vector
from geometry.nested_sets import fit_nested
from geometry.symmetric import lower_gram, lower_scatter, mirrored

RANGES = {
    "a tree": [(0, 400), (0, 150), (150, 390), (20, 90), (90, 140), (160, 250)],
    "a chain": [(0, 400), (10, 400), (20, 400)],
    "sets that overlap": [(0, 200), (100, 300), (0, 300), (150, 400)],
    "the same set twice": [(0, 100), (0, 100), (0, 300)],
    "sets apart": [(0, 100), (100, 200)],
}


@pytest.mark.parametrize("sets", RANGES.values(), ids=RANGES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_each_set_is_fitted_as_alone(
    sets: list[tuple[int, int]], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nested_sets, "_BLOCK", 64)
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.standard_normal((400, 30)) * np.linspace(0.3, 2, 30) + 0.5).to(dtype)
    order = rng.permutation(400)
    members = {7 * key: np.sort(order[first:last]) for key, (first, last) in enumerate(sets)}
    fits = fit_nested(points, members)
    assert fits.keys() == members.keys()
    for key, own in members.items():
        alone = concept_vector(points[torch.from_numpy(own)].double())
        error = (fits[key].vector.double() - alone.vector).norm() / alone.vector.norm()
        assert error < (1e-10 if dtype == torch.float64 else 1e-5)
        assert fits[key].shrinkage == pytest.approx(alone.shrinkage, rel=1e-9 if dtype == torch.float64 else 1e-4)


def test_a_point_is_multiplied_once_in_a_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    multiplied: list[int] = []

    def counted(rows: torch.Tensor) -> torch.Tensor:
        multiplied.append(len(rows))
        return lower_scatter(rows)

    monkeypatch.setattr(nested_sets, "lower_scatter", counted)
    points = torch.from_numpy(np.random.default_rng(0).standard_normal((400, 9)))
    fit_nested(points, {key: np.arange(*ends) for key, ends in enumerate(RANGES["a tree"])})
    assert sum(multiplied) == 400


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 3), (5, 2), (2, 5), (64, 33)])
def test_symmetric_products_are_products(shape: tuple[int, int], dtype: type) -> None:
    rows = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for given in (rows, np.asfortranarray(rows), rows[::-1]):
        scatter = mirrored(lower_scatter(torch.from_numpy(given.copy())))
        np.testing.assert_allclose(scatter.numpy(), given.T @ given, atol=tolerance)
        np.testing.assert_allclose(np.tril(lower_gram(given)), np.tril(given @ given.T), atol=tolerance)
    strided = torch.from_numpy(np.repeat(rows, 2, axis=1))[:, ::2]
    np.testing.assert_allclose(mirrored(lower_scatter(strided)).numpy(), rows.T @ rows, atol=tolerance)
