"""Which files of a folder count: those of transformers, and none that are not whole; and files made to hurt."""

import json
import os
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import geometry as geo
from tests.models.checkpoints import TOKENS, write_config, write_tokenizer

V = len(TOKENS)
INDEX = "model.safetensors.index.json"
SHARDS = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def sharded(folder: Path, *contents: dict[str, torch.Tensor], index: dict[str, str] | None = None) -> None:
    listed = {}
    for name, tensors in zip(SHARDS, contents, strict=False):
        save_file(tensors, folder / name)
        listed |= dict.fromkeys(tensors, name)
    (folder / INDEX).write_text(json.dumps({"weight_map": listed if index is None else index}))
    write_tokenizer(folder)


def test_the_single_file_goes_before_the_index_as_in_transformers(tmp_path: Path) -> None:
    config = hf.LlamaConfig(
        vocab_size=V, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    old, new = hf.LlamaForCausalLM(config), hf.LlamaForCausalLM(config)
    old.save_pretrained(tmp_path, max_shard_size="4KB")
    stale = {path.name: path.read_bytes() for path in tmp_path.glob("*-of-*")}
    stale[INDEX] = (tmp_path / INDEX).read_bytes()
    new.save_pretrained(tmp_path)
    for name, content in stale.items():
        (tmp_path / name).write_bytes(content)
    write_tokenizer(tmp_path)
    read = geo.Unembedding.load(tmp_path)
    assert torch.equal(read.matrix, hf.LlamaForCausalLM.from_pretrained(tmp_path).lm_head.weight)
    assert torch.equal(read.matrix, new.lm_head.weight)
    # Of these the whole model would be another.
    for name in stale:
        with pytest.raises(geo.errors.ModelError, match=r"model\.safetensors lies beside it"):
            geo.Unembedding.load(tmp_path / name)


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_a_stored_head_is_read_and_tied_only_where_it_is_the_embedding(tmp_path: Path, equal: bool, tied: bool) -> None:
    torch.manual_seed(0)
    config = hf.LlamaConfig(
        vocab_size=V, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    model = hf.LlamaForCausalLM(config)
    if equal:
        model.lm_head.weight.data = model.model.embed_tokens.weight.data.clone()
    model.save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    write_config(tmp_path, **{**written, "tie_word_embeddings": tied})
    loaded = hf.LlamaForCausalLM.from_pretrained(tmp_path)
    for side, part in (("output", loaded.get_output_embeddings()), ("input", loaded.get_input_embeddings())):
        read = geo.Unembedding.load(tmp_path, side=side)
        assert torch.equal(read.matrix, part.weight)
        assert read.tied is equal
        assert read.side == ("output" if equal else side)


def test_a_head_alone_is_both_where_the_configuration_says_so(tmp_path: Path) -> None:
    head = torch.randn(V, 8)
    save_file({HEAD: head}, tmp_path / "model.safetensors")
    write_tokenizer(tmp_path)
    with pytest.raises(geo.errors.ModelError, match=r"no input embedding among its tensors: lm_head\.weight"):
        geo.Unembedding.load(tmp_path, side="input")
    write_config(tmp_path, tie_word_embeddings=True)
    assert torch.equal(geo.Unembedding.load(tmp_path, side="input").matrix, head)


def test_a_shard_without_its_index_is_not_the_whole(tmp_path: Path) -> None:
    embedding, head = torch.randn(2, V, 8)
    sharded(tmp_path, {EMBEDDING: embedding}, {HEAD: head})
    write_config(tmp_path, tie_word_embeddings=True)
    for name in SHARDS:
        assert torch.equal(geo.Unembedding.load(tmp_path / name).matrix, head)
    (tmp_path / INDEX).unlink()
    assert torch.equal(geo.Unembedding.load(tmp_path / SHARDS[1]).matrix, head)
    with pytest.raises(geo.errors.ModelError, match="one file of several, whose index is not there"):
        geo.Unembedding.load(tmp_path / SHARDS[0])
    # By another name it is one of several all the same.
    (tmp_path / SHARDS[0]).rename(tmp_path / "a.safetensors")
    with pytest.raises(geo.errors.ModelError, match="one file of several"):
        geo.Unembedding.load(tmp_path / "a.safetensors")
    (tmp_path / SHARDS[1]).unlink()
    assert geo.Unembedding.load(tmp_path / "a.safetensors").tied


def test_a_head_that_the_index_forgets_is_seen_in_its_shard(tmp_path: Path) -> None:
    embedding, head = torch.randn(2, V, 8)
    sharded(
        tmp_path, {EMBEDDING: embedding}, {HEAD: head, "model.norm.weight": torch.ones(8)},
        index={EMBEDDING: SHARDS[0], "model.norm.weight": SHARDS[1]},
    )  # fmt: skip
    write_config(tmp_path, tie_word_embeddings=True)
    assert torch.equal(geo.Unembedding.load(tmp_path).matrix, head)


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/passwd", "a\0b", 5, None, ["x"]])
def test_an_index_that_names_no_file_of_its_folder_is_refused(tmp_path: Path, shard: Any) -> None:
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {HEAD: shard}}))
    with pytest.raises(geo.errors.ModelError, match=r"points outside its folder|not a readable safetensors index"):
        geo.Unembedding.load(tmp_path)


def test_an_index_of_more_files_than_any_model_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {f"x{i}": f"f{i}" for i in range(20_000)}}))
    with pytest.raises(geo.errors.ModelError, match="names 20000 files, where at most 10000 are read"):
        geo.Unembedding.load(tmp_path)
    with (tmp_path / INDEX).open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(geo.errors.ModelError, match="1073741824 bytes, where at most"):
        geo.Unembedding.load(tmp_path)


def test_an_adapter_is_to_be_merged_first(tmp_path: Path) -> None:
    save_file({"base_model.model.lm_head.lora_A.weight": torch.ones(2, 2)}, tmp_path / "adapter_model.safetensors")
    write_config(tmp_path, model_type="llama")
    (tmp_path / "config.json").rename(tmp_path / "adapter_config.json")
    write_tokenizer(tmp_path)
    for path in (tmp_path, tmp_path / "adapter_model.safetensors"):
        with pytest.raises(geo.errors.ModelError, match="merge it into its model first"):
            geo.Unembedding.load(path)


def test_a_scaled_matrix_is_refused(tmp_path: Path) -> None:
    matrix = torch.randn(V, 8, dtype=torch.bfloat16)
    save_file({HEAD: matrix, "lm_head.weight_scale": torch.ones(1)}, tmp_path / "model.safetensors")
    write_tokenizer(tmp_path)
    with pytest.raises(geo.errors.ModelError, match=r"lm_head\.weight_scale"):
        geo.Unembedding.load(tmp_path)
    save_file({HEAD: matrix.to(torch.float8_e4m3fn)}, tmp_path / "model.safetensors")
    with pytest.raises(geo.errors.ModelError, match="stored as F8_E4M3"):
        geo.Unembedding.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", INDEX])
def test_a_named_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    if name != INDEX:
        save_file({HEAD: torch.randn(V, 8)}, tmp_path / "model.safetensors")
    write_tokenizer(tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(geo.errors.ModelError):
        geo.Unembedding.load(tmp_path)


def tensor(kind: str = "F32", shape: object = (V, 2), offsets: object = (0, 8 * V)) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": offsets}


HOSTILE: dict[str, bytes] = {
    name: json.dumps(header).encode()
    for name, header in {
        "overlapping": {HEAD: tensor(), "x": tensor()},
        "past the end": {HEAD: tensor(shape=(V, 4), offsets=(0, 16 * V))},
        "huge shape": {HEAD: tensor(shape=(2**62, 2**62))},
        "overflowing shape": {HEAD: tensor(shape=(2**32, 2**32), offsets=(0, 0))},
        "many empty rows": {HEAD: tensor(shape=(2**40, 0), offsets=(0, 0))},
        "backwards": {HEAD: tensor(offsets=(8 * V, 0))},
        "negative": {HEAD: tensor(shape=(-1, 8))},
        "unknown kind": {HEAD: tensor("F31")},
        "another kind": {HEAD: tensor("I32")},
        "no tensor": {HEAD: 5},
        "no object": [1],
        "no tensors": {},
    }.items()
}  # fmt: skip
HOSTILE |= {"no JSON": b"{", "deep": b"[" * 100_000, "no UTF-8": b'{"\xff": 1}', "surrogate": b'{"\\ud800": {}}'}


def write_raw(folder: Path, header: bytes, claimed: int | None = None) -> None:
    size = struct.pack("<Q", len(header) if claimed is None else claimed)
    (folder / "model.safetensors").write_bytes(size + header + bytes(8 * V))


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers_are_refused_at_once(tmp_path: Path, case: str) -> None:
    write_tokenizer(tmp_path)
    write_raw(tmp_path, HOSTILE[case])
    start = time.process_time()
    with pytest.raises(geo.errors.ModelError) as refusal:
        geo.Unembedding.load(tmp_path)
    assert time.process_time() - start < 5
    assert len(str(refusal.value)) < 3000
    assert "\n" not in str(refusal.value)


def test_a_header_is_no_longer_than_any_model_needs(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    write_raw(tmp_path, b"{}", claimed=2**63)
    with pytest.raises(geo.errors.ModelError, match="corrupt or truncated"):
        geo.Unembedding.load(tmp_path)
    write_raw(tmp_path, b"{" + b" " * (40 << 20) + b"}")
    with pytest.raises(geo.errors.ModelError, match=r"a header of .* bytes, where at most"):
        geo.Unembedding.load(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([HEAD, EMBEDDING, "lm_head.weight_scale", "score.weight", "x"]) | st.text(max_size=6)
SIZES = st.integers(-1, 200) | st.sampled_from([2**31, 2**63, 2**64, 10**30])
TENSORS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "F8_E4M3", "I8", "F64", "BOOL", "?"]) | JSON,
        "shape": st.lists(SIZES, max_size=4) | JSON,
        "data_offsets": st.tuples(SIZES, SIZES) | JSON,
    }
)
HEADERS = st.dictionaries(NAMES, TENSORS | JSON, max_size=4)
CONFIGS = JSON | st.dictionaries(
    st.sampled_from(["model_type", "tie_word_embeddings", "text_config", "architectures", "num_hidden_layers"]),
    st.sampled_from(["llama", "gpt2", "llava", True, False, ["XForCausalLM"], {"model_type": "llama"}]) | JSON,
)


def is_read_or_refused(path: Path) -> bool:
    """Anything but the package's own error goes through."""
    try:
        return bool(len(geo.Unembedding.load(path).rows))
    except geo.errors.ModelError as error:
        return "\n" not in str(error)


@given(header=HEADERS, config=CONFIGS, index=JSON | st.dictionaries(NAMES, st.just("model.safetensors") | JSON))
@settings(max_examples=300, deadline=None)
def test_any_header_configuration_and_index_is_read_or_refused(header: Any, config: Any, index: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tokenizer(folder)
        write_raw(folder, json.dumps(header).encode())
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "other.index.json").write_text(json.dumps({"weight_map": index}))
        assert is_read_or_refused(folder)
        assert is_read_or_refused(folder / "model.safetensors")
        (folder / "model.safetensors").rename(folder / "x.safetensors")
        assert is_read_or_refused(folder / "other.index.json")
