"""Features of concepts, their splitting and absorption, on dictionaries in which it is known."""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import mannwhitneyu

import geometry as geo
from geometry.concepts import Concept
from geometry.dictionaries import FeatureDictionary, concept_features, tree_features
from geometry.dictionaries.feature_scores import auc

EACH = 24
# Words without a plural or a case in common: aba, abe, ….
WORDS = [f"{a}{b}{c}o" for a in "bdfgkl" for b in "aeiu" for c in "mnprtvz"][: 6 * EACH]
KINDS = ["robin", "crow", "trout", "shark", "oak", "fern"]


def hierarchy() -> geo.ConceptHierarchy:
    vocabulary = geo.Vocabulary([f" {word}" for word in WORDS])
    own = {kind: WORDS[i * EACH : (i + 1) * EACH] for i, kind in enumerate(KINDS)}
    groups = {"bird": KINDS[:2], "fish": KINDS[2:4], "plant": KINDS[4:]}
    words = {group: [word for kind in kinds for word in own[kind]] for group, kinds in groups.items()}
    concepts = [Concept.from_words(name, given, vocabulary) for name, given in (words | own).items()]
    parents = {kind: (group,) for group, kinds in groups.items() for kind in kinds}
    return geo.ConceptHierarchy("toy", tuple(concepts), parents)


TREE = hierarchy()
GROUP, KIND = np.repeat(np.arange(3), 2 * EACH), np.repeat(np.arange(6), EACH)
D = 40


def rows() -> Any:
    """Each word: its group's direction, its kind's, and noise in the other dimensions."""
    rng = np.random.default_rng(3)
    points = 0.3 * rng.standard_normal((len(WORDS), D))
    points[np.arange(len(WORDS)), GROUP] += 3
    points[np.arange(len(WORDS)), 3 + KIND] += 3
    return points


ROWS = rows()


def dictionary(encoder: Any, decoder: Any, bias: float = -1.5) -> FeatureDictionary:
    encoder, decoder = np.asarray(encoder, dtype=float), np.asarray(decoder, dtype=float)
    return FeatureDictionary(encoder.T, decoder, np.full(len(encoder), bias), np.zeros(D), source="toy")


BASIS = np.eye(D)
TRUE = dictionary(BASIS, BASIS)


def test_each_concept_has_its_own_feature_and_permuted_words_have_none() -> None:
    found = concept_features(TRUE, ROWS, TREE, n_permutations=19, n_random=1)
    place = dict(zip(found.names, found.features, strict=True))
    assert place == dict(zip(["bird", "fish", "plant", *KINDS], range(9), strict=True))
    assert (found.auc > 0.99).all()
    assert (found.precision > 0.99).all()
    assert (found.recall > 0.95).all()
    assert found.agree.all()
    assert abs(found.permuted_auc.mean() - 0.5) < 0.03
    assert 0.5 < found.random_auc.mean() < 0.95
    assert found.p == pytest.approx(1 / 20)
    assert found.interval[0] > 0.99
    assert found.to_frame().shape == (9, 7)
    assert (found.clusters[3:5] == TREE.index("bird")).all()


def test_auc_is_that_of_scipy_ties_and_silent_rows_included() -> None:
    rng = np.random.default_rng(0)
    z = rng.integers(0, 4, (50, 6)) * (rng.random((50, 6)) < 0.4)
    z[:, 5] = 0
    members = rng.random((3, 50)) < [[0.2], [0.5], [0.0]]
    scores = auc(csr_array(z.astype(np.float32)), members)
    for concept in range(2):
        own = members[concept]
        expected = [mannwhitneyu(column[own], column[~own]).statistic / own.sum() / (~own).sum() for column in z.T]
        np.testing.assert_allclose(scores[concept], expected)
    assert np.isnan(scores[2]).all()


def test_no_splitting_and_no_absorption_where_every_concept_has_its_feature() -> None:
    found = tree_features(TRUE, ROWS, TREE, n_permutations=5, n_random=1)
    assert len(found.edges) == 6
    assert found.families == ("bird", "fish", "plant")
    assert (found.absorbed == 0).all()
    assert found.silent.max() < 0.1
    assert not found.same.any()
    assert np.abs(found.splitting).max() < 0.05
    # Permuted words keep how large concepts are: a feature that fires anywhere has some F1.
    assert found.permuted["single"].mean() < 0.7 < found.single.mean()
    summary = found.summary()
    assert summary.loc["absorbed", "mean"] == 0
    assert set(summary.columns) == {"mean", "low", "high", "permuted words", "random dictionary"}
    assert found.to_frame().shape == (6, 4)


def test_absorption_is_found_where_it_was_planted() -> None:
    # The bird feature is silent on crows, and the crows' own carries the birds' direction too.
    encoder, decoder = BASIS.copy(), BASIS.copy()
    encoder[0, 3 + 1] = -2
    decoder[3 + 1, 0] = 1
    found = tree_features(dictionary(encoder, decoder), ROWS, TREE, n_permutations=3, n_random=1)
    absorbed = dict(zip(found.edges, found.absorbed, strict=True))
    assert absorbed.pop(("bird", "crow")) > 0.9
    assert max(absorbed.values()) == 0
    silent = dict(zip(found.edges, found.silent, strict=True))
    assert silent["bird", "crow"] > 0.9
    # Silent without another that says it: missed, and not absorbed.
    missed = tree_features(dictionary(encoder, BASIS), ROWS, TREE, n_permutations=3, n_random=1)
    assert dict(zip(missed.edges, missed.silent, strict=True))["bird", "crow"] > 0.9
    assert missed.absorbed.max() == 0


def test_a_parent_without_a_feature_of_its_own_is_split_into_its_children() -> None:
    encoder = BASIS.copy()
    encoder[1] = 0  # no fish feature: each kind of fish has its own
    found = tree_features(dictionary(encoder, BASIS), ROWS, TREE, n_permutations=3, n_random=1)
    splitting = dict(zip(found.families, found.splitting, strict=True))
    assert splitting["fish"] > 0.2
    assert abs(splitting["bird"]) < 0.05
    assert dict(zip(found.edges, found.same, strict=True))["fish", "trout"] or found.single[1] < 0.75


def test_refusals() -> None:
    with pytest.raises(geo.errors.EstimationError, match=r"use hierarchy\.over"):
        concept_features(TRUE, ROWS[:10], TREE)
    with pytest.raises(geo.errors.EstimationError, match="width 40"):
        concept_features(TRUE, ROWS[:, :5], TREE)
    few = TREE.only(["bird"])
    with pytest.raises(geo.errors.EstimationError, match="no concept has 4 words"):
        concept_features(TRUE, ROWS, few)
    with pytest.raises(geo.errors.EstimationError, match="no child has 4 words"):
        tree_features(TRUE, ROWS, TREE.only(["bird", "fish"]))
