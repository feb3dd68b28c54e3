"""Linear maps between values of series: ridge by hand, a planted successor found, and none where there is none."""

from typing import Any

import numpy as np
import pytest

from geometry.anatomy.linear_maps import position_map, ridge_map, successor_map
from geometry.errors import EstimationError

WIDTH = 24


def rotation(rng: np.random.Generator, size: int = WIDTH) -> np.ndarray[Any, Any]:
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


def planted(noise: float = 0.05, *, ordered: bool = True) -> dict[str, Any]:
    """Values of four categories, each the last one turned by one rotation; or each anywhere."""
    rng = np.random.default_rng(0)
    turn, series = rotation(rng), {}
    for name in ("days", "months", "numbers", "letters"):
        rows = [rng.normal(size=WIDTH)]
        while len(rows) < 10:
            rows.append(turn @ rows[-1] if ordered else rng.normal(size=WIDTH))
        values = np.stack(rows)
        # What a category shares is taken out again by the map.
        values = values - values.mean(axis=0) + 3 * rng.normal(size=WIDTH)
        values += noise * rng.normal(size=values.shape)
        series[name] = (tuple(f"{name}{k}" for k in range(10)), np.arange(10), values)
    return series


def test_a_ridge_map_is_the_one_of_the_normal_equations() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 5)), rng.normal(size=(12, 3))
    found = ridge_map(x, y)
    rows, outputs = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = (rows**2).sum() / len(rows)
    weights = np.linalg.solve(rows.T @ rows + found.penalty * scale * np.eye(5), rows.T @ outputs)
    new = rng.normal(size=(4, 5))
    assert found(new) == pytest.approx((new - x.mean(axis=0)) @ weights + y.mean(axis=0))


def test_the_penalty_is_the_one_that_predicts_left_out_rows_best() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(14, 4))
    exact = ridge_map(x, x @ rng.normal(size=(4, 3)))
    assert exact.penalty == 0.01
    noise = ridge_map(x, rng.normal(size=(14, 3)))
    assert noise.penalty == 10.0


def test_a_planted_successor_is_found_in_a_category_that_it_was_not_fitted_to() -> None:
    found = successor_map(planted(), n_permutations=19)
    assert found.accuracy > 0.9
    assert found.p_value == 1 / 20
    assert found.permuted.mean() < 0.3
    assert found.baselines["nearest"].mean() < 0.6
    assert len(found.cells) == 36  # the last value of each has no next
    assert found.chance == pytest.approx(1 / 9)
    assert set(found.to_dict()["by_category"]) == {"days", "months", "numbers", "letters"}


def test_where_there_is_no_successor_none_is_found() -> None:
    found = successor_map(planted(ordered=False), n_permutations=19)
    assert found.accuracy < 0.35
    assert found.p_value > 0.05


def test_gaps_have_no_next() -> None:
    series = planted()
    values, _, rows = series["days"]
    series["days"] = (values, np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 11]), rows)
    cells = [value for name, value in successor_map(series, n_permutations=2).cells if name == "days"]
    assert cells == [f"days{k}" for k in (0, 1, 2, 4, 5, 6, 7)]


def test_a_planted_map_between_categories_is_found_at_positions_it_was_not_fitted_to() -> None:
    rng = np.random.default_rng(3)
    # Positions lie in few dimensions, so that some of them tell of the others.
    base = rng.normal(size=(10, 3))
    series = {
        name: (tuple(map(str, range(10))), np.arange(10), base @ rng.normal(size=(3, WIDTH)) + rng.normal(size=WIDTH))
        for name in ("one", "two", "three")
    }
    found = position_map(series, n_permutations=19)
    assert found.accuracy > 0.9
    assert found.p_value == 1 / 20
    assert len(found.cells) == 6 * 45  # every two of ten positions, both ways between three categories
    assert found.chance == 0.5
    nothing = position_map(planted(ordered=False), n_permutations=19)
    assert nothing.accuracy == pytest.approx(0.5, abs=0.12)
    assert nothing.permuted.mean() == pytest.approx(0.5, abs=0.05)
    assert nothing.p_value > 0.05


def test_refusals() -> None:
    rows = np.ones((4, 3))
    with pytest.raises(EstimationError, match="n of 3 or more"):
        ridge_map(rows[:2], rows[:2])
    with pytest.raises(EstimationError, match="finite rows"):
        ridge_map(rows * np.nan, rows)
    short = {"a": (("x",), np.array([0]), rows[:1]), "b": (("y", "z"), np.array([0, 1]), rows[:2])}
    with pytest.raises(EstimationError, match="at least two series"):
        successor_map(short)
    with pytest.raises(EstimationError, match="at least 5 positions in common"):
        position_map(short)
    with pytest.raises(EstimationError, match="must be of one number"):
        successor_map({"a": (("x",), np.array([0, 1]), rows)})
    with pytest.raises(EstimationError, match="vectors must be finite"):
        position_map({"a": (("x", "y"), np.array([0, 1]), np.full((2, 3), np.inf))})
