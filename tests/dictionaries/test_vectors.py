"""Vectors of features and of their differences between classes, and random dictionaries."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.dictionaries import (
    Codebook,
    FeatureDictionary,
    class_activity,
    feature_difference,
    feature_vector,
    measure,
    random_dictionary,
)

D, F, EACH = 16, 30, 40
RNG = np.random.default_rng(11)
UNIT = RNG.standard_normal((F, D))
UNIT /= np.linalg.norm(UNIT, axis=1, keepdims=True)
# An orthogonal part, so that what is encoded is what was planted.
UNIT[:D] = np.linalg.qr(RNG.standard_normal((D, D)))[0]
READS = FeatureDictionary(UNIT[:D].T, UNIT[:D], np.zeros(D), np.zeros(D), site=geo.Site("output", 2), source="planted")
LABELS = ["angry"] * EACH + ["calm"] * EACH + ["other"] * EACH


def rows() -> Any:
    z = RNG.exponential(1.0, (3 * EACH, D)) * (RNG.random((3 * EACH, D)) < 0.5)
    z[:EACH, 3] += 2.0
    z[EACH : 2 * EACH, 7] += 1.5
    return z @ UNIT[:D], z


ROWS, Z = rows()


def test_only_features_that_differ_make_the_vector() -> None:
    found = feature_difference(READS, ROWS, LABELS, "angry", of="calm")
    assert set(found.features.tolist()) == {3, 7}
    apart = Z[:EACH].mean(axis=0) - Z[EACH : 2 * EACH].mean(axis=0)
    np.testing.assert_allclose(found.differences, apart[found.features], rtol=1e-4)
    expected = apart[3] * UNIT[3] + apart[7] * UNIT[7]
    np.testing.assert_allclose(found.vector["output.2"].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert found.kept == pytest.approx((expected**2).sum() / (apart**2).sum(), rel=1e-4)
    whole = ROWS[:EACH].mean(axis=0) - ROWS[EACH : 2 * EACH].mean(axis=0)
    cosine = expected @ whole / np.linalg.norm(expected) / np.linalg.norm(whole)
    assert found.cosine == pytest.approx(cosine, rel=1e-4)
    assert (found.p <= 0.05).all()
    assert "angry − calm by 2 features of planted" in found.vector.provenance
    assert set(feature_difference(READS, ROWS, LABELS, "calm").features.tolist()) == {7}
    assert found.to_frame().shape == (2, 2)


def test_of_classes_that_do_not_differ_a_feature_is_rarely_taken() -> None:
    taken = 0
    for seed in range(40):
        labels = np.random.default_rng(seed).permutation(["a"] * 40 + ["b"] * 40).tolist()
        z = np.random.default_rng(100 + seed).exponential(1.0, (80, D)) * (
            np.random.default_rng(seed).random((80, D)) < 0.3
        )
        try:
            feature_difference(READS, z @ UNIT[:D], labels, "a", n_permutations=39, seed=seed)
        except geo.errors.EstimationError:
            continue
        taken += 1
    assert taken <= 6  # 5% of 40 are 2; more than 6 are less likely than one in two hundred


def test_one_feature_is_its_direction_where_the_dictionary_reads() -> None:
    vector = feature_vector(READS, 5)
    np.testing.assert_allclose(vector["output.2"].numpy(), UNIT[5], rtol=1e-6)
    assert vector.provenance == "feature 5 of planted at output.2"
    assert feature_vector(READS, 5, "output.9").sites == (geo.Site("output", 9),)
    with pytest.raises(geo.errors.EstimationError, match="numbered 0 to 15"):
        feature_vector(READS, 16)
    with pytest.raises(geo.errors.SteeringError, match=r'site="output\.4"'):
        feature_vector(replace(READS, site=geo.Site("mlp", 4)), 0)


def test_normalised_rows_have_relative_vectors() -> None:
    normed = replace(READS, normalisation="norm")
    vector = feature_vector(normed, 5)
    # A row of norm r is scaled by √d / r before it is read: adding v there is adding v r / √d here.
    np.testing.assert_allclose(vector["output.2.relative"].numpy(), UNIT[5] / 4, rtol=1e-6)
    row = ROWS[:1]
    moved = row + vector["output.2.relative"].numpy() * np.linalg.norm(row)
    inside = [given / np.linalg.norm(row) * 4 @ UNIT[:D].T for given in (row, moved)]
    np.testing.assert_allclose(inside[1] - inside[0], np.eye(D)[[5]], atol=1e-5)


def test_a_random_dictionary_differs_in_its_directions_alone() -> None:
    jump = replace(READS, activation="jumprelu", threshold=np.linspace(0.5, 3, D), encoder=READS.encoder * 2)
    for like in (jump, replace(READS, activation="topk", k=3)):
        control = random_dictionary(like, ROWS, seed=3)
        rates = [measure(one, ROWS).rates for one in (like, control)]
        if like is jump:
            np.testing.assert_array_equal(*rates)
        assert rates[0].sum() == pytest.approx(rates[1].sum(), rel=0.01)
        torch.testing.assert_close(control.decoder.norm(dim=1), like.decoder.norm(dim=1))
        torch.testing.assert_close(control.encoder.norm(dim=0), like.encoder.norm(dim=0))
        torch.testing.assert_close(
            torch.nn.functional.cosine_similarity(control.encoder.T, control.decoder, dim=1), torch.ones(D)
        )
        assert float((control.decoder * like.decoder).sum(dim=1).abs().mean()) < 0.4
    assert torch.equal(random_dictionary(jump, ROWS).decoder, random_dictionary(jump, ROWS).decoder)


def test_codes_of_a_class_steer() -> None:
    centres = np.eye(3, D) * 10
    book = Codebook(torch.tensor(centres), torch.zeros(D), k=1, site=geo.Site("output", 2), source="book")
    points = np.concatenate([centres[[0] * 20], centres[[1] * 20]]) + 0.1
    found = feature_difference(book, points, ["a"] * 20 + ["b"] * 20, "a", of="b")
    np.testing.assert_allclose(found.vector["output.2"].numpy(), centres[0] - centres[1], atol=1e-5)


def test_features_per_class_by_hand() -> None:
    beyond_rounding = replace(READS, encoder_bias=np.full(D, -1e-4))
    activity = class_activity(beyond_rounding, ROWS, LABELS)
    assert activity.classes == ("angry", "calm", "other")
    np.testing.assert_allclose(activity.rates[0], (Z[:EACH] > 1e-4).mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(activity.means[2], Z[2 * EACH :].mean(axis=0), rtol=1e-3)
    top = activity.top("angry", 3)
    assert top.index[0] == 3
    assert top.loc[3, "elsewhere"] == pytest.approx((Z[EACH:, 3] > 1e-4).mean())
    with pytest.raises(geo.errors.EstimationError, match="no class 'sad'"):
        activity.top("sad")
    with pytest.raises(geo.errors.EstimationError, match="as many labels"):
        class_activity(READS, ROWS, LABELS[1:])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"target": "sad"}, "no row has the label 'sad'"),
        ({"of": "angry"}, "compared with itself"),
        ({"labels": LABELS[:5]}, "as many labels"),
        ({"n_permutations": 5}, "permutations are needed"),
        ({"labels": ["angry", *["calm"] * (3 * EACH - 1)]}, "2 rows at least, not 1"),
        ({"rows": np.ones((3 * EACH, D))}, "no feature of planted differs"),
        ({"rows": np.ones((3 * EACH, D + 1))}, "width 16"),
        ({"rows": np.ones((0, D)), "labels": []}, "there are no rows; give some"),
    ],
)
def test_refusals(changed: dict[str, Any], says: str) -> None:
    given = {"rows": ROWS, "labels": LABELS, "target": "angry"} | changed
    with pytest.raises(geo.errors.EstimationError, match=says):
        feature_difference(READS, **given)
