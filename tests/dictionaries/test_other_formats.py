"""Gemma Scope, Llama Scope and sparsify against their formulas written out; what is no dictionary is refused."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geometry as geo
from geometry.dictionaries import FeatureDictionary, load_dictionary
from tests.dictionaries.folders import ROWS, Array, D, F, jump, largest, saelens, weights, write

W = weights(2)
PRE = ROWS @ W["W_enc"] + W["b_enc"]
NORMS = np.linalg.norm(W["W_dec"], axis=1)
GEMMA = "gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82"


def agrees(found: FeatureDictionary, z: Array, reconstructed: Array) -> None:
    np.testing.assert_allclose(found.encode(ROWS), z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.reconstruct(ROWS), reconstructed, rtol=1e-4, atol=1e-4)


def test_gemma_scope_names_its_layer_by_its_folders(tmp_path: Path) -> None:
    write(tmp_path / GEMMA, {"params.npz": W})
    z = jump(PRE, W["threshold"])
    found = load_dictionary(tmp_path / "gemma-scope-2b-pt-res", "layer_12/width_16k/average_l0_82")
    agrees(found, z, z @ W["W_dec"] + W["b_dec"])
    assert (found.site, found.model) == (geo.Site("output", 12), "google/gemma-2-2b")
    assert load_dictionary(tmp_path / GEMMA / "params.npz").site == found.site
    # Behind a norm that our site lies before.
    behind = load_dictionary(write(tmp_path / "gemma-scope-9b-it-mlp/layer_3", {"params.npz": W}))
    assert (behind.site, behind.model) == (None, "google/gemma-2-9b-it")
    nested = write(tmp_path / "layer_7" / "my layer_3" / GEMMA, {"params.npz": W})
    assert load_dictionary(nested).site == geo.Site("output", 12)
    moved = write(tmp_path / "mine", {"params.npz": W})
    with pytest.raises(geo.errors.ModelError, match="give site="):
        load_dictionary(moved)
    assert load_dictionary(moved, site="output.5", model="google/gemma-2-2b").site == geo.Site("output", 5)
    with pytest.raises(geo.errors.ModelError, match=r"is for output\.12"):
        load_dictionary(tmp_path / GEMMA, site=11)


def test_gemma_scope_2_says_it_in_its_configuration(tmp_path: Path) -> None:
    small = {name.lower(): array for name, array in W.items()}
    hook = {"hf_hook_point_in": "model.layers.17.output", "hf_hook_point_out": "model.layers.17.output"}
    config = hook | {"model_name": "google/gemma-3-1b-pt", "architecture": "jump_relu", "type": "sae", "l0": 7}
    found = load_dictionary(write(tmp_path / "a", {"config.json": config, "params.safetensors": small}))
    z = jump(PRE, W["threshold"])
    agrees(found, z, z @ W["W_dec"] + W["b_dec"])
    assert (found.site, found.model) == (geo.Site("output", 17), "google/gemma-3-1b-pt")
    for number, changed in enumerate([{"type": "transcoder"}, {"hf_hook_point_out": "x"}, {"architecture": "relu"}]):
        with pytest.raises(geo.errors.ModelError, match=r"autoencoders alone|jump_relu is known"):
            load_dictionary(
                write(tmp_path / str(number), {"config.json": config | changed, "params.safetensors": small})
            )


LLAMA = {"d_model": D, "d_sae": F, "act_fn": "jumprelu", "norm_activation": "dataset-wise", "jump_relu_threshold": 0.3}
LLAMA |= {"hook_point_in": "blocks.24.hook_resid_post", "hook_point_out": "blocks.24.hook_resid_post", "top_k": 50}
LLAMA |= {"dataset_average_activation_norm": {"in": 4.0, "out": 4.0}, "apply_decoder_bias_to_pre_encoder": False}
LINEAR = {"encoder.weight": W["W_enc"].T, "encoder.bias": W["b_enc"], "decoder.weight": W["W_dec"].T}
LINEAR |= {"decoder.bias": W["b_dec"]}


def llama(path: Path, config: dict[str, Any], tensors: dict[str, Array] = LINEAR) -> Path:
    language_model = {"model_name": "meta-llama/Llama-3.1-8B"}
    files = {"hyperparams.json": config, "checkpoints/final.safetensors": tensors, "lm_config.json": language_model}
    return write(path, files)


def as_used(threshold: float | None, k: int | None = None, *, by_norm: bool = True) -> tuple[Array, Array]:
    """Weights as they are before use: the factor of all rows and then the decoder's norms folded into them."""
    scale = math.sqrt(D) / 4
    encoder, bias, decoder, decoder_bias = W["W_enc"], W["b_enc"] / scale, W["W_dec"], W["b_dec"] / scale
    if by_norm:
        encoder, bias, decoder = encoder * NORMS, bias * NORMS, decoder / NORMS[:, None]
    pre = ROWS @ encoder + bias
    z = jump(pre, threshold) if threshold is not None else largest(pre, k or 1)
    return z, z @ decoder + decoder_bias


def test_llama_scope_folds_its_factor_and_its_norms_before_its_threshold(tmp_path: Path) -> None:
    found = load_dictionary(llama(tmp_path / "a", LLAMA))
    agrees(found, *as_used(0.3))
    assert (found.site, found.model) == (geo.Site("output", 24), "meta-llama/Llama-3.1-8B")
    assert any("0.612" in note for note in found.notes)
    assert load_dictionary(tmp_path / "a" / "checkpoints" / "final.safetensors").site == found.site
    plain = load_dictionary(llama(tmp_path / "b", LLAMA | {"sparsity_include_decoder_norm": False}))
    agrees(plain, *as_used(0.3, by_norm=False))
    # TopK with a threshold is used as JumpReLU, without one as it is.
    agrees(load_dictionary(llama(tmp_path / "c", LLAMA | {"act_fn": "topk"})), *as_used(0.3))
    topk = LLAMA | {"act_fn": "topk", "top_k": 3, "jump_relu_threshold": 0.0}
    agrees(load_dictionary(llama(tmp_path / "d", topk)), *as_used(None, 3))
    # Where it was pruned, that is the one in use.
    write(tmp_path / "a", {"checkpoints/pruned.safetensors": LINEAR | {"encoder.bias": W["b_enc"] + 9}})
    assert float(load_dictionary(tmp_path / "a").encoder_bias.mean()) > float(found.encoder_bias.mean()) + 1


def test_the_format_that_followed_llama_scope(tmp_path: Path) -> None:
    config = {name: LLAMA[name] for name in ("d_model", "act_fn", "norm_activation", "hook_point_in", "hook_point_out")}
    config |= {"sae_type": "sae", "sparsity_include_decoder_norm": False}
    norm = {"dataset_average_activation_norm.blocks.24.hook_resid_post": np.array(5.0)}
    logs = np.log(W["threshold"])
    plain = {"W_E": W["W_enc"], "b_E": W["b_enc"], "W_D": W["W_dec"], "b_D": W["b_dec"]}
    plain |= {"activation_function.log_jumprelu_threshold": logs} | norm
    scale = math.sqrt(D) / 5
    z = jump(ROWS * scale @ W["W_enc"] + W["b_enc"], W["threshold"])
    for number, tensors in enumerate([plain, LINEAR | {"log_jumprelu_threshold": logs} | norm]):
        found = load_dictionary(
            write(tmp_path / str(number), {"config.json": config, "sae_weights.safetensors": tensors})
        )
        agrees(found, z, (z @ W["W_dec"] + W["b_dec"]) / scale)


def test_sparsify_subtracts_and_takes_the_largest(tmp_path: Path) -> None:
    tensors = {"encoder.weight": W["W_enc"].T, "encoder.bias": W["b_enc"], "W_dec": W["W_dec"], "b_dec": W["b_dec"]}
    config = {"expansion_factor": 32, "normalize_decoder": True, "num_latents": 0, "k": 3, "signed": False, "d_in": D}
    write(tmp_path, {"config.json": {"model": "meta-llama/Meta-Llama-3-8B"}})
    path = write(tmp_path / "layers.8", {"cfg.json": config, "sae.safetensors": tensors})
    found = load_dictionary(path)
    z = largest((ROWS - W["b_dec"]) @ W["W_enc"] + W["b_enc"], 3)
    agrees(found, z, z @ W["W_dec"] + W["b_dec"])
    assert (found.site, found.model, found.k) == (geo.Site("output", 8), "meta-llama/Meta-Llama-3-8B", 3)
    mlp = write(tmp_path / "layers.8.mlp", {"cfg.json": config, "sae.safetensors": tensors})
    assert load_dictionary(mlp).site == geo.Site("mlp", 8)
    for changed in ({"transcode": True}, {"signed": True}, {"activation": "groupmax"}, {"k": None}):
        write(path, {"cfg.json": config | changed})
        with pytest.raises(geo.errors.ModelError, match=r"TopK|topk|k is None"):
            load_dictionary(path)


def test_transcoders_and_unknown_settings_of_llama_scope(tmp_path: Path) -> None:
    changes = [{"hook_point_out": "blocks.24.hook_mlp_out"}, {"norm_activation": "token-wise"}, {"act_fn": "tanh"},
               {"dataset_average_activation_norm": None}, {"jump_relu_threshold": None}]  # fmt: skip
    says = ["transcoder", "token-wise", "tanh", "norm_scale", "no threshold"]
    for number, (changed, wanted) in enumerate(zip(changes, says, strict=True)):
        with pytest.raises(geo.errors.ModelError, match=wanted):
            load_dictionary(llama(tmp_path / str(number), LLAMA | changed))


def test_what_is_no_dictionary(tmp_path: Path) -> None:
    (tmp_path / "ae.pt").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    empty = tmp_path / "empty"
    empty.mkdir()
    objects = tmp_path / "gemma-scope-2b-pt-res/layer_1"
    objects.mkdir(parents=True)
    np.savez(objects / "params.npz", W_enc=np.array([{"a": 1}], dtype=object))
    broken = write(tmp_path / "broken", {"cfg.json": saelens()})
    (broken / "sae_weights.safetensors").write_bytes(b"not tensors")
    for path, says in [
        (tmp_path / "ae.pt", "pickled"),
        (tmp_path / "notes.txt", "no file of a sparse autoencoder"),
        (empty, "no sparse autoencoder"),
        (objects, "without Python objects"),
        (broken, "not a readable safetensors file"),
        (tmp_path / "nowhere", "no such folder"),
        ("weights.pt", "pickled"),
        (tmp_path, "name one: broken, gemma-scope-2b-pt-res/layer_1"),
    ]:
        with pytest.raises(geo.errors.ModelError, match=says):
            load_dictionary(path)
    (empty / "model.pth").write_bytes(b"x")
    with pytest.raises(geo.errors.ModelError, match="pickled weights"):
        load_dictionary(empty)
    with pytest.raises(geo.errors.ModelError, match="no folder 'b'"):
        load_dictionary(empty, "b")
