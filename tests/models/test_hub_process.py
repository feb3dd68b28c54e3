"""Processes of their own that read models of a hub, named before anything is imported: what is sent, and what is left
where one is ended."""

import json
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import save_file

import geometry as geo
from tests.killed import done, points, started, was_ended_by
from tests.models.checkpoints import TOKENS, write_config, write_tokenizer
from tests.models.fake_hub import EMBEDDING, HEAD, NEW, OLD, SHARDS, FakeHub, fill

WIDTH = 1 << 11
# What a run that fetches does to files, about.
STEPS = 55
MATRIX = len(TOKENS) * WIDTH * 2
FIRST = 1 << 16

LOAD = """
import json
from huggingface_hub import HfApi, hf_hub_url, utils
import geometry as geo
geo.Unembedding, utils.http_stream_backoff, utils.hf_raise_for_status
from geometry.models import kept_tensors
kept_tensors._SYNCED = 1 << 14
steps = begin()
models = [geo.Unembedding.load(name) for name in {names!r}]
print(json.dumps([steps(), [model.summary() for model in models]]))
"""


@pytest.fixture
def matrices(hub: FakeHub) -> tuple[torch.Tensor, torch.Tensor]:
    """Of `main` in one file, tied for want of a head; of `v1` in two shards, untied."""
    embedding = torch.randn(len(TOKENS), WIDTH).bfloat16()
    save_file({EMBEDDING: embedding, "model.norm.weight": torch.ones(1 << 20)}, hub.commit() / "model.safetensors")
    write_config(hub.commit(), model_type="llama", architectures=["LlamaForCausalLM"], tie_word_embeddings=True)
    write_tokenizer(hub.commit())
    return embedding, fill(hub.commit("v1"), WIDTH // 2)


def load(hub: FakeHub, *names: str, point: int = 0, number: int = 0, **more: str) -> "subprocess.Popen[str]":
    return started(LOAD.format(names=names), point, number, **hub.environment | more)


def summaries(process: "subprocess.Popen[str]") -> list[dict[str, object]]:
    status, out, errors = done(process)
    assert status == 0, errors
    found: list[dict[str, object]] = json.loads(out)[1]
    return found


def test_a_process_is_sent_what_it_needs_once(hub: FakeHub, matrices: tuple[torch.Tensor, torch.Tensor]) -> None:
    names = ("lab/tiny", "lab/tiny@v1")
    tied, untied = summaries(load(hub, *names, *names))[:2]
    assert (tied["commit"], tied["tied"]) == (NEW, True)
    assert (untied["commit"], untied["tied"]) == (OLD, False)
    beside = sum((hub.commit(revision) / "config.json").stat().st_size for revision in ("main", "v1"))
    assert hub.sent["config.json"] == beside
    assert hub.requested.count("tokenizer.json") == 2
    assert MATRIX <= hub.sent["model.safetensors"] <= MATRIX + FIRST
    assert MATRIX <= hub.sent[SHARDS[1]] <= MATRIX + FIRST
    assert hub.sent[SHARDS[0]] <= FIRST
    hub.forget()
    for name, matrix, before in zip(names, matrices, (tied, untied), strict=True):
        again = geo.Unembedding.load(name)
        assert torch.equal(again.matrix, matrix)
        assert again.summary() == before
    assert not hub.requested


def test_a_process_that_was_killed_leaves_what_the_next_one_goes_on_with(
    hub: FakeHub, matrices: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geometry.models.kept_tensors._SYNCED", 1 << 14)
    hub.stalls_after = MATRIX // 2 + FIRST
    process = load(hub, "lab/tiny")
    assert hub.stalled.wait(60)
    part = hub.kept / "snapshots" / f"{NEW}.parts" / f"{EMBEDDING}.safetensors"
    while part.stat().st_size < MATRIX // 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert done(process)[0] == -signal.SIGKILL
    assert not (hub.kept / "snapshots" / NEW / f"{EMBEDDING}.safetensors").exists()
    hub.stalls_after = None
    hub.forget()
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, matrices[0])
    assert hub.sent["model.safetensors"] < MATRIX
    assert [path.name for path in (hub.kept / "snapshots").iterdir()] == [NEW]


@pytest.mark.long
def test_both_of_two_processes_at_once_and_one_without_the_hub_read_the_same(
    hub: FakeHub, matrices: tuple[torch.Tensor, torch.Tensor]
) -> None:
    both = [load(hub, "lab/tiny@v1"), load(hub, "lab/tiny@v1")]
    one, other = map(summaries, both)
    assert hub.sent[SHARDS[1]] <= MATRIX + 2 * FIRST
    hub.forget()
    asked = len(hub.tokens)
    assert one == other == summaries(load(hub, "lab/tiny@v1", HF_HUB_OFFLINE="1"))
    assert one[0]["sha256"] == geo.Unembedding(matrices[1], geo.Vocabulary(TOKENS)).sha256
    assert len(hub.tokens) == asked


@pytest.mark.long
@pytest.mark.parametrize(("number", "share"), points(seed=5, of_each=6))
def test_a_process_that_is_ended_at_any_step_leaves_the_next_one_right(
    hub: FakeHub, matrices: tuple[torch.Tensor, torch.Tensor], number: signal.Signals, share: float
) -> None:
    status, _, errors = done(load(hub, "lab/tiny@v1", point=1 + int(share * STEPS), number=number))
    assert was_ended_by(number, status, errors), errors
    model = geo.Unembedding.load("lab/tiny@v1")
    assert torch.equal(model.matrix, matrices[1])
    assert (model.commit, model.tied) == (OLD, False)
    assert HEAD in next(hub.kept.glob("snapshots/*/*index.json")).read_text()
