"""Read `.svec` files of AISteer360: JSON with directions for each layer.

Format: `model_type`, and in `directions` "l" → K lists of d numbers (or, of old files, one list), taken from the output
of the 0-based block l. K = 1 is a direction for any position, more are rows for the first K tokens.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geometry.errors import SteeringError, shown
from geometry.output import read_bounded
from geometry.steering.strict_json import is_number, strict_json
from geometry.steering.vector import Site, SteeringVector

_FIELDS = {"model_type", "directions", "num_heads", "head_dim", "explained_variances", "probe_accuracies"}
_OF_HEADS = ("num_heads", "head_dim", "probe_accuracies")
_LAYER = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
_LARGEST = 64 << 20  # bytes; directions for 80 layers of 8,192 numbers take 14 million


def load_svec(path: Path) -> SteeringVector:
    """Read a `.svec` file: parts at the outputs of blocks, of shape (d,), or (K, d) for K tokens.

    Raises SteeringError: JSON of something else, fields that are not known, directions of attention heads or planes of
        rotation, or malformed directions.
    Raises OSError, ValueError, RecursionError: no ordinary file, too large, or no JSON.
    Source: AISteer360 0.3.0 (github.com/IBM/AISteer360, commit 1d7c843), `SteeringVector.save` and `load`.
    """
    content = strict_json(read_bounded(path, _LARGEST))
    if not isinstance(content, dict) or not isinstance(content.get("directions"), dict):
        raise SteeringError("JSON, but not a steering vector of AISteer360, which has an object called directions")
    if unknown := sorted(content.keys() - _FIELDS):
        raise SteeringError(f"has an unknown field {shown(unknown[0])}, which might change what the directions are")
    if heads := [field for field in _OF_HEADS if content.get(field) is not None]:
        raise SteeringError(f"holds directions of attention heads ({heads[0]}), not of the residual stream")
    model = content.get("model_type")
    if not isinstance(model, str):
        raise SteeringError(f"model_type must be a text, not {shown(model)}")
    parts = {_site(layer): _part(layer, rows) for layer, rows in content["directions"].items()}
    if parts and all(_is_plane(part) for part in parts.values()):
        raise SteeringError("holds planes to rotate in (angular steering), not vectors to add")
    return SteeringVector(parts, path.stem, "" if model == "unknown" else model, _notes(parts))


def _site(layer: str) -> Site:
    if not _LAYER.fullmatch(layer):
        raise SteeringError(f"{shown(layer)} is no layer, counted from 0")
    return Site("output", int(layer))


def _part(layer: str, rows: Any) -> torch.Tensor:
    flat = isinstance(rows, list) and all(map(is_number, rows))
    listed = [rows] if flat else rows
    if not isinstance(listed, list) or not all(isinstance(row, list) and all(map(is_number, row)) for row in listed):
        raise SteeringError(f"layer {layer}: directions are lists of numbers, not {shown(rows)}")
    if len({len(row) for row in listed}) != 1:
        raise SteeringError(f"layer {layer}: its directions have different lengths")
    part = torch.from_numpy(np.array(listed, dtype=np.float64)).to(torch.float32)
    return part[0] if len(part) == 1 else part


def _is_plane(part: torch.Tensor) -> bool:
    """Whether it is two orthonormal rows, which no difference of activations is by chance."""
    return part.ndim == 2 and len(part) == 2 and bool(torch.allclose(part @ part.T, torch.eye(2), atol=1e-3))


def _notes(parts: dict[Site, torch.Tensor]) -> tuple[str, ...]:
    notes = []
    if len(parts) > 1:
        middle = sorted(parts)[len(parts) // 2].block
        notes.append(
            f"AISteer360 steers at one of these {len(parts)} blocks, chosen there, here at all of them; for one take"
            f" SteeringVector({{{middle}: vector[{middle}]}})"
        )
    if any(part.ndim == 2 for part in parts.values()):
        notes.append(
            "the rows are at the outputs of blocks, where they were read; AISteer360's ActAdd adds those of block l"
            " to its input, from the second token on"
        )
    return tuple(notes)
