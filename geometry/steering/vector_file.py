"""Write and read steering vectors: safetensors, exactly and with all that is on record, or GGUF control vectors.

In safetensors each part stands under its site's name, the record in the metadata.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from geometry.arguments import checked
from geometry.errors import GeometryError, SteeringError
from geometry.output import replacing
from geometry.steering.belonging import RowSample
from geometry.steering.control_vector import load_control_vector, save_control_vector
from geometry.steering.vector import SteeringVector

_FORMAT = "concept-geometry steering vector 1"
_IDS, _ROWS = "unembedding.ids", "unembedding.rows"
_INFERRED = (
    "the file does not say whether its rows count from a beginning-of-text token; as the first is zero, they are taken"
    " to (dataclasses.replace(vector, bos=False) says otherwise)"
)


@checked
def save_vector(vector: SteeringVector, path: str | Path) -> Path:
    """Write a vector, wholly or not at all.

    >>> import tempfile, torch
    >>> folder, vector = tempfile.TemporaryDirectory(), SteeringVector({"output.6": torch.ones(4)}, "ones")
    >>> load_vector(save_vector(2 * vector, f"{folder.name}/ones.safetensors"))
    SteeringVector(2 × ones; output.6; norm 4)
    >>> folder.cleanup()

    Parameters:
        path: `.safetensors`, which `load_vector` gives back bit for bit with its record; or `.gguf`, a control vector
            as llama.cpp reads it, bit for bit too, but with absolute parts at the outputs of blocks ≥ 1 alone.

    Raises SteeringError: another ending, what a control vector cannot express, or a file of that name that is no
        steering vector, such as a model's.
    Raises OutputError: the file cannot be written.
    """
    ending = _ending(path)
    _refuse_to_replace_others(path)
    if ending == ".gguf":
        return save_control_vector(vector, path)
    tensors = {str(site): part.contiguous().cpu() for site, part in vector.parts.items()}
    if vector.sample is not None:
        tensors |= {_IDS: vector.sample.ids.contiguous(), _ROWS: vector.sample.rows.contiguous()}
    record = {"provenance": vector.provenance, "model": vector.model, "notes": json.dumps(vector.notes)}
    if vector.bos is not None or _begins_with_zero(vector):
        record["bos"] = json.dumps(vector.bos)
    if vector.sample is not None:
        record["unembedding"] = vector.sample.name
    with replacing(path) as unfinished:
        try:
            safetensors.torch.save_file(tensors, unfinished, metadata={"format": _FORMAT, **record})
        except SafetensorError as error:
            raise OSError(str(error)) from error
    return Path(path)


def _refuse_to_replace_others(path: str | Path) -> None:
    # Of a name that cannot be, or a folder, writing says what is wrong.
    if not os.path.exists(path) or os.path.isdir(path):  # noqa: PTH110, PTH112
        return
    try:
        load_vector(path)
    except GeometryError as error:
        raise SteeringError(f"{path}: holds something else than a steering vector; choose another name") from error


@checked
def load_vector(path: str | Path) -> SteeringVector:
    """Read what `save_vector` wrote, or a `.gguf` control vector of another program (repeng, llama.cpp).

    Example::

        vector = geo.load_vector("bird.safetensors")
        with geo.steer(model, vector):
            generations = geo.generate(model, tokenizer, ["In the garden I saw a"])

    Raises SteeringError: no such file, corrupt or truncated, or safetensors of something else.
    """
    ending = _ending(path)
    if not os.path.lexists(path):
        raise SteeringError(f"{path}: no such file")
    if Path(path).exists() and not Path(path).is_file():
        raise SteeringError(f"{path}: a folder, a pipe or a device, not a vector file")
    if ending == ".gguf":
        return load_control_vector(path)
    try:
        with safe_open(path, framework="pt") as file:
            record = file.metadata() or {}
            if record.get("format") != _FORMAT:
                raise SteeringError(f"{path}: a safetensors file, but not a steering vector written by this package")
            parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        notes = tuple(str(note) for note in json.loads(record.get("notes", "[]")))
        # Files of earlier versions say "made".
        provenance = record.get("provenance", record.get("made", "vector"))
        bos = json.loads(record.get("bos", "null"))
        sample = _sample(record.get("unembedding", ""), parts.pop(_IDS, None), parts.pop(_ROWS, None))
        vector = SteeringVector(parts, provenance, record.get("model", ""), notes, bos, sample)
        if "bos" not in record and _begins_with_zero(vector):
            return replace(vector, bos=True, notes=(*notes, _INFERRED))
        return vector
    except SteeringError as error:
        raise SteeringError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    except (OSError, SafetensorError, ValueError, TypeError, RecursionError, NotImplementedError) as error:
        raise SteeringError(f"{path}: not a readable steering vector (corrupt or truncated?): {error}") from error


def _sample(name: str, ids: torch.Tensor | None, rows: torch.Tensor | None) -> RowSample | None:
    if ids is None or rows is None:
        return None
    if ids.dtype != torch.int64 or rows.dtype != torch.float32 or rows.ndim != 2 or ids.shape != rows.shape[:1]:
        raise SteeringError(f"the sample of its unembedding is malformed: {tuple(ids.shape)} ids, {tuple(rows.shape)}")
    if not len(ids) or int(ids.min()) < 0 or not bool(rows.isfinite().all()):
        raise SteeringError("the sample of its unembedding is empty, or holds impossible ids, NaN or infinite values")
    return RowSample(name, ids, rows)


def _begins_with_zero(vector: SteeringVector) -> bool:
    """Whether row 0 is zero, as activation addition leaves it where it belongs to a beginning-of-text token."""
    by_row = [part for part in vector.parts.values() if part.ndim == 2]
    return bool(by_row) and not any(bool(part[0].any()) for part in by_row)


def _ending(path: str | Path) -> str:
    ending = Path(path).suffix.lower()
    if ending not in (".safetensors", ".gguf"):
        raise SteeringError(f"{path}: vectors are kept in .safetensors or .gguf files")
    return ending
