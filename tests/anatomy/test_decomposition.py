"""Decompositions of planted sums: the atoms, their coefficients, and the noise left as noise."""

import numpy as np
import pytest

from geometry.anatomy import decompose
from geometry.errors import EstimationError

WIDTH, ATOMS = 120, 60
RNG = np.random.default_rng(1234)
DICTIONARY = RNG.standard_normal((ATOMS, WIDTH)) * RNG.uniform(0.5, 2.0, (ATOMS, 1))
NAMES = [f"concept {number}" for number in range(ATOMS)]
PLANTED = {3: 2.0, 17: 1.0, 20: 1.5, 41: 0.8, 59: 1.2}


def planted(noise: float, seed: int = 1) -> np.ndarray:
    signal = sum(weight * DICTIONARY[index] / np.linalg.norm(DICTIONARY[index]) for index, weight in PLANTED.items())
    rest = np.random.default_rng(seed).standard_normal(WIDTH)
    return signal + rest * noise * np.linalg.norm(signal) / np.linalg.norm(rest)


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.5])
def test_five_planted_concepts_are_recovered_to_the_level_of_the_noise(noise: float) -> None:
    found = decompose(planted(noise), DICTIONARY, NAMES)
    assert set(found.names) == {NAMES[index] for index in PLANTED}
    share = noise**2 / (1 + noise**2)
    assert found.residual_share == pytest.approx(share, abs=0.06)
    weights = dict(zip(found.names, found.coefficients, strict=True))
    for index, weight in PLANTED.items():
        length = np.linalg.norm(DICTIONARY[index])
        deviation = noise * np.linalg.norm(planted(0.0)) / np.sqrt(WIDTH)  # of a coefficient, if atoms were orthogonal
        assert weights[NAMES[index]] == pytest.approx(weight / length, abs=(4 * deviation + 1e-9) / length)
    rebuilt = sum(weights[NAMES[index]] * DICTIONARY[index] for index in PLANTED)
    np.testing.assert_allclose(rebuilt + found.residual, planted(noise), atol=1e-9)
    assert found.gains.sum() == pytest.approx(1 - found.residual_share, abs=1e-9)
    assert found.random_share.mean() > found.residual_share + 0.3


def test_of_noise_nearly_nothing_is_found() -> None:
    counts = [len(decompose(np.random.default_rng(seed).standard_normal(WIDTH), DICTIONARY, NAMES, seed=seed).names)
              for seed in range(40)]  # fmt: skip
    assert np.mean([count > 0 for count in counts]) <= 0.15  # 5% is the aim


def test_of_vectors_that_a_map_brought_near_an_atom_nothing_is_found_beside_others_through_the_map() -> None:
    rng = np.random.default_rng(3)
    stretched = np.eye(WIDTH) + 3 * np.outer(DICTIONARY[0], DICTIONARY[0]) / (DICTIONARY[0] @ DICTIONARY[0])
    vectors = rng.standard_normal((40, WIDTH)) @ stretched
    isotropic, mapped = [], []
    for seed, vector in enumerate(vectors):
        null = rng.standard_normal((99, WIDTH)) @ stretched
        isotropic.append(len(decompose(vector, DICTIONARY, NAMES, seed=seed).names) > 0)
        found = decompose(vector, DICTIONARY, NAMES, null=null)
        mapped.append(len(found.names) > 0)
        assert found.random_share.shape == (99,)
    assert np.mean(isotropic) >= 0.2
    assert np.mean(mapped) <= 0.15  # 5% is the aim
    # What is there beyond the map is found: of the null only directions count.
    assert decompose(vectors[0] + 20 * DICTIONARY[5], DICTIONARY, NAMES, null=1e3 * null).names[0] == NAMES[5]


def test_coefficients_do_not_fall_below_zero_and_the_order_of_atoms_does_not_matter() -> None:
    vector = planted(0.3)
    found = decompose(-vector, np.concatenate([DICTIONARY, -DICTIONARY[[3]]]), [*NAMES, "minus 3"])
    assert (found.coefficients >= 0).all()
    assert "minus 3" in found.names
    order = np.random.default_rng(5).permutation(ATOMS)
    again = decompose(vector, DICTIONARY[order], [NAMES[index] for index in order])
    assert set(again.names) == set(decompose(vector, DICTIONARY, NAMES).names)


def test_nested_atoms_are_not_taken_twice() -> None:
    parent = DICTIONARY[0]
    child = parent + 0.5 * DICTIONARY[1]
    found = decompose(child, np.stack([parent, child, DICTIONARY[2]]), ["parent", "child", "other"])
    assert found.names == ("child",)
    assert found.residual_share < 1e-9
    assert found.stopped == "no atom points along what is left"


def test_refusals() -> None:
    for changed, says in [
        ({"vector": np.zeros(WIDTH)}, "zero vector"),
        ({"vector": np.ones(3)}, "atoms"),
        ({"vector": np.full(WIDTH, np.nan)}, "NaN"),
        ({"names": NAMES[:3]}, "as many names"),
        ({"n_random": 5}, "n_random"),
        ({"most": 0}, "most"),
        ({"null": np.ones((5, WIDTH))}, "n_random enough to reach it"),
        ({"null": np.ones((30, 3))}, "null is finite rows"),
        ({"null": np.full((30, WIDTH), np.inf)}, "null is finite rows"),
        ({"atoms": np.zeros((ATOMS, WIDTH))}, "zero atom"),
    ]:
        with pytest.raises(EstimationError, match=says):
            decompose(**({"vector": planted(0.1), "atoms": DICTIONARY, "names": NAMES} | changed))
