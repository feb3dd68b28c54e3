"""The result of a claim of orthogonality on cosines that are made up."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from geometry.evidence import OrthogonalityResult, PooledCosine
from geometry.results import Results
from tests.evidence.orthogonality.cosines import about, cosine, judged, published


def twins(mean: float, spread: float = 0.004) -> list[PooledCosine]:
    return [about(mean, spread, seed=int(1000 * mean) + number) for number in range(5)]


@pytest.fixture
def test() -> OrthogonalityResult:
    own = about(0.04, 0.01, seed=1)
    fields = {"subject": "nouns", "title": "(b)", "related": {"published": published()}}
    result = judged(own, twins(0.01), twins(0.09), unrelated=about(0.0, 0.01, seed=2), **fields)
    by_means = replace(result, cosine=about(0.05, 0.01), by_estimator={})
    products = {"euclidean": about(0.03, 0.01, seed=1)}
    return replace(result, by_estimator={"mean": by_means}, products=products)


def test_the_value_is_the_cosine_and_each_label_a_family(test: OrthogonalityResult) -> None:
    assert test.value == pytest.approx(0.2)
    assert test.labels == tuple(f"family {number}" for number in range(20))
    own = test.cosine
    for number, value in enumerate(test.values):
        mean = own.products.squared[own.family == number].mean()
        assert value == pytest.approx(np.sign(mean) * np.sqrt(abs(mean)))
    assert (test.n, test.measured) == (60, True)
    assert test.ends == pytest.approx((0.3, 0.1))
    assert test.standing == pytest.approx((0.2 - 0.3) / (0.1 - 0.3))
    assert np.isnan([test.p_value, test.p_floor, test.p_adjusted]).all()


def test_the_excess_is_over_the_mean_of_exact_twins(test: OrthogonalityResult) -> None:
    assert test.excess.value == pytest.approx(0.03)
    low, high = test.excess.interval
    assert low < 0.03 < high
    assert test.deviates == (low > 0)


def test_the_bound_is_of_the_cosine_or_calibrated_of_its_excess(test: OrthogonalityResult) -> None:
    assert test.smallest_bound == pytest.approx(np.sqrt(test.cosine.squared_interval[1]))
    calibrated = replace(test, calibrated=True)
    assert calibrated.smallest_bound == pytest.approx(np.sqrt(test.excess.interval[1]))
    assert replace(calibrated, cosine=about(-0.2, 0.001)).smallest_bound == 0


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_bound_that_cannot_be_worked_out_does_not_hold(test: OrthogonalityResult) -> None:
    without = replace(test, exact=(), calibrated=True)
    assert np.isnan(without.smallest_bound)
    assert not without.within
    assert not without.deviates


def test_power_counts_the_twins_that_would_be_found(test: OrthogonalityResult) -> None:
    assert test.power == {"tilted": 5, "exact": 0, "of": 5}
    assert replace(test, tilted=test.exact).power["tilted"] <= 1
    odd = replace(test, exact=(*test.exact[:4], about(0.09, 0.004)))
    assert odd.power["exact"] == 1
    assert replace(test, exact=()).power == {}


def test_differences_are_of_squares_and_paired(test: OrthogonalityResult) -> None:
    assert test.compared == ("euclidean",)
    product = test.difference("euclidean")
    assert (product.value, *product.interval) == pytest.approx((0.01, 0.01, 0.01))
    unrelated = test.difference("unrelated")
    assert unrelated.value == pytest.approx(0.04)
    assert unrelated.interval[0] < 0.04 < unrelated.interval[1]


def test_unrelated_references_are_compared_where_there_are_any(test: OrthogonalityResult) -> None:
    squared = test.cosine.products.squared - 0.02
    squared[:3] = np.nan
    some = replace(test, unrelated=cosine(squared, test.cosine.family))
    difference = some.difference("unrelated")
    assert (difference.value, *difference.interval) == pytest.approx((0.02, 0.02, 0.02))


def test_what_is_written_is_debiased_and_published_side_by_side(test: OrthogonalityResult) -> None:
    entry = test.to_dict()
    debiased = entry["debiased"]
    assert (entry["claim"], entry["hierarchy"]) == ("orthogonality-b", "nouns")
    assert debiased["value"] == entry["value"] == test.value
    assert debiased["interval"] == entry["interval"] == list(test.interval)
    assert debiased["bound_that_holds"] == test.smallest_bound
    assert (debiased["bound"], debiased["families"], debiased["comparisons"]) == (0.15, 20, 60)
    assert debiased["unrelated"] == test.unrelated.value
    assert debiased["excess_of_squared"] == test.excess.value
    assert entry["published"] == {
        "value": published().value,
        "interval": list(published().interval),
        "n": 2,
        "nulls": {},
    }
    assert entry["twin"] == pytest.approx({"exact": 0.1, "tilted": 0.3}, abs=0.002)
    assert entry["standing"] == test.standing
    assert entry["power"] == test.power
    assert entry["differences"] == {"euclidean": test.difference("euclidean")._asdict()}
    assert debiased["by_estimator"]["mean"]["value"] == pytest.approx(np.sqrt(0.05))
    assert set(debiased["by_estimator"]["mean"]) == {"value", "interval", "exact_twin", "tilted_twin", "verdict"}


def test_it_speaks_for_itself_and_pickles(test: OrthogonalityResult) -> None:
    text = repr(test)
    assert text.startswith("nouns, orthogonality-b: debiased cos 0.200 [")
    assert "(60 comparisons, 20 families); exact twin 0.100, twin tilted by 0.3 0.300; unrelated" in text
    assert text.endswith(test.verdict)
    assert repr(pickle.loads(pickle.dumps(test))) == text  # noqa: S301 (our own bytes)
    frame = Results([test]).to_frame()
    assert frame["tilted twin"].tolist() == pytest.approx([0.3], abs=0.002)
    assert list(test.to_frame().index) == list(test.labels)
    assert len(Results([test]).forest_panel()[0].rows) == 1


def test_adjusting_p_values_leaves_it_alone(test: OrthogonalityResult) -> None:
    (adjusted,) = Results([test]).adjusted()
    assert repr(adjusted) == repr(test)
    assert np.isnan(adjusted.p_adjusted)
