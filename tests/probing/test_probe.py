"""The linear probe: against ridge by hand, and what it refuses."""

import numpy as np
import pytest

import geometry as geo

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((30, 8)) + 3 * np.repeat(np.eye(8)[:3], 10, axis=0)
LABELS = ["warm"] * 10 + ["cold"] * 10 + ["mild"] * 10


def test_against_ridge_by_hand() -> None:
    probe = geo.probing.Probe.fit(POINTS, LABELS)
    assert probe.classes == ("warm", "cold", "mild")
    mean, sd = POINTS.mean(axis=0), POINTS.std(axis=0)
    x = (POINTS - mean) / sd
    y = np.array([[label == one for one in probe.classes] for label in LABELS], dtype=float)
    weights = np.linalg.solve(x.T @ x + 8 * np.eye(8), x.T @ (y - y.mean(axis=0)))
    new = RNG.standard_normal((5, 8))
    expected = (new - mean) / sd @ weights + y.mean(axis=0)
    assert np.allclose(probe.scores(new), expected)
    assert probe.predict(new).tolist() == expected.argmax(axis=1).tolist()
    assert (probe.predict(POINTS) == np.repeat([0, 1, 2], 10)).mean() > 0.8


def test_of_noise_it_predicts_nothing() -> None:
    rows = RNG.standard_normal((400, 8))
    labels = RNG.choice(["warm", "cold"], size=400).tolist()
    probe = geo.probing.Probe.fit(rows[:200], labels[:200])
    right = [
        probe.classes[index] == label for index, label in zip(probe.predict(rows[200:]), labels[200:], strict=True)
    ]
    assert 0.4 < np.mean(right) < 0.6


@pytest.mark.parametrize(
    ("points", "labels", "complaint"),
    [
        (POINTS, LABELS[:-1], "have 29 labels"),
        (POINTS[0], LABELS, "points of shape"),
        (POINTS, ["warm"] * 30, "two classes, not 1"),
        (np.where(POINTS > 3, np.nan, POINTS), LABELS, "finite points"),
    ],
)
def test_what_cannot_be_fitted_is_refused(points: np.ndarray, labels: list[str], complaint: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=complaint):
        geo.probing.Probe.fit(points, labels)
