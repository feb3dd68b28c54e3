"""Take a GGUF file apart: its key-value fields and where each tensor lies. Tensors are read by rows, when asked for.

The gguf library's own reader builds Python objects for every part of every token, which for a vocabulary of
262,144 takes 8 seconds and 0.7 GB, and believes any count a file claims; here both are bounded by the file's size.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.errors import ModelError, shown

_VERSIONS = (2, 3)
_ALIGNMENT = 32
_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
_MOST_DIMENSIONS = 4


@dataclass(frozen=True)
class GGUFTensor:
    """One tensor of an open file; its shape has the rows first, and its kind is how its numbers are quantised."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    _offset: int
    _file: BinaryIO

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `start` to `stop` along the first axis as float32; ModelError for a kind that cannot be dequantised."""
        block, size = GGML_QUANT_SIZES[self.kind]
        row = prod(self.shape[1:]) // block * size
        self._file.seek(self._offset + start * row)
        stored = np.frombuffer(self._file.read((stop - start) * row), dtype=np.uint8)
        try:
            numbers = dequantize(stored.reshape(stop - start, row), self.kind)
        except NotImplementedError as error:
            raise ModelError(f"cannot dequantise {self.kind.name}: {error}") from error
        return np.asarray(numbers, dtype=np.float32).reshape(stop - start, *self.shape[1:])


@dataclass(frozen=True)
class GGUFFile:
    """The fields (numbers, strings, lists of strings, arrays of numbers) and the tensors of an open file."""

    fields: Mapping[str, Any]
    tensors: Mapping[str, GGUFTensor]

    __repr__ = short_repr


@contextmanager
def opened_gguf(path: Path) -> Iterator[GGUFFile]:
    """The file taken apart.

    ModelError: not a GGUF file of version 2 or 3, or a damaged or truncated one.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise ModelError(f"{path}: the file is empty")
            yield _take_apart(_Cursor(file, path.stat().st_size))
    except (ValueError, KeyError, struct.error, OSError, RecursionError) as error:
        raise ModelError(f"{path}: not a readable GGUF file (corrupt or truncated?): {error}") from error


class _Cursor:
    """Reads on through the file, never past its end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file = file
        self.left = size

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise ValueError(f"{size} bytes are announced and {self.left} left")
        self.left -= size
        return self.file.read(size)

    def number(self, kind: int) -> Any:
        return self.numbers(kind, 1)[0].item()

    def numbers(self, kind: int, count: int) -> NDArray[Any]:
        dtype = np.dtype(_NUMBERS[kind])
        return np.frombuffer(self.take(count * dtype.itemsize), dtype=dtype)

    def count(self) -> int:
        return int(self.number(10))

    def string(self, errors: str = "strict") -> str:
        return self.take(self.count()).decode("utf-8", errors)

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            # Tokens may be bytes that are no UTF-8: they are read as a decoder of text shows them.
            return self.string(errors="replace")
        if kind != _ARRAY:
            return self.number(kind)
        kind, count = int(self.number(4)), self.count()
        if kind in _NUMBERS:
            return self.numbers(kind, count)
        if 8 * count > self.left:
            raise ValueError(f"an array of {count} is announced and {self.left} bytes left")
        return [self.value(kind) for _ in range(count)]


def _take_apart(cursor: _Cursor) -> GGUFFile:
    if cursor.take(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    if (version := cursor.number(4)) not in _VERSIONS:
        raise ValueError(f"version {version}, where {' or '.join(map(str, _VERSIONS))} was expected")
    n_tensors, n_fields = cursor.count(), cursor.count()
    fields: dict[str, Any] = {}
    for _ in range(n_fields):
        key = cursor.string()
        if key in fields:
            raise ValueError(f"two fields called {shown(key)}")
        fields[key] = cursor.value(int(cursor.number(4)))
    descriptions = [_description(cursor) for _ in range(n_tensors)]
    alignment = fields.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"alignment {shown(alignment)}")
    start = cursor.file.tell()
    start += -start % alignment
    end = cursor.file.tell() + cursor.left
    tensors = {}
    for name, shape, kind, offset in descriptions:
        block, size = GGML_QUANT_SIZES[kind]
        if 0 in shape or shape[-1] % block:
            raise ValueError(f"tensor {shown(name)} of {kind.name} has shape {shape}")
        if start + offset + prod(shape) // block * size > end:
            raise ValueError(f"tensor {shown(name)} runs past the end of the file")
        tensors[name] = GGUFTensor(name, shape, kind, start + offset, cursor.file)
    if len(tensors) < len(descriptions):
        raise ValueError("two tensors of one name")
    return GGUFFile(fields, tensors)


def _description(cursor: _Cursor) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int]:
    name, dimensions = cursor.string(), int(cursor.number(4))
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise ValueError(f"tensor {shown(name)} of {dimensions} dimensions")
    shape = tuple(int(size) for size in reversed(cursor.numbers(10, dimensions).tolist()))
    return name, shape, GGMLQuantizationType(int(cursor.number(4))), cursor.count()
