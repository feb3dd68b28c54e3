"""Our reader of GGUF against the format library's own, and against files made to hurt."""

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType
from hypothesis import given, settings
from hypothesis import strategies as st

import geometry as geo
from geometry.models import cached_path
from geometry.models.catalogue import CATALOGUE
from geometry.models.gguf_container import GGUFFile, opened_gguf

U8, U32, F32_VALUE, STRING, ARRAY, U64 = 0, 4, 6, 8, 9, 10


# A file by hand, byte by byte.
def string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def field(key: str | bytes, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def tensor(name: str | bytes, sizes: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
    return string(name) + shape + struct.pack("<IQ", kind, offset)


def container(
    *parts: bytes,
    fields: int = 0,
    tensors: int = 0,
    version: int = 3,
    magic: bytes = b"GGUF",
    order: str = "<",
    data: bytes = b"",
) -> bytes:
    head = magic + struct.pack(f"{order}IQQ", version, tensors, fields) + b"".join(parts)
    return head + bytes(-len(head) % 32) + data


@contextmanager
def taken_apart(path: Path, content: bytes) -> Iterator[GGUFFile]:
    path.write_bytes(content)
    with opened_gguf(path) as file:
        yield file


def theirs(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the library's reader finds: fields, and tensors dequantised."""
    reader = gguf.GGUFReader(path)
    fields = {key: found.contents() for key, found in reader.fields.items() if not key.startswith("GGUF.")}
    return fields, {found.name: gguf.quants.dequantize(found.data, found.tensor_type) for found in reader.tensors}


def plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def agree(path: Path) -> None:
    fields, tensors = theirs(path)
    with opened_gguf(path) as file:
        assert {key: plain(value) for key, value in file.fields.items()} == fields
        assert file.tensors.keys() == tensors.keys()
        for name, found in file.tensors.items():
            assert found.shape == tensors[name].shape
            np.testing.assert_array_equal(found.rows(0, found.shape[0]), tensors[name])


def test_the_real_file_is_what_the_library_reads() -> None:
    path = cached_path(CATALOGUE["smollm2-135m"])
    reader = gguf.GGUFReader(path)
    with opened_gguf(path) as file:
        for key, found in reader.fields.items():
            if not key.startswith("GGUF."):
                assert plain(file.fields[key]) == found.contents(), key
        assert list(file.tensors) == [found.name for found in reader.tensors]
        for found in reader.tensors:
            own = file.tensors[found.name]
            assert own.kind == found.tensor_type
            assert own.shape == tuple(int(size) for size in reversed(found.shape))
        for found in reader.tensors[:4]:
            rows = gguf.quants.dequantize(found.data, found.tensor_type)
            np.testing.assert_array_equal(file.tensors[found.name].rows(1, 9), rows[1:9])


NUMBERS: dict[GGUFValueType, tuple[float, float]] = {
    GGUFValueType.UINT8: (0, 255),
    GGUFValueType.INT8: (-128, 127),
    GGUFValueType.UINT16: (0, 65535),
    GGUFValueType.INT16: (-32768, 32767),
    GGUFValueType.UINT32: (0, 2**32 - 1),
    GGUFValueType.INT32: (-(2**31), 2**31 - 1),
    GGUFValueType.FLOAT32: (-1.5, 2.0**100),
    GGUFValueType.BOOL: (False, True),
    GGUFValueType.UINT64: (0, 2**64 - 1),
    GGUFValueType.INT64: (-(2**63), 2**63 - 1),
    GGUFValueType.FLOAT64: (-0.1, 1e300),
}


@pytest.mark.parametrize("alignment", [32, 8, 128])
def test_a_written_file_of_every_kind_of_field_and_several_tensors(tmp_path: Path, alignment: int) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(alignment)
    for kind, (low, high) in NUMBERS.items():
        writer.add_key_value(f"low.{kind.name}", low, kind)
        writer.add_key_value(f"high.{kind.name}", high, kind)
        writer.add_key_value(f"array.{kind.name}", [high, low, low], GGUFValueType.ARRAY, kind)
    writer.add_string("text", "ein Vögelchen 🐦")
    writer.add_array("words", ["Ġbird", "▁", "é" * 300])
    writer.add_array("one", [7])
    # Sizes that leave gaps before the next tensor.
    for name, shape in {"one": (3, 5), "line": (7,), "box": (2, 3, 4), "four": (2, 1, 3, 2)}.items():
        writer.add_tensor(name, rng.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    agree(path)


QUANTISED = [kind.name for kind in GGMLQuantizationType if kind.name[0] in "FBQITMN" and kind.name != "F32"]


@pytest.mark.parametrize("name", QUANTISED)
def test_every_kind_of_tensor_is_dequantised_in_slices_or_refused(tmp_path: Path, name: str) -> None:
    kind = GGMLQuantizationType[name]
    block, size = GGML_QUANT_SIZES[kind]
    # Scales are halves: bytes below 64 keep them finite.
    stored = np.random.default_rng(1).integers(0, 64, size=(5, 3 * size), dtype=np.uint8)
    path = tmp_path / "m.gguf"
    path.write_bytes(container(tensor("t", (3 * block, 5), kind.value), tensors=1, data=stored.tobytes()))
    with opened_gguf(path) as file:
        try:
            expected = gguf.quants.dequantize(stored, kind)
        except NotImplementedError:
            with pytest.raises(geo.errors.ModelError, match=f"cannot dequantise {name}"):
                file.tensors["t"].rows(0, 5)
            return
        found = [file.tensors["t"].rows(start, stop) for start, stop in ((0, 2), (2, 3), (3, 5))]
        assert {part.dtype for part in found} == {np.dtype(np.float32)}
        np.testing.assert_array_equal(np.concatenate(found), expected)


def test_a_file_without_fields_or_with_empty_ones_is_a_file(tmp_path: Path) -> None:
    empty = field("numbers", ARRAY, struct.pack("<IQ", U32, 0)) + field("words", ARRAY, struct.pack("<IQ", STRING, 0))
    with taken_apart(tmp_path / "m.gguf", container(empty, fields=2)) as file:
        assert {key: list(value) for key, value in file.fields.items()} == {"numbers": [], "words": []}
        assert not file.tensors
    nested = struct.pack("<IQ", ARRAY, 2) + struct.pack("<IQ2B", U8, 2, 1, 2) + struct.pack("<IQ", U8, 0)
    with taken_apart(tmp_path / "m.gguf", container(field("nested", ARRAY, nested), fields=1, version=2)) as file:
        assert [list(part) for part in file.fields["nested"]] == [[1, 2], []]


MANY = 2**60
FLOATS = bytes(4 * 64)
AN_ARRAY_OF = struct.Struct("<IQ")
HOSTILE: dict[str, tuple[bytes, str]] = {
    "not GGUF": (container(magic=b"GGML"), "begin with GGUF"),
    "version 1": (container(version=1), "version 1"),
    "version 4": (container(version=4), "version 4"),
    "big-endian": (container(order=">"), "version 50331648"),
    "many tensors": (container(tensors=MANY), "announced"),
    "many fields": (container(fields=MANY), "announced"),
    "most fields": (container(fields=2**64 - 1), "announced"),
    "a long key": (container(struct.pack("<Q", MANY), fields=1), "announced"),
    "a long string": (container(field("k", STRING, struct.pack("<Q", MANY)), fields=1), "announced"),
    "many numbers": (container(field("k", ARRAY, AN_ARRAY_OF.pack(U8, MANY)), fields=1), "announced"),
    "most numbers": (container(field("k", ARRAY, AN_ARRAY_OF.pack(U64, 2**64 - 1)), fields=1), "announced"),
    "many strings": (container(field("k", ARRAY, AN_ARRAY_OF.pack(STRING, MANY)), fields=1), "announced"),
    "many arrays": (container(field("k", ARRAY, AN_ARRAY_OF.pack(ARRAY, MANY)), fields=1), "announced"),
    "as many strings as bytes": (
        container(field("k", ARRAY, AN_ARRAY_OF.pack(STRING, 10**6)), fields=1, data=bytes(10**6)),
        "announced",
    ),
    "deep nesting": (container(field("k", ARRAY, AN_ARRAY_OF.pack(ARRAY, 1) * 10**5), fields=1), "recursion"),
    "an unknown field kind": (container(field("k", 13, bytes(8)), fields=1), "13"),
    "an array of an unknown kind": (container(field("k", ARRAY, AN_ARRAY_OF.pack(99, 1)), fields=1), ""),
    "a key that is no UTF-8": (container(field(b"\xff", U8, b"1"), fields=1), "utf-8"),
    "two fields of one name": (
        container(field("k", U8, b"1"), field("k", U8, b"1"), fields=2),
        "two fields called 'k'",
    ),
    "alignment 0": (container(field("general.alignment", U32, bytes(4)), fields=1), "alignment 0"),
    "alignment below 0": (container(field("general.alignment", 5, struct.pack("<i", -32)), fields=1), "alignment"),
    "alignment infinite": (
        container(field("general.alignment", F32_VALUE, struct.pack("<f", float("inf"))), fields=1),
        "alignment",
    ),
    "alignment a word": (container(field("general.alignment", STRING, string("wide")), fields=1), "alignment"),
    "alignment a list": (
        container(field("general.alignment", ARRAY, AN_ARRAY_OF.pack(STRING, 0)), fields=1),
        "alignment",
    ),
    "alignment beyond the file": (
        container(
            field("general.alignment", U64, struct.pack("<Q", MANY)),
            tensor("t", (8, 8)),
            fields=1,
            tensors=1,
            data=FLOATS,
        ),
        "past the end",
    ),
    "a tensor past the end": (container(tensor("t", (8, 9)), tensors=1, data=FLOATS), "past the end"),
    "an offset past the end": (container(tensor("t", (8, 8), 0, 32), tensors=1, data=FLOATS), "past the end"),
    "an offset of 2^63": (container(tensor("t", (8, 8), 0, 2**63), tensors=1, data=FLOATS), "past the end"),
    "sizes whose product overflows": (container(tensor("t", (2**32, 2**32)), tensors=1, data=FLOATS), "past the end"),
    "a name twice": (container(tensor("t", (8, 4)), tensor("t", (8, 4)), tensors=2, data=FLOATS), "one name"),
    "no dimensions": (container(tensor("t", ()), tensors=1, data=FLOATS), "0 dimensions"),
    "many dimensions": (container(tensor("t", (1,) * 5), tensors=1, data=FLOATS), "5 dimensions"),
    "a size of zero": (container(tensor("t", (0, 8)), tensors=1, data=FLOATS), "shape"),
    "part of a block": (container(tensor("t", (33, 1), 8), tensors=1, data=FLOATS), "shape"),
    "an unknown tensor kind": (container(tensor("t", (8, 8), 4), tensors=1, data=FLOATS), "4"),
    "a name that is no UTF-8": (container(tensor(b"\xfe", (8, 8)), tensors=1, data=FLOATS), "utf-8"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_at_once(tmp_path: Path, case: str) -> None:
    content, complaint = HOSTILE[case]
    start = time.process_time()
    with (
        pytest.raises(geo.errors.ModelError, match=rf"m\.gguf: .*{complaint}"),
        taken_apart(tmp_path / "m.gguf", content),
    ):
        pass
    assert time.process_time() - start < 1


WHOLE = container(
    field("general.architecture", STRING, string("llama")),
    field("general.alignment", U32, struct.pack("<I", 32)),
    field("tokenizer.ggml.tokens", ARRAY, AN_ARRAY_OF.pack(STRING, 3) + string("<s>") + string("▁a") + string("▁bird")),
    field("tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ3i", 5, 3, 3, 1, 1)),
    tensor("token_embd.weight", (4, 3)),
    tensor("output.weight", (4, 3), 0, 64),
    fields=4,
    tensors=2,
    data=np.arange(16, dtype="<f4").tobytes() + np.arange(12, dtype="<f4").tobytes(),
)  # fmt: skip


def test_the_file_by_hand_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(WHOLE)
    agree(tmp_path / "m.gguf")
    head = geo.Unembedding.load(tmp_path / "m.gguf")
    assert head.matrix.tolist() == np.arange(12).reshape(3, 4).tolist()
    assert (head.tied, head.side, head.name, head.vocabulary.words) == (False, "output", "m", {"a": 1, "bird": 2})
    embedding = geo.Unembedding.load(tmp_path / "m.gguf", side="input")
    assert embedding.matrix.tolist() == np.arange(12).reshape(3, 4).tolist()
    assert (embedding.side, embedding.name) == ("input", "m (input)")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    for keep in range(len(WHOLE)):
        with pytest.raises(geo.errors.ModelError, match=r"m\.gguf"), taken_apart(tmp_path / "m.gguf", WHOLE[:keep]):
            pass


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_whatever_bytes_are_changed_only_a_model_error_comes_out(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(WHOLE)
    for place, byte in changes:
        content[place] = byte
    path = tmp_path_factory.getbasetemp() / "changed.gguf"
    path.write_bytes(content)
    try:
        geo.Unembedding.load(path)
    except geo.errors.ModelError as error:
        assert str(path) in str(error) or "changed" in str(error)  # noqa: PT017


ODD: dict[str, bytes] = {
    "a number": struct.pack("<II", U32, 3),
    "a word": struct.pack("<I", STRING) + string("abc"),
    "numbers": struct.pack("<IIQ3I", ARRAY, U32, 3, 1, 1, 1),
    "lists": struct.pack("<IIQ", ARRAY, ARRAY, 3) + 3 * struct.pack("<IQ", U8, 0),
    "words": struct.pack("<IIQ", ARRAY, STRING, 3) + 3 * string("a"),
    "nothing": struct.pack("<IIQ", ARRAY, STRING, 0),
    "fractions": struct.pack("<IIQ3f", ARRAY, F32_VALUE, 3, 1.0, 2.5, float("nan")),
}


@pytest.mark.parametrize(
    ("key", "odd"),
    [*(("tokenizer.ggml.tokens", odd) for odd in ODD if odd != "words"),
     *(("tokenizer.ggml.token_type", odd) for odd in ODD if odd != "numbers")],
)  # fmt: skip
def test_a_vocabulary_of_another_kind_is_refused(tmp_path: Path, key: str, odd: str) -> None:
    right = {
        "tokenizer.ggml.tokens": struct.pack("<IIQ", ARRAY, STRING, 3) + string("<s>") + string("▁a") + string("▁b"),
        "tokenizer.ggml.token_type": struct.pack("<IIQ3i", ARRAY, 5, 3, 3, 1, 1),
        "general.architecture": struct.pack("<I", STRING) + string("llama"),
    }
    fields = {**right, key: ODD[odd]}
    content = container(
        *(string(name) + value for name, value in fields.items()), tensor("token_embd.weight", (4, 3)),
        fields=len(fields), tensors=1, data=np.arange(12, dtype="<f4").tobytes(),
    )  # fmt: skip
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(geo.errors.ModelError, match=r"m\.gguf: .*token"):
        geo.Unembedding.load(tmp_path / "m.gguf")
