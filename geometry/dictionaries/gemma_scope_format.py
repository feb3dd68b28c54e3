"""Gemma Scope, params.npz for Gemma 2, and Gemma Scope 2, params.safetensors with config.json for Gemma 3.

JumpReLU without subtracting b_dec (Lieberum et al., arXiv 2408.05147).
"""

import re
from pathlib import Path
from typing import Any

from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.hook_names import site_of
from geometry.dictionaries.reading import Given
from geometry.dictionaries.tensor_file import read_tensors, wanted
from geometry.errors import ModelError, shown
from geometry.models.checkpoint import read_json

ARCHIVE, TENSORS, CONFIG = "params.npz", "params.safetensors", "config.json"
_REPOSITORY = re.compile(r"gemma-scope-(2b|9b|27b)-(pt|it)-(res|mlp|att|transcoders)\b")
_LAYER = re.compile(r"(?:^|/)layer_(\d{1,4})(?=/|$)")
_HOOKS = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}
_NAMES = ("w_enc", "w_dec", "b_enc", "b_dec", "threshold")


def read(folder: Path, given: Given) -> FeatureDictionary:
    """The dictionary of a folder; ModelError for a transcoder, or one of embeddings."""
    path = folder / (ARCHIVE if (folder / ARCHIVE).is_file() else TENSORS)
    tensors = {name.lower(): tensor for name, tensor in read_tensors(path).items()}
    if "affine_skip_connection" in tensors:
        raise ModelError(f"{folder}: a transcoder; autoencoders alone are read")
    encoder, decoder, encoder_bias, decoder_bias, threshold = (
        tensor.float() for tensor in wanted(tensors, _NAMES, path)
    )
    parts: dict[str, Any] = {"encoder": encoder, "decoder": decoder, "encoder_bias": encoder_bias}
    parts |= {"decoder_bias": decoder_bias, "threshold": threshold, "activation": "jumprelu"}
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    if (stated := config.get("width")) not in (None, encoder.shape[-1]):
        raise ModelError(f"{folder}: {CONFIG} says {shown(stated)} features, and the encoder has {encoder.shape[-1]}")
    model, hook = _configured(config, folder) if config else _named(given.path)
    site, note = site_of(hook, model) if hook else (None, "")
    if site is None and not note and given.site is None:
        raise ModelError(
            f"{folder}: neither a {CONFIG} nor the folders' names (gemma-scope-2b-pt-res/layer_12/…) say where it"
            ' reads; give site="output.12" and model'
        )
    return given.finished(parts | {"site": site, "model": model}, [note], folder)


def _configured(config: dict[str, Any], folder: Path) -> tuple[str, str]:
    """Model and hook by the configuration of Gemma Scope 2."""
    kind, architecture = config.get("type", "sae"), config.get("architecture", "jump_relu")
    hook, after = str(config.get("hf_hook_point_in") or ""), config.get("hf_hook_point_out")
    if kind != "sae" or config.get("affine_connection") or (hook and after not in (None, hook)):
        raise ModelError(f"{folder}: {CONFIG} tells of a {kind} from {hook} to {after}; autoencoders alone are read")
    if architecture != "jump_relu":
        raise ModelError(f"{folder}: its architecture is {shown(architecture)}, where jump_relu is known")
    return str(config.get("model_name") or ""), hook


def _named(path: str) -> tuple[str, str]:
    """Model and hook by the names of the repository and its folders, as Gemma Scope has no configuration."""
    # The innermost folders that are called so: those above them may be called anything.
    repositories, layers = _REPOSITORY.findall(path), _LAYER.findall(path)
    if not repositories:
        return "", ""
    size, training, kind = repositories[-1]
    if kind == "transcoders" or re.search(r"\bembedding\b", path):
        what = "a transcoder" if kind == "transcoders" else "of embeddings, which are scaled otherwise"
        raise ModelError(f"{path}: {what}; autoencoders of activations alone are read")
    model = f"google/gemma-2-{size}{'-it' if training == 'it' else ''}"
    return model, f"blocks.{layers[-1]}.{_HOOKS[kind]}" if layers else ""
