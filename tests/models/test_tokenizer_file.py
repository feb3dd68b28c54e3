"""A tokenizer.json, whole and damaged."""

import base64
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geometry as geo
from geometry.models.tokenizer_file import read_tokenizer
from tests.models.checkpoints import TOKENS, write_tokenizer

UNIGRAM = {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁a", -1.0]]}


def write(folder: Path, **parts: Any) -> Path:
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": UNIGRAM} | parts))
    return folder


def test_tokens_are_ordered_by_id_and_special_ones_marked(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, special=["<pad>"])
    vocabulary = read_tokenizer(tmp_path, len(TOKENS) + 1)
    assert vocabulary.tokens == (*TOKENS, "<pad>")
    assert [i for i, textual in enumerate(vocabulary.textual) if not textual] == [TOKENS.index("</s>"), len(TOKENS)]


@pytest.mark.parametrize("ids", [{"Ġa": 0, "far": 10**9}, {"Ġa": 0, "Ġb": 0, "Ġc": 1}])
def test_token_ids_that_repeat_or_run_away_are_refused(tmp_path: Path, ids: dict[str, int]) -> None:
    write(tmp_path, model={"type": "WordLevel", "vocab": ids, "unk_token": "Ġa"})
    with pytest.raises(geo.errors.ModelError, match="token ids repeat or run far beyond"):
        read_tokenizer(tmp_path, 100)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"model":' * 5000,
        b"\xff",
        b"null",
        b'{"model": {"type": "BPE", "vocab": {"\\ud800": 0}}}',
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(geo.errors.ModelError, match=r"tokenizer\.json: not a readable tokenizer"):
        read_tokenizer(tmp_path, 100)


MAPS = {
    "empty": b"",
    "short": b"abc",
    "longer than it is": struct.pack("<I", 2**31) + b"x",
    "no UTF-8": struct.pack("<I", 4) + b"\0\0\0\0\xff\xfe",
}


@pytest.mark.parametrize("damaged", [*(base64.b64encode(raw).decode() for raw in MAPS.values()), "!!", "", None, 5])
def test_a_damaged_character_map_is_one_line_though_the_library_panics(
    tmp_path: Path, damaged: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, normalizer={"type": "Precompiled", "precompiled_charsmap": damaged})
    with pytest.raises(geo.errors.ModelError, match="not a readable tokenizer"):
        read_tokenizer(tmp_path, 100)
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_a_file_larger_than_any_tokenizer_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(geo.errors.ModelError, match="1073741824 bytes, where at most"):
        read_tokenizer(tmp_path, 100)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**33) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
IDS = st.integers(-1, 12) | st.sampled_from([2**31, 2**32, 2**63])
ADDED = st.fixed_dictionaries(
    {"id": IDS, "content": st.text(max_size=4), "special": st.booleans()},
    optional={"single_word": st.booleans(), "lstrip": JSON, "rstrip": st.booleans(), "normalized": st.booleans()},
)
KINDS = st.sampled_from(["BPE", "WordLevel", "Unigram", "WordPiece", "?"])
MODELS = st.fixed_dictionaries(
    {"type": KINDS, "vocab": st.dictionaries(st.text(max_size=4), IDS, max_size=6) | JSON},
    optional={"merges": JSON | st.lists(st.text(max_size=4), max_size=3), "unk_token": JSON, "unk_id": JSON},
)
NORMALIZERS = JSON | st.fixed_dictionaries(
    {"type": st.sampled_from(["Precompiled", "Replace", "Sequence", "NFC"])},
    optional={"precompiled_charsmap": JSON, "pattern": JSON, "normalizers": JSON},
)


@given(model=MODELS | JSON, added=st.lists(ADDED, max_size=3) | JSON, normalizer=NORMALIZERS)
@settings(max_examples=400, deadline=None)
def test_any_tokenizer_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, model: Any, added: Any, normalizer: Any
) -> None:
    folder = write(tmp_path_factory.getbasetemp(), model=model, added_tokens=added, normalizer=normalizer)
    try:
        vocabulary = read_tokenizer(folder, 10)
    except geo.errors.ModelError:
        return
    assert 0 < len(vocabulary) < 11_000
