"""The size of what is kept, what was used longest ago, what killed runs left, and clearing."""

import os
from pathlib import Path

import pytest

from geometry.cache import KINDS, LIMIT, Entry, clear, holdings, limit, trim
from geometry.output import replacing
from tests.cache.kept import LAYOUT, entry, numbers


def used(cache: Path, number: int, kind: str = "spectra", age: float = 0) -> Entry:
    """Kept, and last used so many seconds ago, counted from long ago."""
    kept = entry(cache, number, kind)
    kept.write(numbers(number))
    os.utime(kept.path, (1e9 - age, 1e9 - age))
    return kept


def test_what_was_used_longest_ago_goes_first_of_whatever_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = used(tmp_path, 0, age=30)
    middle = used(tmp_path, 1, "activations", age=20)
    new = used(tmp_path, 2, age=10)
    assert old.read(LAYOUT) is not None  # used just now
    monkeypatch.setenv(LIMIT, str(3.5 * old.path.stat().st_size / 10**9))
    fourth = used(tmp_path, 3)
    assert [each.path.exists() for each in (old, middle, new, fourth)] == [True, False, True, True]
    assert holdings(tmp_path)["activations"] == (0, 0)


def test_the_limit_is_in_gigabytes_and_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT, raising=False)
    assert limit() == 4 * 10**9
    monkeypatch.setenv(LIMIT, " 0.5 ")
    assert limit() == 5 * 10**8


def test_holdings_and_clear_are_of_our_files_alone(tmp_path: Path) -> None:
    kept = [used(tmp_path, number, kind) for number in (0, 1) for kind in KINDS]
    sizes = {each.kind: each.path.stat().st_size for each in kept}
    others = [
        tmp_path / "model.gguf",
        tmp_path / "spectra" / "notes.txt",
        tmp_path / "hub" / ("f" * 64 + ".safetensors"),
    ]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.write_text("mine")
    assert holdings(tmp_path) == {kind: (2, 2 * size) for kind, size in sizes.items()}
    assert clear(tmp_path, ["activations"]).files == 2
    assert [each.path.exists() for each in kept] == [each.kind != "activations" for each in kept]
    assert not (tmp_path / "activations").exists()
    rest = [size for kind, size in sizes.items() if kind != "activations"]
    assert clear(tmp_path) == (2 * len(rest), 2 * sum(rest))
    assert all(other.exists() for other in others)
    assert clear(tmp_path / "missing") == (0, 0)


def left_by_a_killed_run(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        left, name = unfinished.parent, unfinished.name
    left.mkdir()
    (left / name).write_text("half")
    (left / ".lock").touch()
    return left


@pytest.mark.parametrize("way", ["write", "trim", "clear"])
def test_what_killed_runs_left_is_removed_and_what_is_being_written_stays(tmp_path: Path, way: str) -> None:
    left = left_by_a_killed_run(tmp_path / "spectra" / "killed")
    with replacing(tmp_path / "spectra" / "living") as unfinished:
        unfinished.write_text("half")
        if way == "write":
            used(tmp_path, 0, "activations")
        elif way == "trim":
            trim(tmp_path, 10**9)
        else:
            clear(tmp_path)
        assert not left.exists()
        assert unfinished.read_text() == "half"
    assert (tmp_path / "spectra" / "living").read_text() == "half"
