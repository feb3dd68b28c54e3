"""Components of pairs: planted directions found and counted, noise left as noise, numbers by hand."""

from typing import Any

import numpy as np
import pytest

from geometry.anatomy import components
from geometry.errors import EstimationError

WIDTH = 60


def planted(seed: int, n: int = 30, *, mean: float = 0.0, spread: tuple[float, ...] = ()) -> tuple[Any, Any]:
    """Rows of noise, a mean along the first of orthonormal directions, and scores along the next ones."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((WIDTH, 1 + len(spread))))[0].T
    rows = rng.standard_normal((n, WIDTH)) * rng.uniform(0.5, 1.5, WIDTH) + mean * axes[0]
    for axis, strength in zip(axes[1:], spread, strict=True):
        rows = rows + strength * np.outer(rng.standard_normal(n), axis)
    return rows, axes


def test_planted_components_are_found_and_their_number_is_right() -> None:
    counts = {True: [], False: []}  # type: dict[bool, list[int]]
    for seed in range(6):
        rows, axes = planted(seed, mean=11.0, spread=(8.0, 6.0))
        for centred, own in ((False, axes), (True, axes[1:])):
            found = components(rows, centred=centred, n_random=19, seed=seed)
            counts[centred].append(found.count)
            span = np.linalg.norm(found.directions[: len(own)] @ own.T, axis=0)
            assert (span > 0.85).all()
            assert (found.stability[: len(own)] > found.null_stability[: len(own)]).all()
    assert np.mean(np.array(counts[False]) == 3) >= 0.75
    assert np.mean(np.array(counts[True]) == 2) >= 0.75


@pytest.mark.parametrize("centred", [False, True])
def test_of_noise_nothing_stands_out(centred: bool) -> None:
    found = [components(planted(seed, 16)[0], centred=centred, n_random=19, seed=seed) for seed in range(24)]
    assert np.mean([each.count > 0 for each in found]) <= 0.17  # 5% is the aim
    assert np.mean([each.mean_p <= 0.05 for each in found]) <= 0.17
    assert np.mean([each.stability[0] > each.null_stability[0] for each in found]) <= 0.2


def test_a_strong_first_component_brings_no_second_one_along() -> None:
    found = [components(planted(seed, 14, mean=20.0)[0], n_random=19, seed=seed).count for seed in range(24)]
    assert min(found) == 1
    assert np.mean([count > 1 for count in found]) <= 0.17


def test_shares_and_scores_by_hand() -> None:
    rows = np.array([[4.0, 0, 0], [4, 3, 0], [4, -3, 0], [4, 0, 1], [4, 0, -1]])
    found = components(rows, n_random=19)
    np.testing.assert_allclose(found.shares, [80 / 100, 18 / 100, 2 / 100], atol=1e-12)
    np.testing.assert_allclose(np.abs(found.directions), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.scores @ found.directions, rows, atol=1e-12)
    assert found.directions[0, 0] > 0  # the way of the mean
    assert found.mean_share == pytest.approx(5 * 16 / 100)
    about = components(rows, centred=True, n_random=19)
    np.testing.assert_allclose(about.shares, [0.9, 0.1], atol=1e-12)
    np.testing.assert_allclose(about.scores.mean(axis=0), 0, atol=1e-12)


def test_the_interval_of_the_mean_share_is_the_jackknife_of_leaving_out_one_pair() -> None:
    rows, _ = planted(3, 9, mean=8.0)

    def share(part: Any) -> float:
        return float(len(part) * (part.mean(axis=0) ** 2).sum() / (part**2).sum())

    left = np.array([share(np.delete(rows, index, axis=0)) for index in range(9)])
    error = np.sqrt(8 / 9 * ((left - left.mean()) ** 2).sum())
    found = components(rows, n_random=19)
    assert found.mean_interval == pytest.approx((share(rows) - 2.306 * error, share(rows) + 2.306 * error), rel=1e-3)


def test_the_sides_of_pairs_change_the_mean_alone() -> None:
    rows, _ = planted(4, 20, mean=10.0)
    signs = np.resize([1.0, -1.0], 20)[:, None]
    found, other = components(rows, n_random=39), components(rows * signs, n_random=39)
    np.testing.assert_allclose(found.shares, other.shares, atol=1e-12)
    assert found.mean_p == pytest.approx(1 / 40)
    assert other.mean_p > 0.05
    assert other.mean_share < found.null_mean_share * 3


def test_components_are_vectors_and_tables() -> None:
    found = components(planted(5, 12, mean=9.0)[0], n_random=19, most=3)
    vector = found.vector(0, "output.3", model="llama")
    assert vector.norm() == pytest.approx(1.0)
    assert vector.provenance == "singular direction 1 of 12 pairs"
    assert found.to_frame()["p"].iloc[0] == pytest.approx(0.05)
    assert "components stand out" in found._repr_html_()
    with pytest.raises(EstimationError, match="numbered 0 to 2, not 3"):
        found.vector(3, "output.3")


def test_refusals() -> None:
    rows = planted(6, 8)[0]
    for given, says in [
        ({"differences": rows[:1]}, "4 pairs at least"),
        ({"differences": rows[0]}, "4 pairs at least"),
        ({"differences": np.zeros((6, 9))}, "all 6 differences are zero"),
        ({"differences": np.ones((6, 9)), "centred": True}, "are alike"),
        ({"differences": np.where(rows > 3, np.nan, rows * np.inf)}, "NaN"),
        ({"differences": rows, "n_random": 3}, "n_random enough"),
        ({"differences": rows, "most": 0}, "most is at least 1"),
    ]:
        with pytest.raises(EstimationError, match=says):
            components(**given)
