"""Scores of families against those of all concepts, what statistics read of them, and the loops against NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import geometry as geo
from geometry.directions import ConceptDirections, TokenCloud
from geometry.evidence import CLAIMS, NULLS, logit_changes
from geometry.evidence.statistics import family_scores as scores_of_families
from geometry.evidence.statistics.family_scores import family_scores
from geometry.evidence.statistics.score_kernels import Sets, aucs, nearest, products

STATISTICS = [claim.statistic for claim in CLAIMS if claim.statistic.split == "lemma"]


def sets_of(rng: np.random.Generator, n: int, sizes: list[int]) -> tuple[Sets, list[np.ndarray]]:
    own = [np.sort(rng.choice(n, size, replace=False)) for size in sizes]
    return Sets.of(own), own


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["single", "double"])
@pytest.mark.parametrize("width", [1, 7, 130])
def test_products_are_those_of_every_concept_with_every_word_of_its_set(dtype: type, width: int) -> None:
    rng = np.random.default_rng(width)
    vectors, points = (rng.standard_normal((n, width)).astype(dtype) for n in (40, 90))
    rows = rng.permutation(90)[:60]
    concepts, of = sets_of(rng, 40, [1, 2, 3, 4, 5, 9, 1, 0, 6])
    words, with_these = sets_of(rng, 60, [1, 3, 4, 5, 8, 13, 0, 4, 2])
    found = np.full((40, 60), np.nan, dtype)
    products(vectors, points, rows, concepts, words, found)
    wanted = np.zeros_like(found, dtype=bool)
    for own, columns in zip(of, with_these, strict=True):
        wanted[np.ix_(own, columns)] = True
    assert np.array_equal(np.isfinite(found), wanted)
    expected = vectors.astype(np.float64) @ points[rows].T
    np.testing.assert_allclose(found[wanted], expected[wanted], atol=1e-4 if dtype == np.float32 else 1e-12)


def test_equal_words_have_equal_scores_wherever_they_stand_in_a_set() -> None:
    vectors, point = np.random.default_rng(0).standard_normal((2, 5, 101)).astype(np.float32)
    found = np.empty((5, 7), np.float32)
    everything = Sets.of([np.arange(5)]), Sets.of([np.arange(7)])
    products(vectors, np.repeat(point[:1], 7, axis=0), np.arange(7), *everything, found)
    assert np.all(found == found[:, :1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["single", "double"])
def test_nearest_is_the_least_distance_and_of_equals_the_first(dtype: type) -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(-3, 4, (30, 50)).astype(dtype)  # few values: many ties
    squares = rng.integers(0, 3, 30).astype(dtype)
    concepts, of = sets_of(rng, 30, [2, 3, 7, 4])
    words, with_these = sets_of(rng, 50, [9, 1, 20, 0])
    found = np.empty(30, np.int64)
    nearest(scores, squares, concepts, words, found)
    expected = [
        (squares[own, None] - 2 * scores[np.ix_(own, columns)]).argmin(axis=0)
        for own, columns in zip(of, with_these, strict=True)
    ]
    assert np.array_equal(found, np.concatenate(expected))


def test_aucs_of_scores_with_many_ties() -> None:
    rng = np.random.default_rng(2)
    scores = rng.integers(-2, 3, (6, 80)).astype(np.float32)
    sizes = [(3, 3), (4, 40), (5, 8), (1, 9), (33, 17), (64, 16)]
    split = [np.split(rng.permutation(80)[: one + other], [one]) for one, other in sizes]
    inside, outside = (Sets.of([pair[side] for pair in split]) for side in (0, 1))
    found, lower = np.full(6, np.nan), np.array([-1, 0, 1, 2, 3, -1])
    aucs(scores, np.arange(6), lower, inside, outside, 3, found)
    for edge, (own, others) in enumerate(split):
        along = scores[edge] - (scores[lower[edge]] if lower[edge] >= 0 else 0)
        truth = [1] * len(own) + [0] * len(others)
        expected = roc_auc_score(truth, along[[*own, *others]]) if len(own) >= 3 else np.nan
        assert found[edge] == pytest.approx(expected, nan_ok=True)


def drawn(kind: str, space: geo.CausalSpace, cloud: TokenCloud) -> TokenCloud:
    return cloud if kind == "model" else NULLS[kind].draw(space, cloud, np.random.default_rng(3))


@pytest.mark.parametrize("kind", ["model", "permuted", "random_subset", "random_parent"])
@pytest.mark.parametrize("which", ["directions", "overlapping"])
def test_statistics_read_nothing_but_the_scores_of_families(
    which: str,
    kind: str,
    request: pytest.FixtureRequest,
    smollm2_space: geo.CausalSpace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = request.getfixturevalue(which)
    fit = ConceptDirections.fit_cloud(drawn(kind, smollm2_space, own.cloud), train=own.train)
    partly = replace(fit)
    monkeypatch.setattr(scores_of_families, "_WORTH", np.inf)
    some = family_scores(partly)
    there = np.isfinite(some)
    assert there.any()
    np.testing.assert_allclose(some[there], fit.scores[there], atol=1e-10)
    assert family_scores(partly) is some
    fit.__dict__["_family_scores"] = fit.scores
    beside = [statistic for statistic in STATISTICS if kind not in statistic.not_beside]
    assert len(beside) >= 4
    for statistic in beside:
        np.testing.assert_allclose(statistic.evaluate(partly), statistic.evaluate(fit), rtol=1e-9, atol=1e-12)
    changes, expected = logit_changes(partly), logit_changes(fit)
    np.testing.assert_allclose(changes.parent, expected.parent, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(changes.child, expected.child, rtol=1e-9, atol=1e-12)


def test_of_a_large_tree_few_scores_are_worked_out_and_of_a_small_one_all(
    directions: ConceptDirections, smollm2_space: geo.CausalSpace, smollm2_nouns: geo.ConceptHierarchy
) -> None:
    assert family_scores(replace(directions)).size == np.isfinite(family_scores(replace(directions))).sum()
    train = geo.evidence.train_mask(smollm2_nouns, "lemma", np.random.default_rng(0))
    cloud = TokenCloud.of(smollm2_space, smollm2_nouns)
    vectors = torch.from_numpy(np.random.default_rng(0).standard_normal((len(smollm2_nouns), cloud.width)))
    nothing = np.zeros(len(vectors))
    fit = ConceptDirections(cloud, vectors.to(cloud.points), nothing, nothing > 0, "lda", train)
    found = family_scores(fit)
    there = np.isfinite(found)
    assert 0.02 < there.mean() < 0.25
    np.testing.assert_allclose(found[there], fit.scores[there], atol=1e-10)


@pytest.mark.parametrize("kind", ["model", "permuted", "shuffled"])
def test_points_are_where_they_are_located(
    kind: str, directions: ConceptDirections, smollm2_space: geo.CausalSpace
) -> None:
    cloud = drawn(kind, smollm2_space, directions.cloud)
    tokens = np.array([5, 0, 17])
    matrix, rows = cloud.located(tokens)
    assert torch.equal(matrix[torch.from_numpy(rows)], cloud.at(tokens))
    assert (matrix is directions.cloud.points) == (kind != "shuffled")


def test_concepts_without_a_family_are_scored_with_their_own_words(directions: ConceptDirections) -> None:
    names = ("mammal", "bird", "fish", "tree", "fruit")
    flat = geo.ConceptHierarchy("flat", tuple(directions.hierarchy[name] for name in names), {})
    places = np.searchsorted(directions.hierarchy.tokens, flat.tokens)
    cloud = TokenCloud(flat, directions.cloud.points[torch.from_numpy(places)])
    fit = ConceptDirections.fit_cloud(cloud, train=directions.train[places])
    scores = family_scores(fit)
    for own, index in enumerate(directions.hierarchy.index(name) for name in names):
        found, expected = scores[own][np.isfinite(scores[own])], directions.held_out(index)
        points = directions.cloud.points[torch.from_numpy(expected)]
        np.testing.assert_allclose(found, (points @ fit.vectors[own]).numpy(), atol=1e-10)
