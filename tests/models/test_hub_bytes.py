"""Of a model on a hub only what is needed is sent: a header, the one matrix, the configuration and the tokenizer."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import geometry as geo
from geometry.models.checkpoint import Side
from tests.models.checkpoints import TOKENS, write_config, write_tokenizer
from tests.models.fake_hub import EMBEDDING, HEAD, INDEX, SHARDS, FakeHub, fill, shard

WIDTH = 1 << 12
MATRIX = len(TOKENS) * WIDTH * 4
BESIDE = ("config.json", "tokenizer.json", INDEX)
# The first bytes of a file of weights, asked for before the length of its header is known; and places compared.
FIRST, PLACES = 1 << 16, 3 << 12


def sent_of_weights(hub: FakeHub) -> int:
    return sum(size for name, size in hub.sent.items() if name not in BESIDE)


def matrix() -> torch.Tensor:
    return torch.randn(len(TOKENS), WIDTH)


def single(hub: FakeHub, *, tied: bool = False, **tensors: torch.Tensor) -> None:
    """One file of weights, most of which nobody needs."""
    layers = {f"model.layers.{number}.mlp.weight": torch.randn(256, 1024) for number in range(3)}
    save_file(layers | tensors, hub.commit() / "model.safetensors")
    write_config(hub.commit(), model_type="llama", architectures=["LlamaForCausalLM"], tie_word_embeddings=tied)
    write_tokenizer(hub.commit())


def test_of_a_single_file_the_header_and_the_matrix_are_sent(hub: FakeHub) -> None:
    head = matrix()
    single(hub, **{HEAD: head, EMBEDDING: matrix()})
    model = geo.Unembedding.load("lab/tiny")
    assert torch.equal(model.matrix, head)
    assert not model.tied
    assert MATRIX <= sent_of_weights(hub) <= MATRIX + FIRST + 2 * PLACES
    for name in BESIDE[:2]:
        assert hub.sent[name] == (hub.commit() / name).stat().st_size
    hub.forget()
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert not hub.requested


def test_of_shards_only_their_headers_and_the_matrix_are_sent(hub: FakeHub) -> None:
    head = fill(hub.commit(), WIDTH)
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert hub.sent[SHARDS[0]] == FIRST
    assert hub.sent[SHARDS[1]] <= MATRIX + FIRST


def test_the_single_file_goes_before_a_stale_index(hub: FakeHub) -> None:
    fill(hub.commit())
    head = torch.randn(len(TOKENS), 8)
    save_file({HEAD: head}, hub.commit() / "model.safetensors")
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert set(hub.requested) == {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_header_longer_than_the_first_bytes_is_read_whole(hub: FakeHub) -> None:
    head = torch.randn(len(TOKENS), 8)
    single(hub, **{HEAD: head}, **{f"model.layers.{number}.norm.weight": torch.ones(1) for number in range(1500)})
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)


def test_the_other_side_is_fetched_when_it_is_asked_for(hub: FakeHub) -> None:
    head, embedding = matrix(), matrix()
    single(hub, **{HEAD: head, EMBEDDING: embedding})
    geo.Unembedding.load("lab/tiny")
    hub.forget()
    other = geo.Unembedding.load("lab/tiny", side="input")
    assert torch.equal(other.matrix, embedding)
    assert (other.side, other.tied) == ("input", False)
    assert set(hub.requested) == {"model.safetensors"}
    hub.forget()
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert torch.equal(geo.Unembedding.load("lab/tiny", side="input").matrix, embedding)
    assert not hub.requested


def test_a_model_without_a_stored_head_has_the_embedding_if_its_configuration_ties_them(hub: FakeHub) -> None:
    embedding = matrix()
    single(hub, tied=True, **{EMBEDDING: embedding})
    for side in ("output", "input"):
        model = geo.Unembedding.load("lab/tiny", side=side)
        assert torch.equal(model.matrix, embedding)
        assert (model.tied, model.side) == (True, "output")
    assert sent_of_weights(hub) <= MATRIX + FIRST


def test_a_model_without_a_stored_head_is_refused_before_its_matrix_is_sent(hub: FakeHub) -> None:
    single(hub, tied=False, **{EMBEDDING: matrix()})
    with pytest.raises(geo.errors.ModelError, match=r"^lab/tiny: holds model.embed_tokens.weight but no unembedding"):
        geo.Unembedding.load("lab/tiny")
    assert sent_of_weights(hub) == FIRST


def test_of_a_model_without_a_stored_head_the_headers_of_all_shards_are_looked_at(hub: FakeHub) -> None:
    shard(hub.commit(), [{EMBEDDING: matrix()}, {"model.mixed": matrix()}])
    write_config(hub.commit(), model_type="llama", architectures=["LlamaForCausalLM"], tie_word_embeddings=True)
    write_tokenizer(hub.commit())
    with pytest.raises(geo.errors.ModelError, match=r"no plain unembedding .* but model\.mixed"):
        geo.Unembedding.load("lab/tiny")


@pytest.mark.parametrize("side", ["output", "input"])
@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("sharded", [True, False])
def test_two_stored_matrices_are_one_if_they_are_equal(hub: FakeHub, side: Side, stated: bool, sharded: bool) -> None:
    head = matrix()
    single(hub, tied=stated, **{HEAD: head.clone(), EMBEDDING: head.clone()})
    if sharded:
        (hub.commit() / "model.safetensors").unlink()
        shard(hub.commit(), [{EMBEDDING: head.clone()}, {HEAD: head.clone()}])
    for _ in ("fetched", "kept"):
        model = geo.Unembedding.load("lab/tiny", side=side)
        assert torch.equal(model.matrix, head)
        assert (model.tied, model.side) == (True, "output")
    assert sent_of_weights(hub) <= 2 * (MATRIX + FIRST + PLACES)


@pytest.mark.parametrize("row", [0, len(TOKENS) // 3])
def test_two_stored_matrices_are_two_if_they_differ_anywhere(hub: FakeHub, row: int) -> None:
    head = matrix()
    embedding = head.clone()
    embedding[row, 7] += 1
    single(hub, tied=True, **{HEAD: head, EMBEDDING: embedding})
    assert not geo.Unembedding.load("lab/tiny").tied


def test_what_holds_another_kind_of_number_is_refused_before_it_is_sent(hub: FakeHub) -> None:
    single(hub, **{HEAD: torch.zeros(len(TOKENS), WIDTH, dtype=torch.int32)})
    with pytest.raises(geo.errors.ModelError, match="is stored as I32; bf16, fp16 or fp32 is needed"):
        geo.Unembedding.load("lab/tiny")
    assert sent_of_weights(hub) == FIRST


def test_a_hub_that_sends_whole_files_only_is_asked_for_them(
    hub: FakeHub, no_hub: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    hub.ranges = False
    head = fill(hub.commit())
    model = geo.Unembedding.load("lab/tiny")
    assert torch.equal(model.matrix, head)
    assert "this hub sends whole files only" in capsys.readouterr().err
    no_hub()
    assert geo.Unembedding.load("lab/tiny").summary() == model.summary()


def test_what_is_kept_is_a_small_checkpoint(hub: FakeHub) -> None:
    single(hub, **{HEAD: matrix(), EMBEDDING: matrix()})
    geo.Unembedding.load("lab/tiny")
    (folder,) = (hub.kept / "snapshots").iterdir()
    assert {path.name for path in folder.iterdir()} == {*BESIDE, f"{HEAD}.safetensors"}
    listed = json.loads((folder / INDEX).read_text())["weight_map"]
    assert listed[HEAD] == f"{HEAD}.safetensors"
    assert len(listed) == 5
    assert geo.Unembedding.load(folder).sha256 == geo.Unembedding.load("lab/tiny").sha256


def test_a_kept_matrix_that_was_damaged_is_fetched_again(hub: FakeHub) -> None:
    head = fill(hub.commit())
    geo.Unembedding.load("lab/tiny")
    kept: Path = next(hub.kept.glob(f"snapshots/*/{HEAD}*"))
    kept.write_bytes(kept.read_bytes()[:-1])
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
