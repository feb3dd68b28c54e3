"""An eraser leaves no covariance with its labels and moves activations as little as any affine map that does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression

import geometry as geo
from geometry.errors import GeometryError, SteeringError
from geometry.steering import Eraser, load_eraser, save_eraser

N, D = 240, 12
RNG = np.random.default_rng(0)
MIXING = RNG.standard_normal((D, D))


def data(kind: str) -> tuple[np.ndarray, Any]:
    """Activations in which labels of a kind show, and the labels."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((N, D)) @ MIXING
    if kind == "binary":
        labels = rng.random(N) < 0.3
        columns = labels[:, None]
    elif kind == "classes":
        labels = rng.integers(0, 4, N)
        columns = labels[:, None] == np.arange(4)
    elif kind == "texts":
        labels = np.array(["calm", "cross", "firm"])[rng.integers(0, 3, N)]
        columns = labels[:, None] == np.unique(labels)
    else:
        # A concept, two below it, one of which holds the other, and one beside them.
        labels = np.stack([(u := rng.random(N)) < 0.5, u < 0.3, u < 0.1, rng.random(N) < 0.4], axis=1)
        columns = labels
    return 5 + noise + columns.astype(float) @ (3 * rng.standard_normal((columns.shape[1], D))), labels


def columns_of(labels: Any) -> np.ndarray:
    labels = np.asarray(labels)
    return labels if labels.ndim == 2 else labels[:, None] == np.unique(labels)


def covariance(rows: np.ndarray, labels: Any) -> np.ndarray:
    columns = columns_of(labels).astype(float)
    return (rows - rows.mean(0)).T @ (columns - columns.mean(0)) / len(rows)


KINDS = {"binary": 1, "classes": 3, "texts": 2, "subtree": 4}


@pytest.mark.parametrize("shrinkage", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_no_covariance_with_the_labels_is_left(kind: str, shrinkage: float | None) -> None:
    rows, labels = data(kind)
    eraser = Eraser.fit(rows, labels, "output.3", shrinkage=shrinkage)
    erased = eraser.erase(rows)
    assert eraser.rank == KINDS[kind]
    assert np.abs(covariance(rows, labels)).max() > 0.1
    assert np.abs(covariance(erased, labels)).max() < 1e-10
    np.testing.assert_allclose(erased.mean(0), rows.mean(0), atol=1e-10)
    np.testing.assert_allclose(eraser.erase(erased), erased, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_nearest_of_all_affine_maps_that_leave_none(kind: str) -> None:
    rows, labels = data(kind)
    eraser = Eraser.fit(rows, labels, "output.3", shrinkage=0.0)
    erased = eraser.erase(rows)
    centred, cross = rows - rows.mean(0), covariance(rows, labels)
    sigma = centred.T @ centred / N
    # The Lagrange conditions of each row of P: least pᵀΣp with pᵀΣ_XZ given; of dependent labels by least squares.
    constraints = np.linalg.svd(cross, full_matrices=False)[0][:, : KINDS[kind]]
    zero = np.zeros((constraints.shape[1],) * 2)
    system = np.block([[2 * sigma, constraints], [constraints.T, zero]])
    right = np.concatenate([np.zeros((D, D)), constraints.T])
    projection = np.linalg.solve(system, right)[:D].T
    np.testing.assert_allclose(erased, rows - centred @ projection.T, atol=1e-9)
    # Others that leave none are farther: add to the map what does not see Σ_XZ.
    least = np.square(erased - rows).sum()
    blind = np.eye(D) - constraints @ constraints.T
    for _ in range(5):
        other = erased - centred @ (0.1 * RNG.standard_normal((D, D)) @ blind).T
        assert np.abs(covariance(other, labels)).max() < 1e-10
        assert np.square(other - rows).sum() > least


def test_the_paper_s_formula_is_meant_of_a_singular_covariance_too() -> None:
    rows, labels = data("classes")
    wide = np.concatenate([rows, rows @ RNG.standard_normal((D, 3))], axis=1)  # rank 12 in 15 dimensions
    eraser = Eraser.fit(wide, labels, "output.3", shrinkage=0.0)
    centred = wide - wide.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / N)
    kept = values > 1e-9 * values[-1]
    whitener = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    unwhitener = (vectors[:, kept] * np.sqrt(values[kept])) @ vectors[:, kept].T
    seen = whitener @ covariance(wide, labels)
    projection = unwhitener @ (seen @ np.linalg.pinv(seen)) @ whitener
    np.testing.assert_allclose(eraser.erase(wide), wide - centred @ projection.T, atol=1e-8)
    assert np.abs(covariance(eraser.erase(wide), labels)).max() < 1e-10
    assert eraser.rank == 3


def test_no_linear_probe_learns_anything_from_the_activations_of_the_fit() -> None:
    rows, labels = data("binary")
    erased = Eraser.fit(rows, labels, "output.3").erase(rows)
    before, after = (LogisticRegression(C=100, max_iter=5000, tol=1e-8).fit(x, labels) for x in (rows, erased))
    assert before.score(rows, labels) > 0.9
    assert np.abs(after.coef_).max() < 1e-3
    np.testing.assert_allclose(after.predict_proba(erased)[:, 1], labels.mean(), atol=1e-3)


def test_more_activations_leave_less_of_a_planted_concept_in_others() -> None:
    rng, direction = np.random.default_rng(5), np.zeros(60)
    direction[0] = 2.0

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.random(count) < 0.5
        return rng.standard_normal((count, 60)) + labels[:, None] * direction, labels

    others, truth = drawn(4000)
    left = []
    for count in (50, 400, 3200):
        erased = Eraser.fit(*drawn(count), "output.3").erase(others)
        left.append(float(np.linalg.norm(erased[truth].mean(0) - erased[~truth].mean(0))))
    assert left[0] > left[1] > left[2]
    assert left[0] > 1.0 > 0.4 > left[2]


def test_labels_that_others_imply_add_no_direction() -> None:
    rows, labels = data("subtree")
    doubled = np.concatenate([labels, labels[:, :1], ~labels[:, 1:2]], axis=1)
    first, second = Eraser.fit(rows, labels, "output.3"), Eraser.fit(rows, doubled, "output.3")
    assert first.rank == second.rank == 4
    np.testing.assert_allclose(first.erase(rows), second.erase(rows), atol=1e-9)


def test_kind_and_precision_of_what_is_erased_are_kept() -> None:
    rows, labels = data("binary")
    eraser = Eraser.fit(torch.from_numpy(rows).bfloat16(), torch.from_numpy(labels), "output.3")
    for dtype in (torch.float32, torch.bfloat16):
        given = torch.from_numpy(rows).to(dtype).reshape(4, 60, D)
        assert eraser.erase(given).dtype == dtype
        assert eraser.erase(given).shape == given.shape
    assert eraser.erase(rows.astype(np.float32)).dtype == np.float32


def test_states_beyond_its_reach_are_left_bit_for_bit() -> None:
    rows, labels = data("binary")
    eraser = Eraser.fit(rows, labels, "output.3")
    far = rows[:3] * 1000
    np.testing.assert_array_equal(eraser.erase(np.concatenate([rows, far]))[-3:], far)
    distance = np.linalg.norm(rows - rows.mean(0), axis=1)
    assert eraser.reach == pytest.approx(10 * np.sqrt(np.square(distance).mean()))
    # What it was fitted to is always within.
    outlier = np.concatenate([rows, rows[:1] + 1e5])
    assert Eraser.fit(outlier, [*labels, True], "output.3").reach > np.linalg.norm(outlier[-1] - outlier.mean(0))


def test_controls_have_its_rank_and_are_orthogonal() -> None:
    rows, labels = data("classes")
    eraser = Eraser.fit(rows, labels, "output.3")
    random = eraser.random(1)
    assert (random.rank, random.site, random.reach) == (3, eraser.site, eraser.reach)
    assert torch.equal(random.left, eraser.random(1).left)
    assert not torch.equal(random.left, eraser.random(2).left)
    assert torch.equal(random.left, random.right)
    np.testing.assert_allclose(random.erase(rows).mean(0), rows.mean(0), atol=1e-9)
    assert np.abs(covariance(random.erase(rows), labels)).max() > 0.05


BAD: dict[str, tuple[Any, Any, str]] = {
    "one class": (np.ones((9, 4)) * np.arange(9)[:, None], [1] * 9, "one class alone"),
    "no labels": (np.eye(9), [0, 1], "9 activations need as many labels"),
    "one point": (np.ones((9, 4)), [0, 1, 0] * 3, "lie at one point"),
    "nan": (np.where(np.eye(9) > 0, np.nan, 1.0), [0, 1, 0] * 3, "NaN or infinite"),
    "nan labels": (np.eye(9), [np.nan, 1.0, 0.0] * 3, "NaN or infinite"),
    "real labels": (np.eye(9), [0.5, 1.0, 2.0] * 3, "real numbers for labels"),
    "constant column": (np.eye(9), np.ones((9, 2)), "is the same for all 9"),
    "as many as dimensions": (RNG.standard_normal((90, 4)), np.arange(90) % 5, "leave nothing"),
    "as many as activations": (RNG.standard_normal((5, 9)), [0, 1, 2, 3, 4], "leave nothing"),
    "a vector": (np.arange(9.0), [0, 1, 0] * 3, "a matrix of numbers"),
    "no rows": (np.empty((0, 4)), [], "a matrix of numbers"),
    "no difference": (np.array([[1.0, 2], [-1, -2]] * 4), [0, 0, 1, 1, 0, 0, 1, 1], "nothing to erase"),
    "ragged": (np.eye(3), [[1], [0, 1], [1]], "labels are a class for each"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_erased_is_refused_in_a_line(case: str) -> None:
    rows, labels, message = BAD[case]
    with pytest.raises(SteeringError, match=message):
        Eraser.fit(rows, labels, "output.3")


def test_sites_shapes_and_projections_that_are_none_are_refused() -> None:
    one = torch.eye(1, 4)
    for site, message in (
        ("mlp.3", "can be read, not steered"),
        ("output.3.relative", "no unit"),
        ("x", "no site|unknown"),
    ):
        with pytest.raises(SteeringError, match=message):
            Eraser(one, one, torch.zeros(4), geo.Site.parse(site))
    for left, right, mean, message in (
        (one, 2 * one, torch.zeros(4), "no projection"),
        (2 * one, one / 2, torch.zeros(4), "no projection"),
        (one, one, torch.zeros(3), "matrices"),
        (torch.eye(4), torch.eye(4), torch.zeros(4), "leaves nothing"),
        (one, one, torch.full((4,), torch.nan), "NaN"),
    ):
        with pytest.raises(SteeringError, match=message):
            Eraser(left, right, mean, geo.Site("output", 3))
    with pytest.raises(SteeringError, match="linearly dependent"):
        Eraser.orthogonal([[1.0, 0, 0], [2.0, 0, 0]], "output.3")
    with pytest.raises(SteeringError, match="positive distance"):
        Eraser.orthogonal([[1.0, 0, 0]], "output.3", reach=0.0)
    with pytest.raises(SteeringError, match="wide"):
        Eraser.orthogonal([[1.0, 0, 0]], "output.3").erase(np.eye(4))


def test_a_file_gives_it_back_bit_for_bit_and_readers_of_vectors_refuse_it(tmp_path: Path) -> None:
    rows, labels = data("classes")
    for eraser in (
        Eraser.fit(rows, labels, "output.3", name="mood", model="llama"),
        Eraser.orthogonal(np.eye(1, 4), 2),
    ):
        path = save_eraser(eraser, tmp_path / "e.safetensors")
        again = load_eraser(save_eraser(load_eraser(path), path))  # what is an eraser is replaced
        assert all(torch.equal(getattr(eraser, key), getattr(again, key)) for key in ("left", "right", "mean"))
        for key in ("site", "name", "model", "notes", "reach"):
            assert getattr(eraser, key) == getattr(again, key)
        with pytest.raises(SteeringError, match="holds an eraser and no vector"):
            geo.load_vector(path)
        with pytest.raises(SteeringError, match="something else than a steering vector"):
            geo.save_vector(geo.SteeringVector({"output.3": torch.ones(4)}), path)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    vector = geo.save_vector(geo.SteeringVector({"output.3": torch.ones(4)}), tmp_path / "v.safetensors")
    good = save_eraser(Eraser.orthogonal(np.eye(1, 4), "output.3"), tmp_path / "e.safetensors")
    whole = good.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-9])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    tensors, record = load_file(good), {"format": "concept-geometry eraser 1", "site": "output.3"}
    for name, change, more in (
        ("scaled", {"right": 2 * tensors["right"]}, {}),
        ("nan", {"mean": torch.full((4,), torch.nan, dtype=torch.float64)}, {}),
        ("site", {}, {"site": "mlp.3"}),
        ("reach", {}, {"reach": "far"}),
        ("notes", {}, {"notes": json.dumps(3)}),
    ):
        save_file(tensors | change, tmp_path / f"{name}.safetensors", metadata=record | more)
    for name in ("v", "cut", "empty", "scaled", "nan", "site", "reach", "notes", "absent"):
        with pytest.raises(GeometryError, match=name) as refusal:
            load_eraser(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(refusal.value)
    with pytest.raises(SteeringError, match="something else than an eraser"):
        save_eraser(load_eraser(good), vector)
    with pytest.raises(SteeringError, match=r"\.safetensors"):
        save_eraser(load_eraser(good), tmp_path / "e.gguf")
