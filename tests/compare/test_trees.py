from collections.abc import Callable

import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from geometry.compare import ModelProfile, consensus, cophenetic, dendrogram, recovered_tree, tree_agreement

Array = np.ndarray


def cosines(seed: int, k: int = 9) -> Array:
    x = np.random.default_rng(seed).standard_normal((k, 5))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def test_three_concepts_by_hand() -> None:
    gram = np.array([[1, 0.9, 0.3], [0.9, 1, 0.1], [0.3, 0.1, 1]])
    np.testing.assert_allclose(cophenetic(gram), [[0, 0.1, 0.8], [0.1, 0, 0.8], [0.8, 0.8, 0]])
    np.testing.assert_allclose(dendrogram(gram), [[0, 1, 0.1, 2], [2, 3, 0.8, 3]])


def test_the_dendrogram_is_scipys_average_linkage() -> None:
    gram = cosines(0)
    merges = linkage(squareform(1 - gram, checks=False), "average")
    np.testing.assert_allclose(dendrogram(gram), merges)
    np.testing.assert_allclose(cophenetic(gram), squareform(cophenet(merges)))


def planted_heights() -> Array:
    """((0 1) (2 3)) ((4 5) 6): an ultrametric tree."""
    heights = np.full((7, 7), 1.2)
    for members, height in (([0, 1, 2, 3], 0.7), ([4, 5, 6], 0.9), ([0, 1], 0.2), ([2, 3], 0.3), ([4, 5], 0.1)):
        heights[np.ix_(members, members)] = height
    np.fill_diagonal(heights, 0)
    return heights


def test_a_planted_ultrametric_tree_is_recovered() -> None:
    heights = planted_heights()
    order = np.random.default_rng(0).permutation(7)
    shuffled = heights[np.ix_(order, order)]
    np.testing.assert_allclose(cophenetic(1 - shuffled), shuffled)
    every = np.ones((7, 7), dtype=bool)
    assert tree_agreement(cophenetic(1 - heights), 3 * heights + 1, every) == pytest.approx(1)
    # Rounding leaves 1 − cos just below 0 and the two copies of a pair apart.
    rough = 1 - heights + 1e-12 * np.random.default_rng(1).standard_normal((7, 7))
    np.testing.assert_allclose(cophenetic(rough), heights, atol=1e-10)


def test_agreement_counts_the_pairs_it_is_given_and_no_infinite_distance() -> None:
    x, y = cosines(0), cosines(1)
    counted = np.random.default_rng(2).random((9, 9)) < 0.6
    y[0, 5] = y[5, 0] = np.inf
    pairs = [(i, j) for i in range(9) for j in range(i + 1, 9) if counted[i, j] and (i, j) != (0, 5)]
    expected = np.corrcoef([x[pair] for pair in pairs], [y[pair] for pair in pairs])[0, 1]
    assert tree_agreement(x, y, counted) == pytest.approx(expected)
    assert np.isnan(tree_agreement(x, np.ones((9, 9)), counted))
    assert np.isnan(tree_agreement(x, y, np.zeros((9, 9), dtype=bool)))


def test_the_consensus_of_one_model_is_that_model_in_ranks() -> None:
    gram = cosines(0)
    together = consensus([gram, gram, gram])
    upper = np.triu_indices(9, 1)
    assert np.array_equal(np.argsort(together[upper]), np.argsort(gram[upper]))
    np.testing.assert_allclose(np.sort(together[upper]), np.linspace(-1, 1, 36))
    assert np.array_equal(together, together.T)
    assert (np.diag(together) == 1).all()
    np.testing.assert_array_equal(consensus([gram, np.eye(9) + 0.01 * (gram - np.eye(9))]), together)


def test_the_consensus_gives_every_model_the_same_say() -> None:
    first = np.array([[1, 0.9, 0.1], [0.9, 1, 0.5], [0.1, 0.5, 1]])
    second = np.array([[1, -0.3, 0.0], [-0.3, 1, -0.1], [0.0, -0.1, 1]])
    # Ranks 3 1 2 and 1 3 2 of the pairs 01, 02, 12.
    np.testing.assert_allclose(consensus([first, second])[np.triu_indices(3, 1)], [0, 0, 0])
    np.testing.assert_allclose(consensus([first, first, second])[np.triu_indices(3, 1)], [1 / 3, -1 / 3, 0])


def test_the_tree_of_a_planted_model_is_recovered_beyond_both_nulls(profile: Callable[..., ModelProfile]) -> None:
    model = profile(0, "a")
    result = recovered_tree(model.matrix, model.permuted, model.hierarchy, n_permutations=49)
    assert result.value > 0.5
    assert result.p_value == result.p_against("permuted") == 1 / 10
    assert result.p_against("concepts") == 1 / 50
    shapes = {name: null.values.shape for name, null in result.nulls.items()}
    assert shapes == {"permuted": (9, 1), "concepts": (49, 1)}
    assert [null.label for null in result.nulls.values()] == ["permuted lemmas", "permuted concepts"]
    assert result.value > result.nulls["permuted"].values.max() + 0.1
    assert abs(result.nulls["concepts"].mean) < 0.1
    again = recovered_tree(model.matrix, model.permuted, model.hierarchy, n_permutations=49)
    assert np.array_equal(result.nulls["concepts"].values, again.nulls["concepts"].values)
