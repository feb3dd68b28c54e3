"""The pooled cosine against a plain loop over families, and its interval on families that are drawn at random."""

import numpy as np
import pytest

from geometry.evidence import PooledCosine
from geometry.evidence.orthogonality.debiased import Products
from geometry.evidence.orthogonality.pooled import FEWEST_FAMILIES, signed_root
from geometry.intervals import cluster_weights
from tests.evidence.orthogonality.cosines import about, cosine


def drawn(seed: int, families: int = 25, each: int = 6, truth: float = 0.09) -> PooledCosine:
    """cos² around a truth, half of whose variance is the family's."""
    rng = np.random.default_rng(seed)
    family = np.arange(families * each) // each
    lengths = rng.uniform(0.5, 1.5, families * each)
    noise = rng.standard_normal(families)[family] + rng.standard_normal(families * each)
    return cosine(truth * lengths + 0.1 * noise, family, lengths)


def test_the_pooled_cosine_is_a_ratio_of_sums_and_so_is_every_resample() -> None:
    one = drawn(0)
    one.products.squared[[0, 7]] = np.nan
    one.products.lengths[9] = np.nan
    kept = [index for index in range(150) if index not in (0, 7, 9)]
    squared, lengths = one.products
    assert one.n == 147
    assert one.squared == pytest.approx(sum(squared[kept]) / sum(lengths[kept]))
    for sample, times in list(zip(one.resampled, cluster_weights(25), strict=True))[:30]:
        again = [index for index in kept for _ in range(int(times[one.family[index]]))]
        assert sample == pytest.approx(sum(squared[again]) / sum(lengths[again]))
    low, high = one.squared_interval
    assert (low, high) == pytest.approx(np.quantile(one.resampled, [0.025, 0.975]))
    assert one.interval == pytest.approx((np.sign(low) * np.sqrt(abs(low)), np.sqrt(high)))
    assert one.value == pytest.approx(np.sqrt(one.squared))


def test_clustered_intervals_are_wider_and_cover_where_others_do_not() -> None:
    covered = {"families": 0, "each by itself": 0}
    for seed in range(200):
        one = drawn(seed)
        alone = PooledCosine(one.products, np.arange(one.n))
        for name, some in (("families", one), ("each by itself", alone)):
            low, high = some.squared_interval
            covered[name] += low <= 0.09 <= high
        widths = [high - low for low, high in (one.squared_interval, alone.squared_interval)]
        assert widths[0] > widths[1]
    assert 176 <= covered["families"] <= 198
    assert covered["each by itself"] < 160


def test_differences_are_paired_by_family_so_that_shared_noise_cancels() -> None:
    one, rng = drawn(3), np.random.default_rng(0)
    squared, lengths = one.products
    others = [cosine(squared - 0.02 * lengths, one.family, lengths) for _ in range(3)]
    exact = one.difference(others)
    assert (exact.value, *exact.interval) == pytest.approx((0.02, 0.02, 0.02))
    near = [cosine(other.products.squared + 0.005 * rng.standard_normal(150), one.family, lengths) for other in others]
    paired, width = one.difference(near), one.squared_interval[1] - one.squared_interval[0]
    assert paired.interval[0] < paired.value < paired.interval[1]
    assert paired.interval[1] - paired.interval[0] < 0.1 * width
    unrelated = one.difference([drawn(4)])
    assert unrelated.interval[1] - unrelated.interval[0] > width


def test_so_few_families_have_no_interval() -> None:
    few, others = drawn(0, families=7), [drawn(1, families=7)]
    assert np.isfinite([few.value, few.difference(others).value]).all()
    assert np.isnan([*few.interval, *few.squared_interval, *few.difference(others).interval]).all()


def test_a_difference_from_several_is_that_from_their_mean() -> None:
    one, others = drawn(0), [drawn(seed) for seed in (1, 2, 3)]
    differences = [one.difference([other]).value for other in others]
    assert one.difference(others).value == pytest.approx(np.mean(differences))
    assert np.isnan(one.difference([]).value)
    assert np.isnan(cosine(np.empty(0), np.empty(0, dtype=np.int64)).difference(others).value)


def test_families_that_lack_a_comparison_do_not_undo_the_pairing() -> None:
    one = drawn(0)
    squared, lengths = (part.copy() for part in one.products)
    squared[:6] = np.nan
    fewer = cosine(squared - 0.02 * lengths, one.family, lengths)
    assert (one.n_families, fewer.n_families) == (25, 24)
    paired = one.among(fewer).difference([fewer])
    assert (paired.value, *paired.interval) == pytest.approx((0.02, 0.02, 0.02))


@pytest.mark.parametrize(("families", "length", "measurable"), [(7, 1, False), (8, 1, True), (8, 0, False)])
def test_measuring_takes_families_and_contrasts_that_are_there(families: int, length: float, measurable: bool) -> None:
    family = np.arange(families * 4) // 4
    lengths = length + 0.1 * np.random.default_rng(0).standard_normal(len(family))
    one = cosine(0.01 * np.ones(len(family)), family, lengths)
    assert one.measurable == measurable
    if not measurable:
        assert one.families_for_signal > families


def test_more_families_are_asked_for_where_the_signal_is_weaker() -> None:
    rng = np.random.default_rng(0)
    family = np.arange(40) // 4
    noise = rng.standard_normal(40)
    noise -= noise.mean()
    needed = [cosine(np.zeros(40), family, length + noise).families_for_signal for length in (0.2, 0.1, 0.05)]
    assert 10 < needed[0] < needed[1] < needed[2]
    # An error that falls as 1/√n must be half as large for half the signal.
    assert needed[2] == pytest.approx(4 * needed[1], rel=0.05)
    assert cosine(np.zeros(40), family, noise - 1).families_for_signal == 100
    assert cosine(np.empty(0), np.empty(0, dtype=np.int64)).families_for_signal == FEWEST_FAMILIES


def test_a_square_below_zero_has_a_root_below_zero() -> None:
    assert [signed_root(squared) for squared in (0.09, -0.09, 0.0)] == pytest.approx([0.3, -0.3, 0])
    assert about(-0.01, 0.001).value == pytest.approx(-0.1)


def test_nothing_to_compare_has_no_cosine() -> None:
    none = PooledCosine(Products(np.full(3, np.nan), np.ones(3)), np.arange(3))
    assert (none.n, none.n_families, none.measurable) == (0, 0, False)
    assert np.isnan([none.value, *none.interval]).all()
    assert np.isnan(cosine(np.ones(2), np.arange(2), np.array([1.0, -1.0])).squared)
