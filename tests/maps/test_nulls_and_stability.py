import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score

import geometry as geo
from geometry.maps.stability import pooled_agreement
from tests.maps.clouds import circle, two_blobs, unlabelled
from tests.planted import Planted


def noise(n: int = 150) -> geo.maps.LabelledPoints:
    rng = np.random.default_rng(11)
    return geo.maps.LabelledPoints.of_classes(rng.standard_normal((n, 5)), rng.choice(["one", "two"], n).tolist())


def test_planted_classes_are_found_and_noise_is_not() -> None:
    planted = geo.maps.compare_mapper(two_blobs(), geo.maps.pca_lens(1), cover=geo.maps.Cover(5, 0.3)).tests
    assert planted["purity"].value == 1
    assert planted["purity"].p_against("labels") == 0.05
    assert planted["purity"].nulls["labels"].mean < 0.75
    assert len(planted["loops"].nulls["gaussian"].values) == 19
    arbitrary = geo.maps.compare_mapper(noise(), geo.maps.pca_lens(1), cover=geo.maps.Cover(5, 0.3)).tests
    assert arbitrary["purity"].p_against("labels") > 0.05


def test_labels_far_along_their_own_vectors_prove_nothing() -> None:
    """In 100 dimensions a vector fitted to 20 points of noise finds these again: so does the null's."""
    rng = np.random.default_rng(0)
    points = geo.maps.LabelledPoints.of_classes(rng.standard_normal((60, 100)), ["a"] * 20 + ["b"] * 20 + [""] * 20)
    purity = geo.maps.compare_mapper(points, geo.maps.projection_lens(), cover=geo.maps.Cover(3, 0.3)).tests["purity"]
    assert purity.value > 0.5
    assert purity.p_against("labels") > 0.05


def test_a_loop_is_discriminated_from_a_gaussian_blob() -> None:
    rng = np.random.default_rng(0)
    points = circle(1000) + 0.03 * rng.standard_normal((1000, 2))
    tests = geo.maps.compare_mapper(
        unlabelled(points),
        geo.maps.pca_lens(1),
        cover=geo.maps.Cover(6, 0.3),
        clusterer=DBSCAN(eps=0.3, min_samples=20),
        n_permutations=39,
    ).tests
    assert (tests["components"].value, tests["holes"].value) == (1, 1)
    assert tests["holes"].p_against("gaussian") == tests["holes"].p_floor == 0.05
    assert np.isnan(tests["components"].p_against("labels"))  # labels do not enter the graph


def test_permutations_are_seeded_and_a_null_without_clusters_is_a_result(tmp_path: Path) -> None:
    blobs = two_blobs(30)

    def far(labelled: geo.maps.LabelledPoints, rng: np.random.Generator) -> geo.maps.LabelledPoints:
        return labelled.moved(rng.standard_normal((60, 5)) * 1e6)

    arguments = {"cover": geo.maps.Cover(3, 0.3), "clusterer": DBSCAN(eps=8), "n_permutations": 3}
    nulls = {"far": geo.maps.PointNull(far, "far apart", "*")}
    comparison = geo.maps.compare_mapper(blobs, geo.maps.pca_lens(1), nulls=nulls, **arguments)
    assert comparison.tests["components"].nulls["far"].values.ravel().tolist() == [0, 0, 0]
    assert np.isnan(comparison.tests["purity"].nulls["far"].values).all()
    assert comparison.tests["components"].p_against("far") == comparison.tests["components"].p_value == 0.5
    shown = comparison.tests["components"].nulls["far"]
    assert (shown.label, shown.marker) == ("far apart", "*")
    with geo.output.OutputFolder(tmp_path) as folder:
        folder.json("results", comparison.to_dict())
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["components"]["nulls"] == {"far": 0}
    assert stored["components"]["n_permutations"] == {"far": 3}
    assert stored["components"]["p_values"] == {"far": 0.5}
    assert stored["components"]["alternative"] == "two-sided"
    assert stored["purity"]["nulls"]["far"] is None
    first, again, other = (
        geo.maps.compare_mapper(noise(), geo.maps.pca_lens(1), n_permutations=3, seed=seed).tests for seed in (1, 1, 2)
    )
    gaussian = [
        {name: test.nulls["gaussian"].values for name, test in tests.items()} for tests in (first, again, other)
    ]
    for name, values in gaussian[0].items():
        np.testing.assert_array_equal(values, gaussian[1][name])
    assert any(not np.array_equal(values, gaussian[2][name]) for name, values in gaussian[0].items())
    with pytest.raises(geo.errors.EstimationError, match="at least one permutation"):
        geo.maps.compare_mapper(blobs, geo.maps.pca_lens(1), n_permutations=0)


def test_gaussian_points_keep_mean_and_covariance() -> None:
    rng = np.random.default_rng(0)
    for shape in ((4000, 3), (200, 400)):
        real = unlabelled(rng.exponential(size=shape) @ rng.standard_normal((shape[1], shape[1])))
        drawn = geo.maps.gaussian_points(real, rng)
        spread = np.trace(np.cov(real.points.T))
        assert np.trace(np.cov(drawn.points.T)) == pytest.approx(spread, rel=0.1)
        apart = np.linalg.norm(drawn.points.mean(axis=0) - real.points.mean(axis=0))
        assert apart < 4 * np.sqrt(spread / shape[0])
        assert np.linalg.matrix_rank(drawn.points - drawn.points.mean(axis=0)) <= shape[1]
    assert not np.allclose(drawn.points, real.points)


def test_shuffled_labels_keep_overlaps_and_groups() -> None:
    members = {"a": np.arange(6), "b": np.arange(4, 10)}
    labelled = geo.maps.LabelledPoints(np.eye(12), members, groups=np.repeat(np.arange(6), 2))
    drawn = geo.maps.shuffled_labels(labelled, np.random.default_rng(1))
    np.testing.assert_array_equal(drawn.points, labelled.points)
    before, after = labelled.incidence.toarray(), drawn.incidence.toarray()
    assert not np.array_equal(before, after)
    assert sorted(map(tuple, before)) == sorted(map(tuple, after))
    np.testing.assert_array_equal(after[::2], after[1::2])


def test_token_nulls_give_the_rows_of_other_tokens(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    cloud = geo.directions.TokenCloud.of(space, planted.hierarchy)
    labelled = geo.maps.LabelledPoints.of_concept(cloud, "animal")
    null = geo.maps.token_null(space, cloud)
    assert (null.label, null.marker) == (geo.NULLS["shuffled"].label, geo.NULLS["shuffled"].marker)
    tests = geo.maps.compare_mapper(
        labelled, geo.maps.projection_lens(), cover=geo.maps.Cover(4, 0.3), nulls={"shuffled": null}
    ).tests
    assert tests["purity"].p_value == 0.05
    drawn = null.draw(labelled, np.random.default_rng(0))
    rows = {tuple(row) for row in space.unified.float().numpy()}
    assert {tuple(row) for row in drawn.points} <= rows
    assert not np.allclose(drawn.points, labelled.points)
    for unfit in ("random_subset", "nothing"):
        with pytest.raises(geo.errors.EstimationError, match="does not draw rows"):
            geo.maps.token_null(space, cloud, unfit)
    part = labelled.select(np.arange(0, 60, 7))
    np.testing.assert_array_equal(null.draw(part, np.random.default_rng(0)).points, drawn.points[::7])
    with pytest.raises(geo.errors.EstimationError, match="'0' is no word of hierarchy 'planted'"):
        null.draw(noise(), np.random.default_rng(0))


def test_a_null_of_ones_own_serves_for_tokens(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    cloud = geo.directions.TokenCloud.of(space, planted.hierarchy)
    labelled = geo.maps.LabelledPoints.of_concept(cloud, "animal")
    mirrored = geo.NullModel(lambda _space, cloud, _rng: cloud.moved(-cloud.points), label="mirrored", marker="*")
    null = geo.maps.token_null(space, cloud, mirrored)
    assert (null.label, null.marker) == ("mirrored", "*")
    np.testing.assert_array_equal(null.draw(labelled, np.random.default_rng(0)).points, -labelled.points)


def test_the_sweep_chooses_what_samples_agree_on() -> None:
    covers = (geo.maps.Cover(1, 0.3), geo.maps.Cover(4, 0.3), geo.maps.Cover(6, 0.3))
    clusterers = (DBSCAN(eps=8), DBSCAN(eps=1.2, min_samples=3), DBSCAN(eps=1e-9))
    blobs = two_blobs()
    lens = blobs.points[:, 0]
    sweep = geo.maps.stability_sweep(blobs, lens, covers=covers, clusterers=clusterers)
    assert len(sweep.settings) == 6  # those of the tiny radius found no cluster
    best = sweep.choice
    assert best.clusterer is clusterers[0]
    assert best.informative
    assert best.cover.cubes == 6  # as stable as fewer
    assert best.agreement == 1
    assert (best.components, best.loops, best.coverage) == (2, 0, 1)
    assert best.components_sd == 0
    shaky = next(s for s in sweep.settings if s.clusterer is clusterers[1] and s.cover == best.cover)
    assert shaky.agreement < best.agreement
    table = sweep.to_dict()
    assert table["settings"][table["choice"]]["cubes"] == best.cover.cubes
    again = geo.maps.stability_sweep(blobs, lens, covers=covers, clusterers=clusterers)
    assert [s.agreement for s in again.settings] == [s.agreement for s in sweep.settings]


def test_agreement_by_hand() -> None:
    def part(rows: list[int], labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
        return np.array(rows), np.array(labels)

    whole = [part([0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 1]), part([9], [0]), part([4, 5, 6, 7], [0, 0, 0, 0])]
    one = part([0, 1, 3, 4], [1, 1, 0, 2])
    # Alone an interval gives the usual index; one with a single cluster on both sides adds nothing.
    expected = adjusted_rand_score([0, 0, 1, 1], [1, 1, 0, 2])
    assert pooled_agreement(whole, [one]) == pytest.approx(expected)
    assert pooled_agreement(whole, [one, part([4, 6], [0, 0])]) == pytest.approx(expected)
    assert pooled_agreement(whole, [part([4, 6, 7], [0, 0, 0])]) == 0
    assert pooled_agreement(whole, [part([0, 2, 5], [7, 7, -1]), part([4, 6], [0, 0])]) == 1


def test_sweeps_without_settings_or_clusters_are_refused() -> None:
    blobs = two_blobs(20)
    for arguments in ({"covers": ()}, {"resamples": 1}, {"sample_fraction": 1.0}):
        with pytest.raises(geo.errors.EstimationError, match="a sweep needs"):
            geo.maps.stability_sweep(blobs, geo.maps.pca_lens(1), **arguments)
    with pytest.raises(geo.errors.EstimationError, match="none of 4 settings"):
        geo.maps.stability_sweep(blobs, geo.maps.pca_lens(1), clusterers=[DBSCAN(eps=1e-9)])
