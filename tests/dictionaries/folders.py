"""Folders as other programs write them, and what their formulas give, in plain NumPy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Array = NDArray[np.float64]
D, F, N = 6, 11, 40
RNG = np.random.default_rng(20)
ROWS = RNG.standard_normal((N, D)) * 2 + 0.5


def weights(seed: int = 1) -> dict[str, Array]:
    """W_enc (d, f), W_dec (f, d), b_enc, b_dec, threshold."""
    rng = np.random.default_rng(seed)
    return {
        "W_enc": rng.standard_normal((D, F)),
        "W_dec": rng.standard_normal((F, D)),
        "b_enc": rng.standard_normal(F) * 0.3,
        "b_dec": rng.standard_normal(D),
        "threshold": rng.uniform(0.2, 2.0, F),
    }


def write(folder: Path, files: dict[str, Any]) -> Path:
    """JSON of mappings of settings, tensors of mappings of arrays, by the ending of each name."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            path.write_text(json.dumps(content))
        elif path.suffix == ".npz":
            np.savez(path, **content)
        else:
            save_file({key: np.ascontiguousarray(array, dtype=np.float32) for key, array in content.items()}, path)
    return folder


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def jump(x: Array, threshold: Array | float) -> Array:
    return np.where(x > threshold, relu(x), 0.0)


def largest(x: Array, k: int) -> Array:
    return np.where(x >= np.sort(x, axis=1)[:, -k][:, None], relu(x), 0.0)


def saelens(architecture: str = "standard", hook: str = "blocks.8.hook_resid_pre", **settings: Any) -> dict[str, Any]:
    """cfg.json of versions since 6."""
    metadata = {"sae_lens_version": "6.0.0", "model_name": "gpt2-small", "hook_name": hook}
    metadata["model_from_pretrained_kwargs"] = {"center_writing_weights": False}
    plain = {"architecture": architecture, "d_in": D, "d_sae": F, "dtype": "float32", "normalize_activations": "none"}
    return plain | {"apply_b_dec_to_input": True, "reshape_activations": "none", "metadata": metadata} | settings
