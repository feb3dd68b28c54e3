import numpy as np
import pytest
import torch

import geometry as geo
from geometry.directions import TokenCloud
from geometry.evidence.strength import SignalStrength, mean_of_finite
from tests.planted import nested_words, synthetic

WIDTH = 6


def hierarchy_of(words: dict, parents: dict) -> geo.ConceptHierarchy:
    tokens = [f"Ġ{word}" for word in dict.fromkeys(word for own in words.values() for word in own)]
    vocabulary = geo.Vocabulary(tokens)
    concepts = tuple(geo.concepts.Concept.from_words(name, own, vocabulary) for name, own in words.items())
    return geo.ConceptHierarchy("made", concepts, parents)


@pytest.fixture(scope="module")
def tree() -> geo.ConceptHierarchy:
    words, parents = nested_words((3, 2), 6)
    return synthetic(np.ones((40, WIDTH)), words, parents)[1]


@pytest.fixture(scope="module")
def centres(tree: geo.ConceptHierarchy) -> np.ndarray:
    """Of every word its leaf's."""
    drawn = np.random.default_rng(1).standard_normal((len(tree), WIDTH)) / 2
    points = np.zeros((len(tree.tokens), WIDTH))
    for index in range(len(tree)):
        points[tree.members[index]] += drawn[index]
    return points


def strength(hierarchy: geo.ConceptHierarchy, points: np.ndarray, seed: int = 0) -> SignalStrength:
    return SignalStrength.of(TokenCloud(hierarchy, torch.from_numpy(points)), seed=seed)


def plain(hierarchy: geo.ConceptHierarchy, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared lengths of contrasts and means from all words at once."""
    contrast = []
    for parent, child in hierarchy.edges:
        rest = np.setdiff1d(hierarchy.members[parent], hierarchy.members[child])
        contrast.append(points[hierarchy.members[child]].mean(axis=0) - points[rest].mean(axis=0))
    means = [points[members].mean(axis=0) for members in hierarchy.members]
    return np.square(contrast).sum(axis=1), np.square(means).sum(axis=1)


def test_without_noise_lengths_are_exact_where_words_of_a_side_are_alike(
    tree: geo.ConceptHierarchy, centres: np.ndarray
) -> None:
    found = strength(tree, centres)
    contrast, mean = plain(tree, centres)
    leaves = [not tree.children[tree.names[child]] for _, child in tree.edges]
    # With two leaves in a family, both sides of a leaf's contrast are of one kind.
    np.testing.assert_allclose(found.contrast[leaves], contrast[leaves], rtol=1e-12)
    np.testing.assert_allclose(found.mean[-6:], mean[-6:], rtol=1e-12)
    assert found.edges.tolist() == [list(edge) for edge in tree.edges]
    assert found.noise == pytest.approx(0, abs=1e-12)


def test_lengths_are_unbiased_and_plain_ones_are_not(tree: geo.ConceptHierarchy, centres: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    noise = 1.5 * rng.standard_normal((120, *centres.shape))
    found = [strength(tree, centres + one) for one in noise]
    truth = strength(tree, centres)
    for name in ("contrast", "mean"):
        drawn = np.array([getattr(one, name) for one in found])
        error = drawn.std(axis=0, ddof=1) / np.sqrt(len(drawn))
        assert np.abs((drawn.mean(axis=0) - getattr(truth, name)) / error).max() < 3.5
        biased = np.array([plain(tree, centres + one)[name == "mean"] for one in noise])
        assert ((biased.mean(axis=0) - getattr(truth, name)) > 5 * error).all()


def test_noise_alone_has_contrasts_of_either_sign(tree: geo.ConceptHierarchy) -> None:
    found = strength(tree, np.random.default_rng(4).standard_normal((len(tree.tokens), WIDTH)))
    assert (found.contrast < 0).any()
    assert (found.contrast > 0).any()


def test_noise_is_the_variance_of_words_around_their_smallest_concept(
    tree: geo.ConceptHierarchy, centres: np.ndarray
) -> None:
    rng = np.random.default_rng(5)
    noises = [strength(tree, centres + 1.5 * rng.standard_normal(centres.shape)).noise for _ in range(30)]
    assert np.mean(noises) == pytest.approx(1.5**2, rel=0.05)
    points = centres + rng.standard_normal(centres.shape)
    leaves = tree.members[-6:]
    within = sum(np.square(points[leaf] - points[leaf].mean(axis=0)).sum() for leaf in leaves)
    assert strength(tree, points).noise == pytest.approx(within / (len(points) - 6) / WIDTH)


def test_words_in_no_group_of_several_have_no_noise() -> None:
    words = {"r": ["zqay", "zqby"], "ra": ["zqay"]}
    found = strength(hierarchy_of(words, {"ra": ("r",)}), np.eye(2, 3))
    assert np.isnan(found.noise)
    assert np.isnan(found.contrast_share())


def test_shares_are_of_variance_along_the_contrast() -> None:
    contrast = np.array([0.5, 0.7, np.nan, -0.2])
    found = SignalStrength(np.zeros((4, 2), np.int64), contrast, np.array([8.0, -9.0]), 0.25)
    assert found.contrast_share() == pytest.approx((1 / 3) / (1 / 3 + 4 * 0.25))
    assert found.mean_share() == 0.0
    for effect, share in ((0.2, 0.01), (0.5, 0.06), (0.8, 0.14)):
        one = SignalStrength(np.zeros((1, 2), np.int64), np.array([effect**2 * 3]), np.array([np.nan]), 3.0)
        assert one.contrast_share() == pytest.approx(share, abs=0.003)
        assert np.isnan(one.mean_share())
    # Two groups of as many words, d = |c|/σ apart: the variance between them is d²σ²/4.
    values = np.random.default_rng(0).standard_normal(200_000) + np.repeat([0.25, -0.25], 100_000)
    one = SignalStrength(np.zeros((1, 2), np.int64), np.array([0.25]), np.array([0.25]), 1.0)
    assert one.contrast_share() == pytest.approx(0.0625 / values.var(), rel=0.02)


def test_roots_hang_on_all_words() -> None:
    words = {"r": [f"zq{i}y" for i in range(8)], "s": [f"zq{i}y" for i in range(8, 20)]}
    hierarchy = hierarchy_of(words, {})
    points = np.zeros((20, 3))
    points[:8, 0], points[8:, 1] = 2, 1
    found = strength(hierarchy, points)
    assert found.edges.tolist() == [[-1, 0], [-1, 1]]
    np.testing.assert_allclose(found.contrast, [5, 5])
    np.testing.assert_allclose(found.mean, [4, 1])
    alone = strength(hierarchy_of({"r": words["r"]}, {}), points[:8])
    assert alone.edges.shape == (0, 2)
    assert np.isnan(alone.contrast_share())


def test_a_single_lemma_has_no_length_and_two_have_one() -> None:
    every = [f"zq{i}y" for i in range(12)]
    words = {"r": every, "one": every[:1], "two": every[4:6], "both": [every[7], every[7].capitalize()]}
    words["r"] = [*every, words["both"][1]]
    hierarchy = hierarchy_of(words, {"one": ("r",), "two": ("r",), "both": ("r",)})
    points = np.random.default_rng(0).standard_normal((13, 4))
    found = strength(hierarchy, points)
    assert np.isnan(found.contrast).tolist() == [True, False, True]
    assert np.isnan(found.mean).tolist() == [False, True, False, True]
    one, other = points[hierarchy.members[hierarchy.index("two")]]
    assert found.mean[2] == pytest.approx(one @ other)


def test_scattered_words_of_a_side_do_not_spoil_the_rest_of_the_divisions() -> None:
    # The rest of "most" is three words of different strata, which one fold alone may get.
    every = [f"zq{i}y" for i in range(30)]
    words = {"r": every, "most": [*every[:9], *every[10:19], *every[20:29]], "a": every[:10], "b": every[10:20]}
    hierarchy = hierarchy_of(words, {"most": ("r",), "a": ("r",), "b": ("r",)})
    points = np.random.default_rng(0).standard_normal((30, 4))
    # Of four divisions all would have to fail.
    assert sum(np.isfinite(strength(hierarchy, points, seed).contrast).all() for seed in range(10)) >= 8


def test_means_are_of_the_finite_ones() -> None:
    values = np.array([[1, np.nan, np.nan], [3, 5, np.nan]])
    np.testing.assert_array_equal(mean_of_finite(values), [2, 5, np.nan])


def test_seeds_decide(tree: geo.ConceptHierarchy, centres: np.ndarray) -> None:
    points = centres + np.random.default_rng(0).standard_normal(centres.shape)
    one, same, other = (strength(tree, points, seed) for seed in (0, 0, 1))
    assert np.array_equal(one.contrast, same.contrast)
    assert not np.array_equal(one.contrast, other.contrast)
