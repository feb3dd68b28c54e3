import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.manifold import trustworthiness as reference

import geometry as geo
from geometry.maps.neighbours import squared_distances
from tests.maps.clouds import two_blobs


def test_neighbours_are_the_nearest_others() -> None:
    points = np.random.default_rng(0).standard_normal((70, 6)) + 1000  # a common offset must not cost digits
    found = geo.maps.nearest_neighbours(points, 7)
    distances = cdist(points.astype(np.float32), points.astype(np.float32))
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(found.indices, np.argsort(distances, axis=1)[:, :7])
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :7], rtol=1e-4)


def test_points_that_lie_on_each_other_are_each_others_neighbours() -> None:
    found = geo.maps.nearest_neighbours(np.array([[0.0, 0], [0, 0], [5, 0], [5, 0]]), 1)
    assert found.indices.ravel().tolist() == [1, 0, 3, 2]
    assert not found.distances.any()


def test_approximate_neighbours_leave_out_the_point_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def descent(points: np.ndarray, n_neighbors: int, random_state: int, verbose: bool) -> SimpleNamespace:
        asked.update(k=n_neighbors, seed=random_state)
        # Point 1 lies on 0 and 2, which fill its list; the others find themselves first.
        return SimpleNamespace(neighbor_graph=(np.array([[0, 1, 2], [0, 2, 3], [2, 0, 1], [3, 0, 1]]), None))

    monkeypatch.setitem(sys.modules, "pynndescent", SimpleNamespace(NNDescent=descent))
    points = np.array([[0.0] * 4] * 3 + [[3, 4, 0, 0]])
    found = geo.maps.nearest_neighbours(points, 2, approximate=True, seed=8)
    assert asked == {"k": 3, "seed": 8}
    assert found.indices.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    assert found.distances[3].tolist() == [5, 5]


def test_umap_is_reproducible_and_keeps_blobs_apart() -> None:
    blobs = two_blobs()
    one, again, other = (geo.umap_embedding(blobs.points, epochs=60, seed=seed) for seed in (3, 3, 4))
    assert one.shape == (120, 2)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    nearest = geo.maps.nearest_neighbours(blobs.points, 15)
    np.testing.assert_array_equal(one, geo.umap_embedding(blobs.points, nearest=nearest, epochs=60, seed=3))
    assert geo.maps.neighbourhood_purity(blobs, geo.maps.nearest_neighbours(one, 5)).values.tolist() == [1.0, 1.0]
    lens = geo.maps.umap_lens(1, epochs=20)(blobs)
    assert lens.shape == (120, 1)
    np.testing.assert_array_equal(lens, geo.umap_embedding(blobs.points, dimensions=1, epochs=20))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"neighbours": 10}, "10 points have 1 … 9 neighbours each, not 10"),
        ({"neighbours": 1}, "at least 2 neighbours"),
        ({"dimensions": 0}, "0 dimensions"),
        ({"dimensions": 4}, "4 dimensions"),
        ({"min_distance": -1}, "min_distance"),
        ({"epochs": 0}, "epochs"),
        ({"nearest": geo.maps.nearest_neighbours(np.eye(5), 3)}, "neighbours of 5 points"),
    ],
)
def test_maps_that_cannot_be_are_refused(arguments: dict, says: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=says):
        geo.umap_embedding(np.random.default_rng(0).standard_normal((10, 3)), **arguments)


def test_trustworthiness_is_sklearns_where_all_points_are_judged() -> None:
    rng = np.random.default_rng(1)
    points = rng.standard_normal((300, 8)) * np.linspace(3, 0.1, 8)
    result = geo.maps.trustworthiness(points, points[:, :2], k=9, n_permutations=19)
    assert result.value == pytest.approx(reference(points, points[:, :2], n_neighbors=9), abs=1e-6)
    assert result.nulls["permuted"].mean == pytest.approx(0.5, abs=0.02)
    assert result.null_kept.mean() == pytest.approx(9 / 299, abs=0.01)
    assert result.p_value == 0.05
    assert geo.maps.trustworthiness(points, points, k=9, n_permutations=1).kept == 1
    permuted = points[geo.randomness.generator(0, "trustworthiness", 0).permutation(300)]
    assert result.nulls["permuted"].means[0] == pytest.approx(
        reference(points, permuted[:, :2], n_neighbors=9), abs=1e-6
    )
    assert result.to_dict()["nulls"] == {"permuted": result.nulls["permuted"].mean}
    assert str(result).endswith(f"{result.kept:.1%} of 9 neighbours kept")


def test_few_points_are_searched_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    searched, threads = [], torch.get_num_threads()

    def distances(*arrays: torch.Tensor) -> torch.Tensor:
        searched.append(torch.get_num_threads())
        return squared_distances(*arrays)

    monkeypatch.setattr("geometry.maps.neighbours.squared_distances", distances)
    points = np.random.default_rng(4).standard_normal((1100, 5))
    torch.set_num_threads(2)
    try:
        for n in (1000, 1100):
            geo.maps.nearest_neighbours(points[:n], 3)
        assert searched == [1, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_neighbours_that_are_known_serve_the_map_and_its_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    points = rng.standard_normal((200, 6))
    on_map = points[:, :2].round(1)  # with points on each other and as near as others
    options: dict[str, Any] = {"sample": 50, "n_permutations": 3}
    found = geo.maps.trustworthiness(points, on_map, k=4, **options)
    nearest = geo.maps.nearest_neighbours(on_map, 4)
    monkeypatch.setattr("geometry.maps.preservation.neighbours_on_map", lambda *_: pytest.fail("looked for again"))
    known = geo.maps.trustworthiness(points, on_map, nearest=nearest, **options)
    assert (known.value, known.kept, known.k) == (found.value, found.kept, 4)
    np.testing.assert_array_equal(known.nulls["permuted"].values, found.nulls["permuted"].values)
    with pytest.raises(geo.errors.EstimationError, match="neighbours of 199 places were given for a map of 200"):
        geo.maps.trustworthiness(points, on_map, nearest=geo.maps.nearest_neighbours(on_map[1:], 4))


def test_a_sample_estimates_what_all_points_give() -> None:
    rng = np.random.default_rng(2)
    points = rng.standard_normal((1500, 5))
    whole, part = (
        geo.maps.trustworthiness(points, points[:, :2], sample=sample, n_permutations=0) for sample in (1500, 300)
    )
    assert part.sample == 300
    assert part.value == pytest.approx(whole.value, abs=0.02)
    assert part.kept == pytest.approx(whole.kept, abs=0.03)
    assert np.isnan(part.to_dict()["p_value"])


def test_noise_on_a_map_is_not_trustworthy() -> None:
    rng = np.random.default_rng(5)
    result = geo.maps.trustworthiness(rng.standard_normal((400, 10)), rng.standard_normal((400, 2)))
    assert abs(result.value - 0.5) < 0.03
    assert result.p_value > 0.05


@pytest.mark.parametrize(("arguments", "says"), [({"k": 10}, "less than 10"), ({"sample": 0}, "sample")])
def test_trustworthiness_out_of_range_is_refused(arguments: dict, says: str) -> None:
    points = np.random.default_rng(0).standard_normal((20, 3))
    with pytest.raises(geo.errors.EstimationError, match=says):
        geo.maps.trustworthiness(points, points, **arguments)
    with pytest.raises(geo.errors.EstimationError, match="as many coordinates"):
        geo.maps.trustworthiness(points, points[1:])
