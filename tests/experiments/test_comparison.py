import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from geometry.compare import PAIR_MEASURES
from geometry.models import CATALOGUE, cached_path
from tests.analysis.scripts import nonsense, run_analysis
from tests.models.checkpoints import write_tokenizer

analyse = partial(run_analysis, "compare")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    if not cached_path(CATALOGUE["stories15m"]).exists():
        pytest.skip("needs npm; run: concept-geometry fetch stories15m")
    folder = tmp_path_factory.mktemp("comparison")
    done = analyse("--models", "stories15m", "smollm2-135m", "--draws", 9, "--permutations", 19, "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]


def test_two_real_models_are_alike_beyond_noise(results: tuple[Path, dict[str, Any]]) -> None:
    _, found = results
    pair = found["similarity"]["stories15m | smollm2-135m"]
    assert set(pair) == {*(measure.name for measure in PAIR_MEASURES), "claims"}
    for name in ("similarity", "cka"):
        assert pair[name]["value"] > 0.2 > 0.1 > abs(pair[name]["nulls"]["shuffled"])
        assert pair[name]["p_value"] == 1 / 10
    assert pair["alignment"]["value"] < pair["alignment"]["nulls"]["shuffled"] < 1.1
    # The negative result: nested concepts give noise a tree as well.
    assert pair["tree"]["value"] < pair["tree"]["nulls"]["shuffled"] + 0.3
    assert pair["claims"]["existence"]["rho"] > pair["claims"]["existence"]["shuffled"]


def test_models_are_reported_on_common_and_on_own_concepts(results: tuple[Path, dict[str, Any]]) -> None:
    folder, found = results
    stories, smollm2 = found["models"]
    assert (stories["name"], smollm2["width"]) == ("stories15m", 576)
    assert stories["concepts"]["common"] == smollm2["concepts"]["common"] < smollm2["concepts"]["own"] == 403
    assert stories["words"]["common"] == smollm2["words"]["common"]
    own = {claim["claim"]: claim["value"] for claim in smollm2["claims"]["own"]}
    assert own["existence"] == pytest.approx(0.5, abs=0.1)
    with np.load(folder / "results.npz", allow_pickle=False) as arrays:
        k = smollm2["concepts"]["common"]
        assert len(arrays["stories15m:cosines"]) == k * (k - 1) // 2
        assert len(arrays["concepts"]) == k


def test_figures_and_the_page_are_there(results: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = results
    figures = {
        f"{name}.{end}" for name in ("claims", "alikeness", "scale", "spectra", "tree") for end in ("png", "svg")
    }
    assert {path.name for path in folder.iterdir()} == figures | {"index.html", "results.json", "results.npz"}
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 5
    assert "stories15m | smollm2-135m" in page


def two_of_noise(folder: Path, change: Callable[[Path], None] = lambda _: None) -> tuple[Path, Path, Path]:
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    torch.manual_seed(0)
    (one, hierarchy), (other, _) = nonsense(folder / "a", words=300), nonsense(folder / "b", words=320)
    one, other = (path.rename(path.with_name(name)) for path, name in ((one, "one"), (other, "other")))
    change(other)
    return one, other, hierarchy


def test_noise_is_not_alike(tmp_path: Path) -> None:
    one, other, hierarchy = two_of_noise(tmp_path)
    done = analyse("--models", one, other, "--hierarchy", hierarchy, "--draws", 9, "--out", tmp_path / "out")
    assert done.returncode == 0
    # These checkpoints hold nothing but a head.
    assert done.stderr.count("compared without its input embedding") == done.stderr.count("\n") == 2
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["results"]
    assert found["similarity"]["one | other"]["similarity"]["p_value"] > 0.1
    assert {model["concepts"]["common"] for model in found["models"]} == {5}


def same(folder: Path) -> None:
    shutil.copy(folder.parents[1] / "a" / "one" / "model.safetensors", folder)
    shutil.copy(folder.parents[1] / "a" / "one" / "tokenizer.json", folder)


def other_words(folder: Path) -> None:
    write_tokenizer(folder, ["<unk>", "</s>", *(f"Ġv{number}" for number in range(320))])


def too_many_tokens(folder: Path) -> None:
    matrix = load_file(folder / "model.safetensors")["lm_head.weight"]
    save_file({"lm_head.weight": matrix[:200].clone()}, folder / "model.safetensors")


def no_marker(folder: Path) -> None:
    write_tokenizer(folder, ["<unk>", "</s>", *(f"v{number}" for number in range(320))])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (same, "one and other are the same weights"),
        (other_words, "no word in common"),
        (too_many_tokens, "does not belong to these weights"),
        (no_marker, "start of a word"),
    ],
)
def test_models_that_cannot_be_compared_are_told_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: Any, complaint: str
) -> None:
    from analysis import compare

    one, other, hierarchy = two_of_noise(tmp_path, change)
    out = str(tmp_path / "out")
    monkeypatch.setattr(
        "sys.argv", ["x", "--models", str(one), str(other), "--hierarchy", str(hierarchy), "--out", out]
    )
    assert compare.main() == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert complaint in error
    assert not (tmp_path / "out").exists()


def test_one_model_alone_and_one_name_twice_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from analysis import compare

    one, _, _ = two_of_noise(tmp_path)
    for models, complaint in (((one,), "nothing to compare it with"), ((one, one), "two models are called 'one'")):
        monkeypatch.setattr("sys.argv", ["x", "--models", *map(str, models), "--out", str(tmp_path / "out")])
        assert compare.main() == 2
        assert complaint in capsys.readouterr().err
