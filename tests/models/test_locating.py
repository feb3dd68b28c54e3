from pathlib import Path

import pytest

import geometry as geo
from geometry.models import display_name, locate
from geometry.models.hub import with_revision


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


@pytest.mark.parametrize("model", ["smollm2-135m", "folder", "lab/tiny@v1", "lab/tiny"])
def test_a_revision_is_of_a_hub_id_alone(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(geo.errors.ModelError, match="a hub id takes one, once, and nothing else"):
        with_revision(model, "v 1" if model == "lab/tiny" else "v1")


@pytest.mark.parametrize("model", ["a/b@", "a/b@../x", "a/b@@c", "a/b@c@d", "@a", "a/b@ c"])
def test_odd_revisions_are_no_hub_ids(model: str) -> None:
    with pytest.raises(geo.errors.ModelError, match="no such file or folder"):
        locate(model)


def test_a_folder_may_have_a_name_with_an_at_sign(tmp_path: Path) -> None:
    (tmp_path / "a@b").mkdir()
    assert locate(tmp_path / "a@b") == tmp_path / "a@b"
