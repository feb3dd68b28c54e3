import hashlib
import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import geometry as geo


def test_files_appear_together_when_all_is_well(tmp_path: Path) -> None:
    with geo.output.OutputFolder(tmp_path / "a" / "b") as output:
        output.json("results", {"x": np.float64(1.5), "gone": float("nan"), "list": (1, np.int64(2)), "é": True})
        output.arrays("results", values=[1.0, 2.0])
        output.figure("picture", Figure())
        assert not [path for path in output.folder.iterdir() if not path.name.startswith(".")]
    names = sorted(path.name for path in output.folder.iterdir())
    assert names == ["picture.png", "picture.svg", "results.json", "results.npz"]
    text = (output.folder / "results.json").read_text(encoding="utf-8")
    content = json.loads(text)
    files = content.pop("files")
    assert content == {"x": 1.5, "gone": None, "list": [1, 2], "é": True}
    assert files == {
        name: hashlib.sha256((output.folder / name).read_bytes()).hexdigest()
        for name in ("picture.png", "picture.svg", "results.npz")
    }
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
    assert json.loads((tmp_path / "results.json").read_text()) == {"run": 1, "files": {}}


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


@pytest.mark.parametrize("folder", ["", " ", "a\0b"])
def test_what_names_no_folder_is_refused(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(geo.errors.OutputError, match="cannot write results there: give the name of a folder"):
        geo.output.OutputFolder(folder)
    assert list(tmp_path.iterdir()) == []


def run(folder: Path, *names: str) -> None:
    with geo.output.OutputFolder(folder) as output:
        for name in names:
            output.text(name, names[0])
        output.json("results", {"schema": 2})


def test_a_later_run_leaves_no_file_of_the_earlier_and_all_of_others(tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_text("mine")
    (tmp_path / "folder").mkdir()
    run(tmp_path, "a.png", "b.png", "c.graphml")
    run(tmp_path, "a.png", "d.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "d.png", "folder", "mine.png", "results.json"]
    assert (tmp_path / "mine.png").read_text() == "mine"


def test_results_of_an_earlier_version_name_their_files_in_other_words(tmp_path: Path) -> None:
    old = {"schema": 2, "figures": [{"name": "a"}, {"name": "../b"}, 3], "pages": [{"name": "p.html"}]}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text(json.dumps(old))
    for name in ("a.png", "a.svg", "p.html", "results.npz", "mine.png", "../b.png"):
        (tmp_path / "out" / name).write_text("old")
    run(tmp_path / "out", "x.png")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mine.png", "results.json", "x.png"]
    assert (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    "names", ['["a.png"]', '{"../own": "", "/own": "", ".": "", "..": "", "": "", "sub": ""}', "3"]
)
def test_a_list_of_files_leads_out_of_no_folder(tmp_path: Path, names: str) -> None:
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "own").write_text("mine")
    (tmp_path / "out" / "results.json").write_text(f'{{"schema": 2, "files": {names}}}')
    run(tmp_path / "out", "x.png")
    assert (tmp_path / "own").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["results.json", "sub", "x.png"]


def test_what_an_earlier_version_left_unfinished_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-a1b2c3d4").mkdir()
    (tmp_path / ".unfinished-a1b2c3d4" / "a.png").write_text("half")
    (tmp_path / ".lock").write_text("")
    run(tmp_path, "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "results.json"]


def test_results_too_long_to_be_read_lose_none_of_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "a.png")
    monkeypatch.setattr("geometry.output.publishing.LARGEST", 10)
    run(tmp_path, "a.png", "b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "results.json"]


def test_names_that_begin_with_a_dot_are_kept_for_ourselves(tmp_path: Path) -> None:
    with geo.output.OutputFolder(tmp_path / "out") as output, pytest.raises(geo.errors.OutputError, match="plain file"):
        output.text(".lock", "")


def test_a_program_of_its_own_keeps_its_handler(tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with geo.output.OutputFolder(tmp_path) as output:
            signal.raise_signal(signal.SIGTERM)
            output.json("results", {})
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM, signal.SIGTERM]


def test_afterwards_signals_are_as_before(tmp_path: Path) -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    before = handlers()
    run(tmp_path, "a.png")
    assert handlers() == before
    with pytest.raises(SystemExit) as ended, geo.output.OutputFolder(tmp_path / "out"):
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM
    assert handlers() == before
    assert not (tmp_path / "out").exists()


def test_in_a_thread_signals_are_left_alone(tmp_path: Path) -> None:
    thread = threading.Thread(target=run, args=(tmp_path, "a.png"))
    thread.start()
    thread.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "results.json"]
