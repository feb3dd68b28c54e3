"""Many runs in one table and one figure, and runs that are there already."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geometry.cli import main
from geometry.report import collect
from tests.experiments.scripts import nonsense

OPTIONS = ["--n-permutations", "3", "--n-twins", "2", "--control", "none"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three checkpoints of noise, a damaged run and one of another study."""
    top = tmp_path_factory.mktemp("runs")
    for step in (10, 2, 1):
        torch.manual_seed(step)
        folder = top / "models" / f"step{step}"
        folder.mkdir(parents=True)
        model, hierarchy = nonsense(folder, words=80)
        command = ["run", "claims", str(model), "--hierarchies", str(hierarchy), *OPTIONS]
        assert main([*command, "--out", str(top / "claims" / f"step{step}")]) == 0
    (top / "claims" / "broken").mkdir()
    (top / "claims" / "broken" / "results.json").write_text("{")
    (top / "claims" / "other").mkdir()
    (top / "claims" / "other" / "results.json").write_text(json.dumps({"analysis": "maps"}))
    return top


def test_every_run_is_in_the_table_in_natural_order(runs: Path) -> None:
    found = collect(runs)
    assert found.runs == tuple(f"claims/step{step}" for step in (1, 2, 10))
    assert list(found.left_out) == ["claims/broken"]
    frame = found.to_frame()
    one = json.loads((runs / "claims" / "step2" / "results.json").read_text())["results"]["claims"]
    own = frame[frame["run"] == "claims/step2"].set_index("claim")
    for claim in one:
        row = own.loc[claim["claim"]]
        assert row["verdict"] == claim["verdict"]
        for column, kept in (("value", claim["value"]), ("permuted", claim["nulls"].get("permuted"))):
            np.testing.assert_equal(row[column], np.nan if kept is None else kept)
    assert len(repr(found)) < 100
    assert found._repr_html_().count("<tr") > 10


def test_the_command_writes_a_table_and_a_picture(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", str(runs)]) == 0
    out, error = capsys.readouterr()
    assert "claims/broken is left out" in error
    assert "3 runs" in out
    folder = runs / "collected"
    assert {path.name for path in folder.iterdir()} == {"collected.csv", "collected.png", "collected.svg"}
    assert (folder / "collected.csv").read_text().count("\n") == len(collect(runs).rows) + 1
    assert main(["collect", str(runs / "claims" / "other")]) == 2
    assert "no results of claims below it" in capsys.readouterr().err
    assert main(["collect", str(runs / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_run_that_is_there_is_not_repeated_and_one_that_is_not_whole_is(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setattr("geometry.cli.run._into_folder", lambda _, out: done.append(out))
    model, words = (runs / "models" / "step1" / name for name in ("model", "own.yaml"))
    out = runs / "claims" / "step1"
    command = ["run", "claims", str(model), "--hierarchies", str(words), *OPTIONS, "--out", str(out)]
    assert main(command) == 0
    assert "already" in capsys.readouterr().out
    assert not done
    for change in (["--seed", "1"], ["--n-permutations", "4"]):
        assert main([*command, *change]) == 0
    assert len(done) == 2
    picture = out / "overview.png"
    kept = picture.read_bytes()
    picture.write_bytes(kept[:-1])
    assert main(command) == 0
    assert len(done) == 3
    picture.write_bytes(kept)
    monkeypatch.setattr("geometry.experiments.finished.__version__", "0.0.0")
    assert main(command) == 0
    assert len(done) == 4
    monkeypatch.undo()
    monkeypatch.setattr("geometry.cli.run._into_folder", lambda _, out: done.append(out))
    # Another checkpoint under the same name.
    file, other = (runs / "models" / step / "model" / "model.safetensors" for step in ("step1", "step2"))
    weights = file.read_bytes()
    file.write_bytes(other.read_bytes())
    assert main(command) == 0
    assert len(done) == 5
    file.write_bytes(weights)
