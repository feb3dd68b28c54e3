"""Write and read steering vectors: safetensors, exactly and with all that is on record, or files of other programs.

In our safetensors each part stands under its site's name, the record in the metadata.
"""

import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from geometry.arguments import checked
from geometry.errors import GeometryError, SteeringError
from geometry.output import open_regular, replacing
from geometry.steering.aisteer360_file import load_svec
from geometry.steering.belonging import RowSample
from geometry.steering.control_vector import load_control_vector, save_control_vector
from geometry.steering.eraser_file import FORMAT as ERASER
from geometry.steering.hotwire_file import save_hotwire
from geometry.steering.steering_lite_file import CONFIGURATION, steering_lite_vector
from geometry.steering.vector import SteeringVector
from geometry.steering.vllm_lens_file import save_vllm_lens

_FORMAT = "concept-geometry steering vector 1"
_READ, _WRITTEN = (".safetensors", ".gguf", ".svec"), (".safetensors", ".gguf", ".json", ".pt")
_OTHERS = {".gguf": save_control_vector, ".json": save_vllm_lens, ".pt": save_hotwire}
_LARGEST_HEADER = 16 << 20  # bytes, as of models
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
        path: what is written goes by the ending.

            - `.safetensors`, which `load_vector` gives back bit for bit with its record;
            - `.gguf`, a control vector as llama.cpp and EasySteer read it, bit for bit too, but with absolute parts at
              the outputs of blocks ≥ 1 alone;
            - `.json`, what a request to vllm-lens carries as `apply_steering_vectors`: parts at the outputs of blocks,
              absolute or relative, and rows for the first tokens;
            - `.pt`, a tensor for hotwire with a row for each block: absolute parts at the outputs of blocks.

            The last two are written, never read, so that no file of that name is replaced.

    Raises SteeringError: another ending, what the format cannot express, or a file of that name that is no steering
        vector, such as a model's, or might be none.
    Raises OutputError: the file cannot be written.
    """
    ending = check_ending(path)
    _refuse_to_replace_others(path)
    if ending in _OTHERS:
        return _OTHERS[ending](vector, path)
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


def check_ending(path: str | Path) -> str:
    """The ending of a file to write, in lower case; SteeringError for one that no vector has."""
    ending = Path(path).suffix.lower()
    if ending not in _WRITTEN:
        raise SteeringError(
            f"{path}: vectors are kept in .safetensors or .gguf files, or as .json for vllm-lens, .pt for hotwire"
        )
    return ending


def _refuse_to_replace_others(path: str | Path) -> None:
    # Of a name that cannot be, or a folder, writing says what is wrong.
    if not os.path.exists(path) or os.path.isdir(path):  # noqa: PTH110, PTH112
        return
    if Path(path).suffix.lower() not in _READ:
        raise SteeringError(f"{path}: is there already, and such files are not read; remove it or choose another name")
    try:
        load_vector(path)
    except GeometryError as error:
        raise SteeringError(f"{path}: holds something else than a steering vector; choose another name") from error


@checked
def load_vector(path: str | Path) -> SteeringVector:
    """Read what `save_vector` wrote, or a vector of another program.

    Example::

        vector = geo.load_vector("bird.safetensors")
        with geo.steer(model, vector):
            generations = geo.generate(model, tokenizer, ["In the garden I saw a"])

    Parameters:
        path: `.safetensors`, of this package or of steering-lite (`mean_diff` and `pca`, which add a vector); `.gguf`,
            a control vector (repeng, llama.cpp, EasySteer); `.svec`, of AISteer360.

    What those of other programs leave open, `notes` says how it was taken.

    Raises SteeringError: no such file, corrupt or truncated, or of something else.
    """
    if (ending := Path(path).suffix.lower()) not in _READ:
        raise SteeringError(f"{path}: vectors are read from .safetensors or .gguf files, or .svec files of AISteer360")
    if not os.path.lexists(path):
        raise SteeringError(f"{path}: no such file")
    if Path(path).exists() and not Path(path).is_file():
        raise SteeringError(f"{path}: a folder, a pipe or a device, not a vector file")
    if ending == ".gguf":
        return load_control_vector(path)
    try:
        vector, said = _load_safetensors(Path(path)) if ending == ".safetensors" else (load_svec(Path(path)), False)
    except SteeringError as error:
        raise SteeringError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    except (
        OSError,
        SafetensorError,
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
        NotImplementedError,
    ) as error:
        reason = getattr(error, "strerror", None) or error
        raise SteeringError(f"{path}: not a readable steering vector (corrupt or truncated?): {reason}") from error
    if not said and _begins_with_zero(vector):
        return replace(vector, bos=True, notes=(*vector.notes, _INFERRED))
    return vector


def _load_safetensors(path: Path) -> tuple[SteeringVector, bool]:
    """The vector, and whether the file says what its rows count from."""
    with open_regular(path) as file:
        if len(start := file.read(8)) == struct.calcsize("<Q") and path.stat().st_size > _LARGEST_HEADER:
            (size,) = struct.unpack("<Q", start)
            if size > _LARGEST_HEADER:
                raise SteeringError(f"a header of {size} bytes, where at most {_LARGEST_HEADER} are read")
    with safe_open(path, framework="pt") as file:
        record = file.metadata() or {}
        is_ours = record.get("format") == _FORMAT
        if record.get("format") == ERASER:
            raise SteeringError("holds an eraser and no vector; geo.steering.load_eraser reads it")
        if not is_ours and CONFIGURATION not in record:
            raise SteeringError("a safetensors file, but not a steering vector of this package or of steering-lite")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    if not is_ours:
        return steering_lite_vector(path.stem, record[CONFIGURATION], tensors), False
    notes = tuple(str(note) for note in json.loads(record.get("notes", "[]")))
    # Files of earlier versions say "made".
    provenance = record.get("provenance", record.get("made", "vector"))
    bos = json.loads(record.get("bos", "null"))
    sample = _sample(record.get("unembedding", ""), tensors.pop(_IDS, None), tensors.pop(_ROWS, None))
    return SteeringVector(tensors, provenance, record.get("model", ""), notes, bos, sample), "bos" in record


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
