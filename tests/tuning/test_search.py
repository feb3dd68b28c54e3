"""The guided search finds what the exhaustive grid finds, in a tenth of its trials; and the Pareto front."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from geometry.steering import Site
from geometry.tuning.bench import Trial
from geometry.tuning.search import STRENGTHS, best, exhaustive, front, guided
from tests.tuning.fakes import Formulas

Formula = Callable[[int, float], float]


def hill(top: int, wide: float, n: int) -> Formula:
    """Log-odds that rise with the strength, most at one block."""
    return lambda block, strength: -5 + 9 * strength * math.exp(-(((block - top) / (wide * n)) ** 2))


COSTS: dict[str, Formula] = {
    "square": lambda _, strength: 8 * strength**2,
    "falling by depth": lambda block, strength: 30 * 0.9**block * strength**2,
    "steep": lambda block, strength: 0.02 * math.expm1(9 * strength * (1 + block / 30)),
}


@pytest.mark.parametrize("cost", list(COSTS))
@pytest.mark.parametrize("top", [0, 4, 13, 21, 29])
@pytest.mark.parametrize("bound", [0.1, 0.5, 2.0])
def test_smooth_effects_are_found_at_a_tenth_of_the_trials(cost: str, top: int, bound: float) -> None:
    n, level = 30, hill(top, 0.2, 30)
    few, all_of_them = (Formulas(n, COSTS[cost], level) for _ in range(2))
    chosen = best(guided(few, bound, n * len(STRENGTHS) // 10), bound)  # type: ignore[arg-type]
    grid = best(exhaustive(all_of_them), bound)  # type: ignore[arg-type]
    assert chosen is not None
    assert grid is not None
    assert chosen.cost <= bound
    assert chosen.effect >= 0.9 * grid.effect
    assert len(few.asked) <= n * len(STRENGTHS) // 10
    assert len(all_of_them.asked) == n * len(STRENGTHS)


def test_the_only_site_that_works_is_found_where_it_is_free() -> None:
    bench = Formulas(12, COSTS["square"], lambda block, s: -5 + (9 * s if block == 11 else 0.0), free=1)
    chosen = best(guided(bench, 0.5, 9), 0.5)  # type: ignore[arg-type]
    assert chosen is not None
    assert (chosen.site, chosen.passes) == (Site("output", 11), 0)
    assert 0.93 * 0.5 <= chosen.cost <= 0.5
    assert chosen.strength == pytest.approx((0.5 / 8) ** 0.5, rel=0.05)


def test_free_sites_alone_take_no_trial_that_is_paid() -> None:
    bench = Formulas(3, COSTS["square"], hill(1, 0.5, 3), free=3)
    assert {trial.passes for trial in guided(bench, 0.5, 20)} == {0}  # type: ignore[arg-type]


def test_numbers_that_do_not_hold_count_as_too_much() -> None:
    def breaks(_: int, strength: float) -> float:
        return 8 * strength**2 if strength < 0.2 else math.inf

    chosen = best(guided(Formulas(20, breaks, hill(9, 0.3, 20)), 0.5, 16), 0.5)  # type: ignore[arg-type]
    assert chosen is not None
    assert math.isfinite(chosen.cost)


def test_within_the_bound_there_is_something_even_on_a_small_budget() -> None:
    bench = Formulas(20, lambda _, strength: 1e4 * strength**2, hill(9, 0.3, 20))
    assert best(guided(bench, 0.5, 2), 0.5) is not None  # type: ignore[arg-type]


def test_the_front_by_hand() -> None:
    def trial(cost: float, effect: float) -> Trial:
        return Trial(Site("output", 0), 1.0, np.array([effect]), np.array([cost]), effect, 1)

    points: list[Any] = [(0.1, 0.2), (0.2, 0.1), (0.2, 0.4), (0.3, 0.4), (0.05, 0.1), (math.inf, 1.0)]
    kept = [(t.cost, t.effect) for t in front([trial(*pair) for pair in points])]
    assert kept == [(0.05, 0.1), (0.1, 0.2), (0.2, 0.4)]
    assert best([trial(0.6, 1.0)], 0.5) is None
