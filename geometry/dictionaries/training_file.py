"""Checkpoints of a training: one safetensors file that is whole or as it was, and of that training alone."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from geometry.errors import EstimationError, ModelError
from geometry.models.safetensors_file import open_safetensors
from geometry.output import replacing

_FORMAT = "concept-geometry dictionary training 1"


def write_checkpoint(path: Path, settings: dict[str, Any], step: int, tensors: dict[str, Tensor]) -> None:
    """Replace the file; OutputError where it cannot be written."""
    label = {"format": _FORMAT, "settings": json.dumps(settings, sort_keys=True), "step": str(step)}
    with replacing(path) as unfinished:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished, metadata=label)


def read_checkpoint(path: Path, settings: dict[str, Any]) -> tuple[dict[str, Tensor], int] | None:
    """(tensors, steps taken); None if there is no such file.

    EstimationError: it is damaged, or of a training with other settings or activations.
    """
    if not path.exists():
        return None
    try:
        with open_safetensors(path):
            pass  # whether its header may be read at all
        with safe_open(path, framework="pt") as file:
            label = file.metadata() or {}
            if label.get("format") != _FORMAT:
                raise EstimationError(f"{path}: holds something else than a training's checkpoint; choose another name")
            theirs = json.loads(label["settings"])
            if others := sorted(key for key in settings | theirs if settings.get(key) != theirs.get(key)):
                raise EstimationError(
                    f"{path}: is of another training ({', '.join(others)} differ); remove it or choose another name"
                )
            return {name: file.get_tensor(name) for name in file.keys()}, int(label["step"])  # noqa: SIM118
    except (OSError, SafetensorError, ModelError, ValueError, KeyError) as error:
        raise EstimationError(f"{path}: not a readable checkpoint (corrupt or truncated?): {error}") from error


def fingerprint(rows: Tensor) -> str:
    """Sixteen digits that tell some rows from others."""
    import hashlib

    return hashlib.sha256(rows.to(torch.float32).contiguous().numpy().tobytes()).hexdigest()[:16]
