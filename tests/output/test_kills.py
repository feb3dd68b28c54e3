"""Runs that are ended at any step of their publishing: whole results or the old ones, and nothing left behind."""

import json
import signal
from pathlib import Path

import pytest

from geometry.output import OutputFolder, settle
from tests.killed import done, points, started, was_ended_by

WRITE = """
from pathlib import Path
from geometry.output import OutputFolder
import numpy
with OutputFolder("{folder}.other") as output:  # whatever is imported on the way
    output.arrays("results", values=[0])
begin_counted = begin()
with OutputFolder("{folder}") as output:
    for name in range({files}):
        output.text(f"figure{{name}}.svg", "{run}")
    output.arrays("results", values=[{run}])
    output.json("results", {{"run": {run}}})
print(begin_counted())
"""


def write(folder: Path, run: int, files: int) -> str:
    return WRITE.format(folder=folder, run=run, files=files)


def steps(folder: Path, run: int, files: int) -> int:
    status, out, errors = done(started(write(folder, run, files)))
    assert status == 0, errors
    return int(out)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def expected(files: int) -> set[str]:
    return {*(f"figure{number}.svg" for number in range(files)), "results.json", "results.npz", "own.txt"}


def assert_whole(folder: Path, runs: dict[int, int]) -> int:
    """The results of one of the runs (its number of figures each), the user's own file, and nothing else."""
    run = json.loads((folder / "results.json").read_text())["run"]
    assert names(folder) == expected(runs[run])
    assert {(folder / f"figure{number}.svg").read_text() for number in range(runs[run])} == {str(run)}
    return run


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Results of run 1 with five figures, beside a file of the user's."""
    folder = tmp_path / "out"
    with OutputFolder(folder) as output:
        for number in range(5):
            output.text(f"figure{number}.svg", "1")
        output.arrays("results", values=[1])
        output.json("results", {"run": 1})
    (folder / "own.txt").write_text("mine")
    return folder


@pytest.fixture(scope="module")
def all_steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    return steps(tmp_path_factory.mktemp("count") / "out", 2, 3)


@pytest.mark.parametrize(("number", "share"), points(seed=18))
def test_an_ended_run_leaves_whole_results(old: Path, all_steps: int, number: signal.Signals, share: float) -> None:
    point = 1 + int(share * all_steps)
    status, _, errors = done(started(write(old, 2, 3), point, number))
    assert was_ended_by(number, status, errors), errors
    if number == signal.SIGKILL:
        settle(old)  # as whoever reads it does
        left = {".unfinished", ".lock"} & names(old)
        for name in left:
            (old / name).rename(old.parent / name)
        assert_whole(old, {1: 5, 2: 3})
        for name in left:
            (old.parent / name).rename(old / name)
    else:
        assert_whole(old, {1: 5, 2: 3})
    steps(old, 3, 4)
    assert assert_whole(old, {3: 4}) == 3


@pytest.mark.parametrize(("number", "share"), points(seed=17, of_each=6))
def test_of_two_runs_at_once_one_may_be_ended(old: Path, all_steps: int, number: signal.Signals, share: float) -> None:
    one, other = started(write(old, 2, 3), 1 + int(share * all_steps), number), started(write(old, 3, 4))
    status, _, errors = done(other)
    done(one)
    settle(old)
    assert status == 0 or "another run is writing results there" in errors
    steps(old, 4, 2)
    assert assert_whole(old, {4: 2}) == 4


def test_of_two_runs_at_once_the_second_is_refused_in_a_line(old: Path) -> None:
    from geometry.errors import OutputError

    with OutputFolder(old) as output:
        output.json("results", {"run": 2})
        with pytest.raises(OutputError, match="another run is writing results there; wait until it is done"):
            OutputFolder(old).__enter__()
        status, _, errors = done(started(write(old, 3, 4)))
        assert status != 0
        assert "another run is writing results there" in errors
    assert names(old) == {"own.txt", "results.json"}
