"""Llama Scope, hyperparams.json with checkpoints/final.safetensors, and the format that followed it, config.json with
sae_weights.safetensors (He et al., arXiv 2410.20526).

The threshold of hyperparams.json was found after the factor of all rows and the decoder's norms had been folded into
the weights; the thresholds of the later format are trained before.
"""

import math
from pathlib import Path
from typing import Any

import torch

from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.hook_names import site_of
from geometry.dictionaries.reading import Given, check_size, flag, rescaled, weights_folded
from geometry.dictionaries.tensor_file import read_tensors, wanted
from geometry.errors import ModelError, shown
from geometry.models.checkpoint import read_json

HYPERPARAMETERS, CONFIG, MODEL = "hyperparams.json", "config.json", "lm_config.json"
CHECKPOINTS, WEIGHTS = "checkpoints", "sae_weights.safetensors"
_LARGEST = 1e30  # of a norm or a threshold
_PREFERRED = ("pruned.safetensors", "final.safetensors")
_LINEAR = ("encoder.weight", "encoder.bias", "decoder.weight")
_PLAIN = ("W_E", "b_E", "W_D")
_LOGS = ("log_jumprelu_threshold", "activation_function.log_jumprelu_threshold")
_RAW = "features are in units of activations as they are, and so is their threshold"


def read(folder: Path, given: Given) -> FeatureDictionary:
    """The dictionary of a folder; ModelError for what is no plain autoencoder, or a setting that is not known."""
    first = (folder / HYPERPARAMETERS).is_file()
    config = read_json(folder / (HYPERPARAMETERS if first else CONFIG))
    path = _checkpoint(folder) if first else folder / WEIGHTS
    tensors = read_tensors(path)
    parts = _parts(tensors, path)
    check_size(config, parts, folder, "d_model", "d_sae")
    hook = str(config.get("hook_point_in") or "")
    _refuse(config, hook, folder)
    notes: list[str] = []
    scale_in, scale_out = _scales(config, tensors, hook, parts["encoder"].shape[0], given, folder)
    act = str(config.get("act_fn", "relu")).lower()
    by_norm = flag(config, "sparsity_include_decoder_norm", True, folder)
    if first:
        notes += _in_units_of_activations(parts, scale_in, scale_out, by_norm=by_norm)
        # A TopK autoencoder with a threshold is used as JumpReLU.
        act = "jumprelu" if act == "topk" and _positive(config.get("jump_relu_threshold")) else act
    if act == "jumprelu":
        threshold = _threshold(config, tensors, parts, folder)
        if by_norm and not first:
            threshold = threshold / parts["decoder"].norm(dim=1).clamp(min=1e-8)
        parts |= {"activation": "jumprelu", "threshold": threshold}
    elif act == "topk":
        notes += weights_folded(parts) if by_norm and not first else []
        parts |= {"activation": "topk", "k": config.get("top_k")}
        if not isinstance(parts["k"], int):
            raise ModelError(f"{folder}: does not say how many features are active: top_k is {shown(parts['k'])}")
    elif act != "relu":
        raise ModelError(f"{folder}: its activation is {shown(act)}; relu, jumprelu and topk are read")
    if not first and (scale_in != 1 or scale_out != 1):
        rescaled(parts, scale_in, notes, scale_out)
    model = _model(folder)
    site, note = site_of(hook, model)
    parts |= {"subtract_decoder_bias": flag(config, "apply_decoder_bias_to_pre_encoder", first, folder)}
    return given.finished(parts | {"site": site, "model": model}, [*notes, note], folder)


def _parts(tensors: dict[str, torch.Tensor], path: Path) -> dict[str, Any]:
    """Weights as x W: those of torch's linear layers are stored the other way round."""
    linear = "encoder.weight" in tensors
    found = [tensor.float() for tensor in wanted(tensors, _LINEAR if linear else _PLAIN, path)]
    encoder, encoder_bias, decoder = (found[0].T, found[1], found[2].T) if linear else found
    bias = tensors.get("decoder.bias" if linear else "b_D", torch.zeros(decoder.shape[-1])).float()
    return {"encoder": encoder, "encoder_bias": encoder_bias, "decoder": decoder, "decoder_bias": bias}


def _refuse(config: dict[str, Any], hook: str, folder: Path) -> None:
    if (kind := config.get("sae_type", "sae")) != "sae" or config.get("use_glu_encoder"):
        raise ModelError(f"{folder}: a {shown(kind)} that is no plain autoencoder; these alone are read")
    if (after := config.get("hook_point_out", hook)) != hook:
        raise ModelError(f"{folder}: a transcoder, from {hook} to {after}; autoencoders alone are read")


def _scales(
    config: dict[str, Any], tensors: dict[str, torch.Tensor], hook: str, width: int, given: Given, folder: Path
) -> tuple[float, float]:
    """√d over the mean norm of what goes in and of what comes out."""
    how = config.get("norm_activation")
    if how == "inference":
        return 1.0, 1.0
    if how != "dataset-wise":
        raise ModelError(f"{folder}: activations are normalised {shown(how)}; dataset-wise alone is read")
    norms = config.get("dataset_average_activation_norm")
    if isinstance(norms, dict) and all(_positive(norms.get(end)) for end in ("in", "out")):
        return math.sqrt(width) / norms["in"], math.sqrt(width) / norms["out"]
    if (stored := tensors.get(f"dataset_average_activation_norm.{hook}")) is not None and _positive(float(stored)):
        return (scale := math.sqrt(width) / float(stored)), scale
    return (scale := given.norm_scale_for(folder)), scale


def _in_units_of_activations(parts: dict[str, Any], scale_in: float, scale_out: float, *, by_norm: bool) -> list[str]:
    """s x W + b is s (x W + b / s): features that are so much smaller take rows as they are."""
    parts["encoder_bias"], parts["decoder_bias"] = parts["encoder_bias"] / scale_in, parts["decoder_bias"] / scale_out
    parts["decoder"] = parts["decoder"] * (scale_in / scale_out)
    noted = [f"scaled by {scale_in:.6g} so that the mean norm is √d; the factor is folded into the weights", _RAW]
    return [*noted, *(weights_folded(parts) if by_norm else [])]


def _threshold(
    config: dict[str, Any], tensors: dict[str, torch.Tensor], parts: dict[str, Any], folder: Path
) -> torch.Tensor:
    """θ of each feature."""
    stored = next((tensors[name] for name in _LOGS if name in tensors), None)
    if stored is not None:
        return stored.float().exp()
    if isinstance(number := config.get("jump_relu_threshold"), int | float) and 0 <= number < _LARGEST:
        return torch.full_like(parts["encoder_bias"], float(number))
    raise ModelError(f"{folder}: says jumprelu and holds no threshold")


def _positive(number: object) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < _LARGEST


def _checkpoint(folder: Path) -> Path:
    found = {path.name: path for path in (folder / CHECKPOINTS).glob("*.safetensors")}
    for name in (*_PREFERRED, *(found if len(found) == 1 else ())):
        if name in found:
            return found[name]
    raise ModelError(f"{folder}: {CHECKPOINTS} holds {len(found)} .safetensors files and no final.safetensors")


def _model(folder: Path) -> str:
    if not (folder / MODEL).is_file():
        return ""
    return str(read_json(folder / MODEL).get("model_name") or "")
