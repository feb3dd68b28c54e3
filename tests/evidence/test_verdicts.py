import numpy as np
import pytest

import geometry as geo
from geometry.evidence.verdicts import verdict


def spread(mean: float, shape: tuple[int, ...] = (200,), seed: int = 0) -> np.ndarray:
    """Values around a mean that is exact."""
    values = np.random.default_rng(seed).normal(0, 0.05, shape)
    return values - values.mean(axis=-1, keepdims=True) + mean


def comparison(model: float, draws: int = 3, **nulls: float) -> geo.TestResult:
    drawn = {name: spread(mean, (draws, 200), seed) for seed, (name, mean) in enumerate(nulls.items(), 1)}
    return geo.TestResult("x", tuple(map(str, range(200))), spread(model), drawn)


@pytest.mark.parametrize(
    ("test", "q", "expected"),
    [
        (comparison(0.9, shuffled=0.0, random_subset=0.2), 0.01, "supported"),
        (comparison(0.5, shuffled=0.0, random_subset=0.2), 0.05, "supported"),
        (comparison(0.49, shuffled=0.0, random_subset=0.2), 0.05, "weak"),
        (comparison(0.6, shuffled=0.3), 0.01, "weak"),
        (comparison(0.9, shuffled=0.0, random_subset=0.9), 0.01, "by construction"),
        (comparison(0.9, shuffled=0.0, random_subset=0.95), 0.01, "by construction"),
        (comparison(0.9, shuffled=0.0, random_subset=0.2), 0.06, "beyond all draws"),
        (comparison(0.9, shuffled=0.0, random_subset=0.95), 0.06, "by construction"),
        (comparison(0.9, shuffled=0.0, random_subset=0.2), float("nan"), "beyond all draws"),
        (comparison(0.0, shuffled=0.1, random_subset=0.2), 0.8, "not found"),
        (comparison(float("nan"), shuffled=0.0), float("nan"), "not measured"),
    ],
)
def test_verdicts_on_structure_above_its_nulls(test: geo.TestResult, q: float, expected: str) -> None:
    assert verdict(test, "greater", q, predicted=1, explained_by=("random_subset",), attainable=1 / 4) == expected


@pytest.mark.parametrize(
    ("model", "q", "expected"),
    [(0.1, 0.01, "supported"), (0.6, 0.01, "weak"), (0.1, 0.2, "beyond all draws"), (1, 1, "not found")],
)
def test_verdicts_on_structure_below_its_nulls(model: float, q: float, expected: str) -> None:
    test = comparison(model, shuffled=0.9)
    assert verdict(test, "less", q, predicted=0, attainable=1 / 4) == expected


def test_every_explanation_must_be_exceeded() -> None:
    test = comparison(0.9, shuffled=0.0, random_subset=0.2, random_parent=0.9)
    assert verdict(test, "greater", 0.01, predicted=1, explained_by=("random_subset",), attainable=0.25) == "supported"
    both = ("random_subset", "random_parent")
    assert verdict(test, "greater", 0.01, predicted=1, explained_by=both, attainable=0.25) == "by construction"


def cosines(model: float, random_subset: float) -> geo.TestResult:
    """Signed cosines of these magnitudes, half of them negative."""
    signs = np.resize([1.0, -1.0], 200)
    own, other = np.abs(spread(model)) * signs, np.abs(spread(random_subset, (3, 200), 1)) * signs
    return geo.TestResult("cosine/whole", tuple(map(str, range(200))), own, {"random_subset": other})


NEAR = cosines(0.03, 0.2)
GOOD = {"halves": cosines(0.03, 0.2), "q_value": 0.01, "separation": comparison(0.8, random_subset=0.5)}


@pytest.mark.parametrize(
    ("test", "evidence", "expected"),
    [
        (NEAR, GOOD, "supported"),
        (NEAR, {}, "undecided"),
        (NEAR, {**GOOD, "halves": None}, "undecided"),
        (NEAR, {**GOOD, "separation": None}, "undecided"),
        (NEAR, {**GOOD, "q_value": 0.06}, "undecided"),
        (NEAR, {**GOOD, "q_value": float("nan")}, "undecided"),
        (NEAR, {**GOOD, "halves": cosines(0.2, 0.2)}, "undecided"),
        (NEAR, {**GOOD, "separation": comparison(0.5, random_subset=0.5)}, "undecided"),
        (NEAR, {**GOOD, "bound": 0.03}, "not orthogonal"),
        (cosines(0.3, 0.9), GOOD, "not orthogonal"),
        (cosines(0.099, 0.9), GOOD, "not orthogonal"),
        (cosines(0.03, 0.03), GOOD, "by construction"),
        (cosines(0.05, 0.01), GOOD, "by construction"),
        (cosines(float("nan"), 0.2), GOOD, "not measured"),
    ],
)
def test_verdicts_on_orthogonality(test: geo.TestResult, evidence: dict, expected: str) -> None:
    assert geo.evidence.orthogonality_verdict(test, **evidence) == expected
