"""Nouns in two roles: planted additive and non-additive worlds, and who is on whom."""

from typing import Any

import numpy as np
import pytest

from geometry.anatomy.role_binding import role_maps, two_way_shares
from geometry.errors import EstimationError

N, WIDTH = 8, 32


def world(kind: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pairs that are the sum of two maps of their nouns, of one map of both, of neither; and the nouns alone."""
    rng = np.random.default_rng(0)
    nouns = np.pad(rng.normal(size=(N, 4)), ((0, 0), (0, WIDTH - 4)))
    top, below = rng.normal(size=(2, WIDTH, WIDTH))
    first, second = nouns @ top, nouns @ (top if kind == "bag" else below)
    pairs = first[:, None] + second[None]
    if kind == "product":
        pairs = np.einsum("id,jd->ijd", first, second)
    if kind == "noise":
        pairs = rng.normal(size=(N, N, WIDTH))
    return pairs, nouns


def test_shares_are_those_of_the_two_way_model() -> None:
    pairs, _ = world("roles")
    found = two_way_shares(pairs, n_permutations=5)
    assert found.shares["interaction"] == pytest.approx(0, abs=1e-9)
    assert found.shares["first"] + found.shares["second"] == pytest.approx(1, abs=0.1)
    low, high = found.interval("first")
    assert low < found.shares["first"] < high
    # Each role of an unbalanced noise has about its degrees of freedom.
    assert found.permuted["first"] == pytest.approx((N - 1) / (N * (N - 1) - 1), abs=0.06)
    assert two_way_shares(world("noise")[0], n_permutations=2).shares["interaction"] > 0.6
    alone = np.broadcast_to(pairs[:, :1], pairs.shape) + 0.0
    shares = two_way_shares(alone, n_permutations=2).shares
    assert shares["first"] > 0.95
    assert shares["second"] == pytest.approx(0, abs=1e-9)


def test_the_diagonal_is_not_looked_at() -> None:
    pairs, nouns = world("roles")
    marred = pairs.copy()
    marred[np.arange(N), np.arange(N)] = np.nan
    assert two_way_shares(marred, n_permutations=1).shares == two_way_shares(pairs, n_permutations=1).shares
    assert role_maps(marred, nouns, n_permutations=1).r2("roles") == role_maps(pairs, nouns, n_permutations=1).r2(
        "roles"
    )


def test_maps_by_role_find_roles_and_the_bag_does_not() -> None:
    found = role_maps(*world("roles"), n_permutations=9)
    assert found.r2("roles") > 0.7
    assert found.r2("bag") < 0.6 < found.r2("roles")
    assert found.ordered.mean() > 0.95
    assert found.p_order == 0.1
    assert found.flipped.mean() == pytest.approx(0.5, abs=0.1)
    assert found.flipped.max() < 0.8
    assert found.permuted.max() < 0.1
    assert len(found.ordered) == N * (N - 1)
    low, high = found.interval("roles")
    assert low < found.r2("roles") < high


def test_a_world_without_roles_has_no_order() -> None:
    found = role_maps(*world("bag"), n_permutations=9)
    assert found.r2("bag") > 0.7
    # Both orders are one point, so that no one can tell.
    assert found.ordered.mean() == pytest.approx(0.5)


def test_neither_noise_nor_products_are_explained() -> None:
    for kind in ("noise", "product"):
        found = role_maps(*world(kind), n_permutations=3)
        assert found.r2("roles") < 0.3, kind


def test_a_prediction_is_a_multiple_of_each_noun_and_the_ridge_of_the_rest() -> None:
    pairs, nouns = world("roles")
    pairs = pairs + 0.3 * np.random.default_rng(1).normal(size=pairs.shape)
    found = role_maps(pairs, nouns, n_permutations=1)
    train = [(i, j) for i in range(2, N) for j in range(2, N) if i != j]
    y = np.array([pairs[i, j] for i, j in train])
    parts = [np.array([nouns[pair[role]] for pair in train]) for role in (0, 1)]
    centred = [part - part.mean(axis=0) for part in parts]
    outputs = y - y.mean(axis=0)
    shares = np.linalg.lstsq(np.stack([part.ravel() for part in centred], axis=1), outputs.ravel(), rcond=None)[0]
    rest = outputs - shares[0] * centred[0] - shares[1] * centred[1]
    rows = np.concatenate(centred, axis=1)
    ridge = 0.1 * (rows**2).sum() / len(rows)
    weights = np.linalg.solve(rows.T @ rows + ridge * np.eye(2 * WIDTH), rows.T @ rest)
    new = [nouns[k] - parts[k].mean(axis=0) for k in (0, 1)]
    guess = y.mean(axis=0) + shares[0] * new[0] + shares[1] * new[1] + np.concatenate(new) @ weights
    assert found.pairs[0].tolist() == [0, 1]
    assert found.errors["roles"][0] == pytest.approx(((pairs[0, 1] - guess) ** 2).sum())
    assert found.totals[0] == pytest.approx(((pairs[0, 1] - y.mean(axis=0)) ** 2).sum())


def test_refusals() -> None:
    pairs, nouns = world("roles")
    with pytest.raises(EstimationError, match="n of 5 or more"):
        two_way_shares(pairs[:4, :4])
    with pytest.raises(EstimationError, match="finite activations"):
        two_way_shares(np.full((6, 6, 3), np.nan))
    with pytest.raises(EstimationError, match="for each of 8 nouns"):
        role_maps(pairs, nouns[:5])
