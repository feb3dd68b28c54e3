"""Progress in a terminal, in a notebook and in a log."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from types import ModuleType, SimpleNamespace
from weakref import WeakSet

import pytest

from geometry import progress
from geometry.progress import bar_options, progress_bar
from tests.planted import planted_classes


@pytest.fixture(autouse=True)
def no_line_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress._Lines, "last", float("-inf"))
    monkeypatch.setattr(progress._Lines, "all", WeakSet())


@pytest.mark.parametrize("wanted", [None, False])
def test_a_log_is_quiet_unless_asked(wanted: bool | None, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bar("abc", "counting", progress=wanted)) == ["a", "b", "c"]
    assert capfd.readouterr() == ("", "")


def test_a_log_gets_the_first_and_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(desc="counting", total=3, unit="cloud", progress=True, leave=True) as bar:
        for _ in range(3):
            bar.update()
    assert capsys.readouterr().err.splitlines() == ["counting: 0 of 3, 00:00", "counting: 3 of 3, 00:00"]


def test_a_log_gets_a_line_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SECONDS", 0)
    list(progress_bar("abcdef", "letters", progress=True))
    every = capsys.readouterr().err
    assert every.count("letters: ") == len(every.splitlines()) == 7


def test_bars_within_a_bar_do_not_fill_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in progress_bar("abcdef", "outer", progress=True):
        list(progress_bar("abc", "inner", progress=True))
    assert capsys.readouterr().err.splitlines() == ["outer: 0 of 6, 00:00"]


def test_nothing_of_a_terminal_is_written_to_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(range(2), "outer", progress=True, leave=True) as outer:
        for _ in outer:
            list(progress_bar(range(2), "inner", progress=True, leave=True))
    assert not set("\r\x1b█") & set(capsys.readouterr().err)


def test_a_notebook_gets_bars_unless_they_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(config={"IPKernelApp": {}})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert bar_options("x") == {"desc": "x", "disable": False, "leave": False}
    assert bar_options("x", progress=False)["disable"]
    ipython.get_ipython = lambda: SimpleNamespace(config={"TerminalIPythonApp": {}})  # type: ignore[attr-defined]
    assert bar_options("x")["disable"]
    ipython.get_ipython = lambda: None  # type: ignore[attr-defined]
    assert bar_options("x")["disable"]


def test_a_program_without_standard_error_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert list(progress_bar("ab", "x", progress=True)) == ["a", "b"]


def test_a_terminal_gets_a_bar() -> None:
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    code = "from geometry.progress import progress_bar; list(progress_bar(range(3), 'seen', leave=True))"
    subprocess.run([sys.executable, "-c", code], stderr=end, check=True)
    os.close(end)
    written = os.read(main, 10_000).decode()
    os.close(main)
    assert "\rseen: 100%" in written


def test_tests_against_nulls_say_how_far_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    import geometry as geo

    planted = planted_classes()
    space = geo.CausalSpace.fit(planted.unembedding)
    statistics = [geo.evidence.tree_correlation("all")]
    geo.test_against_nulls(space, planted.hierarchy, statistics, nulls=["permuted"], n_permutations=2, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(",")[0] for line in lines] == [f"planted: model and nulls: {n} of 3" for n in (0, 3)]
