"""Probes against scikit-learn's ridge regression and networkx's paths, on planted trees and on noise."""

from collections.abc import Callable, Iterator
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge

import geometry as geo
from geometry.directions import TokenCloud
from geometry.evidence.statistics.tree_probes import _tree_distances
from tests.evidence.statistics.known import (
    fitted_halves,
    noise_cloud,
    planted_cloud,
    regular,
    tangled,
    with_vectors,
    without_variance,
)

Halves = tuple[geo.ConceptDirections, geo.ConceptDirections]
BOTH: list[Callable[[], geo.Statistic]] = [geo.evidence.depth_probe, geo.evidence.distance_probe]
LEVELS = (3, 4, 3)


def paths(hierarchy: geo.ConceptHierarchy) -> tuple[np.ndarray, np.ndarray]:
    """Depths by first parents, and steps between concepts."""
    graph = nx.Graph([(hierarchy.names[parent], hierarchy.names[child]) for parent, child in hierarchy.edges])
    steps = dict(nx.all_pairs_shortest_path_length(graph))
    first = nx.Graph([(own[0], name) for name, own in hierarchy.parents.items() if own])
    depths = nx.single_source_shortest_path_length(first, hierarchy.names[0])
    return (
        np.array([depths[name] for name in hierarchy.names]),
        np.array([[steps[one][other] for other in hierarchy.names] for one in hierarchy.names], dtype=float),
    )


def splits(hierarchy: geo.ConceptHierarchy) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Training and test concepts of every fold: families in turn."""
    families = list(dict.fromkeys(sorted(int(parent) for parent in hierarchy.above)))
    fold = np.array([families.index(int(parent)) % 5 for parent in hierarchy.above])
    for number in range(5):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def ridge(seen: np.ndarray, targets: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    strength = ((seen - seen.mean(axis=0)) ** 2).sum() / len(seen)
    return Ridge(alpha=strength).fit(seen, targets).predict(unseen)


def depths_by_hand(halves: Halves) -> list[float]:
    depths, _ = paths(halves[0].hierarchy)
    found = []
    for train, test in splits(halves[0].hierarchy):
        both = [
            spearmanr(ridge(one.numpy()[train], depths[train], other.numpy()[test]), depths[test]).statistic
            for one, other in (halves, halves[::-1])
        ]
        found.append(float(np.mean(both)))
    return found


def distances_by_hand(halves: Halves) -> list[float]:
    hierarchy = halves[0].hierarchy
    _, distance = paths(hierarchy)
    words = [set(concept.tokens) for concept in hierarchy]
    found = []
    for train, test in splits(hierarchy):
        centring = np.eye(len(train)) - 1 / len(train)
        values, vectors = np.linalg.eigh(-centring @ distance[np.ix_(train, train)] @ centring / 2)
        kept = values > max(values[-32:][0], 0) - 1e-6
        coordinates = vectors[:, kept] * np.sqrt(values[kept].clip(0))
        pairs = [(i, j) for i, j in combinations(range(len(test)), 2) if not words[test[i]] & words[test[j]]]
        both = []
        for one, other in (halves, halves[::-1]):
            own, mapped = (ridge(one.numpy()[train], coordinates, half.numpy()[test]) for half in (one, other))
            squared = [(own[i] - own[j]) @ (mapped[i] - mapped[j]) for i, j in pairs]
            both.append(spearmanr(squared, [distance[test[i], test[j]] for i, j in pairs]).statistic)
        found.append(float(np.mean(both)))
    return found


@pytest.mark.filterwarnings("ignore:An input array is constant")
@pytest.mark.parametrize("width", [10, 150])
@pytest.mark.parametrize("hierarchy", [regular(LEVELS), tangled()], ids=["regular", "tangled"])
def test_by_scikit_learn(hierarchy: geo.ConceptHierarchy, width: int) -> None:
    halves = fitted_halves(noise_cloud(hierarchy, 4, width))
    depth, distance = geo.evidence.depth_probe(), geo.evidence.distance_probe()
    np.testing.assert_allclose(depth.evaluate(*halves), depths_by_hand(halves), atol=1e-9)
    np.testing.assert_allclose(distance.evaluate(*halves), distances_by_hand(halves), atol=1e-9)
    assert depth.labels(halves[0]) == tuple(f"fold {number}" for number in range(1, 6))


def test_a_planted_depth_is_read_off_held_out_families() -> None:
    halves = fitted_halves(noise_cloud(regular(LEVELS), 0))
    vectors = [half.numpy().copy() for half in halves]
    for own in vectors:
        own[:, 1] = 3 * halves[0].hierarchy.depths
    planted = [with_vectors(half, own) for half, own in zip(halves, vectors, strict=True)]
    measured = geo.evidence.depth_probe().evaluate(*planted)
    assert np.nanmin(measured) > 0.7
    np.testing.assert_array_equal(measured, geo.evidence.depth_probe().evaluate(*planted))


def test_planted_distances_are_read_off_held_out_families() -> None:
    hierarchy, statistic = regular((4, 4, 3)), geo.evidence.distance_probe()
    planted = fitted_halves(planted_cloud(hierarchy, (1.0, 1.0, 1.0), noise=0.2))
    measured = statistic.evaluate(*planted)
    np.testing.assert_array_equal(measured, statistic.evaluate(*planted))
    width = len(hierarchy)
    noise = [np.nanmean(statistic.evaluate(*fitted_halves(noise_cloud(hierarchy, s, width)))) for s in range(10)]
    assert np.nanmean(measured) > 0.4
    assert max(noise) < 0.15


@pytest.mark.parametrize("made", BOTH)
@pytest.mark.parametrize("width", [20, 200])
def test_noise_gives_nothing(made: Callable[[], geo.Statistic], width: int) -> None:
    hierarchy, statistic = regular(LEVELS), made()
    means = [np.nanmean(statistic.evaluate(*fitted_halves(noise_cloud(hierarchy, s, width)))) for s in range(40)]
    assert abs(np.mean(means)) < 3 * np.std(means) / np.sqrt(len(means)) + 0.01


def test_lemmas_and_families_are_on_one_side() -> None:
    """What only words or only siblings have in common, noise of their own, is of no use to a probe."""
    hierarchy = regular(LEVELS)
    rng = np.random.default_rng(2)
    halves = fitted_halves(noise_cloud(hierarchy, 0))
    # Every family has an axis of its own, on which its members say their depth.
    vectors = rng.standard_normal((len(hierarchy), len(hierarchy))) * 0.01
    for concept, parent in enumerate(hierarchy.above):
        vectors[concept, parent] += hierarchy.depths[concept]
    depth = geo.evidence.depth_probe().evaluate(*[with_vectors(half, vectors) for half in halves])
    assert abs(np.nanmean(depth)) < 0.35
    one, other = halves
    assert not set(hierarchy.lemmas[one.train]) & set(hierarchy.lemmas[other.train])


def test_concepts_without_a_vector_are_left_out() -> None:
    halves = fitted_halves(noise_cloud(regular((4, 4, 3)), 0))
    vectors = [half.numpy().copy() for half in halves]
    gone = [halves[0].hierarchy.index(name) for name in ("raab", "rbcc")]
    vectors[1][gone] = np.nan
    kept = halves[0].hierarchy.only([name for name in halves[0].names if name not in ("raab", "rbcc")])
    fewer = fitted_halves(noise_cloud(kept, 0))
    same = tuple(with_vectors(half, np.delete(own, gone, axis=0)) for half, own in zip(fewer, vectors, strict=True))
    missing = [with_vectors(half, own) for half, own in zip(halves, vectors, strict=True)]
    np.testing.assert_allclose(geo.evidence.depth_probe().evaluate(*missing), depths_by_hand(same), atol=1e-9)
    np.testing.assert_allclose(geo.evidence.distance_probe().evaluate(*missing), distances_by_hand(same), atol=1e-9)


def test_trees_of_a_forest_are_joined_above() -> None:
    """Vectors of a forest, and of the same concepts in one tree whose root has no vector, are the same thing."""
    tree = regular(LEVELS)
    forest = tree.only([name for name in tree.names if name != "r"])
    assert sum(not forest.parents[name] for name in forest.names) == 3
    vectors = np.random.default_rng(0).standard_normal((len(tree), 30))
    vectors[0] = np.nan
    rows = [tree.index(name) for name in forest.names]
    within = [with_vectors(half, vectors) for half in fitted_halves(noise_cloud(tree, 0))]
    apart = [with_vectors(half, vectors[rows]) for half in fitted_halves(noise_cloud(forest, 0))]
    # Roots are families of one in the forest, so that folds differ: distances alone are compared.
    np.testing.assert_array_equal(_tree_distances(forest), tree.tree_distance()[np.ix_(rows, rows)])
    for halves in (within, apart):
        assert np.isfinite(geo.evidence.distance_probe().evaluate(*halves)).all()


@pytest.mark.parametrize("made", BOTH)
def test_too_few_families_are_not_measured(made: Callable[[], geo.Statistic]) -> None:
    statistic = made()
    for hierarchy, has in ((regular((3,)), 1), (regular((8,)), 1), (regular((3, 2)), 4)):
        halves = fitted_halves(noise_cloud(hierarchy, 0))
        assert np.isnan(statistic.evaluate(*halves)).all()
        assert statistic.evaluate(*halves).shape == (5,)
        assert geo.evidence.lacking(statistic.requires, hierarchy) == (
            f"needs at least 10 families of concepts of 2 lemmas, has {has}"
        )


@pytest.mark.parametrize("made", BOTH)
def test_a_layer_without_variance_is_not_measured(made: Callable[[], geo.Statistic]) -> None:
    statistic = made()
    cloud = noise_cloud(regular(LEVELS), 0)
    assert np.isnan(statistic.evaluate(*fitted_halves(without_variance(cloud)))).all()
    nothing = TokenCloud(cloud.hierarchy, torch.zeros_like(cloud.points))
    assert np.isnan(statistic.evaluate(*fitted_halves(nothing))).all()
    assert geo.evidence.lacking(statistic.requires, cloud.hierarchy) == ""
