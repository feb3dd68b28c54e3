import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import geometry as geo


def test_files_appear_together_when_all_is_well(tmp_path: Path) -> None:
    with geo.OutputFolder(tmp_path / "a" / "b") as output:
        output.json("results", {"x": np.float64(1.5), "gone": float("nan"), "list": (1, np.int64(2)), "é": True})
        output.arrays("results", values=[1.0, 2.0])
        output.figure("picture", Figure())
        assert [path.name for path in output.folder.iterdir()] == [output._staging.name]
    names = sorted(path.name for path in output.folder.iterdir())
    assert names == ["picture.png", "picture.svg", "results.json", "results.npz"]
    text = (output.folder / "results.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"x": 1.5, "gone": None, "list": [1, 2], "é": True}
    with np.load(output.folder / "results.npz", allow_pickle=False) as arrays:
        assert arrays["values"].tolist() == [1.0, 2.0]


def test_a_failure_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), geo.OutputFolder(tmp_path / "a" / "b") as output:
        output.json("results", {})
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_earlier_results(tmp_path: Path) -> None:
    with geo.OutputFolder(tmp_path) as output:
        output.json("results", {"run": 1})
    with pytest.raises(ZeroDivisionError), geo.OutputFolder(tmp_path) as output:
        output.json("results", {"run": 2})
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert json.loads((tmp_path / "results.json").read_text()) == {"run": 1}


def test_an_unwritable_folder_is_refused_on_entry(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(geo.OutputError, match="cannot write results there"), geo.OutputFolder(folder):
            pytest.fail("work began")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
