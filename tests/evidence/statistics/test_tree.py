"""Tree correlation against scipy, quartets against a plain loop, and both on trees and noise."""

from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, rankdata, spearmanr

import geometry as geo
from geometry.evidence.statistics.tree import _centred_ranks
from tests.planted import planted_tree, result

Pairs = list[tuple[int, int]]


@pytest.fixture(scope="module")
def few(directions: geo.ConceptDirections) -> geo.ConceptDirections:
    """Directions of ten concepts, so few that all of their quartets are measured."""
    hierarchy = directions.hierarchy
    kept = "organism animal plant mammal bird fish insect tree fruit herb".split()
    concepts = tuple(hierarchy[name] for name in kept)
    small = geo.ConceptHierarchy("few", concepts, {name: hierarchy.parents[name] for name in kept})
    points = directions.cloud.points[torch.from_numpy(np.searchsorted(hierarchy.tokens, small.tokens))]
    return geo.ConceptDirections.fit_cloud(geo.directions.TokenCloud(small, points))


def random_vectors(directions: geo.ConceptDirections, rng: np.random.Generator) -> geo.ConceptDirections:
    return replace(directions, vectors=torch.from_numpy(rng.standard_normal(directions.vectors.shape)))


def additive(directions: geo.ConceptDirections) -> geo.ConceptDirections:
    """Every ℓ is its parent's and a step of its own along a new axis: squared distances add up along the tree."""
    hierarchy, vectors = directions.hierarchy, torch.zeros_like(directions.vectors)
    for place, name in enumerate(hierarchy.names):
        if hierarchy.parents[name]:
            vectors[place] = vectors[hierarchy.index(hierarchy.parents[name][0])]
        vectors[place, place] = 1 + place % 4
    return replace(directions, vectors=vectors)


def pairs_of(hierarchy: geo.ConceptHierarchy, which: str) -> Pairs:
    tokens = [set(concept.tokens) for concept in hierarchy]
    return [(i, j) for i, j in combinations(range(len(hierarchy)), 2) if which == "all" or not tokens[i] & tokens[j]]


def closeness(hierarchy: geo.ConceptHierarchy, pairs: Pairs) -> list[float]:
    graph = nx.Graph([(hierarchy.names[parent], hierarchy.names[child]) for parent, child in hierarchy.edges])
    return [1 / (1 + nx.shortest_path_length(graph, hierarchy.names[i], hierarchy.names[j])) for i, j in pairs]


@pytest.mark.parametrize("which", ["all", "word-disjoint"])
def test_tree_correlation_is_spearmans(directions: geo.ConceptDirections, which: str) -> None:
    statistic = geo.evidence.tree_correlation(which)
    pairs = pairs_of(directions.hierarchy, which)
    cosines = directions.cosines()
    expected = spearmanr([cosines[pair] for pair in pairs], closeness(directions.hierarchy, pairs)).statistic
    np.testing.assert_allclose(statistic.evaluate(directions), [expected])
    assert statistic.name == ("tree_correlation_all" if which == "all" else "tree_correlation")
    assert len(statistic.labels(directions)) == 1


@pytest.mark.parametrize("n", [0, 1, 2, 9, 400])
def test_centred_ranks_are_scipys_less_their_mean(n: int) -> None:
    values = np.random.default_rng(n).integers(-20, 20, n) / 7  # many of them equal
    assert np.array_equal(_centred_ranks(values), rankdata(values) - (n + 1) / 2)


@pytest.mark.parametrize("which", ["all", "word-disjoint"])
def test_concepts_without_a_vector_are_in_no_pair(directions: geo.ConceptDirections, which: str) -> None:
    vectors = directions.vectors.clone()
    vectors[directions.hierarchy.index("fish")] = torch.nan
    missing = replace(directions, vectors=vectors)
    fish = directions.hierarchy.index("fish")
    pairs = [pair for pair in pairs_of(directions.hierarchy, which) if fish not in pair]
    cosines = directions.cosines()
    expected = spearmanr([cosines[pair] for pair in pairs], closeness(directions.hierarchy, pairs)).statistic
    np.testing.assert_allclose(geo.evidence.tree_correlation(which).evaluate(missing), [expected])


@pytest.mark.filterwarnings("ignore:An input array is constant")
@pytest.mark.parametrize("which", ["all", "word-disjoint"])
def test_the_bootstrap_draws_concepts_where_families_are_few(few: geo.ConceptDirections, which: str) -> None:
    resampled = geo.evidence.tree_correlation(which).resample(few, np.random.default_rng(5))
    pairs, cosines = pairs_of(few.hierarchy, which), few.cosines()
    ranks = [rankdata([cosines[pair] for pair in pairs]), rankdata(closeness(few.hierarchy, pairs))]
    counts = np.random.default_rng(5).multinomial(10, np.full(10, 0.1), size=len(resampled))
    for found, times in list(zip(resampled, counts, strict=True))[:20]:
        copies = [place for place, (i, j) in enumerate(pairs) for _ in range(times[i] * times[j])]
        # pearsonr is nan, as it should be, where all pairs that were drawn are equally close.
        assert found == pytest.approx(pearsonr(ranks[0][copies], ranks[1][copies]).statistic, nan_ok=True)


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_the_bootstrap_draws_families_of_concepts_with_their_parent() -> None:
    unembedding, hierarchy = planted_tree((4, 3), 4, 30, 200)
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(unembedding), hierarchy)
    resampled = geo.evidence.tree_correlation("all").resample(directions, np.random.default_rng(5))
    pairs, cosines = pairs_of(hierarchy, "all"), directions.cosines()
    ranks = [rankdata([cosines[pair] for pair in pairs]), rankdata(closeness(hierarchy, pairs))]
    # The root and its children are one family, the children of each child another.
    family = [0 if len(name) < 3 else 1 + "abcd".index(name[1]) for name in hierarchy.names]
    counts = np.random.default_rng(5).multinomial(5, np.full(5, 0.2), size=len(resampled))
    for found, times in list(zip(resampled, counts, strict=True))[:20]:
        copies = [place for place, (i, j) in enumerate(pairs) for _ in range(times[family[i]] * times[family[j]])]
        assert found == pytest.approx(pearsonr(ranks[0][copies], ranks[1][copies]).statistic, nan_ok=True)


@pytest.mark.parametrize("which", ["all", "word-disjoint"])
def test_the_bootstrap_interval_covers(directions: geo.ConceptDirections, which: str) -> None:
    statistic, rng = geo.evidence.tree_correlation(which), np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        noise = random_vectors(directions, rng)
        own, means = statistic.evaluate(noise), statistic.resample(noise, rng)
        low, high = result(own, resampled=means).interval
        covered += low <= 0 <= high
    assert 88 <= covered <= 100
    own = statistic.evaluate(directions)
    low, high = result(own, resampled=statistic.resample(directions, rng)).interval
    assert 0 < low < own[0] < high < 1


def quartets_by_hand(directions: geo.ConceptDirections) -> tuple[dict[str, float], dict[str, float]]:
    hierarchy, vectors = directions.hierarchy, directions.vectors.numpy()
    graph = nx.Graph([(hierarchy.names[parent], hierarchy.names[child]) for parent, child in hierarchy.edges])
    agreements, deltas = defaultdict(list), defaultdict(list)
    for four in combinations(hierarchy.names, 4):
        if any(set(hierarchy[one].tokens) & set(hierarchy[other].tokens) for one, other in combinations(four, 2)):
            continue
        a, b, c, d = four
        pairings = (((a, b), (c, d)), ((a, c), (b, d)), ((a, d), (b, c)))
        steps = [sum(nx.shortest_path_length(graph, *pair) for pair in pairing) for pairing in pairings]
        if sorted(steps)[0] == sorted(steps)[1]:
            continue
        sums = [
            sum(
                ((vectors[hierarchy.index(one)] - vectors[hierarchy.index(other)]) ** 2).sum() for one, other in pairing
            )
            for pairing in pairings
        ]
        low, middle, high = sorted(sums)
        for name in four:
            agreements[name].append(float(np.argmin(sums) == np.argmin(steps)))
            deltas[name].append((high - middle) / (high - low))
    return tuple({name: float(np.mean(some)) for name, some in found.items()} for found in (agreements, deltas))


def test_quartets_and_four_points_by_hand(few: geo.ConceptDirections) -> None:
    noise = random_vectors(few, np.random.default_rng(1))
    for directions in (few, noise):
        for statistic, expected in zip(
            (geo.evidence.quartets(), geo.evidence.four_points()), quartets_by_hand(directions), strict=True
        ):
            found = dict(zip(statistic.labels(directions), statistic.evaluate(directions).tolist(), strict=True))
            assert {name: value for name, value in found.items() if not np.isnan(value)} == pytest.approx(expected)
            assert set(found) - set(expected) == {"organism", "animal", "plant"}
    assert 0 < np.nanmean(geo.evidence.quartets().evaluate(noise)) < 1


def test_an_additive_tree_is_found_exactly(directions: geo.ConceptDirections) -> None:
    tree = additive(directions)
    agreement, delta = geo.evidence.quartets().evaluate(tree), geo.evidence.four_points().evaluate(tree)
    measured = ~np.isnan(agreement)
    assert measured.sum() == 12
    assert np.all(agreement[measured] == 1)
    np.testing.assert_allclose(delta[measured], 0, atol=1e-9)


def test_noise_agrees_with_the_tree_by_chance(directions: geo.ConceptDirections) -> None:
    rng = np.random.default_rng(0)
    clouds = [random_vectors(directions, rng) for _ in range(60)]
    agreements, deltas = (
        [np.nanmean(s.evaluate(some)) for some in clouds] for s in (geo.evidence.quartets(), geo.evidence.four_points())
    )
    assert np.mean(agreements) == pytest.approx(1 / 3, abs=0.05)
    assert np.mean(deltas) == pytest.approx(1 / 2, abs=0.05)


def test_a_forest_has_quartets_across_its_trees(directions: geo.ConceptDirections) -> None:
    hierarchy = directions.hierarchy
    kept = "animal plant mammal bird tree fruit".split()
    parents = {"mammal": ("animal",), "bird": ("animal",), "tree": ("plant",), "fruit": ("plant",)}
    forest = geo.ConceptHierarchy("forest", tuple(hierarchy[name] for name in kept), parents)
    points = directions.cloud.points[torch.from_numpy(np.searchsorted(hierarchy.tokens, forest.tokens))]
    found = geo.evidence.quartets().evaluate(
        additive(geo.ConceptDirections.fit_cloud(geo.directions.TokenCloud(forest, points)))
    )
    assert dict(zip(forest.names, found, strict=True)) == pytest.approx(
        {"animal": np.nan, "plant": np.nan, "mammal": 1, "bird": 1, "tree": 1, "fruit": 1}, nan_ok=True
    )


def test_too_few_concepts_are_not_measured(directions: geo.ConceptDirections) -> None:
    hierarchy = directions.hierarchy
    three = geo.ConceptHierarchy("three", tuple(hierarchy[name] for name in ("bird", "fish", "tree")), {})
    points = directions.cloud.points[torch.from_numpy(np.searchsorted(hierarchy.tokens, three.tokens))]
    alone = geo.ConceptDirections.fit_cloud(geo.directions.TokenCloud(three, points))
    for statistic in (geo.evidence.quartets(), geo.evidence.four_points(), geo.evidence.tree_correlation()):
        assert np.isnan(statistic.evaluate(alone)).all()
