"""Llama Scope, hyperparams.json with checkpoints/final.safetensors, and the format that followed it, config.json with
sae_weights.safetensors (He et al., arXiv 2410.20526).
"""

import math
from pathlib import Path
from typing import Any

import torch

from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.hook_names import site_of
from geometry.dictionaries.reading import Given, rescaled, weights_folded
from geometry.dictionaries.tensor_file import read_tensors, wanted
from geometry.errors import ModelError, shown
from geometry.models.checkpoint import read_json

HYPERPARAMETERS, CONFIG, MODEL = "hyperparams.json", "config.json", "lm_config.json"
CHECKPOINTS, WEIGHTS = "checkpoints", "sae_weights.safetensors"
_LINEAR = ("encoder.weight", "encoder.bias", "decoder.weight")
_PLAIN = ("W_E", "b_E", "W_D")
_LOGS = ("log_jumprelu_threshold", "activation_function.log_jumprelu_threshold")
_RAW = (
    "the threshold of hyperparams.json is in units of activations as they are, as SAELens takes it: over the layers it"
    " grows as their norm does"
)


def read(folder: Path, given: Given) -> FeatureDictionary:
    """The dictionary of a folder; ModelError for what is no plain autoencoder, or a setting that is not known."""
    first = (folder / HYPERPARAMETERS).is_file()
    config = read_json(folder / (HYPERPARAMETERS if first else CONFIG))
    path = _checkpoint(folder) if first else folder / WEIGHTS
    tensors = read_tensors(path)
    parts = _parts(tensors, path)
    hook = str(config.get("hook_point_in") or "")
    _refuse(config, hook, folder)
    notes: list[str] = []
    scale_in, scale_out = _scales(config, tensors, hook, parts["encoder"].shape[0], given, folder)
    act = str(config.get("act_fn", "relu")).lower()
    by_norm = bool(config.get("sparsity_include_decoder_norm", not first))
    if act == "jumprelu":
        parts |= {"activation": "jumprelu", "threshold": _threshold(config, tensors, parts, scale_in, by_norm, folder)}
        notes += [_RAW] if first else []
    elif act == "topk":
        notes += weights_folded(parts) if by_norm else []
        parts |= {"activation": "topk", "k": config.get("top_k")}
        if not isinstance(parts["k"], int):
            raise ModelError(f"{folder}: does not say how many features are active: top_k is {shown(parts['k'])}")
    elif act != "relu":
        raise ModelError(f"{folder}: its activation is {shown(act)}; relu, jumprelu and topk are read")
    if scale_in != 1 or scale_out != 1:
        rescaled(parts, scale_in, notes, scale_out)
    model = _model(folder)
    site, note = site_of(hook, model)
    parts |= {"subtract_decoder_bias": bool(config.get("apply_decoder_bias_to_pre_encoder", False))}
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
    how = config.get("norm_activation", "dataset-wise")
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


def _threshold(
    config: dict[str, Any], tensors: dict[str, torch.Tensor], parts: dict[str, Any], scale: float, by_norm: bool,
    folder: Path,
) -> torch.Tensor:  # fmt: skip
    """θ of each feature in the encoder's units; where z‖W_dec‖ is compared with it, over that norm."""
    stored = next((tensors[name] for name in _LOGS if name in tensors), None)
    if stored is not None:
        threshold = stored.float().exp()
    elif isinstance(number := config.get("jump_relu_threshold"), int | float) and number >= 0:
        threshold = torch.full_like(parts["encoder_bias"], float(number) * scale)
    else:
        raise ModelError(f"{folder}: says jumprelu and holds no threshold")
    return threshold / parts["decoder"].norm(dim=1).clamp(min=1e-8) if by_norm else threshold


def _positive(number: object) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < math.inf


def _checkpoint(folder: Path) -> Path:
    found = sorted((folder / CHECKPOINTS).glob("*.safetensors"))
    final = [path for path in found if path.name == "final.safetensors"] or found
    if len(final) != 1:
        raise ModelError(f"{folder}: {CHECKPOINTS} holds {len(found)} .safetensors files and no final.safetensors")
    return final[0]


def _model(folder: Path) -> str:
    if not (folder / MODEL).is_file():
        return ""
    return str(read_json(folder / MODEL).get("model_name") or "")
