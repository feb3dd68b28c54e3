"""A file of arrays is what was written, bit for bit, or nothing at all."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from geometry.cache.array_file import Layout, read_arrays, write_arrays

LABEL = {"kind": "spectra", "key": "a" * 64}
ARRAYS = {
    "mean": np.array([1.5, -0.0, np.nan, 5e-324]),
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "ids": np.array([2**62, -1]),
}
LAYOUT: Layout = {name: (array.shape, array.dtype) for name, array in ARRAYS.items()}


def same(found: dict[str, Any] | None, arrays: dict[str, Any]) -> bool:
    return (
        found is not None
        and list(found) == list(arrays)
        and all(
            found[name].shape == array.shape
            and found[name].dtype == array.dtype
            and found[name].tobytes() == array.tobytes()
            for name, array in arrays.items()
        )
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "arrays"
    write_arrays(path, LABEL, ARRAYS)
    return path


def test_what_is_read_is_what_was_written_bit_for_bit(path: Path) -> None:
    assert same(read_arrays(path, LABEL, LAYOUT), ARRAYS)


def test_it_is_a_safetensors_file(path: Path) -> None:
    found = load_file(path)
    assert same({name: found[name] for name in ARRAYS}, ARRAYS)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 3)), np.array(2.0), np.arange(12.0).reshape(3, 4).T, np.arange(9.0)[::-2], np.arange(3, dtype=">f8")],
    ids=["empty", "scalar", "transposed", "strided", "other byte order"],
)
def test_arrays_of_any_layout(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    write_arrays(tmp_path / "a", LABEL, {"x": array})
    found = read_arrays(tmp_path / "a", LABEL, {"x": (array.shape, np.float64)})
    assert found is not None
    assert found["x"].dtype == np.float64
    assert found["x"].shape == array.shape
    assert np.array_equal(found["x"], array)


def test_no_changed_byte_goes_unseen(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_arrays(path, LABEL, LAYOUT) is None, place


def test_no_length_but_the_right_one_is_read(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert read_arrays(path, LABEL, LAYOUT) is None, length
    path.write_bytes(whole + b"\0")
    assert read_arrays(path, LABEL, LAYOUT) is None


def headed(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


def with_header(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """The same numbers behind another header."""

    def changed(whole: bytes) -> bytes:
        end = 8 + int.from_bytes(whole[:8], "little")
        header = json.loads(whole[8:end])
        return headed(json.dumps(change(header) or header).encode()) + whole[end:]

    return changed


FOREIGN = {
    "another version": with_header(lambda header: header["__metadata__"].update(format="concept-geometry arrays 2")),
    "no sum": with_header(lambda header: header["__metadata__"].pop("sha256")[:0]),
    "a sum of another type": with_header(lambda header: header["__metadata__"].update(sha256=[1])),
    "no label": with_header(lambda header: {name: part for name, part in header.items() if name != "__metadata__"}),
    "a text as label": with_header(lambda header: header | {"__metadata__": "sha256"}),
    "one more array": with_header(lambda header: header | {"x": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}),
    "a list": with_header(lambda header: [header]),
    "a header of any length": lambda whole: b"\xff" * 8 + whole[8:],
    "deep nesting": lambda _: headed(b"[" * 100_000),
    "no text": lambda _: headed(b"\xff\xfe{}"),
    "a pickle": lambda _: pickle.dumps({"mean": [1.0]}),
    "zeros": lambda whole: bytes(len(whole)),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_something_else_is_no_file(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))
    assert read_arrays(path, LABEL, LAYOUT) is None


@pytest.mark.parametrize("label", [LABEL | {"key": "b" * 64}, LABEL | {"kind": "activations"}], ids=["key", "kind"])
def test_the_file_of_another_key_or_kind_is_no_file(path: Path, label: dict[str, str]) -> None:
    assert read_arrays(path, label, LAYOUT) is None


@pytest.mark.parametrize(
    "change",
    [{"mean": ((5,), np.float64)}, {"matrix": ((3, 2), np.float32)}, {"ids": ((2,), np.float64)}, {"x": ((0,), "f8")}],
    ids=["length", "shape", "type", "name"],
)
def test_arrays_of_another_layout_are_not_taken(path: Path, change: Layout) -> None:
    assert read_arrays(path, LABEL, {**LAYOUT, **change}) is None
    assert read_arrays(path, LABEL, dict(reversed(list(LAYOUT.items())))) is None


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "link"])
def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "nowhere")
    assert read_arrays(path, LABEL, LAYOUT) is None
