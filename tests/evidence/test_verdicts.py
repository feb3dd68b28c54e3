"""Rules on results of known means; a verdict is always of the closed list, and never against its own numbers."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geometry as geo
from geometry.evidence import VERDICTS, OrthogonalityResult, OrthogonalityRule, StructureRule, verdict_word
from geometry.evidence.orthogonality.debiased import Products
from geometry.evidence.orthogonality.pooled import PooledCosine
from geometry.results import NullValues
from tests.evidence.orthogonality.cosines import about, judged, results
from tests.planted import result

FIRM = {"contradicted", "orthogonal within 0.15", "near-orthogonal: deviates, within 0.15"}


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
SIGNAL = StructureRule(("random_subset",), strength=True)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (structure(0.9, 0.01, permuted=0.0, random_subset=0.2), "supported"),
        (structure(0.5, 0.05, permuted=0.0, random_subset=0.2), "supported"),
        (structure(0.49, 0.05, permuted=0.0, random_subset=0.2), "significant, small effect"),
        (structure(0.6, 0.01, permuted=0.3), "significant, small effect"),
        (structure(0.9, 0.01, permuted=0.0, random_subset=0.9), "explained by nesting"),
        (structure(0.9, 0.01, permuted=0.0, random_subset=0.95), "contradicted"),
        (structure(0.9, 0.06, permuted=0.0, random_subset=0.2), "too few permutations to decide"),
        (structure(0.9, 0.06, permuted=0.0, random_subset=0.9), "explained by nesting"),
        (structure(0.9, 0.01, permuted=0.0, random_subset=float("nan")), "inconclusive"),
        (structure(0.0, 0.8, permuted=0.1, random_subset=0.2), "not significant"),
        (structure(float("nan"), float("nan"), permuted=0.0), "not measurable"),
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
    assert StructureRule()(structure(model, p, alternative="less", predicted=0.0, permuted=0.9)) == expected


def test_every_explanation_must_be_exceeded() -> None:
    test = structure(0.9, 0.01, permuted=0.0, random_subset=0.2, random_parent=0.9)
    assert NESTING(test) == "supported"
    assert StructureRule(("random_subset", "random_parent"))(test) == "explained by nesting"


def test_shapes_are_small_beside_the_exact_twin_and_signals_by_their_share() -> None:
    test = structure(0.4, 0.01, permuted=0.0, random_subset=0.2)
    assert NESTING(test) == "significant, small effect"
    weak = replace(test, twin={"exact": np.full(5, 0.5)})
    assert NESTING(weak) == "supported"
    assert SIGNAL(replace(weak, share=0.05)) == "significant, small effect"
    assert SIGNAL(replace(test, share=0.06)) == "supported"
    assert SIGNAL(test) == "significant, small effect"


def test_what_the_theory_would_not_show_either_is_no_evidence_against_it() -> None:
    unsure = replace(
        structure(0.0, 0.8, random_subset=0.2), reference="permuted", nulls={"permuted": spread(0.1, (39, 200))}
    )
    assert NESTING(replace(unsure, twin={"exact": np.array([0.1, 0.05, 0.0, 0.1, 9.0])})) == "inconclusive"
    assert NESTING(replace(unsure, twin={"exact": np.full(5, 9.0)})) == "not significant"
    nested = structure(0.9, 0.01, permuted=0.0, random_subset=0.95)
    assert NESTING(replace(nested, twin={"exact": np.full(5, 0.95)})) == "inconclusive"
    assert NESTING(replace(nested, twin={"exact": np.full(5, 1.0)})) == "contradicted"


def exact(n: int = 5, mean: float = 0.0) -> list[PooledCosine]:
    return [about(mean, 0.004, seed=10 + number) for number in range(n)]


def tilted(mean: float = 0.09) -> list[PooledCosine]:
    return [about(mean, 0.004, seed=20 + number) for number in range(5)]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (judged(about(0.001, 0.004), exact(), tilted()), "orthogonal within 0.15"),
        (judged(about(0.012, 0.004), exact(), tilted()), "near-orthogonal: deviates, within 0.15"),
        (judged(about(0.09, 0.004), exact(), tilted()), "contradicted"),
        (judged(about(0.15**2, 0.004), exact(), tilted()), "contradicted"),
        (judged(about(0.02, 0.07), exact(), tilted()), "inconclusive"),
        # Exact twins are as far from 0: not within the bound, and no deviation.
        (judged(about(0.09, 0.004), exact(mean=0.09), tilted(0.18)), "inconclusive"),
        (judged(about(0.09, 0.004), exact(mean=0.09), tilted(0.18), calibrated=True), "orthogonal within 0.15"),
        (judged(about(0.10, 0.004), exact(mean=0.09), tilted(0.18), calibrated=True), FIRM - {"contradicted"}),
        (judged(about(0.15, 0.004), exact(mean=0.09), tilted(0.18), calibrated=True), "contradicted"),
        # A tilt would go unseen.
        (judged(about(0.001, 0.004), exact(), tilted(0.0)), "inconclusive"),
        (judged(about(0.09, 0.004), exact(), tilted(0.0)), "inconclusive"),
        (judged(about(0.001, 0.004), [], []), "inconclusive"),
        (judged(about(0.001, 0.004, families=7), exact(), tilted()), "not measurable"),
        (judged(about(np.nan, 0.004), exact(), tilted()), "not measurable"),
        (result(np.ones(3)), "not measurable"),
    ],
)
def test_verdicts_on_orthogonality(test: geo.TestResult, expected: str | set[str]) -> None:
    verdict = OrthogonalityRule()(test)
    assert verdict_word(verdict) in ({expected} if isinstance(expected, str) else expected)


def test_undecided_verdicts_say_how_many_families_it_takes_where_more_would_help() -> None:
    assert judged(about(0.001, 0.004, families=7), exact(), tilted()).verdict == "not measurable (8 families needed)"
    assert judged(about(0.02, 0.07), exact(), tilted()).verdict == "inconclusive (97 families needed)"
    assert judged(about(0.001, 0.004), [], []).verdict == "inconclusive"


def test_as_many_families_as_are_said_to_show_a_tilt_do_so() -> None:
    def noisy(families: int, seed: int) -> OrthogonalityResult:
        twins = [
            [about(mean, 0.15, families=families, seed=seed + number) for number in range(5)] for mean in (0.0, 0.09)
        ]
        return judged(about(0.02, 0.15, families=families, seed=seed + 50), *twins)

    few = noisy(10, 0)
    assert few.power["tilted"] < 4
    assert 10 < few.families_needed < 100
    assert np.mean([noisy(few.families_needed, seed).power["tilted"] for seed in range(0, 1000, 100)]) >= 4


@settings(max_examples=150, deadline=None)
@given(results())
def test_verdicts_on_orthogonality_are_never_against_their_numbers(test: OrthogonalityResult) -> None:
    verdict, word = test.verdict, verdict_word(test.verdict)
    assert word in VERDICTS
    powered = bool(test.power) and test.power["tilted"] >= 0.8 * test.power["of"]
    if word in FIRM:
        assert test.cosine.n_families >= 8
        assert powered
        assert (test.smallest_bound < 0.15) == (word != "contradicted")
        assert (test.excess.interval[0] > 0) == (word != "orthogonal within 0.15")
        upper = test.excess.interval[1] if test.calibrated else test.cosine.squared_interval[1]
        assert (upper < 0.15**2) == (word != "contradicted")
    else:
        assert word in ("inconclusive", "not measurable")
    if (word == "not measurable") != (not test.measured or not test.cosine.measurable):
        pytest.fail(f"{verdict} of {test!r}")
    if word == "inconclusive" and powered:
        assert not test.within
        assert not test.deviates
    if test.cosine.measurable and not powered:
        assert word == "inconclusive"
    number = re.search(r"\((\d+) families needed\)", verdict)
    assert (number is None) == (word in FIRM or (word == "inconclusive" and not test.power))
    if number:
        assert int(number[1]) >= 8
        assert int(number[1]) > test.cosine.n_families


def stretched(one: PooledCosine, factor: float) -> PooledCosine:
    """The same cosine with a wider interval."""
    squared = one.products.squared
    return PooledCosine(
        Products(squared.mean() + factor * (squared - squared.mean()), one.products.lengths), one.family
    )


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 0.1), st.floats(0.03, 0.1), st.floats(0, 0.2), st.floats(1, 10), st.integers(0, 99), st.booleans())
def test_wider_intervals_never_decide_what_narrow_ones_left_open(
    mean: float, gap: float, noise: float, factor: float, seed: int, calibrated: bool
) -> None:
    own = about(mean, noise, seed=seed)
    theory = [about(0.0, noise, seed=100 + seed + number) for number in range(3)]
    leaning = [about(gap, noise, seed=200 + seed + number) for number in range(3)]
    wide = [[stretched(one, factor) for one in some] for some in (theory, leaning)]
    wider = judged(stretched(own, factor), *wide, calibrated=calibrated)
    narrow = judged(own, theory, leaning, calibrated=calibrated)
    assert wider.cosine.squared == pytest.approx(narrow.cosine.squared, abs=1e-12)
    assert wider.smallest_bound >= narrow.smallest_bound - 1e-9
    if verdict_word(narrow.verdict) == "inconclusive":
        assert verdict_word(wider.verdict) == "inconclusive"


@st.composite
def structures(draw: st.DrawFn) -> tuple[StructureRule, geo.TestResult]:
    """A result between nulls, aligned or not, clustered or not, with twins or without, and a rule for it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, permutations = draw(st.sampled_from([1, 2, 12, 40])), draw(st.sampled_from([3, 19, 99]))
    own = rng.standard_normal(n)

    def around(shared: bool, rows: int) -> np.ndarray:
        mean, noise = draw(st.floats(-1, 1)), draw(st.sampled_from([0.0, 0.1, 1.0]))
        return mean + shared * own + noise * rng.standard_normal((rows, n))

    nulls = {"permuted": NullValues(around(False, permutations), "permuted", aligned=draw(st.booleans()))}
    for name in ("random_subset", "random_parent"):
        values = around(draw(st.booleans()), 3)
        if draw(st.booleans()):
            values[:, rng.random(n) < draw(st.sampled_from([0.2, 1.0]))] = np.nan
        nulls[name] = NullValues(values, name, aligned=draw(st.booleans()))
    twins = draw(st.sampled_from([0, 5, 5]))
    test = result(
        own + draw(st.floats(-2, 2)),
        nulls,
        alternative=draw(st.sampled_from(["greater", "less"])),
        predicted=1.0,
        clusters=draw(st.sampled_from([None, rng.integers(4, size=n), np.zeros(n, dtype=np.int64)])),
        twin={"exact": draw(st.floats(-2, 2)) + 0.1 * rng.standard_normal(twins)} if twins else {},
        share=draw(st.sampled_from([np.nan, 0.0, 0.059, 0.06, 0.5])),
    )
    explained_by = draw(st.sampled_from([(), ("random_subset",), ("random_subset", "random_parent", "absent")]))
    rule = StructureRule(explained_by, strength=draw(st.booleans()))
    return rule, replace(test, rule=rule, p_adjusted=min(1.0, test.p_value * draw(st.sampled_from([1.0, 2.0, 14.0]))))


@settings(max_examples=300, deadline=None)
@given(structures())
def test_verdicts_on_structure_are_never_against_their_numbers(pair: tuple[StructureRule, geo.TestResult]) -> None:
    rule, test = pair
    assert test.verdict in VERDICTS
    explaining = [null for null in rule.explained_by if null in test.nulls]
    beyond = all(test.beyond(null) for null in explaining)
    ties = [null for null in explaining if not test.beyond(null) and not test.short_of(null)]
    powerless = bool(test.power) and test.power["exact"] < 0.8 * test.power["of"]
    found = test.p_adjusted <= 0.05
    small = test.share < 0.06 if rule.strength and np.isfinite(test.share) else not test.relative(test.value) >= 0.5
    if test.verdict in ("supported", "significant, small effect"):
        assert found
        assert beyond
        assert small == (test.verdict == "significant, small effect")
    elif test.verdict == "explained by nesting":
        intervals = [test.difference(null).interval for null in ties]
        assert any(low <= 0 <= high for low, high in intervals)
    elif test.verdict == "contradicted":
        sign = 1 if test.alternative == "greater" else -1
        assert any(sign * test.difference(null).value < 0 and test.short_of(null) for null in explaining)
        if test.twin:
            assert any(sign * (test.ends[1] - test.nulls[null].mean) > 0 for null in explaining)
    elif test.verdict == "too few permutations to decide":
        assert not found
        assert beyond
        assert test.p_value <= test.p_floor
    elif test.verdict == "not significant":
        assert not found
        assert not powerless
    else:
        assert test.verdict == "inconclusive"
        assert not beyond or (powerless and not found)
    if powerless and not found and test.p_value > test.p_floor:
        assert test.verdict == "inconclusive"


@settings(max_examples=100, deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(1, 20), st.sampled_from(["greater", "less"]))
def test_wider_intervals_never_make_more_of_structure(
    model: float, subset: float, factor: float, alternative: str
) -> None:
    values = np.random.default_rng(0).standard_normal(12)
    nulls = {"permuted": np.full((99, 12), -9.0 if alternative == "greater" else 9.0)}
    nulls["random_subset"] = np.full((3, 12), subset)
    verdicts = [
        NESTING(result(model + times * (values - values.mean()), nulls, alternative=alternative, predicted=1.0))
        for times in (0.1, 0.1 * factor)
    ]
    assert "not significant" not in verdicts
    if verdicts[0] == "explained by nesting":
        assert verdicts[1] == "explained by nesting"
    assert verdicts[1] in (verdicts[0], "explained by nesting")


def test_verdicts_with_numbers_belong_to_an_entry_of_the_list() -> None:
    for verdict in (*VERDICTS, "inconclusive (31 families needed)", "preferred shape: circle"):
        assert verdict_word(verdict) in VERDICTS
    assert verdict_word("near-orthogonal: deviates, within 0.15") == "near-orthogonal: deviates, within 0.15"
    tests = [structure(0.9, 0.01, permuted=0.0), judged(about(0.02, 0.07), exact(), tilted())]
    groups = geo.evidence.by_verdict([replace(tests[0], rule=NESTING), tests[1]])
    assert list(groups) == ["supported", "inconclusive"]
