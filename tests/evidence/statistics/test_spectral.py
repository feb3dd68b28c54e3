"""Spectral splitting against dense eigenvectors, on planted trees, on noise, and where nothing can be measured."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import somersd

import geometry as geo
from geometry.directions import TokenCloud
from tests.evidence.statistics.known import (
    fitted,
    noise_cloud,
    planted_cloud,
    regular,
    tangled,
    without_variance,
)
from tests.planted import result

Made = Callable[[], geo.Statistic]
BOTH: list[Made] = [geo.evidence.spectral_splitting, geo.evidence.spectral_order]


def lemmas_of(cloud: TokenCloud) -> tuple[np.ndarray, dict[int, set[str]]]:
    """Centred mean rows of lemmas that are in one branch, and the rows' numbers below each concept, by plain loops."""
    hierarchy = cloud.hierarchy
    above = {name: hierarchy.parents[name][0] for name in hierarchy.names if hierarchy.parents[name]}

    def path(name: str) -> set[str]:
        return {name} | (path(above[name]) if name in above else set())

    rows, held = [], {name: [] for name in hierarchy.names}
    for lemma in np.unique(hierarchy.lemmas):
        tokens = np.flatnonzero(hierarchy.lemmas == lemma)
        holders = [{name for name in hierarchy.names if token in hierarchy.members[hierarchy.index(name)]}
                   for token in tokens]  # fmt: skip
        paths = [path(max(some, key=lambda name: len(path(name)))) for some in holders]
        if all(some == paths[0] for some in (*holders, *paths)):
            for name in paths[0]:
                held[name].append(len(rows))
            rows.append(cloud.points.numpy()[tokens].mean(axis=0))
    centred = np.stack(rows) - np.mean(rows, axis=0)
    return centred, {hierarchy.index(name): some for name, some in held.items()}


def by_hand(cloud: TokenCloud) -> tuple[dict[int, float], list[tuple[int, float]]]:
    """Share of each level in the leading eigenvectors of the Gram matrix, and level and place of every concept."""
    hierarchy, (rows, held) = cloud.hierarchy, lemmas_of(cloud)
    values, vectors = np.linalg.eigh(rows @ rows.T)
    vectors = vectors[:, ::-1][:, : int((values > 1e-9 * values.max()).sum())]
    depth = dict(zip(range(len(hierarchy)), hierarchy.depths.tolist(), strict=True))
    projectors: dict[int, list[tuple[np.ndarray, int]]] = {}
    places = []
    for node in range(len(hierarchy)):
        children = [
            held[child] for child in range(len(hierarchy))
            if hierarchy.parents[hierarchy.names[child]][:1] == (hierarchy.names[node],) and len(held[child]) >= 3
        ]  # fmt: skip
        if len(children) < 2:
            continue
        # Onto what is constant in each child, less what is the same in all.
        projector = np.zeros((len(rows), len(rows)))
        for child in children:
            projector[np.ix_(child, child)] = 1 / len(child)
        union = np.concatenate(children)
        projector[np.ix_(union, union)] -= 1 / len(union)
        projectors.setdefault(depth[node], []).append((projector, len(children) - 1))
        energy = np.einsum("ni,nm,mi->i", vectors, projector, vectors)
        places.append((depth[node], float(energy @ np.arange(1, len(energy) + 1) / energy.sum())))
    shares, total = {}, 0
    for level in sorted(projectors):
        rank = sum(count for _, count in projectors[level])
        total += rank
        leading = vectors[:, :total]
        found = sum(np.trace(leading.T @ projector @ leading) for projector, _ in projectors[level]) / rank
        chance = total / (len(rows) - 1)
        shares[level] = (found - chance) / (1 - chance) if total <= vectors.shape[1] else np.nan
    return shares, places


@pytest.mark.parametrize("width", [8, 40, 200])
@pytest.mark.parametrize("hierarchy", [regular((3, 2, 2), 4), tangled()], ids=["regular", "tangled"])
def test_by_dense_eigenvectors(hierarchy: geo.ConceptHierarchy, width: int) -> None:
    cloud = noise_cloud(hierarchy, 3, width)
    shares, places = by_hand(cloud)
    splitting, order = geo.evidence.spectral_splitting(), geo.evidence.spectral_order()
    directions = fitted(cloud)
    np.testing.assert_allclose(splitting.evaluate(directions), list(shares.values()), atol=1e-8)
    assert [label.split(" (")[0] for label in splitting.labels(directions)] == [f"level {level}" for level in shares]
    assert np.isnan(list(shares.values())).any() == (width == 8)
    np.testing.assert_allclose(order.evaluate(directions), [somersd(*zip(*places, strict=True)).statistic])


def test_words_of_two_branches_and_small_children_are_left_out() -> None:
    cloud = noise_cloud(tangled(), 0)
    labels = geo.evidence.spectral_splitting().labels(fitted(cloud))
    # Two of five words of raaa and of raab are elsewhere too, as many as leave three; rare has two and does not count.
    assert labels == ("level 0 (2)", "level 1 (6)", "level 2 (9)")


@pytest.mark.parametrize("levels", [(3, 4, 3), (2, 2, 2, 2), (4, 2, 3)], ids=str)
def test_a_planted_tree_splits_coarse_to_fine(levels: tuple[int, ...]) -> None:
    hierarchy, lengths = regular(levels), tuple(1.0 for _ in levels)
    exact = fitted(planted_cloud(hierarchy, lengths))
    np.testing.assert_allclose(geo.evidence.spectral_splitting().evaluate(exact), np.ones(len(levels)))
    assert geo.evidence.spectral_order().evaluate(exact)[0] == 1
    noisy = fitted(planted_cloud(hierarchy, lengths, noise=0.2))
    shares = geo.evidence.spectral_splitting().evaluate(noisy)
    assert (shares > 0.3).all()
    assert (shares < 1).all()
    assert geo.evidence.spectral_order().evaluate(noisy)[0] > 0.8
    np.testing.assert_array_equal(shares, geo.evidence.spectral_splitting().evaluate(fitted(noisy.cloud)))


def test_fine_contrasts_of_more_variance_come_first() -> None:
    """Eigenvalues n × length² of 96, 24 and 8 words: nothing of the coarse is in the leading eigenvectors."""
    hierarchy = regular((3, 4, 3))
    directions = fitted(planted_cloud(hierarchy, (1.0, 4.0, 16.0)))
    shares = geo.evidence.spectral_splitting().evaluate(directions)
    n = 3 * 4 * 3 * 8
    # 2, 11 and 35 contrasts; the 24 finest lead, then the 9.
    assert shares == pytest.approx([(0 - 2 / (n - 1)) / (1 - 2 / (n - 1)), (0 - 11 / (n - 1)) / (1 - 11 / (n - 1)), 1])
    assert geo.evidence.spectral_order().evaluate(directions)[0] == -1


def test_noise_gives_nothing() -> None:
    hierarchy = regular((3, 4, 3))
    clouds = [fitted(noise_cloud(hierarchy, seed)) for seed in range(60)]
    shares = np.array([geo.evidence.spectral_splitting().evaluate(some) for some in clouds])
    orders = np.array([geo.evidence.spectral_order().evaluate(some)[0] for some in clouds])
    for values in (*shares.T, orders):
        assert abs(values.mean()) < 3.5 * values.std() / np.sqrt(len(values))
    assert shares.std(axis=0).max() < 0.1


def test_the_interval_of_the_order_draws_concepts() -> None:
    statistic, directions = (
        geo.evidence.spectral_order(),
        fitted(planted_cloud(regular((3, 4, 3)), (1.0, 1.0, 1.0), noise=0.5)),
    )
    assert statistic.resample is not None
    means = statistic.resample(directions, np.random.default_rng(0))
    own = statistic.evaluate(directions)
    low, high = result(own, resampled=means).interval
    assert low <= own[0] <= high
    assert high - low < 0.6
    hierarchy, covered = regular((3, 3, 3, 2), 3), 0
    for seed in range(60):
        noise = fitted(noise_cloud(hierarchy, seed))
        means = statistic.resample(noise, np.random.default_rng(seed))
        low, high = result(statistic.evaluate(noise), resampled=means).interval
        covered += low <= 0 <= high
    assert 52 <= covered <= 60


@pytest.mark.parametrize("made", BOTH)
def test_nothing_is_measured_without_two_levels(made: Made) -> None:
    statistic = made()
    for hierarchy in (regular((5,)), regular((2,))):
        directions = fitted(noise_cloud(hierarchy, 0))
        assert np.isnan(statistic.evaluate(directions)).all()
        assert statistic.requires[0].lacking(hierarchy) == (
            "needs at least 2 levels of concepts with two children of 3 lemmas in one branch, has 1"
        )
    assert geo.evidence.lacking(geo.evidence.spectral_order().requires, regular((2, 2))) == (
        "needs at least 6 concepts with two children of 3 lemmas in one branch, has 3"
    )


@pytest.mark.parametrize("made", BOTH)
def test_a_layer_without_variance_is_not_measured(made: Made) -> None:
    cloud = without_variance(noise_cloud(regular((3, 4, 3)), 0))
    statistic = made()
    assert np.isnan(statistic.evaluate(fitted(cloud))).all()
    assert geo.evidence.lacking(statistic.requires, cloud.hierarchy) == ""
