"""Models of a hub, of which one runs here: which commit is read, and what is found without it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import save_file

import geometry as geo
from geometry.models import locate
from tests.models.checkpoints import TOKENS, write_config, write_tokenizer
from tests.models.fake_hub import NEW, OLD, SHARDS, FakeHub, fill

Leave = Callable[[], None]


def test_what_was_fetched_is_found_without_the_hub(hub: FakeHub, no_hub: Leave) -> None:
    head = fill(hub.commit())
    first = geo.Unembedding.load("lab/tiny")
    no_hub()
    again = geo.Unembedding.load("lab/tiny")
    assert torch.equal(again.matrix, head)
    assert again.summary() == first.summary()
    assert first.summary()["commit"] == NEW
    assert (first.name, locate("lab/tiny").parents[1]) == ("lab/tiny", hub.kept)


def test_what_the_hubs_own_client_has_is_read_from_there(hub: FakeHub, no_hub: Leave) -> None:
    head = fill(hub.commit())
    for name in ("config.json", "tokenizer.json", "model.safetensors.index.json", SHARDS[1]):
        folder = Path(hf_hub_download("lab/tiny", name)).parent
    hub.forget()
    for _ in ("online", "offline"):
        assert locate("lab/tiny") == folder
        model = geo.Unembedding.load("lab/tiny")
        assert torch.equal(model.matrix, head)
        assert model.commit == NEW
        no_hub()
    assert not hub.requested
    assert not hub.kept.exists()


def test_a_commit_that_is_here_is_not_asked_about(hub: FakeHub) -> None:
    fill(hub.commit())
    geo.Unembedding.load(f"lab/tiny@{NEW}")
    hub.tokens.clear()
    assert geo.Unembedding.load(f"lab/tiny@{NEW}").commit == NEW
    assert not hub.tokens


def test_of_both_caches_the_one_that_was_heard_of_last_is_read(hub: FakeHub, no_hub: Leave) -> None:
    fill(hub.commit())
    for name in ("config.json", "tokenizer.json", "model.safetensors.index.json", SHARDS[1]):
        hf_hub_download("lab/tiny", name)
    hub.revisions["main"] = OLD
    fill(hub.commit())
    assert geo.Unembedding.load("lab/tiny").commit == OLD
    assert hub.kept.exists()
    hub.revisions["main"] = NEW
    assert geo.Unembedding.load("lab/tiny").commit == NEW
    no_hub()
    assert geo.Unembedding.load("lab/tiny").commit == NEW


def test_the_reference_follows_the_branch(hub: FakeHub, no_hub: Leave) -> None:
    fill(hub.commit())
    geo.Unembedding.load("lab/tiny")
    hub.revisions["main"] = OLD
    head = fill(hub.commit())
    geo.Unembedding.load("lab/tiny")
    no_hub()
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert [path.name for path in (hub.kept / "refs").iterdir()] == ["main"]


@pytest.mark.parametrize("revision", ["v1", "pr/1", OLD])
def test_a_revision_is_read_by_name_or_argument_with_and_without_the_hub(
    hub: FakeHub, no_hub: Leave, revision: str
) -> None:
    fill(hub.commit())
    head = fill(hub.commit("v1"))
    for _ in ("online", "offline"):
        named = geo.Unembedding.load(f"lab/tiny@{revision}")
        asked = geo.Unembedding.load("lab/tiny", revision=revision)
        for model in (named, asked):
            assert torch.equal(model.matrix, head)
            assert (model.name, model.commit) == (f"lab/tiny@{revision}", OLD)
        no_hub()
    assert geo.Unembedding.load(f"lab/tiny@{OLD[:10]}").commit == OLD
    with pytest.raises(geo.errors.ModelError, match="the hub cannot be reached"):
        geo.Unembedding.load("lab/tiny@v2")


def test_a_revision_that_there_is_not_is_named(hub: FakeHub) -> None:
    fill(hub.commit())
    with pytest.raises(geo.errors.ModelError, match="no branch, tag or commit 'v2'"):
        geo.Unembedding.load("lab/tiny@v2")


def test_a_cache_without_references_is_searched(hub: FakeHub, no_hub: Leave) -> None:
    fill(hub.commit())
    head = fill(hub.commit("v1"))
    geo.Unembedding.load(f"lab/tiny@{OLD}")
    assert not (hub.kept / "refs").exists()
    no_hub()
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)


def test_of_two_commits_without_references_neither_is_guessed(hub: FakeHub, no_hub: Leave) -> None:
    for commit in (NEW, OLD):
        fill(hub.commit(commit))
        geo.Unembedding.load(f"lab/tiny@{commit}")
    no_hub()
    with pytest.raises(geo.errors.ModelError, match=f"several commits are here .*lab/tiny@{NEW[:12]}"):
        geo.Unembedding.load("lab/tiny")
    assert geo.Unembedding.load(f"lab/tiny@{NEW[:12]}").commit == NEW


def test_what_is_not_here_any_more_is_no_model_offline(hub: FakeHub, no_hub: Leave) -> None:
    fill(hub.commit())
    geo.Unembedding.load("lab/tiny")
    no_hub()
    next(hub.kept.glob("snapshots/*/lm_head*")).unlink()
    with pytest.raises(geo.errors.ModelError, match="the hub cannot be reached"):
        geo.Unembedding.load("lab/tiny")


def test_a_shard_that_the_hubs_own_client_lacks_is_named_offline(hub: FakeHub, no_hub: Leave) -> None:
    fill(hub.commit())
    for name in ("config.json", "tokenizer.json", "model.safetensors.index.json"):
        hf_hub_download("lab/tiny", name)
    no_hub()
    with pytest.raises(geo.errors.ModelError, match=rf"{SHARDS[1]}: the file is missing"):
        geo.Unembedding.load("lab/tiny")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("x", r"lacks model\.safetensors, tokenizer\.json$"),
        ("adapter_config.json", "it is an adapter: merge it"),
        ("m.gguf", "it holds GGUF files"),
        ("pytorch_model.bin", "pickled weights are not read"),
    ],
)
def test_a_repository_without_weights_says_what_is_missing(hub: FakeHub, name: str, complaint: str) -> None:
    write_config(hub.commit(), model_type="llama")
    (hub.commit() / name).write_text("")
    with pytest.raises(geo.errors.ModelError, match=complaint):
        locate("lab/tiny")


def test_an_unknown_hub_id_is_refused(hub: FakeHub) -> None:
    with pytest.raises(geo.errors.ModelError, match="the hub does not know it"):
        locate("lab/nothing")


def test_a_model_from_elsewhere_has_no_commit(tmp_path: Path) -> None:
    folder = tmp_path / NEW
    folder.mkdir()
    save_file({"lm_head.weight": torch.randn(len(TOKENS), 8)}, folder / "model.safetensors")
    write_tokenizer(folder)
    model = geo.Unembedding.load(folder)
    assert model.commit == ""
    assert "commit" not in model.summary()
