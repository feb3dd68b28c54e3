"""Maps that move from layer to layer: begun from each other, laid on each other, and few enough for a page."""

import numpy as np
import pytest

import geometry.maps as maps
from geometry.errors import EstimationError
from geometry.experiments.layers.moving_map import aligned, displacement, moving_map, shown_sites
from geometry.steering import Site

RNG = np.random.default_rng(0)
SITES = [Site("output", block) for block in range(3)]


def clusters(spread: float = 0.3) -> np.ndarray:
    return (np.repeat(3 * np.eye(4, 12), 12, axis=0) + spread * RNG.normal(size=(48, 12))).astype(np.float32)


def test_aligned_maps_differ_by_no_turn_mirror_size_or_place() -> None:
    first = aligned(RNG.normal(size=(40, 2)).astype(np.float32), None)
    assert np.median(first, axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert np.median(np.linalg.norm(first, axis=1)) == pytest.approx(1)
    turn = np.array([[0.6, 0.8], [0.8, -0.6]])  # mirrors as well
    moved = (5 * first @ turn + [3, -7]).astype(np.float32)
    assert displacement(first, aligned(moved, None)) > 0.3
    again = aligned(moved, first)
    # The median of a turned cloud is another point, so that it is off by a little.
    assert displacement(first, again) < 0.2
    assert np.corrcoef(again.ravel(), first.ravel())[0, 1] > 0.98


def test_every_layer_is_mapped_from_its_neighbour_and_judged() -> None:
    points = {site: clusters() for site in SITES}
    points[SITES[2]] = RNG.normal(size=(48, 12)).astype(np.float32)
    asked: list[Site] = []

    def points_at(site: Site) -> np.ndarray:
        asked.append(site)
        return points[site]

    found = moving_map(SITES, SITES[1], points_at, seed=0)
    assert list(found.layers) == SITES
    assert asked == [SITES[1], SITES[2], SITES[0]]
    kept = [layer.trust.kept for layer in found.layers.values()]
    assert min(kept[:2]) > 0.5
    alike, unlike = found.moves
    assert alike < unlike
    numbers = found.to_dict()
    assert numbers["displacement"] == found.moves
    assert numbers["trustworthiness"]["output.1"]["kept"] == kept[1]
    again = moving_map(SITES, SITES[1], points.__getitem__, seed=0)
    assert all((found.layers[site].coordinates == again.layers[site].coordinates).all() for site in SITES)


def test_a_map_begun_from_places_stays_near_them() -> None:
    points = clusters()
    first = maps.umap_embedding(points, epochs=50, progress=False)
    mirrored = first * [1, -1]
    for start in (first, mirrored):
        begun = maps.umap_embedding(points, initial=start, epochs=10, progress=False)
        assert all(np.corrcoef(begun[:, axis], start[:, axis])[0, 1] > 0.8 for axis in (0, 1))


def test_initial_coordinates_of_other_points_are_refused() -> None:
    with pytest.raises(EstimationError, match=r"initial coordinates must have shape \(48, 2\), not \(47, 2\)"):
        maps.umap_embedding(clusters(), initial=RNG.normal(size=(47, 2)))
    with pytest.raises(EstimationError, match="NaN"):
        maps.umap_embedding(clusters(), initial=np.full((48, 2), np.nan))


def test_few_points_are_refused() -> None:
    with pytest.raises(EstimationError, match="30 phrases are too few to map"):
        moving_map(SITES, SITES[0], lambda _: RNG.normal(size=(30, 4)).astype(np.float32), seed=0)


def test_layers_are_left_out_where_a_page_would_be_too_large() -> None:
    sites = [Site("output", block) for block in range(80)]
    assert shown_sites(sites, [sites[3]], 4000) == sites
    few = shown_sites(sites, [sites[3], sites[40]], 50_000)
    assert {sites[0], sites[3], sites[40], sites[-1]} <= set(few)
    assert 10 < len(few) <= 17
    assert few == sorted(few, key=sites.index)
