"""Folders of SAELens: cfg.json of versions before and since 6, and sae_weights.safetensors."""

from pathlib import Path
from typing import Any

import torch

from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.hook_names import site_of
from geometry.dictionaries.reading import Given, check_size, flag, rescaled, weights_folded
from geometry.dictionaries.tensor_file import read_tensors, wanted
from geometry.errors import ModelError, shown
from geometry.models.checkpoint import read_json

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
_NORMALISATIONS = {"none": "none", "constant_norm_rescale": "norm", "layer_norm": "layer"}
_ONE_FACTOR = "expected_average_only_in"
_OLD = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn": "activation_fn_str"}
_UNSAID = (
    "the files do not say whether the residual stream was centred, as TransformerLens does unless told otherwise in"
    " models with LayerNorm; if it was, use load_dictionary(..., centred=True)"
)


def read(folder: Path, given: Given) -> FeatureDictionary:
    """The dictionary of a folder; ModelError for an architecture or a setting whose formula is not known."""
    config = read_json(folder / CONFIG)
    config |= {_OLD[key]: value for key, value in config.items() if key in _OLD and _OLD[key] not in config}
    metadata = config.get("metadata")
    said: dict[str, Any] = config | (metadata if isinstance(metadata, dict) else {})
    path = folder / WEIGHTS
    tensors = read_tensors(path)
    encoder, decoder, decoder_bias = wanted(tensors, ("W_enc", "W_dec", "b_dec"), path)
    parts: dict[str, Any] = {
        "encoder": encoder.float(),
        "decoder": decoder.float(),
        "decoder_bias": decoder_bias.float(),
    }
    check_size(config, parts, folder, "d_in", "d_sae")
    notes = [*_activation(config, tensors, parts, path)]
    # What training scales each feature by before the decoder, after its thresholds.
    factor = tensors.get("scaling_factor", tensors.get("finetuning_scaling_factor"))
    if factor is not None and not torch.allclose(factor.float(), torch.ones(())):
        if not flag(config, "finetuning_scaling_factor", False, folder):
            raise ModelError(f"{path}: holds factors of its features that {CONFIG} does not know of")
        parts["decoder"] = parts["decoder"] * factor.float()[:, None]
        notes.append("factors of fine-tuning are folded into the decoder")
    model = str(said.get("model_name") or "")
    hook = str(said.get("hook_name") or "")
    site, note = site_of(hook, model)
    if said.get("hook_head_index") is not None:
        site, note = None, f"it reads one head alone of {hook}, which is no site of this package"
    if "hook_name_out" in said and said["hook_name_out"] not in (None, hook):
        raise ModelError(f"{folder}: a transcoder, from {hook} to {said['hook_name_out']}; autoencoders alone are read")
    parts |= {"normalisation": _normalisation(config, said, given, folder, notes)}
    parts |= {"subtract_decoder_bias": flag(config, "apply_b_dec_to_input", True, folder), "site": site, "model": model}
    if config.get("normalize_activations") is True or config.get("normalize_activations") == _ONE_FACTOR:
        rescaled(parts, given.norm_scale_for(folder), notes)
    return given.finished(parts, [*notes, note], folder)


def _activation(
    config: dict[str, Any], tensors: dict[str, torch.Tensor], parts: dict[str, Any], path: Path
) -> list[str]:
    """Puts the activation and the encoder's bias among the parts, and returns what is to be noted."""
    kind = str(config.get("architecture", "standard"))
    named = config.get("activation_fn_str", "relu") if not isinstance(config.get("metadata"), dict) else "relu"
    arguments = config.get("activation_fn_kwargs")
    k = config.get("k", arguments.get("k") if isinstance(arguments, dict) else None)
    if named == "topk" and kind in ("standard", "topk"):
        kind = "topk"
    elif named not in ("relu", "topk"):
        raise ModelError(f"{path.parent}: its activation is {shown(named)}; relu, jumprelu and topk are read")
    if kind == "gated":
        if config.get("normalize_decoder"):
            raise ModelError(
                f"{path.parent}: a gated autoencoder that scales by its decoder's norms, which is not read"
            )
        return _gated(tensors, parts, path)
    if kind not in ("standard", "jumprelu", "topk", "batchtopk", "matryoshka_batchtopk"):
        raise ModelError(f"{path.parent}: its architecture is {shown(kind)}; standard, gated, jumprelu, topk are read")
    (parts["encoder_bias"],) = (tensor.float() for tensor in wanted(tensors, ("b_enc",), path))
    notes = weights_folded(parts) if flag(config, "rescale_acts_by_decoder_norm", False, path.parent) else []
    if kind == "topk":
        if not isinstance(k, int) or isinstance(k, bool):
            raise ModelError(f"{path.parent}: {CONFIG} does not say how many features are active: k is {shown(k)}")
        parts |= {"activation": "topk", "k": k}
    elif kind != "standard":
        parts |= {"activation": "jumprelu", "threshold": _threshold(tensors, len(parts["encoder_bias"]), path)}
    return notes


def _threshold(tensors: dict[str, torch.Tensor], count: int, path: Path) -> torch.Tensor:
    """Of JumpReLU, of each feature; of Batch-TopK the one that training keeps."""
    if "topk_threshold" in tensors and "threshold" not in tensors:
        return torch.full((count,), float(tensors["topk_threshold"]))
    if "log_threshold" in tensors and "threshold" not in tensors:
        return tensors["log_threshold"].float().exp()
    return wanted(tensors, ("threshold",), path)[0].float()


def _gated(tensors: dict[str, torch.Tensor], parts: dict[str, Any], path: Path) -> list[str]:
    """A gate x W + b_gate > 0 on relu(x W e^r + b_mag) is JumpReLU of the latter beyond b_mag − e^r b_gate."""
    gate, magnitude, log_scale = (tensor.float() for tensor in wanted(tensors, ("b_gate", "b_mag", "r_mag"), path))
    scale = log_scale.exp()
    parts |= {"encoder": parts["encoder"] * scale, "encoder_bias": magnitude, "activation": "jumprelu"}
    parts["threshold"] = magnitude - scale * gate
    return ["a gated autoencoder, written as the JumpReLU one that it equals"]


def _normalisation(config: dict[str, Any], said: dict[str, Any], given: Given, folder: Path, notes: list[str]) -> str:
    asked = config.get("normalize_activations") or "none"
    if asked is True or asked == _ONE_FACTOR:
        asked = "none"
    if not isinstance(asked, str) or asked not in _NORMALISATIONS:
        raise ModelError(f"{folder}: activations are to be normalised by {shown(asked)}, which is not known here")
    loading: Any = said.get("model_from_pretrained_kwargs")
    said_so = isinstance(loading, dict) and loading.get("center_writing_weights") is not None
    centred = flag(loading, "center_writing_weights", False, folder) if said_so else None
    if given.centred is not None:
        if centred is not None and bool(centred) != given.centred:
            raise ModelError(f"{folder}: {CONFIG} says that the residual stream was {'' if centred else 'not '}centred")
        centred = given.centred
    elif centred is None:
        notes.append(_UNSAID)
    if not centred:
        return _NORMALISATIONS[asked]
    if asked == "constant_norm_rescale":
        raise ModelError(f"{folder}: a centred residual stream scaled row by row is not read")
    return "layer" if asked == "layer_norm" else "centre"
