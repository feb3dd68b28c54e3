"""Each statistic against a plain loop or scikit-learn, on the real model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import squareform
from sklearn.metrics import roc_auc_score

import geometry as geo
from geometry.evidence.statistics.child_separation import separation_auc
from geometry.evidence.statistics.existence import held_out_projection
from tests.evidence.conftest import held_out


def test_projection(directions: geo.ConceptDirections) -> None:
    points, everything = directions.cloud.points, len(directions.hierarchy.tokens)
    measured = 0
    for index, value in enumerate(held_out_projection(directions)):
        vector = directions.vectors[index]
        by_hand = [float(points[token] @ vector) / float(vector @ vector) for token in held_out(directions, index)]
        if len(by_hand) < 3 or len(directions.hierarchy.members[index]) == everything:
            assert np.isnan(value)
            continue
        assert value == pytest.approx(np.mean(by_hand))
        measured += 1
    assert measured >= 13
    assert np.isnan(held_out_projection(directions)[0])  # the root's, whose words no permutation changes


def test_numbers_are_clustered_by_the_parent(overlapping: geo.ConceptDirections) -> None:
    names = overlapping.hierarchy.names

    def clusters(statistic: geo.Statistic) -> dict[str, str]:
        found = statistic.clusters(overlapping).tolist()
        return {label: names[parent] for label, parent in zip(statistic.labels(overlapping), found, strict=True)}

    assert clusters(geo.evidence.projection()) == {
        "thing": "thing", "furry": "thing", "flying": "thing", "rare": "flying", "odd": "furry", "big": "furry",
        "small": "furry",
    }  # fmt: skip
    for statistic in (geo.evidence.separation(), geo.evidence.separation("token", contrast=True)):
        assert clusters(statistic) == {label: label.split(" < ")[1] for label in statistic.labels(overlapping)}
        assert {"odd < furry", "odd < flying"} <= set(clusters(statistic))
    for label, parent in clusters(geo.evidence.logit_selectivity()).items():
        assert label.split(": ")[0].split(" → ")[1] == parent
    assert clusters(geo.evidence.sibling_orthogonality()).keys() == set(
        geo.evidence.sibling_orthogonality().labels(overlapping)
    )


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_orthogonality_claims_by_hand(smollm2_space: geo.CausalSpace, smollm2: geo.Unembedding) -> None:
    own = {"thing": ["stone"], "animal": ["worm"], "plant": ["moss"], "mammal": ["dog", "cow", "horse"]}
    own |= {"bird": ["duck", "hen", "crow"], "tree": ["oak", "pine", "maple"]}
    parents = {"animal": ["thing"], "plant": ["thing"], "mammal": ["animal"], "bird": ["animal"], "tree": ["plant"]}
    hierarchy = geo.concepts.hierarchy_from_words("toy", own, parents, smollm2.vocabulary)
    directions = geo.ConceptDirections.fit(smollm2_space, hierarchy)
    v = {name: directions[name].numpy() for name in hierarchy.names}

    def values(statistic: geo.Statistic) -> dict[str, float]:
        return dict(zip(statistic.labels(directions), statistic.evaluate(directions).tolist(), strict=True))

    parent = values(geo.evidence.parent_orthogonality())
    assert set(parent) == {
        f"{child} - {above} | {above}" for child, (above,) in ((child, parents[child]) for child in parents)
    }
    assert parent["bird - animal | animal"] == pytest.approx(cosine(v["bird"] - v["animal"], v["animal"]))
    siblings = values(geo.evidence.sibling_orthogonality())
    assert siblings == {
        "plant - animal | thing": pytest.approx(cosine(v["plant"] - v["animal"], v["thing"])),
        "bird - mammal | animal": pytest.approx(cosine(v["bird"] - v["mammal"], v["animal"])),
    }
    assert values(geo.evidence.sibling_contrast_orthogonality()) == {
        "plant - animal | bird - mammal": pytest.approx(cosine(v["plant"] - v["animal"], v["bird"] - v["mammal"])),
    }
    chain = values(geo.evidence.chain_orthogonality())
    assert set(chain) == {
        "mammal - animal | animal - thing", "bird - animal | animal - thing", "tree - plant | plant - thing"
    }  # fmt: skip
    assert chain["tree - plant | plant - thing"] == pytest.approx(
        cosine(v["tree"] - v["plant"], v["plant"] - v["thing"])
    )


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


def test_nearest_vertices_by_hand(directions: geo.ConceptDirections) -> None:
    names = ("mammal", "bird", "insect")
    indices = [directions.hierarchy.index(name) for name in names]
    confusion = geo.evidence.nearest_vertices(directions, indices)
    vectors = np.stack([directions[name].numpy() for name in names])
    for row, index in enumerate(indices):
        tokens = held_out(directions, index)
        nearest = [
            int(np.argmin(np.linalg.norm(vectors - directions.cloud.points[token].numpy(), axis=1))) for token in tokens
        ]
        assert confusion[row].tolist() == [nearest.count(column) for column in range(3)]


def test_pairwise_cosines_fill_a_square(directions: geo.ConceptDirections) -> None:
    statistic = geo.evidence.pairwise_cosines()
    square = squareform(statistic.evaluate(directions))
    np.testing.assert_allclose(square + np.eye(len(square)), directions.cosines(), atol=1e-12)
    assert statistic.labels(directions)[0] == " | ".join(directions.hierarchy.names[:2])
