"""Each statistic against a plain loop or scikit-learn, on the real model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import geometry as geo
from geometry.structure.statistics import contrast_cosine, held_out_projection, separation_auc, tree_correlation


@pytest.fixture(scope="module")
def directions(smollm2: geo.Unembedding, smollm2_space: geo.CausalSpace) -> geo.ConceptDirections:
    organisms = geo.load_hierarchy("organisms", smollm2.vocabulary)
    train = geo.train_mask(organisms, "lemma", np.random.default_rng(0))
    return geo.ConceptDirections.fit(smollm2_space, organisms, train=train)


def held_out(directions: geo.ConceptDirections, index: int) -> list[int]:
    return [token for token in directions.hierarchy.members[index] if not directions.train[token]]


def test_projection(directions: geo.ConceptDirections) -> None:
    points = directions.cloud.points
    for index, value in enumerate(held_out_projection(directions)):
        vector = directions.vectors[index]
        by_hand = [float(points[token] @ vector) / float(vector @ vector) for token in held_out(directions, index)]
        assert value == pytest.approx(np.mean(by_hand)) if len(by_hand) >= 3 else np.isnan(value)


def test_contrast_cosine(directions: geo.ConceptDirections) -> None:
    vectors = directions.vectors.numpy()
    for (parent, child), value in zip(directions.hierarchy.edges, contrast_cosine(directions), strict=True):
        contrast = vectors[child] - vectors[parent]
        norms = np.linalg.norm(contrast) * np.linalg.norm(vectors[parent])
        assert value == pytest.approx(contrast @ vectors[parent] / norms)


@pytest.mark.parametrize("contrast", [False, True])
def test_separation_auc(directions: geo.ConceptDirections, contrast: bool) -> None:
    points = directions.cloud.points
    values = separation_auc(directions, contrast=contrast)
    checked = 0
    for (parent, child), value in zip(directions.hierarchy.edges, values, strict=True):
        inside = held_out(directions, child)
        outside = [t for t in held_out(directions, parent) if t not in set(directions.hierarchy.members[child])]
        if min(len(inside), len(outside)) < 3:
            assert np.isnan(value)
            continue
        vector = directions.vectors[child] - contrast * directions.vectors[parent]
        truth = [1] * len(inside) + [0] * len(outside)
        assert value == pytest.approx(roc_auc_score(truth, (points[inside + outside] @ vector).numpy()))
        checked += 1
    assert checked > 8


def test_ties_count_half(directions: geo.ConceptDirections) -> None:
    flat = replace(directions, vectors=torch.zeros_like(directions.vectors))
    values = separation_auc(flat)
    assert np.all(values[np.isfinite(values)] == 0.5)


def test_tree_correlation(directions: geo.ConceptDirections) -> None:
    hierarchy = directions.hierarchy
    cosines, distance = directions.cosines(), hierarchy.tree_distance()
    pairs = [(i, j) for i in range(len(hierarchy)) for j in range(i)]
    disjoint = [(i, j) for i, j in pairs if not set(hierarchy.concepts[i].tokens) & set(hierarchy.concepts[j].tokens)]
    expected = [
        spearmanr([cosines[pair] for pair in some], [1 / (1 + distance[pair]) for pair in some]).statistic
        for some in (pairs, disjoint)
    ]
    np.testing.assert_allclose(tree_correlation(directions), expected)


def test_simplex_by_hand(directions: geo.ConceptDirections) -> None:
    names = ("mammal", "bird", "insect")
    found = geo.simplex(directions, names)
    vectors = np.stack([directions[name].numpy() for name in names])
    np.testing.assert_allclose(
        found.edges, [np.linalg.norm(vectors[i] - vectors[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    )
    for row, name in enumerate(names):
        tokens = held_out(directions, directions.hierarchy.index(name))
        nearest = [
            int(np.argmin(np.linalg.norm(vectors - directions.cloud.points[token].numpy(), axis=1))) for token in tokens
        ]
        assert found.confusion[row].tolist() == [nearest.count(column) for column in range(3)]
    assert found.membership == pytest.approx((found.confusion.diagonal() / found.confusion.sum(axis=1)).mean())


def test_simplices_that_cannot_be_are_refused(directions: geo.ConceptDirections) -> None:
    with pytest.raises(geo.EstimationError, match="two concepts"):
        geo.simplex(directions, ["bird"])
    with pytest.raises(geo.HierarchyError, match="no concept 'dragon'"):
        geo.simplex(directions, ["bird", "dragon"])
    everything = replace(directions, train=np.ones_like(directions.train))
    with pytest.raises(geo.EstimationError, match="no held-out token"):
        geo.simplex(everything, ["bird", "mammal"])
