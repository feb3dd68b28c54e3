"""Models of a hub, of which one runs here: what is downloaded, which commit, and what is found without it."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import save_file

import geometry as geo
from geometry.models import locate
from geometry.models.checkpoint import Side
from tests.models.checkpoints import TOKENS, write_config, write_tokenizer

NEW, OLD = "0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"
SHARDS = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]


@dataclass
class Hub:
    """A repository `lab/tiny`: the folder of each of its commits, what each revision is, and the files asked for."""

    root: Path
    monkeypatch: pytest.MonkeyPatch
    revisions: dict[str, str] = field(default_factory=lambda: {"main": NEW, "v1": OLD, "pr/1": OLD})
    requested: list[str] = field(default_factory=list)

    def commit(self, revision: str = "main") -> Path:
        folder = self.root / self.revisions.get(revision, revision)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def cache(self) -> Path:
        return self.root / "cache" / "models--lab--tiny"

    def leave(self) -> None:
        """From now on it cannot be reached."""
        self.point_to("http://127.0.0.1:9")

    def point_to(self, endpoint: str) -> None:
        for module in ("huggingface_hub.constants", "huggingface_hub.hf_api", "huggingface_hub.file_download"):
            self.monkeypatch.setattr(f"{module}.ENDPOINT", endpoint, raising=False)
        self.monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        )


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    served = Hub(tmp_path, monkeypatch)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            _, _, rest = self.path.partition("/lab/tiny")
            revision, _, name = rest.removeprefix("/resolve/").rpartition("/")
            if self.path.startswith("/api/"):
                revision = rest.removeprefix("/revision/").replace("%2F", "/") or "main"
            folder = served.commit(sha) if (sha := served.revisions.get(revision, revision)) in (NEW, OLD) else None
            if not rest and not self.path.startswith("/api/models/lab/tiny"):
                self.refuse("RepoNotFound")
            elif folder is None:
                self.refuse("RevisionNotFound")
            elif self.path.startswith("/api/"):
                files = [{"rfilename": file.name} for file in folder.iterdir()]
                self.send(json.dumps({"id": "lab/tiny", "sha": sha, "siblings": files}).encode(), sha, body=body)
            elif not (folder / name).exists():
                self.refuse("EntryNotFound")
            else:
                if body:
                    served.requested.append(name)
                self.send((folder / name).read_bytes(), sha, body=body)

        def refuse(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.end_headers()

        def send(self, content: bytes, sha: str, *, body: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", sha)
            self.send_header("ETag", f'"{hash(content):x}"')
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    served.point_to(f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    yield served
    server.shutdown()
    server.server_close()


def fill(repository: Path) -> torch.Tensor:
    """Two shards, of which only the second is needed."""
    head = torch.randn(len(TOKENS), 8)
    save_file({"model.layers.0.mlp.weight": torch.randn(4, 4)}, repository / SHARDS[0])
    save_file({"lm_head.weight": head}, repository / SHARDS[1])
    index = {"model.layers.0.mlp.weight": SHARDS[0], "lm_head.weight": SHARDS[1]}
    (repository / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    write_config(repository, model_type="llama")
    write_tokenizer(repository)
    return head


def test_a_hub_id_downloads_only_what_is_needed(hub: Hub) -> None:
    head = fill(hub.commit())
    model = geo.Unembedding.load("lab/tiny")
    assert torch.equal(model.matrix, head)
    assert (model.name, model.commit) == ("lab/tiny", NEW)
    assert sorted(hub.requested) == ["config.json", SHARDS[1], "model.safetensors.index.json", "tokenizer.json"]
    geo.Unembedding.load("lab/tiny")
    assert len(hub.requested) == 4


def test_the_single_file_goes_before_a_stale_index(hub: Hub) -> None:
    fill(hub.commit())
    head = torch.randn(len(TOKENS), 8)
    save_file({"lm_head.weight": head}, hub.commit() / "model.safetensors")
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert sorted(hub.requested) == ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize("side", ["output", "input"])
@pytest.mark.parametrize("stated", [True, False])
def test_where_both_may_be_one_both_are_looked_at(hub: Hub, side: Side, stated: bool) -> None:
    matrix = torch.randn(len(TOKENS), 8)
    repository = hub.commit()
    fill(repository)
    for name, shard in zip(("model.embed_tokens.weight", "lm_head.weight"), SHARDS, strict=True):
        save_file({name: matrix.clone()}, repository / shard)
    index = {"model.embed_tokens.weight": SHARDS[0], "lm_head.weight": SHARDS[1]}
    (repository / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    write_config(repository, model_type="llama", tie_word_embeddings=stated)
    model = geo.Unembedding.load("lab/tiny", side=side)
    assert torch.equal(model.matrix, matrix)
    assert model.tied is stated
    assert len([name for name in hub.requested if name in SHARDS]) == (2 if stated else 1)


def test_what_was_downloaded_is_found_without_the_hub(hub: Hub) -> None:
    head = fill(hub.commit())
    first = geo.Unembedding.load("lab/tiny")
    hub.leave()
    again = geo.Unembedding.load("lab/tiny")
    assert torch.equal(again.matrix, head)
    assert again.summary() == first.summary()
    assert first.summary()["commit"] == NEW
    # The hub's own client finds it too.
    assert Path(hf_hub_download("lab/tiny", "config.json", local_files_only=True)).parent == locate("lab/tiny")


def test_the_reference_follows_the_branch(hub: Hub) -> None:
    fill(hub.commit())
    geo.Unembedding.load("lab/tiny")
    hub.revisions["main"] = OLD
    head = fill(hub.commit())
    geo.Unembedding.load("lab/tiny")
    hub.leave()
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)
    assert [path.name for path in (hub.cache / "refs").iterdir()] == ["main"]


@pytest.mark.parametrize("revision", ["v1", "pr/1", OLD])
def test_a_revision_is_read_by_name_or_argument_with_and_without_the_hub(hub: Hub, revision: str) -> None:
    fill(hub.commit())
    head = fill(hub.commit("v1"))
    for _ in ("online", "offline"):
        named = geo.Unembedding.load(f"lab/tiny@{revision}")
        asked = geo.Unembedding.load("lab/tiny", revision=revision)
        for model in (named, asked):
            assert torch.equal(model.matrix, head)
            assert (model.name, model.commit) == (f"lab/tiny@{revision}", OLD)
        hub.leave()
    assert geo.Unembedding.load(f"lab/tiny@{OLD[:10]}").commit == OLD
    with pytest.raises(geo.errors.ModelError, match="the hub cannot be reached"):
        geo.Unembedding.load("lab/tiny@v2")


def test_a_revision_that_there_is_not_is_named(hub: Hub) -> None:
    fill(hub.commit())
    with pytest.raises(geo.errors.ModelError, match="no branch, tag or commit 'v2'"):
        geo.Unembedding.load("lab/tiny@v2")


def test_a_cache_without_references_is_searched(hub: Hub) -> None:
    fill(hub.commit())
    head = fill(hub.commit("v1"))
    geo.Unembedding.load(f"lab/tiny@{OLD}")
    assert not (hub.cache / "refs").exists()
    hub.leave()
    assert torch.equal(geo.Unembedding.load("lab/tiny").matrix, head)


def test_of_two_commits_without_references_neither_is_guessed(hub: Hub) -> None:
    for commit in (NEW, OLD):
        fill(hub.commit(commit))
        geo.Unembedding.load(f"lab/tiny@{commit}")
    hub.leave()
    with pytest.raises(geo.errors.ModelError, match=f"several commits are here .*lab/tiny@{NEW[:12]}"):
        geo.Unembedding.load("lab/tiny")
    assert geo.Unembedding.load(f"lab/tiny@{NEW[:12]}").commit == NEW


def test_a_shard_that_was_not_downloaded_is_named_offline(hub: Hub) -> None:
    fill(hub.commit())
    geo.Unembedding.load("lab/tiny")
    hub.leave()
    next(hub.cache.glob(f"snapshots/*/{SHARDS[1]}")).unlink()
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
def test_a_repository_without_weights_says_what_is_missing(hub: Hub, name: str, complaint: str) -> None:
    write_config(hub.commit(), model_type="llama")
    (hub.commit() / name).write_text("")
    with pytest.raises(geo.errors.ModelError, match=complaint):
        locate("lab/tiny")


def test_an_unknown_hub_id_is_refused(hub: Hub) -> None:
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
