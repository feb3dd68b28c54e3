"""Relative δ against all quadruples, on trees and on noise."""

from itertools import combinations

import numpy as np
import pytest

import geometry as geo
from tests.evidence.statistics.known import (
    fitted,
    noise_cloud,
    planted_cloud,
    regular,
    tangled,
    with_vectors,
    without_variance,
)
from tests.planted import nested_words, synthetic


def by_hand(directions: geo.ConceptDirections) -> float:
    """By four nested loops and the definition."""
    hierarchy, vectors = directions.hierarchy, directions.numpy()
    leaves = [index for index, name in enumerate(hierarchy.names) if not hierarchy.children[name]]
    distance = {(i, j): float(np.linalg.norm(vectors[i] - vectors[j])) for i in leaves for j in leaves}
    words = {leaf: set(hierarchy.concepts[leaf].tokens) for leaf in leaves}
    delta, diameter = 0.0, 0.0
    for four in combinations(leaves, 4):
        if any(words[i] & words[j] for i, j in combinations(four, 2)):
            continue
        a, b, c, d = four
        sums = (
            distance[a, b] + distance[c, d],
            distance[a, c] + distance[b, d],
            distance[a, d] + distance[b, c],
        )
        _, middle, high = sorted(sums)
        delta = max(delta, (high - middle) / 2)
        diameter = max(diameter, *(distance[pair] for pair in combinations(four, 2)))
    return 2 * delta / diameter


def value(directions: geo.ConceptDirections) -> float:
    statistic = geo.evidence.hyperbolicity()
    found = statistic.evaluate(directions)
    assert found.shape == (len(statistic.labels(directions)),) == (1,)
    return float(found[0])


@pytest.mark.parametrize("hierarchy", [regular((2, 3, 2)), tangled()], ids=["regular", "tangled"])
def test_all_quadruples(hierarchy: geo.ConceptHierarchy) -> None:
    for seed in range(3):
        directions = fitted(noise_cloud(hierarchy, seed, width=5))
        assert value(directions) == pytest.approx(by_hand(directions))


def test_many_quadruples_are_drawn_and_give_a_lower_bound() -> None:
    # 48 leaves have 194,580 quadruples.
    directions = fitted(noise_cloud(regular((4, 4, 3), 3), 0, width=3))
    exact = by_hand(directions)
    assert 0.9 * exact < value(directions) <= exact
    assert value(directions) == value(directions)


def test_a_square_and_a_star() -> None:
    directions = fitted(noise_cloud(regular((4,)), 0, width=4))
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])
    star = np.eye(5, 4)
    # s₁ = 2√2 of the diagonals, s₂ = 2 of the sides, and the diameter is √2.
    vectors = np.zeros((5, 4))
    vectors[1:, :2] = square[:4]
    assert value(with_vectors(directions, vectors)) == pytest.approx(2 - np.sqrt(2))
    vectors[1:] = star[:4]
    assert value(with_vectors(directions, vectors)) == pytest.approx(0, abs=1e-12)
    assert value(with_vectors(directions, 1e3 * vectors + 7)) == pytest.approx(0, abs=1e-12)


def test_a_tree_whose_levels_are_orthogonal_is_an_ultrametric() -> None:
    hierarchy = regular((2, 3, 2))
    tree = fitted(planted_cloud(hierarchy, (3.0, 2.0, 1.0)))
    assert value(tree) == pytest.approx(0, abs=1e-12)
    noisy = fitted(planted_cloud(hierarchy, (3.0, 2.0, 1.0), noise=0.3))
    noise = [value(fitted(noise_cloud(hierarchy, seed, width=len(hierarchy)))) for seed in range(5)]
    assert 0 < value(noisy) < 0.5 * min(noise)


def test_noise_is_nearer_to_a_star_the_more_dimensions_it_has() -> None:
    hierarchy = regular((3, 3, 2))
    means = [np.mean([value(fitted(noise_cloud(hierarchy, s, width))) for s in range(10)]) for width in (2, 20, 200)]
    assert means[0] > 0.4 > means[1] > 0.2 > means[2]
    assert np.isnan(geo.evidence.hyperbolicity().unstructured)


def test_concepts_with_a_common_word_are_in_no_quadruple() -> None:
    words, parents = nested_words((5,), 4)
    words["rb"].append(words["ra"][0])
    _, hierarchy = synthetic(np.ones((len(words["r"]), 2)), words, parents)
    directions = fitted(noise_cloud(hierarchy, 0, width=6))
    vectors = np.eye(6)
    square = vectors.copy()
    places = {"ra": (9, 9), "rc": (0, 9), "rb": (0, 0), "rd": (9, 0), "re": (4.5, 4.5)}
    for name, place in places.items():
        square[hierarchy.index(name), :2] = place
    for some in (vectors, square):
        assert value(with_vectors(directions, some)) == pytest.approx(by_hand(with_vectors(directions, some)))
    # With ra and rb in one quadruple it would be 2 − √2 of a square.
    assert value(with_vectors(directions, square)) < 0.4


def test_concepts_without_a_vector_are_in_no_quadruple() -> None:
    directions = fitted(noise_cloud(regular((3, 2)), 0, width=4))
    vectors = directions.numpy().copy()
    gone = directions.hierarchy.index("rab")
    vectors[gone] = np.nan
    kept = directions.hierarchy.only([name for name in directions.names if name != "rab"])
    others = fitted(noise_cloud(kept, 0, width=4))
    same = with_vectors(others, np.delete(vectors, gone, axis=0))
    assert value(with_vectors(directions, vectors)) == pytest.approx(by_hand(same))
    four = fitted(noise_cloud(regular((4,)), 0, width=4))
    lacking = four.numpy().copy()
    lacking[2] = np.nan
    assert np.isfinite(value(four))
    assert np.isnan(value(with_vectors(four, lacking)))


def test_too_little_is_not_measured() -> None:
    statistic = geo.evidence.hyperbolicity()
    three = regular((3,))
    assert np.isnan(value(fitted(noise_cloud(three, 0))))
    assert geo.evidence.lacking(statistic.requires, three) == (
        "needs at least 1 quadruple of concepts without a common word and without concepts below, has 0"
    )
    assert geo.evidence.lacking(statistic.requires, regular((4,))) == ""
    constant = fitted(without_variance(noise_cloud(regular((3, 4)), 0)))
    assert np.isnan(value(constant))
    rounding = 1e-12 * np.random.default_rng(0).standard_normal(constant.vectors.shape)
    assert np.isnan(value(with_vectors(constant, constant.numpy() + rounding)))
