"""Named arrays of a safetensors file or a NumPy archive; nothing is unpickled."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

from geometry.errors import ModelError
from geometry.models.safetensors_file import FLOATS, open_safetensors

# Bytes that an array may unpack to at least, and how many times its own: weights hardly shrink.
_UNPACKED, _RATIO = 1_000_000_000, 50
PICKLED = {".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt"}


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All floating-point arrays by name, as they are stored; those of other types, counters mostly, are left out.

    ModelError: no such file, corrupt or truncated, or an archive that holds Python objects.
    """
    if path.suffix.lower() == ".npz":
        return _archived(path)
    with open_safetensors(path) as file:
        try:
            names = [name for name in file.keys() if file.get_slice(name).get_dtype() in FLOATS]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}
        except (SafetensorError, ValueError) as error:
            raise ModelError(f"{path}: cannot be read: {error}") from error


def wanted(tensors: dict[str, torch.Tensor], names: tuple[str, ...], path: Path) -> list[torch.Tensor]:
    """The named arrays; ModelError where one is missing, with those that are there."""
    if missing := [name for name in names if name not in tensors]:
        held = ", ".join(sorted(tensors)[:12]) or "no numbers"
        raise ModelError(f"{path}: not a sparse autoencoder of this kind: lacks {', '.join(missing)}; it holds {held}")
    return [tensors[name] for name in names]


def _archived(path: Path) -> dict[str, torch.Tensor]:
    try:
        with zipfile.ZipFile(path) as packed:
            for member in packed.infolist():
                if member.file_size > max(_UNPACKED, _RATIO * member.compress_size):
                    raise ValueError(f"{member.filename[:40]} would unpack to {member.file_size} bytes")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # archives and arrays fail in many ways
        raise ModelError(f"{path}: not a readable NumPy archive without Python objects: {error}") from error
    # torch has no long doubles, and numbers of the other byte order it refuses.
    kept = {name: array for name, array in arrays.items() if array.dtype.kind == "f" and array.dtype.itemsize <= 8}
    return {name: torch.from_numpy(array.astype(array.dtype.newbyteorder("="))) for name, array in kept.items()}
