"""Pruned vectors: projections and sums by hand, and what they refuse."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.anatomy import components, prune, without_shared
from geometry.anatomy.pruning import prunings
from geometry.errors import EstimationError, SteeringError


def vector(*numbers: float, site: str = "output.2") -> geo.SteeringVector:
    return geo.SteeringVector({geo.Site.parse(site): torch.tensor(numbers, dtype=torch.float32)}, "mine", "llama")


def rows(pruned: geo.SteeringVector) -> Any:
    (part,) = pruned.parts.values()
    return part.numpy()


def test_on_the_first_singular_directions_it_is_the_projection() -> None:
    differences = np.array([[4.0, 0, 0], [4, 2, 0], [4, -2, 0], [4, 0, 1], [4, 0, -1]])
    found = components(differences, n_random=19)
    np.testing.assert_allclose(rows(prune(vector(3, 2, 1), found, 1)), [3, 0, 0], atol=1e-6)
    two = prune(vector(3, 2, 1, site="output.2.relative"), found, 2)
    np.testing.assert_allclose(rows(two), [3, 2, 0], atol=1e-6)
    assert str(two.sites[0]) == "output.2.relative"
    assert two.model == "llama"
    assert two.provenance == "(mine) pruned to 2 of 3 singular directions of 5 pairs"


def test_of_atoms_the_strongest_are_kept_with_coefficients_of_at_least_zero() -> None:
    atoms = np.array([[0.0, 2, 0, 0], [5, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 3]])
    v = vector(3, 2, 1, 0)
    found = prunings(v, atoms, [1, 2, 3, 4], called="concepts")
    np.testing.assert_allclose(rows(found[1]), [3, 0, 0, 0], atol=1e-6)
    # The third points the other way and the fourth nowhere along it: nothing is gained by them.
    for k in (2, 3, 4):
        np.testing.assert_allclose(rows(found[k]), [3, 2, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(rows(prune(v, atoms, 2)), rows(found[2]))


def test_atoms_with_coefficients_are_summed_by_the_norm_of_their_terms() -> None:
    atoms = np.array([[1.0, 0, 0], [0, 10, 0], [0, 0, 1]])
    kept = prune(vector(1, 1, 1), atoms, 2, coefficients=[2.0, -0.1, -3.0], called="features")
    np.testing.assert_allclose(rows(kept), [2, 0, -3], atol=1e-6)


def test_of_one_noisy_pair_the_singular_direction_of_many_keeps_the_signal() -> None:
    rng = np.random.default_rng(0)
    axis = np.linalg.qr(rng.standard_normal((80, 1)))[0][:, 0]
    differences = 6 * axis + rng.standard_normal((12, 80))
    whole = geo.SteeringVector({geo.Site("output", 1): torch.from_numpy(differences[0])})
    pruned = rows(prune(whole, components(differences, n_random=19), 1))

    def cosine(row: Any) -> float:
        return float(row @ axis / np.linalg.norm(row))

    assert cosine(pruned) > 0.85 > cosine(differences[0])


def test_what_classes_share_is_taken_away() -> None:
    classes = {"a": vector(5, 1, 0), "b": vector(5, 0, 1), "c": vector(5, -1, -1)}
    less = without_shared(classes)
    np.testing.assert_allclose([rows(each) for each in less.values()], [[0, 1, 0], [0, 0, 1], [0, -1, -1]], atol=1e-6)
    np.testing.assert_allclose(sum(rows(each) for each in less.values()), 0, atol=1e-6)
    uneven = {"a": vector(1, 1, 0), "b": vector(1, 0, 1), "c": vector(10, 0, 0)}
    mean = np.array([4, 1 / 3, 1 / 3])
    for each in without_shared({**uneven, "c": vector(10, 0, 0.5)}, "projection").values():
        assert rows(each) @ np.array([4, 1 / 3, 0.5]) == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(rows(without_shared(uneven)["b"]), np.array([1, 0, 1]) - mean, atol=1e-6)


def test_refusals() -> None:
    atoms, v = np.eye(3), vector(1, 2, 3)
    for given, says in [
        ((v, atoms, 4), "there are 3 atoms; keep 1 to 3"),
        ((v, atoms, 0), "keep 1 to 3"),
        ((v, np.eye(4), 1), "3 wide, the atoms have shape"),
        ((v, -atoms, 1), "none of the atoms points along mine"),
        ((v, np.array([[1.0, 0, 0], [0, 0, 0]]), 1), "zero vectors"),
        ((v, np.full((2, 3), np.nan), 1), "NaN"),
    ]:
        with pytest.raises(EstimationError, match=says):
            prune(*given)
    with pytest.raises(EstimationError, match="3 atoms need as many"):
        prune(v, atoms, 1, coefficients=[1.0])
    with pytest.raises(SteeringError, match="zero vector"):
        prune(vector(0, 0, 0), atoms, 1)
    with pytest.raises(SteeringError, match="several parts or rows"):
        prune(geo.SteeringVector({geo.Site("output", 1): torch.ones(2, 3)}), atoms, 1)
    with pytest.raises(SteeringError, match="3 vectors at least"):
        without_shared({"a": v, "b": v})
    with pytest.raises(SteeringError, match="take one site"):
        without_shared({"a": v, "b": v, "c": vector(1, 2, 3, site="output.1")})
    with pytest.raises(SteeringError, match="share nothing"):
        without_shared({"a": vector(1, 0), "b": vector(-2, 0), "c": vector(1, 0)})
