"""Folders of SAELens, of all its versions, against their formulas written out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.dictionaries import load_dictionary, save_dictionary
from tests.dictionaries.folders import ROWS, Array, D, F, jump, largest, relu, saelens, weights, write

W = weights()
PRE = (ROWS - W["b_dec"]) @ W["W_enc"] + W["b_enc"]
NORMS = np.linalg.norm(W["W_dec"], axis=1)
PLAIN = {name: W[name] for name in ("W_enc", "W_dec", "b_enc", "b_dec")}


def folder(path: Path, config: dict[str, Any], tensors: dict[str, Array]) -> Path:
    return write(path, {"cfg.json": config, "sae_weights.safetensors": tensors})


def decoded(z: Array, decoder: Array = W["W_dec"]) -> Array:
    return z @ decoder + W["b_dec"]


def gated() -> tuple[dict[str, Array], Array]:
    rng = np.random.default_rng(4)
    own = {"b_gate": rng.standard_normal(F), "b_mag": rng.standard_normal(F), "r_mag": rng.standard_normal(F) * 0.5}
    centred = ROWS - W["b_dec"]
    gate = centred @ W["W_enc"] + own["b_gate"] > 0
    z = gate * relu(centred @ (W["W_enc"] * np.exp(own["r_mag"])) + own["b_mag"])
    return own | {name: W[name] for name in ("W_enc", "W_dec", "b_dec")}, z


FACTOR = np.linspace(0.5, 2, F)
NOT_SUBTRACTED = ROWS @ W["W_enc"] + W["b_enc"]
OLD = {"hook_point": "blocks.8.hook_resid_pre", "model_name": "gpt2-small", "d_in": D, "d_sae": F, "dtype": "float32"}
CASES: dict[str, tuple[dict[str, Any], dict[str, Array], Array, Array]] = {
    "standard": (saelens(), PLAIN, relu(PRE), decoded(relu(PRE))),
    "b_dec not subtracted": (
        saelens(apply_b_dec_to_input=False), PLAIN, relu(NOT_SUBTRACTED), decoded(relu(NOT_SUBTRACTED)),
    ),
    "jumprelu": (saelens("jumprelu"), W, jump(PRE, W["threshold"]), decoded(jump(PRE, W["threshold"]))),
    "topk": (saelens("topk", k=3), PLAIN, largest(PRE, 3), decoded(largest(PRE, 3))),
    "topk by decoder norms": (
        saelens("topk", k=3, rescale_acts_by_decoder_norm=True), PLAIN, largest(PRE * NORMS, 3),
        decoded(largest(PRE * NORMS, 3) / NORMS),
    ),
    "batch-topk with its threshold": (
        saelens("batchtopk", k=3), PLAIN | {"topk_threshold": np.array(0.8)}, jump(PRE, 0.8), decoded(jump(PRE, 0.8)),
    ),
    "before version 6": (OLD, PLAIN, relu(PRE), decoded(relu(PRE))),
    "before version 6, topk": (
        OLD | {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}}, PLAIN, largest(PRE, 2),
        decoded(largest(PRE, 2)),
    ),
    "before version 6, fine-tuned": (
        OLD | {"finetuning_scaling_factor": True}, PLAIN | {"scaling_factor": FACTOR}, relu(PRE),
        decoded(relu(PRE) * FACTOR),
    ),
    "gated": (saelens("gated"), gated()[0], gated()[1], decoded(gated()[1])),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_formulas(name: str, tmp_path: Path) -> None:
    config, tensors, z, reconstructed = CASES[name]
    found = load_dictionary(folder(tmp_path / "one", config, tensors))
    np.testing.assert_allclose(found.encode(ROWS), z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.reconstruct(ROWS), reconstructed, rtol=1e-4, atol=1e-4)
    assert (found.site, found.model) == (geo.Site("input", 8), "gpt2-small")
    again = load_dictionary(save_dictionary(found, tmp_path / "two"))
    assert torch.equal(again.encode(ROWS), found.encode(ROWS))
    assert torch.equal(again.reconstruct(ROWS), found.reconstruct(ROWS))
    assert (again.site, again.model, again.k) == (found.site, found.model, found.k)


@pytest.mark.parametrize("how", ["constant_norm_rescale", "layer_norm", "centred", "one factor"])
def test_rows_are_normalised_and_put_back(how: str, tmp_path: Path) -> None:
    shift, scale, given = np.zeros((len(ROWS), 1)), np.ones((len(ROWS), 1)), {}
    setting = {"normalize_activations": how}
    if how == "constant_norm_rescale":
        scale = np.linalg.norm(ROWS, axis=1, keepdims=True) / np.sqrt(D)
    elif how == "layer_norm":
        shift, scale = ROWS.mean(axis=1, keepdims=True), ROWS.std(axis=1, ddof=1, keepdims=True)
    elif how == "centred":
        shift, setting, given = (
            ROWS.mean(axis=1, keepdims=True),
            {"model_from_pretrained_kwargs": {}},
            {"centred": True},
        )
    else:
        setting, scale, given = {"normalize_activations": "expected_average_only_in"}, scale / 0.4, {"norm_scale": 0.4}
    config = saelens(**setting)
    if how == "centred":
        del config["metadata"]["model_from_pretrained_kwargs"]
    found = load_dictionary(folder(tmp_path, config, PLAIN), **given)
    inside = (ROWS - shift) / scale
    z = relu((inside - W["b_dec"]) @ W["W_enc"] + W["b_enc"])
    np.testing.assert_allclose(found.encode(ROWS), z, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.reconstruct(ROWS), decoded(z) * scale + shift, rtol=1e-3, atol=1e-3)


def test_what_the_files_leave_open_is_noted_or_asked_for(tmp_path: Path) -> None:
    unsaid = folder(tmp_path / "old", OLD, PLAIN)
    assert "centred=True" in load_dictionary(unsaid).notes[0]
    assert load_dictionary(unsaid, centred=False).notes == ()
    one_factor = folder(tmp_path / "factor", saelens(normalize_activations="expected_average_only_in"), PLAIN)
    with pytest.raises(geo.GeometryError, match="norm_scale"):
        load_dictionary(one_factor)
    heads = load_dictionary(folder(tmp_path / "z", saelens(hook="blocks.3.attn.hook_z"), PLAIN))
    assert heads.site is None
    assert "no site" in heads.notes[0]
    with pytest.raises(geo.GeometryError, match="no site"):
        geo.dictionaries.feature_vector(heads, 0)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Array], str]] = {
    "another activation": (OLD | {"activation_fn_str": "tanh-relu"}, PLAIN, "tanh-relu"),
    "another architecture": (saelens("temporal"), PLAIN, "temporal"),
    "no decoder": (saelens(), {"W_enc": W["W_enc"], "b_dec": W["b_dec"]}, "lacks W_dec"),
    "no thresholds": (saelens("jumprelu"), PLAIN, "lacks threshold"),
    "no k": (saelens("topk"), PLAIN, "k is None"),
    "k of all": (saelens("topk", k=F + 1), PLAIN, "k is 1 to 11"),
    "turned round": (saelens(), PLAIN | {"W_dec": W["W_dec"].T}, "decoder has shape"),
    "not numbers": (saelens(), PLAIN | {"b_enc": np.full(F, np.nan)}, "NaN"),
    "factors that nothing tells of": (saelens(), PLAIN | {"scaling_factor": FACTOR}, "factors"),
    "a transcoder": (saelens(hook_name_out="blocks.8.hook_mlp_out"), PLAIN, "transcoder"),
    "another width": (saelens(d_in=D + 1), PLAIN, "d_in is said to be 7, and the encoder has 6"),
    "another number of features": (saelens(d_sae="many"), PLAIN, "d_sae is said to be 'many'"),
    "neither true nor false": (saelens(apply_b_dec_to_input="no"), PLAIN, "true or false, not 'no'"),
    "another normalisation": (saelens(normalize_activations="batch"), PLAIN, "'batch'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, tmp_path: Path) -> None:
    config, tensors, says = REFUSED[name]
    with pytest.raises(geo.errors.ModelError, match=says):
        load_dictionary(folder(tmp_path, config, tensors))


def test_another_site_or_model_than_the_callers(tmp_path: Path) -> None:
    path = folder(tmp_path, saelens(), PLAIN)
    assert load_dictionary(path, site="input.8", model="openai-community/gpt2").site == geo.Site("input", 8)
    for given, says in [({"site": "output.8"}, "is for input.8"), ({"model": "gpt2-xl"}, "is for gpt2-small"),
                        ({"norm_scale": 2.0}, "leave norm_scale out"), ({"centred": True}, "not centred")]:  # fmt: skip
        with pytest.raises(geo.errors.ModelError, match=says):
            load_dictionary(path, **given)


def test_a_write_that_fails_leaves_no_half(tmp_path: Path) -> None:
    found = load_dictionary(folder(tmp_path / "one", saelens(), PLAIN))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "cfg.json").write_text("{}")
    with pytest.raises(geo.errors.OutputError, match="without the other"):
        save_dictionary(found, tmp_path / "two")
    with pytest.raises(geo.errors.OutputError, match="cannot be made"):
        save_dictionary(found, tmp_path / "two" / "cfg.json")
