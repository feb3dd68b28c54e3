"""Read a safetensors checkpoint: the one wanted tensor, in whichever shard it lies, and the vocabulary beside it."""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from geometry.errors import ModelError, shown
from geometry.models.checkpoint import ADAPTER, INDEX, SINGLE, Side, read_config, read_index
from geometry.models.tensor_names import Tensors
from geometry.models.tokenizer_file import read_tokenizer
from geometry.models.tying import choose
from geometry.models.vocabulary import Vocabulary

FLOATS = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}
_SHARD = re.compile(r"-\d+-of-\d+\.safetensors$")
# The largest models have headers of ten million bytes; what one claims is memory to whoever reads it.
LARGEST_HEADER = 16 << 20
_SLICE = 1 << 22


@dataclass(frozen=True)
class Checkpoint:
    """Where each tensor lies, its shape where its file is there, and what of the whole is not in view."""

    files: dict[str, Path]
    shapes: Tensors
    missing: str


def read_safetensors(path: Path, side: Side = "output") -> tuple[torch.Tensor, Vocabulary, bool, str]:
    """Return (matrix, vocabulary, tied, family) of a folder, a file, a shard or an index.

    The matrix keeps its stored dtype, shape (V, d). The vocabulary comes from `tokenizer.json`
    beside the weights and the family from `config.json`. `tied` tells that unembedding and input embedding are one.

    ModelError: a file is missing, corrupt or truncated, or the checkpoint holds no unembedding.
    """
    folder = path if path.is_dir() else path.parent
    config = read_config(folder)
    checkpoint = open_checkpoint(path)
    choice = choose(checkpoint.shapes, config, side, path, checkpoint.missing)
    matrix = _read_tensor(checkpoint.files[choice.name], choice.name)
    tied = choice.tied or (choice.other is not None and _is_stored(matrix, checkpoint, choice.other))
    return matrix, read_tokenizer(folder, len(matrix)), tied, str(config.get("model_type", "unknown"))


def open_checkpoint(path: Path) -> Checkpoint:
    """What tensors there are, by the headers of the files that transformers would read."""
    folder = path if path.is_dir() else path.parent
    if (folder / ADAPTER).is_file() and (path.is_dir() or path.name.startswith("adapter")):
        raise ModelError(
            f"{path}: an adapter ({ADAPTER} is there), not a model; merge it into its model first"
            " (merge_and_unload) and save that"
        )
    if path.is_dir():
        if (folder / SINGLE).is_file():
            return _whole(folder / SINGLE)
        if (folder / INDEX).is_file():
            return _sharded(folder / INDEX)
        raise ModelError(f"{path}: holds neither {SINGLE} nor {INDEX}{_hint(folder)}")
    is_index, is_shard = path.name.endswith(".index.json"), _SHARD.search(path.name) is not None
    if (is_index or is_shard) and (folder / SINGLE).is_file():
        # A whole model would be loaded from the single file, whatever the shards hold.
        raise ModelError(f"{path}: {SINGLE} lies beside it; name the folder for that one, or move it away")
    if is_index:
        return _sharded(path)
    if is_shard and (folder / INDEX).is_file() and path.name in read_index(folder / INDEX).values():
        return _sharded(folder / INDEX)
    others = [file for file in folder.glob("*.safetensors") if file.name != path.name]
    if is_shard or (path.name != SINGLE and others):
        return _whole(path, "it may be one file of several, whose index is not there")
    return _whole(path)


def _whole(path: Path, missing: str = "") -> Checkpoint:
    shapes = _shapes(path)
    return Checkpoint(dict.fromkeys(shapes, path), shapes, missing)


def _sharded(index: Path) -> Checkpoint:
    listed = read_index(index)
    shards = {file: index.parent / file for file in sorted(set(listed.values()))}
    files = {name: shards[file] for name, file in listed.items()}
    shapes: dict[str, tuple[int, ...] | None] = dict.fromkeys(files)
    # What a shard holds counts, whether or not the index lists it.
    for file in shards.values():
        if file.exists():
            for name, shape in _shapes(file).items():
                files.setdefault(name, file)
                shapes[name] = shape
    return Checkpoint(files, shapes, "")


def _hint(folder: Path) -> str:
    if list(folder.glob("*.bin")):
        return " (pickled weights are not read: convert them to safetensors)"
    if gguf := sorted(folder.glob("*.gguf")):
        return f"; name the file itself: {gguf[0]}"
    if others := sorted(folder.glob("*.safetensors")):
        return f"; name the file itself: {others[0]}"
    return ""


def open_safetensors(path: Path) -> Any:
    """The file opened, once its header is found to be of a size to be read.

    ModelError: no such file, corrupt or truncated.
    """
    if not path.is_file():
        raise ModelError(f"{path}: the file is missing")
    try:
        with path.open("rb") as file:
            if len(start := file.read(8)) == len(struct.pack("<Q", 0)):
                (size,) = struct.unpack("<Q", start)
                if LARGEST_HEADER < size <= path.stat().st_size:
                    raise ModelError(f"{path}: a header of {size} bytes, where at most {LARGEST_HEADER} are read")
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable safetensors file (corrupt or truncated?): {error}") from error


def _shapes(path: Path) -> dict[str, tuple[int, ...] | None]:
    with open_safetensors(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping


def _read_tensor(path: Path, name: str) -> torch.Tensor:
    with open_safetensors(path) as file:
        try:
            stored = file.get_slice(name)
            require_matrix(path, name, stored.get_dtype(), stored.get_shape())
            matrix: torch.Tensor = file.get_tensor(name)
        except (SafetensorError, ValueError) as error:
            raise ModelError(f"{path}: cannot read {name}: {error}") from error
    return matrix


def _is_stored(matrix: torch.Tensor, checkpoint: Checkpoint, name: str) -> bool:
    """Whether a tensor holds just these numbers, read as far as they agree."""
    path = checkpoint.files[name]
    if not path.is_file() or checkpoint.shapes[name] != tuple(matrix.shape):
        return False
    step = max(1, _SLICE // max(1, matrix.shape[1]))
    with open_safetensors(path) as file:
        stored = file.get_slice(name)
        if FLOATS.get(stored.get_dtype()) is not matrix.dtype:
            return False
        starts = range(0, len(matrix), step)
        return all(same_numbers(matrix[start : start + step], stored[start : start + step]) for start in starts)


def require_matrix(path: Path, name: str, kind: str, shape: Sequence[int]) -> None:
    """ModelError for a stored tensor that cannot be a matrix of tokens."""
    if kind not in FLOATS:
        raise ModelError(f"{path}: {name} is stored as {kind}; bf16, fp16 or fp32 is needed")
    if len(shape) != 2:
        raise ModelError(f"{path}: {name} has shape {shown(list(shape))}, not vocabulary x width")


def same_numbers(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors of one shape are equal, NaN in the same places included."""
    return torch.equal(one, other) or bool(torch.isclose(one, other, 0, 0, equal_nan=True).all())
