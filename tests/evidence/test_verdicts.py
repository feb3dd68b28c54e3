"""Rules on results of known means; a verdict is always of the closed list."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geometry as geo
from geometry.evidence import VERDICTS, OrthogonalityRule, StructureRule, verdict_word
from tests.planted import result


def spread(mean: float, shape: tuple[int, ...] = (200,), seed: int = 0) -> np.ndarray:
    """Values around a mean that is exact."""
    values = np.random.default_rng(seed).normal(0, 0.05, shape)
    return values - values.mean(axis=-1, keepdims=True) + mean


def structure(
    model: float, p_adjusted: float, *, alternative: str = "greater", predicted: float = 1.0, **nulls: float
) -> geo.TestResult:
    drawn = {name: spread(mean, (3, 200), seed) for seed, (name, mean) in enumerate(nulls.items(), 1)}
    test = result(spread(model), drawn, alternative=alternative, predicted=predicted)
    object.__setattr__(test, "p_adjusted", p_adjusted)
    return test


NESTING = StructureRule(("random_subset",))


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (structure(0.9, 0.01, shuffled=0.0, random_subset=0.2), "supported"),
        (structure(0.5, 0.05, shuffled=0.0, random_subset=0.2), "supported"),
        (structure(0.49, 0.05, shuffled=0.0, random_subset=0.2), "significant, small effect"),
        (structure(0.6, 0.01, shuffled=0.3), "significant, small effect"),
        (structure(0.9, 0.01, shuffled=0.0, random_subset=0.9), "explained by nesting"),
        (structure(0.9, 0.01, shuffled=0.0, random_subset=0.95), "explained by nesting"),
        (structure(0.9, 0.06, shuffled=0.0, random_subset=0.2), "too few permutations to decide"),
        (structure(0.9, 0.06, shuffled=0.0, random_subset=0.95), "explained by nesting"),
        (structure(0.9, float("nan"), shuffled=0.0, random_subset=0.2), "too few permutations to decide"),
        (structure(0.0, 0.8, shuffled=0.1, random_subset=0.2), "not significant"),
        (structure(float("nan"), float("nan"), shuffled=0.0), "not measurable"),
    ],
)
def test_verdicts_on_structure_above_its_nulls(test: geo.TestResult, expected: str) -> None:
    assert NESTING(test) == expected


@pytest.mark.parametrize(
    ("model", "p", "expected"),
    [
        (0.1, 0.01, "supported"),
        (0.6, 0.01, "significant, small effect"),
        (0.1, 0.2, "too few permutations to decide"),
        (1, 1, "not significant"),
    ],
)
def test_verdicts_on_structure_below_its_nulls(model: float, p: float, expected: str) -> None:
    assert StructureRule()(structure(model, p, alternative="less", predicted=0.0, shuffled=0.9)) == expected


def test_every_explanation_must_be_exceeded() -> None:
    test = structure(0.9, 0.01, shuffled=0.0, random_subset=0.2, random_parent=0.9)
    assert NESTING(test) == "supported"
    assert StructureRule(("random_subset", "random_parent"))(test) == "explained by nesting"


def cosines(model: float, random_subset: float) -> geo.TestResult:
    """Signed cosines of these magnitudes, half of them negative."""
    signs = np.resize([1.0, -1.0], 200)
    own, other = np.abs(spread(model)) * signs, np.abs(spread(random_subset, (3, 200), 1)) * signs
    return result(own, {"random_subset": other}, alternative="less", predicted=0.0)


def orthogonality(
    published: geo.TestResult | None,
    halves: geo.TestResult,
    p_adjusted: float = 0.01,
    separation: geo.TestResult | None = None,
) -> geo.TestResult:
    related = {"published": published, "separation": separation}
    test = replace(halves.absolute(), related={name: part for name, part in related.items() if part is not None})
    object.__setattr__(test, "p_adjusted", p_adjusted)
    return test


NEAR = cosines(0.03, 0.2)
TOLD = structure(0.8, 0.01, random_subset=0.5)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (orthogonality(NEAR, NEAR, separation=TOLD), "supported"),
        (orthogonality(None, NEAR, separation=TOLD), "not measurable"),
        (orthogonality(NEAR, NEAR), "inconclusive"),
        (orthogonality(NEAR, NEAR, 0.06, TOLD), "inconclusive"),
        (orthogonality(NEAR, NEAR, float("nan"), TOLD), "inconclusive"),
        (orthogonality(NEAR, cosines(0.2, 0.2), separation=TOLD), "inconclusive"),
        (orthogonality(NEAR, NEAR, separation=structure(0.5, 1.0, random_subset=0.5)), "inconclusive"),
        (orthogonality(cosines(0.3, 0.9), NEAR, separation=TOLD), "contradicted"),
        (orthogonality(cosines(0.099, 0.9), NEAR, separation=TOLD), "contradicted"),
        (orthogonality(cosines(0.03, 0.03), NEAR, separation=TOLD), "explained by nesting"),
        (orthogonality(cosines(0.05, 0.01), NEAR, separation=TOLD), "explained by nesting"),
        (orthogonality(cosines(float("nan"), 0.2), NEAR, separation=TOLD), "not measurable"),
    ],
)
def test_verdicts_on_orthogonality(test: geo.TestResult, expected: str) -> None:
    assert OrthogonalityRule()(test) == expected


def test_the_bound_is_the_rules_own() -> None:
    assert OrthogonalityRule(bound=0.03)(orthogonality(NEAR, NEAR, separation=TOLD)) == "contradicted"


@given(
    st.floats(-1, 2),
    st.floats(0, 1),
    st.floats(-1, 2),
    st.floats(-1, 2),
    st.sampled_from(["greater", "less"]),
)
def test_verdicts_are_of_the_closed_list_and_never_against_their_numbers(
    model: float, p: float, shuffled: float, subset: float, alternative: str
) -> None:
    test = structure(model, p, alternative=alternative, predicted=1.0, shuffled=shuffled, random_subset=subset)
    verdict = NESTING(test)
    assert verdict_word(verdict) in VERDICTS
    if verdict in ("supported", "significant, small effect"):
        assert p <= 0.05
        assert test.beyond("random_subset")
    if verdict == "explained by nesting":
        assert not test.beyond("random_subset")
