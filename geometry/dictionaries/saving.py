"""Write a dictionary as SAELens does, so that others read it."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from geometry.arguments import checked
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.hook_names import hook_of
from geometry.dictionaries.saelens_format import CONFIG, WEIGHTS
from geometry.errors import OutputError
from geometry.output import replacing

_LAYOUT = "6.0.0"  # of SAELens, whose versions since then agree on it
_ARCHITECTURES = {"relu": "standard", "jumprelu": "jumprelu", "topk": "topk"}
_NORMALISATIONS = {"none": "none", "centre": "none", "norm": "constant_norm_rescale", "layer": "layer_norm"}


@checked
def save_dictionary(dictionary: FeatureDictionary, folder: str | Path) -> Path:
    """Write cfg.json and sae_weights.safetensors into a folder, which is made if need be.

    Example::

        save_dictionary(training.dictionary, "smollm2-output.15")
        sae_lens.SAE.load_from_disk("smollm2-output.15")  # by whoever has SAELens

    What was folded into the weights stays there: numbers are those that `load_dictionary` gives back bit for bit.

    Raises OutputError: the files cannot be written, or the folder holds half of another dictionary.
    """
    path = Path(folder)
    weights = {"W_enc": dictionary.encoder, "W_dec": dictionary.decoder}
    weights |= {"b_enc": dictionary.encoder_bias, "b_dec": dictionary.decoder_bias}
    if dictionary.threshold is not None:
        weights["threshold"] = dictionary.threshold
    config = configuration(dictionary)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made: {error}") from error
    if (path / CONFIG).exists() != (path / WEIGHTS).exists():
        raise OutputError(f"{path}: holds one of {CONFIG} and {WEIGHTS} without the other; choose another folder")
    # Weights first: a configuration without them would be half a dictionary.
    with replacing(path / WEIGHTS) as unfinished:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, unfinished)
    with replacing(path / CONFIG) as unfinished:
        unfinished.write_text(json.dumps(config, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


def configuration(dictionary: FeatureDictionary) -> dict[str, Any]:
    """What cfg.json says."""
    hook = hook_of(dictionary.site)
    metadata: dict[str, Any] = {"sae_lens_version": _LAYOUT, "written_by": "concept-geometry"}
    metadata |= {"model_name": dictionary.model or None, "hook_name": hook or None}
    metadata["model_from_pretrained_kwargs"] = {"center_writing_weights": dictionary.normalisation == "centre"}
    config: dict[str, Any] = {"architecture": _ARCHITECTURES[dictionary.activation]}
    config |= {"d_in": dictionary.width, "d_sae": dictionary.n_features, "dtype": "float32", "device": "cpu"}
    config |= {"apply_b_dec_to_input": dictionary.subtract_decoder_bias, "reshape_activations": "none"}
    config |= {"normalize_activations": _NORMALISATIONS[dictionary.normalisation], "metadata": metadata}
    return config | ({"k": dictionary.k} if dictionary.k is not None else {})
