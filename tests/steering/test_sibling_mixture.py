"""Shares of siblings at the output layer, on small softmaxes whose shares are computed and solved for independently."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import softmax

import geometry as geo
from geometry.errors import SteeringError
from geometry.steering import MixtureSteps, SteeringVector, mixture_step

Array = NDArray[np.float64]
TOKENS, WIDTH, STATES = 40, 6, 5
GENERATOR = torch.Generator().manual_seed(0)
SMALL = geo.Unembedding(
    torch.randn((TOKENS, WIDTH), generator=GENERATOR, dtype=torch.float64),
    geo.Vocabulary([f" w{i}" for i in range(TOKENS)]),
)
GAMMA = SMALL.matrix.numpy()
HIDDEN = np.random.default_rng(1).standard_normal((STATES, WIDTH))
WORDS = {
    "bird": np.arange(5),
    "mammal": np.arange(4, 11),
    "fish": np.arange(11, 15),
}  # 4 is of both, and counts for none
OWN = {"bird": np.arange(4), "mammal": np.arange(5, 11), "fish": np.arange(11, 15)}
VECTORS = {
    name: SteeringVector({"after_norm": torch.from_numpy(GAMMA[ids].mean(axis=0) - GAMMA.mean(axis=0))}, name)
    for name, ids in OWN.items()
}
ASKED = {"bird": 2.0, "mammal": 1.0, "fish": 1.0}


def masses(states: Array, names: tuple[str, ...] = tuple(OWN)) -> Array:
    """P(sibling) by the whole softmax, shape (n, k)."""
    law = softmax(states @ GAMMA.T, axis=1)
    return np.stack([law[:, OWN[name]].sum(axis=1) for name in names], axis=1)


def steps(**options: Any) -> MixtureSteps:
    return mixture_step(SMALL, HIDDEN, WORDS, ASKED, VECTORS, **options)


def test_shares_are_met_and_the_siblings_keep_their_probability() -> None:
    found = steps()
    assert found.reached.all()
    after = masses(HIDDEN + found.shift)
    shares = after / after.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, np.tile([0.5, 0.25, 0.25], (STATES, 1)), atol=1e-4)
    np.testing.assert_allclose(after.sum(axis=1), masses(HIDDEN).sum(axis=1), rtol=1e-3)
    np.testing.assert_allclose(found.shares, shares, atol=1e-12)
    np.testing.assert_allclose(found.total_unsteered, masses(HIDDEN).sum(axis=1), rtol=1e-9)
    before, law = (softmax(states @ GAMMA.T, axis=1) for states in (HIDDEN, HIDDEN + found.shift))
    np.testing.assert_allclose(found.kl, (law * np.log(law / before)).sum(axis=1), rtol=1e-9)


def test_the_coefficients_are_those_of_a_root_finder() -> None:
    found, beta = steps(), np.stack([vector["after_norm"].double().numpy() for vector in VECTORS.values()])
    for index, state in enumerate(HIDDEN):
        total = masses(state[None]).sum()

        def miss(number: Array, state: Array = state, total: float = total) -> Array:
            return np.log(masses((state + number @ beta)[None])[0] / (total * np.array([0.5, 0.25, 0.25])))

        root: Any = optimize.root(miss, np.zeros(3), tol=1e-12)
        assert root.success
        np.testing.assert_allclose(found.shift[index], root.x @ beta, atol=2e-3)


def test_a_total_that_is_asked_for_is_met_and_one_left_open_takes_k_minus_1_numbers() -> None:
    np.testing.assert_allclose(masses(HIDDEN + steps(total=0.8).shift).sum(axis=1), 0.8, atol=1e-4)
    found = steps(total=None)
    assert found.reached.all()
    beta = np.stack([vector["after_norm"].double().numpy() for vector in VECTORS.values()])
    differences = beta - beta.mean(axis=0)
    assert np.linalg.matrix_rank(differences) == 2
    left = found.shift - found.shift @ np.linalg.pinv(differences) @ differences
    np.testing.assert_allclose(left, 0, atol=1e-9)


def test_one_vector_is_the_best_for_all_states_together_and_measured_on_others() -> None:
    found = steps(one_vector=True, total=None)
    beta = np.stack([vector["after_norm"].double().numpy() for vector in VECTORS.values()])
    differences = beta - beta.mean(axis=0)

    def loss(number: Array) -> float:
        mass = masses(HIDDEN + number @ differences)
        return float(-(np.log(mass / mass.sum(axis=1, keepdims=True)) @ [0.5, 0.25, 0.25]).mean())

    best: Any = optimize.minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
    own = -(np.log(found.shares) @ [0.5, 0.25, 0.25]).mean()
    assert own == pytest.approx(best.fun, abs=1e-6)
    assert own < loss(np.zeros(3)) - 0.01
    others = np.random.default_rng(2).standard_normal((7, WIDTH))
    vector = found.vector["after_norm"].double().numpy()
    after = masses(others + vector)
    np.testing.assert_allclose(found.on(others).shares, after / after.sum(axis=1, keepdims=True), atol=1e-5)
    assert "50% bird" in found.vector.provenance


def test_what_no_shift_reaches_is_said() -> None:
    same = {"bird": VECTORS["bird"], "mammal": VECTORS["bird"], "fish": VECTORS["bird"]}
    found = mixture_step(SMALL, HIDDEN, WORDS, {"bird": 0.01, "mammal": 0.01, "fish": 0.98}, same)
    assert not found.reached.any()
    assert (found.distance > 0.05).all()
    assert np.isfinite(found.shift).all()
    assert (found.distance <= found.distance_unsteered + 0.2).all()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"siblings": {"bird": np.arange(3)}}, "two siblings"),
        ({"weights": {"bird": 1.0, "mammal": 1.0}}, "weights must be of"),
        ({"weights": {"bird": 1.0, "mammal": 1.0, "fish": 0.0}}, "positive numbers"),
        ({"weights": {"bird": 1.0, "mammal": 1.0, "fish": float("nan")}}, "positive numbers"),
        ({"directions": {"bird": VECTORS["bird"]}}, "directions must be of"),
        ({"total": 1.0}, "total must be a probability"),
        ({"total": "all"}, "total"),
        ({"siblings": {**WORDS, "fish": np.arange(5)}}, "no word of its own"),
        ({"n_tokens": 0}, "n_tokens"),
        ({"hidden": np.zeros((2, WIDTH + 1))}, "hidden must have shape"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_refusals(changed: dict[str, Any], says: str) -> None:
    given = {"space": SMALL, "hidden": HIDDEN, "siblings": WORDS, "weights": ASKED, "directions": VECTORS} | changed
    with pytest.raises((SteeringError, geo.GeometryError), match=says):
        mixture_step(**given)


def test_every_state_of_its_own_has_no_vector() -> None:
    with pytest.raises(SteeringError, match="one_vector=True"):
        _ = steps().vector
    with pytest.raises(SteeringError, match="one_vector=True"):
        steps().on(HIDDEN)
