"""Many runs in one table and one figure, whatever lies between them."""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geometry.cli import main
from geometry.experiments.claims.result import ClaimsResult
from geometry.report import collect
from geometry.report.collected import told_apart
from tests.experiments.scripts import nonsense

STEPS = (10, 2, 1)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run of claims writes, of a model of noise."""
    folder = tmp_path_factory.mktemp("one")
    torch.manual_seed(1)
    model, words = nonsense(folder, words=80)
    options = ["--n-permutations", "3", "--n-twins", "2", "--control", "none", "--out", str(folder / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClaimsResult, "figures", lambda _: [])  # most of the time would go into them
        assert main(["run", "claims", str(model), "--hierarchies", str(words), *options]) == 0
    content: dict[str, Any] = json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))
    claims = content["results"]["claims"]
    assert len(claims) == 14
    return {**content, "results": {"claims": claims}, "tables": []}


def leave(folder: Path, content: object) -> None:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(content), encoding="utf-8")


def of_step(one: Mapping[str, Any], step: int) -> dict[str, Any]:
    """The same of another model."""
    return {**one, "model": {**one["model"], "name": f"step{step}", "sha256": f"{step:064x}"}}


@pytest.fixture
def runs(one: dict[str, Any], tmp_path: Path) -> Path:
    """Three checkpoints, and a damaged run, one of another study, of another version, of another program, at work."""
    for step in STEPS:
        leave(tmp_path / "claims" / f"step{step}", of_step(one, step))
    leave(tmp_path / "claims" / "maps", {"analysis": "maps"})
    leave(tmp_path / "claims" / "old", {**one, "schema": 1})
    leave(tmp_path / "claims" / "other", {"accuracy": 0.5})
    leave(tmp_path / "claims" / "broken", {**one, "model": None})
    (tmp_path / "claims" / "step20" / ".unfinished").mkdir(parents=True)
    return tmp_path


def test_every_run_is_in_the_table_in_natural_order(runs: Path, one: dict[str, Any]) -> None:
    found = collect(runs)
    assert found.runs == tuple(f"claims/step{step}" for step in (1, 2, 10))
    assert not found.notes
    frame = found.to_frame()
    own = frame[frame["run"] == "claims/step2"].set_index("claim")
    for claim in one["results"]["claims"]:
        row = own.loc[claim["claim"]]
        assert (row["verdict"], row["model"], row["seed"]) == (claim["verdict"], "step2", 0)
        for column, kept in (("value", claim["value"]), ("permuted", claim["nulls"].get("permuted"))):
            np.testing.assert_equal(row[column], np.nan if kept is None else kept)
    assert len(repr(found)) < 100
    assert found._repr_html_().count("<tr") > 10


def test_what_cannot_be_read_is_left_out_and_said(runs: Path) -> None:
    left_out = collect(runs).left_out
    assert list(left_out) == [f"claims/{name}" for name in ("broken", "old", "other", "step20")]
    words = ("AttributeError", "another version", "another program", "not at its end")
    for said, word in zip(left_out.values(), words, strict=True):
        assert word in said


def test_the_command_writes_a_table_and_a_picture(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", str(runs)]) == 0
    out, error = capsys.readouterr()
    assert "claims/broken is left out" in error
    assert "3 runs" in out
    folder = runs / "collected"
    assert {path.name for path in folder.iterdir()} == {"collected.csv", "collected.png", "collected.svg"}
    assert (folder / "collected.csv").read_text().count("\n") == len(collect(runs).rows) + 1
    assert main(["collect", str(runs / "claims" / "maps")]) == 2
    assert "no results of claims below it" in capsys.readouterr().err
    assert main(["collect", str(runs / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_runs_that_cannot_be_compared_as_they_stand_are_named(
    one: dict[str, Any], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(runs / "claims" / "step3", {**of_step(one, 2), "model": {**one["model"], "sha256": f"{2:064x}"}})
    leave(runs / "claims" / "again", {**of_step(one, 2), "settings": {**one["settings"], "n_permutations": 99}})
    assert collect(runs).notes == (
        "runs differ in n_permutations: 99, 3",
        "one and the same unembedding: claims/step2, claims/step3",
    )
    assert main(["collect", str(runs)]) == 0
    assert "note: one and the same unembedding: claims/step2" in capsys.readouterr().err
    assert "Runs differ in n_permutations" in " ".join(said.get_text() for said in collect(runs).figure().texts)


def test_runs_without_twins_have_a_table_alone(one: dict[str, Any], tmp_path: Path) -> None:
    claims = [{**claim, "standing": None} for claim in one["results"]["claims"]]
    leave(tmp_path / "run", {**one, "results": {"claims": claims}})
    found = collect(tmp_path)
    assert {path.name for path in found.write(tmp_path / "all").iterdir()} == {"collected.csv"}
    assert found.notes == ("no figure: no claim of these runs has a scale from its null to a theory twin",)


def test_where_the_twin_is_like_the_null_there_is_no_colour(one: dict[str, Any], tmp_path: Path) -> None:
    """Before anything is learnt a ratio of two noises would be painted as brightly as a finding."""
    found_always = {"standing": -38.0, "p_floor": 0.005, "power": {"exact": 20, "half": 0, "of": 20}}
    claims = [{**claim, **found_always} for claim in one["results"]["claims"]]
    powerless = [{**claim, "power": {"exact": 3, "half": 0, "of": 20}} for claim in claims]
    untold = [{**claim, "p_floor": 0.1} for claim in powerless]
    for step, own in enumerate((powerless, claims, untold)):
        leave(tmp_path / f"step{step}", {**of_step(one, step), "results": {"claims": own}})
    found = collect(tmp_path)
    written = [text.get_text() for text in found.figure().axes[0].texts]
    assert written == ["", "< \N{MINUS SIGN}1", "< \N{MINUS SIGN}1"] * (len(written) // 3)
    assert len(written) > 6
    power = found.to_frame().groupby("run")["power"].min()
    assert power["step0"] == 0.15
    assert np.isnan(power["step2"])


def test_of_many_runs_the_picture_names_those_that_fit(one: dict[str, Any], tmp_path: Path) -> None:
    steps = [0, *(2**power for power in range(10)), *range(1000, 144_000, 1000)]
    for step in steps:
        leave(tmp_path / "lab" / f"model@step{step}", of_step(one, step))
    figure = collect(tmp_path).figure()
    axes = figure.axes[0]
    labels = axes.get_xticklabels()
    assert axes.get_xlabel() == "lab/model@step…"
    assert [label.get_text() for label in labels[:1]] == ["0"]
    assert {int(label.get_text()) for label in labels} < set(steps)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) > 10
    assert all(left.x1 <= right.x0 + 1 for left, right in pairwise(boxes))


@pytest.mark.parametrize(
    ("names", "labels", "shared"),
    [
        (["a/step1", "a/step20"], ["1", "20"], "a/step…"),
        (["step1/claims", "step2/claims"], ["1", "2"], "step…/claims"),
        (["lab/m-70m@step0", "lab/m-160m@step8"], ["70m@step0", "160m@step8"], "lab/m-…"),
        (["smollm2-135m", "stories15m"], ["smollm2-135m", "stories15m"], ""),
        (["lr0.1", "lr0.5"], ["0.1", "0.5"], "lr…"),
        (["run", "run2"], ["run", "run2"], ""),
        (["only/one"], ["only/one"], ""),
    ],
)
def test_names_are_told_apart_by_what_differs(names: list[str], labels: list[str], shared: str) -> None:
    assert told_apart(names) == (labels, shared)
