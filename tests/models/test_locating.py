import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import geometry as geo
from geometry.models import display_name, locate
from tests.models.checkpoints import TOKENS, write_config, write_tokenizer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[str]]]:
    """A hub of one repository, `lab/tiny`: the folder it serves and the files asked for."""
    repository, requested = tmp_path / "repository", []
    repository.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            if self.path.startswith("/api/models/lab/tiny"):
                files = [{"rfilename": file.name} for file in repository.iterdir()]
                content = json.dumps({"id": "lab/tiny", "sha": COMMIT, "siblings": files}).encode()
            elif (file := repository / self.path.rsplit("/", 1)[-1]).exists() and "/lab/tiny/" in self.path:
                content = file.read_bytes()
                if body:
                    requested.append(file.name)
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hash(content):x}"')
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    for module in ("huggingface_hub.constants", "huggingface_hub.hf_api", "huggingface_hub.file_download"):
        monkeypatch.setattr(f"{module}.ENDPOINT", endpoint, raising=False)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    yield repository, requested
    server.shutdown()


def fill(repository: Path) -> torch.Tensor:
    """Two shards, of which only the second is needed."""
    head = torch.randn(len(TOKENS), 8)
    save_file({"model.layers.0.mlp.weight": torch.randn(4, 4)}, repository / "model-00001-of-00002.safetensors")
    save_file({"lm_head.weight": head}, repository / "model-00002-of-00002.safetensors")
    weights = {
        "model.layers.0.mlp.weight": "model-00001-of-00002.safetensors",
        "lm_head.weight": "model-00002-of-00002.safetensors",
    }
    (repository / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    (repository / "README.md").write_text("not needed")
    write_tokenizer(repository)
    write_config(repository, model_type="llama")
    return head


def test_a_hub_id_downloads_only_what_is_needed(hub: tuple[Path, list[str]]) -> None:
    repository, requested = hub
    head = fill(repository)
    model = geo.Unembedding.load("lab/tiny")
    assert torch.equal(model.matrix, head)
    assert model.name == "lab/tiny"
    assert sorted(requested) == [
        "config.json",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ]
    geo.Unembedding.load("lab/tiny")
    assert len(requested) == 4


def test_a_repository_without_weights_says_what_is_missing(hub: tuple[Path, list[str]]) -> None:
    repository, _ = hub
    write_config(repository, model_type="llama")
    with pytest.raises(geo.errors.ModelError, match=r"lacks model\.safetensors, tokenizer\.json"):
        locate("lab/tiny")


def test_an_unknown_hub_id_is_refused(hub: tuple[Path, list[str]]) -> None:
    with pytest.raises(geo.errors.ModelError, match="the hub does not know it"):
        locate("lab/nothing")


def test_without_a_hub_an_unknown_name_suggests_the_closest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", "http://127.0.0.1:9", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(geo.errors.ModelError, match=r"unknown model 'smollm2'.*did you mean 'smollm2-135m'"):
        locate("smollm2")


@pytest.mark.parametrize("model", ["./nothing", "nothing.gguf", "a/b/c", "nothing.safetensors", "", " ", "модель"])
def test_a_path_that_does_not_exist_is_not_looked_up_on_the_hub(model: str) -> None:
    with pytest.raises(geo.errors.ModelError, match="no such file or folder"):
        locate(model)


def test_a_name_that_has_not_been_fetched_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    with pytest.raises(geo.errors.ModelError, match="run: concept-geometry fetch smollm2-135m"):
        geo.Unembedding.load("smollm2-135m")


@pytest.mark.parametrize("model", ["~nouser/x", "x" * 300, "a\0b", "wordnet-3.0"])
def test_names_that_cannot_be_models_are_one_clear_error(model: str) -> None:
    with pytest.raises(geo.errors.ModelError):
        locate(model)


def test_display_names(tmp_path: Path) -> None:
    (tmp_path / "Llama-3.2-1B").mkdir()
    assert display_name(tmp_path / "Llama-3.2-1B") == "Llama-3.2-1B"
    folder = tmp_path / "gpt2-xl"
    folder.mkdir()
    for name in ("model.safetensors", "My-Model.Q4.gguf"):
        (folder / name).write_text("")
    assert display_name("smollm2-135m") == "smollm2-135m"
    assert display_name("google/gemma-2b") == "google/gemma-2b"
    assert display_name(folder) == "gpt2-xl"
    assert display_name(folder / "model.safetensors") == "gpt2-xl"
    assert display_name(folder / "My-Model.Q4.gguf") == "My-Model.Q4"
