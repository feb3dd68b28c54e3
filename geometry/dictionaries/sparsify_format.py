"""Sparse coders of EleutherAI's sparsify: cfg.json and sae.safetensors, in a folder that is called by its module."""

from pathlib import Path
from typing import Any

from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.hook_names import site_of
from geometry.dictionaries.reading import Given, check_size
from geometry.dictionaries.tensor_file import read_tensors, wanted
from geometry.errors import ModelError, shown
from geometry.models.checkpoint import read_json

CONFIG, WEIGHTS, RUN = "cfg.json", "sae.safetensors", "config.json"
_NAMES = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")
_OTHERS = ("transcode", "skip_connection", "embed_skip", "gram_lookup", "signed")


def read(folder: Path, given: Given) -> FeatureDictionary:
    """The dictionary of a folder; ModelError for a transcoder, or another activation than TopK."""
    config, path = read_json(folder / CONFIG), folder / WEIGHTS
    if others := [name for name in _OTHERS if config.get(name)]:
        raise ModelError(f"{folder}: {CONFIG} asks for {', '.join(others)}; plain TopK autoencoders alone are read")
    if (activation := config.get("activation", "topk")) != "topk":
        raise ModelError(f"{folder}: its activation is {shown(activation)}, where topk is known")
    if not isinstance(k := config.get("k"), int) or isinstance(k, bool):
        raise ModelError(f"{folder}: {CONFIG} does not say how many features are active: k is {shown(k)}")
    tensors = read_tensors(path)
    if "W_skip" in tensors:
        raise ModelError(f"{folder}: has a skip connection; plain TopK autoencoders alone are read")
    encoder, encoder_bias, decoder, decoder_bias = (tensor.float() for tensor in wanted(tensors, _NAMES, path))
    run = folder.parent / RUN
    model = str(read_json(run).get("model") or "") if run.is_file() else ""
    site, note = site_of(folder.name, model)
    parts: dict[str, Any] = {
        "encoder": encoder.T,
        "encoder_bias": encoder_bias,
        "decoder": decoder,
        "decoder_bias": decoder_bias,
    }
    check_size(config, parts, folder, "d_in", "num_latents")
    parts |= {"activation": "topk", "k": k, "subtract_decoder_bias": True, "site": site, "model": model}
    return given.finished(parts, [note], folder)
