"""Classification on held-out groups: against a loop by hand, on planted classes and on noise."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

import geometry as geo

LABELS = ["calm", "cross"] * 20
GROUPS = [group for group in ("speech", "thought", "message", "tale") for _ in range(10)]
CELLS = [(group, place % 10 < 4) for place, group in enumerate(GROUPS)]


def cloud(strength: float, seed: int = 0, d: int = 30) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((len(LABELS), d))
    points[:, 0] += strength * (np.array(LABELS) == "calm")
    return points


def test_against_ridge_by_hand() -> None:
    points = cloud(2.0)
    found = geo.probing.classify_held_out(points, LABELS, GROUPS, n_permutations=3)
    labels, groups = np.array(LABELS), np.array(GROUPS)
    predicted = np.empty(len(labels), dtype=labels.dtype)
    for group in np.unique(groups):
        train, test = groups != group, groups == group
        mean, sd = points[train].mean(axis=0), points[train].std(axis=0)
        x, held = (points[train] - mean) / sd, (points[test] - mean) / sd
        y = np.where(labels[train] == "cross", 1.0, 0.0)
        weights = np.linalg.solve(x.T @ x + points.shape[1] * np.eye(x.shape[1]), x.T @ (y - y.mean()))
        predicted[test] = np.where(held @ weights + y.mean() > 0.5, "cross", "calm")
        assert found.groups[str(group)] == pytest.approx(balanced_accuracy_score(labels[test], predicted[test]))
    assert found.value == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found.confusion.sum(axis=1).tolist() == [20, 20]
    assert found.confusion.trace() == (labels == predicted).sum()


def test_planted_classes_are_found() -> None:
    found = geo.probing.classify_held_out(cloud(6.0), LABELS, GROUPS, cells=CELLS)
    assert found.value >= 0.85
    assert found.p_value == 0.01
    assert abs(found.nulls["shuffled"].mean - found.chance) < 0.1


def test_noise_is_significant_as_often_as_it_may_be() -> None:
    p = [
        geo.probing.classify_held_out(cloud(0.0, seed), LABELS, GROUPS, n_permutations=19, seed=seed).p_value
        for seed in range(200)
    ]
    assert 1 <= sum(value <= 0.05 for value in p) <= 20


def test_what_holds_in_one_group_alone_is_not_found() -> None:
    """A direction that means the class in each group, but another way round in every second."""
    points = cloud(0.0)
    side = np.where(np.array(LABELS) == "calm", 1, -1) * np.where(np.isin(GROUPS, ["speech", "thought"]), 1, -1)
    points[:, 0] += 6 * side
    assert geo.probing.classify_held_out(points, LABELS, GROUPS).value < 0.5


def test_labels_stay_in_their_cells_when_shuffled() -> None:
    """Where each cell holds one class, no shuffle can change a label, and every permutation equals the value."""
    found = geo.probing.classify_held_out(cloud(3.0), LABELS, GROUPS, cells=LABELS, n_permutations=9)
    assert np.allclose(found.nulls["shuffled"].means, found.value)
    assert found.p_value == 1.0


def test_scale_and_place_do_not_matter() -> None:
    points = cloud(1.0)
    moved = points * np.linspace(0.01, 100, points.shape[1]) + 7
    one, other = (geo.probing.classify_held_out(some, LABELS, GROUPS, n_permutations=5) for some in (points, moved))
    assert one.value == other.value
    assert one.to_dict() == other.to_dict()


@pytest.mark.parametrize(
    ("labels", "groups", "complaint"),
    [
        (["one"] * 40, GROUPS, "two classes and two groups are needed, not 1 and 4"),
        (LABELS, ["speech"] * 40, "not 2 and 1"),
        (LABELS[:-1], GROUPS, "have 39 labels and 40 groups"),
        (GROUPS, LABELS, None),
        (GROUPS, GROUPS, "class message has no points in group speech"),
    ],
)
def test_what_cannot_be_held_out_is_refused(labels: list[str], groups: list[str], complaint: str | None) -> None:
    if complaint is None:
        assert geo.probing.classify_held_out(cloud(0.0), labels, groups, n_permutations=2).chance == 0.25
        return
    with pytest.raises(geo.errors.EstimationError, match=complaint):
        geo.probing.classify_held_out(cloud(0.0), labels, groups)


def test_nan_is_refused() -> None:
    points = cloud(0.0)
    points[3, 3] = np.nan
    with pytest.raises(geo.errors.EstimationError, match="finite points"):
        geo.probing.classify_held_out(points, LABELS, GROUPS)


def result(accuracy: float, nulls: list[float]) -> geo.probing.HeldOutClassification:
    return geo.probing.HeldOutClassification(
        name="held_out_classification",
        labels=("a", "b"),
        values=np.full(2, accuracy),
        nulls={"shuffled": np.array(nulls)},
        groups={},
        confusion=np.eye(2, dtype=np.int64),
    )


def test_a_sweep_makes_up_for_looking_at_many_places() -> None:
    """The best places of three shuffles reach 0.7, 0.6 and 0.9; no place alone has such a null."""
    places = [result(0.95, [0.7, 0.5, 0.5]), result(0.8, [0.5, 0.6, 0.5]), result(0.99, [0.5, 0.5, 0.9])]
    sweep = geo.probing.HeldOutSweep(places)
    assert sweep.accuracy.tolist() == [0.95, 0.8, 0.99]
    assert sweep.threshold == pytest.approx(np.quantile([0.7, 0.6, 0.9], 0.95))
    assert sweep.first == 2
    assert geo.probing.HeldOutSweep(places[:2][::-1]).first == 0
    assert geo.probing.HeldOutSweep(places[:2]).first == 0
    assert geo.probing.HeldOutSweep([*places, result(0.3, [0.5, 0.5, 0.5])]).first is None
