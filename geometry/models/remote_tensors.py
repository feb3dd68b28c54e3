"""Where the tensors of a checkpoint on a hub lie: by the headers of its files alone, whose numbers are not read."""

import json
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from geometry.display import short_repr
from geometry.errors import ModelError, shown
from geometry.models.checkpoint import INDEX, LARGEST_JSON, SINGLE, Side, read_index
from geometry.models.remote_file import RemoteFile
from geometry.models.safetensors_file import FLOATS, LARGEST_HEADER, require_matrix, same_numbers
from geometry.models.tensor_names import Tensors
from geometry.models.tying import Choice, choose

# Enough for most headers; of larger ones the rest is asked for.
_FIRST = 1 << 16
_PROBE = 1 << 12
_LENGTH = struct.Struct("<Q")
_KIND = re.compile(r"[A-Z]\w{0,15}", re.ASCII)


@dataclass(frozen=True)
class RemoteTensor:
    """A tensor: the file that holds it, that file's size, and where in it the bytes of the numbers are."""

    file: RemoteFile
    size: int
    kind: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Wanted:
    """The tensor that was asked for, and the other side's where both hold the same numbers, as far as was looked.

    `names` are those of all tensors of the checkpoint.
    """

    names: list[str]
    tensors: dict[str, RemoteTensor]
    choice: Choice

    __repr__ = short_repr


def find(remote: Callable[[str], RemoteFile], weights: str, config: dict[str, Any], side: Side, folder: Path) -> Wanted:
    """What is to be fetched for that side, decided as of a checkpoint on this machine.

    Parameters:
        remote: gives a file of the repository by its name.
        weights: the name of the single file, or of the index.
        folder: a place for what is read from a file.

    ModelError: as of `choose`, a damaged header or index. NoRangesError: the server sends whole files only.
    """
    if weights == SINGLE:
        known = _header(remote(SINGLE))
        listed = dict.fromkeys(known, SINGLE)
        unread: set[str] = set()
    else:
        listed, known = _index(remote(INDEX), folder), {}
        unread = set(listed.values())
    model = Path(remote(weights).model)
    while True:
        shapes: Tensors = {name: known[name].shape if name in known else None for name in listed}
        choice = choose(shapes, config, side, model)
        # Where one of the two is not stored, it may be so by another name, which a shape can tell.
        needed = unread if choice.other is None else unread & {listed[choice.name], listed[choice.other]}
        if not needed:
            break
        unread = unread - needed
        for file in sorted(needed):
            for name, tensor in _header(remote(file)).items():
                # What a shard holds counts, whether or not the index lists it.
                if listed.setdefault(name, file) == file:
                    known[name] = tensor
    if choice.name not in known:
        raise ModelError(f"{model}: {choice.name} is not in {listed[choice.name]}, where its index says it is")
    tensor = known[choice.name]
    require_matrix(model, choice.name, tensor.kind, tensor.shape)
    tensors = {choice.name: tensor}
    if choice.other in known and _alike(tensor, known[choice.other]):
        tensors[choice.other] = known[choice.other]
    # In one order, whichever side was asked for.
    return Wanted(sorted(listed), dict(sorted(tensors.items())), choice)


def _index(file: RemoteFile, folder: Path) -> dict[str, str]:
    path = folder / file.name
    path.write_bytes(file.whole(LARGEST_JSON))
    try:
        return dict(read_index(path))
    finally:
        path.unlink()


def _alike(one: RemoteTensor, other: RemoteTensor) -> bool:
    """Whether two tensors hold the same numbers in the middle, at the beginning and at the end."""
    if (one.kind, one.shape) != (other.kind, other.shape):
        return False
    length, dtype = one.stop - one.start, FLOATS[one.kind]
    for at in (length // 2 // dtype.itemsize * dtype.itemsize, 0, max(0, length - _PROBE)):
        stop = min(at + _PROBE, length)
        parts = [tensor.file.part(tensor.start + at, tensor.start + stop, tensor.size) for tensor in (one, other)]
        if parts[0] != parts[1]:
            numbers = [torch.frombuffer(bytearray(part), dtype=dtype) for part in parts]
            if not same_numbers(*numbers):
                return False
    return True


def _header(file: RemoteFile) -> dict[str, RemoteTensor]:
    """All tensors of a safetensors file, each within it."""
    where = f"{file.model}: {file.name}"
    first, size = file.start(_FIRST)
    (length,) = _LENGTH.unpack(first[: _LENGTH.size]) if len(first) >= _LENGTH.size else (size,)
    data = _LENGTH.size + length
    if data > size:
        raise ModelError(f"{where}: not a safetensors file, or a damaged one: a header of {length} bytes of {size}")
    if length > LARGEST_HEADER:
        raise ModelError(f"{where}: a header of {length} bytes, where at most {LARGEST_HEADER} are read")
    if data > len(first):
        first += file.part(len(first), data, size)
    try:
        described = json.loads(first[_LENGTH.size : data].decode("utf-8"), object_pairs_hook=_once)
        return {
            name: _tensor(file, size, data, description)
            for name, description in _items(described)
            if name != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(f"{where}: its safetensors header cannot be read: {error}") from error


def _tensor(file: RemoteFile, size: int, data: int, description: dict[str, Any]) -> RemoteTensor:
    kind, shape, (start, stop) = description["dtype"], description["shape"], description["data_offsets"]
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ValueError(f"a tensor of type {shown(kind)}")
    if not all(type(number) is int and number >= 0 for number in (*shape, start, stop)):
        raise ValueError(f"a tensor of shape {shown(shape)} at {shown((start, stop))}")
    if not start <= stop <= size - data:
        raise ValueError(f"a tensor at {start} to {stop}, where there are {size - data} bytes of numbers")
    if kind in FLOATS and prod(shape) * FLOATS[kind].itemsize != stop - start:
        raise ValueError(f"a tensor of {kind} and shape {shown(shape)} in {stop - start} bytes")
    return RemoteTensor(file, size, kind, tuple(shape), data + start, data + stop)


def _items(described: object) -> Iterable[tuple[str, Any]]:
    if not isinstance(described, dict):
        raise TypeError("it is no JSON object")
    return described.items()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it says one thing twice")
    return found
