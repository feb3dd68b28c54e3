"""Named arrays in a safetensors file that is believed only if it is exactly what would have been written.

Read as bytes and not mapped into memory: a mapped file that shrinks, or goes on a network file system, ends the
process.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geometry.output import open_regular

Layout: TypeAlias = Mapping[str, tuple[tuple[int, ...], DTypeLike]]

_FORMAT = "concept-geometry arrays 1"
_LONGEST = 1 << 20  # bytes of a header
_NAMES = {"f8": "F64", "f4": "F32", "i8": "I64", "i4": "I32", "u1": "U8"}


def write_arrays(path: Path, label: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays, whose numbers are stored as they are, with the label and a sum over all numbers.

    OSError: the file cannot be written.
    """
    plain = [_little(np.asarray(array, order="C")) for array in arrays.values()]
    layout = {name: (array.shape, array.dtype) for name, array in zip(arrays, plain, strict=True)}
    digest = hashlib.sha256()
    for array in plain:
        digest.update(_bytes(array))
    header = _header(label, layout)
    header["__metadata__"]["sha256"] = digest.hexdigest()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in plain:
            file.write(_bytes(array))


def read_arrays(path: Path, label: Mapping[str, str], layout: Layout) -> dict[str, NDArray[Any]] | None:
    """The arrays of a file with this label, these names in this order, shapes and types; None if it is anything else.

    Damaged, cut short, longer, of another version, missing or no file at all: there is nothing to be had of it.
    """
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _LONGEST:
                return None
            header = json.loads(file.read(length))
            stated = header["__metadata__"].pop("sha256")
            if header != _header(label, layout):
                return None
            digest = hashlib.sha256()
            arrays = {name: np.empty(shape, _stored(dtype)) for name, (shape, dtype) in layout.items()}
            for array in arrays.values():
                if file.readinto(_bytes(array)) != array.nbytes:
                    return None
                digest.update(_bytes(array))
            if file.read(1) or digest.hexdigest() != stated:
                return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in arrays.items()}


def _header(label: Mapping[str, str], layout: Layout) -> dict[str, Any]:
    """All that stands before the numbers, but for their sum."""
    header: dict[str, Any] = {"__metadata__": {"format": _FORMAT, **label}}
    end = 0
    for name, (shape, dtype) in layout.items():
        kind = _stored(dtype)
        begin, end = end, end + kind.itemsize * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": _NAMES[kind.str[1:]], "shape": list(shape), "data_offsets": [begin, end]}
    return header


def _stored(dtype: DTypeLike) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")


def _little(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(_stored(array.dtype), copy=False)


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
