"""Single files that are whole or as before, whoever writes them meanwhile and however a run ends."""

import json
import signal
import threading
from pathlib import Path

import pytest

import geometry as geo
from geometry.output import replacing
from tests.killed import done, points, started


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


def test_a_name_as_long_as_can_be(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 255)
    with replacing(target) as unfinished:
        unfinished.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("path", ["", ".", "a\0b", "a\ud800b"])
def test_what_names_no_file_is_refused(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(geo.errors.OutputError, match="cannot be written"), replacing(path):
        pytest.fail("work began")
    assert list(tmp_path.iterdir()) == []


def test_who_writes_the_same_file_waits(tmp_path: Path) -> None:
    target, begun = tmp_path / "v.bin", threading.Event()

    def write() -> None:
        begun.set()
        with replacing(target) as unfinished:
            unfinished.write_text("second")

    second = threading.Thread(target=write)
    with replacing(target) as unfinished:
        second.start()
        begun.wait()
        unfinished.write_text("first")
        second.join(0.3)
        assert second.is_alive()
        assert unfinished.read_text() == "first"
    second.join()
    assert target.read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["v.bin"]


def test_who_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geometry.output.single_file._PATIENCE", 0.1)
    with replacing(tmp_path / "v") as unfinished:
        unfinished.write_text("first")
        with pytest.raises(geo.errors.OutputError, match="another run has been writing it"), replacing(tmp_path / "v"):
            pytest.fail("work began")
    assert (tmp_path / "v").read_text() == "first"


WRITE = """
from geometry.output import replacing
import json
steps = begin()
with replacing({path!r}) as unfinished:
    unfinished.write_text(json.dumps([2] * 1000))
print(steps())
"""


@pytest.mark.parametrize(("number", "share"), points(seed=60))
def test_an_ended_run_leaves_the_new_file_or_the_old(tmp_path: Path, number: signal.Signals, share: float) -> None:
    code, target = WRITE.format(path=str(tmp_path / "v.json")), tmp_path / "v.json"
    steps = int(done(started(code))[1])
    target.write_text(json.dumps([1] * 1000))
    done(started(code, 1 + int(share * steps), number))
    assert set(json.loads(target.read_text())) in ({1}, {2})
    if number == signal.SIGKILL:
        done(started(code))
        assert set(json.loads(target.read_text())) == {2}
    assert [path.name for path in tmp_path.iterdir()] == ["v.json"]
