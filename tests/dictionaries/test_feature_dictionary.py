"""A dictionary by hand: what it encodes, gives back, measures and refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import geometry as geo
from geometry.dictionaries import FeatureDictionary, measure
from tests.steering import tiny

ENCODER = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
PLAIN = FeatureDictionary(ENCODER, ENCODER.T, np.zeros(4), np.zeros(2), source="signs")


def test_by_hand() -> None:
    biased = replace(PLAIN, encoder_bias=[0.0, 0.0, 0.5, 0.0], decoder_bias=[1.0, 0.0], subtract_decoder_bias=True)
    assert biased.encode([[3.0, -2.0]]).tolist() == [[2.0, 0.0, 0.0, 2.0]]
    assert biased.reconstruct([[3.0, -2.0]]).tolist() == [[3.0, -2.0]]
    assert biased.decode([[2.0, 0.0, 1.0, 0.0]]).tolist() == [[3.0, 1.0]]
    jump = replace(PLAIN, activation="jumprelu", threshold=[1.0, 1.0, 3.0, -5.0])
    assert jump.encode([[1.0, 3.0], [1.5, 3.5], [-9.0, -0.5]]).tolist() == [
        [0.0, 0.0, 0.0, 0.0], [1.5, 0.0, 3.5, 0.0], [0.0, 9.0, 0.0, 0.5],
    ]  # fmt: skip
    assert replace(PLAIN, activation="topk", k=1).encode([[2.0, -3.0]]).tolist() == [[0.0, 0.0, 0.0, 3.0]]
    assert (replace(PLAIN, activation="topk", k=4).encode([[2.0, -3.0]]) >= 0).all()


def test_sparse_is_dense_with_the_zeros_left_out() -> None:
    rows = np.random.default_rng(0).standard_normal((2500, 2))
    sparse = PLAIN.encode_sparse(rows)
    np.testing.assert_array_equal(sparse.toarray(), PLAIN.encode(rows).numpy())
    assert sparse.nnz == 5000
    assert PLAIN.encode_sparse(np.zeros((0, 2))).shape == (0, 4)


def test_measures_against_sums_written_out() -> None:
    rows = np.random.default_rng(0).normal([1.0, 0.0], 1.0, (60, 2))
    half = FeatureDictionary(ENCODER[:, :3], ENCODER.T[:3], np.array([0.0, 0.0, -100.0]), np.zeros(2))
    given = np.column_stack([rows[:, 0], np.zeros(60)])
    quality = measure(half, rows)
    explained = 1 - ((rows - given) ** 2).sum() / ((rows - rows.mean(axis=0)) ** 2).sum()
    assert quality.explained_variance == pytest.approx(explained, abs=1e-6)
    assert (quality.l0, quality.dead.tolist(), quality.dead_share) == (1.0, [2], pytest.approx(1 / 3))
    np.testing.assert_allclose(quality.rates, [(rows[:, 0] > 0).mean(), (rows[:, 0] < 0).mean(), 0])
    # Texts drawn as one leave wider intervals where their tokens are alike.
    alike, texts = np.repeat(rows, 20, axis=0), np.repeat(np.arange(60), 20)
    clustered = measure(half, alike, texts.tolist()).explained_variance_interval
    torn = measure(half, alike, np.tile(np.arange(60), 20).tolist()).explained_variance_interval
    assert np.ptp(clustered) > 1.5 * np.ptp(torn)
    assert quality.to_frame().loc["L0", "value"] == 1.0


def test_a_model_that_does_not_match() -> None:
    model = tiny.build("llama")
    width = geo.steering.Architecture.of(model).width
    zeros: dict[str, Any] = {"encoder_bias": np.zeros(3), "decoder_bias": np.zeros(width)}
    fits = FeatureDictionary(
        np.ones((width, 3)), np.ones((3, width)), **zeros, site=geo.Site("output", 1), model="tiny"
    )
    fits.check(model)
    with pytest.raises(geo.errors.SteeringError, match="is for width 2 "):
        replace(PLAIN, site=geo.Site("output", 1)).check(model)
    with pytest.raises(geo.errors.SteeringError, match="77"):
        replace(fits, site=geo.Site("output", 77)).check(model)
    model.config.name_or_path = "lab/other"
    try:
        with pytest.raises(geo.errors.SteeringError, match="is for tiny, and this model is called 'lab/other'"):
            fits.check(model)
        fits.check(model, same_name=False)
        replace(fits, model="Other").check(model)
    finally:
        model.config.name_or_path = ""


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"decoder": ENCODER}, "decoder has shape"),
        ({"encoder_bias": np.zeros(3)}, "encoder bias has shape"),
        ({"decoder_bias": np.array([0, np.inf])}, "NaN or infinity"),
        ({"encoder": np.zeros(4)}, "an encoder has shape"),
        ({"activation": "jumprelu"}, "thresholds belong"),
        ({"k": 2}, "k belongs"),
        ({"activation": "topk", "k": 5}, "k is 1 to 4"),
    ],
)
def test_refusals(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=says):
        replace(PLAIN, **changed)


def test_rows_that_do_not_match() -> None:
    named = replace(PLAIN, site=geo.Site("output", 3), model="gpt2")
    for rows, says in [(np.zeros((4, 3)), r"width 2 \(output.3, gpt2\), and these have shape \(4, 3\)"),
                       (np.zeros(2), "shape"), ([[np.nan, 0.0]], "NaN")]:  # fmt: skip
        for method in (named.encode, named.reconstruct, named.encode_sparse):
            with pytest.raises(geo.errors.EstimationError, match=says):
                method(rows)
    with pytest.raises(geo.errors.EstimationError, match=r"features of shape \(n, 4\)"):
        named.decode([[1.0]])
    for rows, says in [(np.zeros((1, 2)), "2 rows"), (np.ones((5, 2)), "one point")]:
        with pytest.raises(geo.errors.EstimationError, match=says):
            measure(named, rows)
    with pytest.raises(geo.errors.EstimationError, match="as many clusters"):
        measure(named, np.eye(2), [1])
