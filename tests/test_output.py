import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import geometry as geo
from geometry.output import replacing


def test_files_appear_together_when_all_is_well(tmp_path: Path) -> None:
    with geo.output.OutputFolder(tmp_path / "a" / "b") as output:
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
    with pytest.raises(ZeroDivisionError), geo.output.OutputFolder(tmp_path / "a" / "b") as output:
        output.json("results", {})
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_earlier_results(tmp_path: Path) -> None:
    with geo.output.OutputFolder(tmp_path) as output:
        output.json("results", {"run": 1})
    with pytest.raises(ZeroDivisionError), geo.output.OutputFolder(tmp_path) as output:
        output.json("results", {"run": 2})
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert json.loads((tmp_path / "results.json").read_text()) == {"run": 1}


def test_an_unwritable_folder_is_refused_on_entry(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(geo.errors.OutputError, match="cannot write results there"), geo.output.OutputFolder(folder):
            pytest.fail("work began")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_in_the_way_of_a_result_moves_nothing(tmp_path: Path) -> None:
    (tmp_path / "b.json").mkdir()
    with (
        pytest.raises(geo.errors.OutputError, match=r"b\.json: a folder stands"),
        geo.output.OutputFolder(tmp_path) as output,
    ):
        output.json("a", {})
        output.json("b", {})
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(geo.errors.OutputError, match="No space left"), geo.output.OutputFolder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_names_stay_inside_and_keep_their_dots(tmp_path: Path) -> None:
    with geo.output.OutputFolder(tmp_path / "out") as output:
        output.figure("llama-3.1", Figure())
        output.figure("llama-3.2", Figure())
        with pytest.raises(geo.errors.OutputError, match="plain file name"):
            output.json("../escaped", {})
    assert len(list((tmp_path / "out").glob("llama-3.*.png"))) == 2


def test_a_name_too_long_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(geo.errors.OutputError), geo.output.OutputFolder(tmp_path / "new" / ("x" * 300)):
        pytest.fail("work began")
    assert list(tmp_path.iterdir()) == []


def test_a_replaced_file_is_whole_or_as_before(tmp_path: Path) -> None:
    target = tmp_path / "v.bin"
    target.write_text("old")
    with pytest.raises(ValueError, match="oops"), replacing(target) as unfinished:
        unfinished.write_text("half")
        raise ValueError("oops")
    assert target.read_text() == "old"
    with replacing(target) as unfinished:
        unfinished.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["v.bin"]
