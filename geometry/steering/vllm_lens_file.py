"""Write vectors for vllm-lens, a plugin of vLLM: the JSON that its requests carry.

A list with an entry for each part: tensors (base64 of float32), layer, scale and `norm_match`. A layer is the output of
a 0-based block. `norm_match` scales a vector to the residual norm, token by token, so that a relative part is its
direction with its norm as the scale.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from geometry.errors import SteeringError
from geometry.output import replacing
from geometry.steering.block_outputs import VLLM_LENS
from geometry.steering.vector import SteeringVector


def save_vllm_lens(vector: SteeringVector, path: str | Path) -> Path:
    """Write a `.json` file, the text of which is a request's `apply_steering_vectors`.

    A part of shape (d,) acts on all tokens of the request; row i of a part of shape (p, d) on its token i, the
    beginning-of-text token counted. Norms are of the whole residual stream, also of models that remove its mean.

    Raises SteeringError: places at the final norm, the embedding, or a relative part that meets another at one block.
    Raises OutputError: the file cannot be written.
    Source: vllm-lens 1.3.0 (pypi.org/project/vllm-lens), `SteeringVector`, `deserialize_tensor`, `_apply_steering`.
    """
    parts = list(VLLM_LENS.parts(vector))
    several = Counter(block for block, _, _ in parts)
    if met := [block for block, relative, _ in parts if relative and several[block] > 1]:
        # What comes first changes the norm that the second is relative to.
        raise SteeringError(
            f"{vector.provenance} cannot be written as {VLLM_LENS.name}: at the output of block {met[0]} a part"
            " relative to the residual norm meets another; use `to_absolute`"
        )
    entries = [entry for part in parts for entry in _entries(*part)]
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(entries) + "\n", encoding="utf-8")
    return Path(path)


def _entries(block: int, relative: bool, part: torch.Tensor) -> Iterator[dict[str, Any]]:
    if not relative:
        yield _entry(block, part)
    elif part.ndim == 1:
        yield _entry(block, *_direction(part), norm_match=True)
    else:
        # There each row is brought to the residual norm, whatever its own: its share of the norm is its scale.
        for position, row in enumerate(part):
            direction, norm = _direction(row)
            yield _entry(block, direction[None], norm, norm_match=True) | {"position_indices": [position]}


def _direction(row: torch.Tensor) -> tuple[torch.Tensor, float]:
    """A row of norm 1, to which what vllm-lens adds to norms before it divides is nothing, and its norm."""
    norm = float(torch.linalg.vector_norm(row.double()))
    return (row.double() / norm).float() if norm else row, norm


def _entry(block: int, part: torch.Tensor, scale: float = 1.0, *, norm_match: bool = False) -> dict[str, Any]:
    numbers = part.cpu().contiguous().numpy().astype("<f4")
    data = base64.b64encode(numbers.tobytes()).decode("ascii")
    return {
        "activations": {"data": data, "dtype": "float32", "shape": [1, *numbers.shape]},
        "layer_indices": [block],
        "scale": scale,
        "norm_match": norm_match,
    }
