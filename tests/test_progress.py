"""Progress in a terminal, in a notebook and in a log."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from geometry import progress
from geometry.progress import bar_options, drawn_as_ours, hidden_bars, progress_bar
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


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A kernel whose displays are kept: what each cell shows at last, by cell."""
    shell = SimpleNamespace(config={"IPKernelApp": {}}, execution_count=1, shown={}, drawn=0)

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> SimpleNamespace:
        assert raw
        assert display_id
        outputs = shell.shown.setdefault(shell.execution_count, [])
        outputs.append("")

        def update(data: dict[str, str], *, raw: bool) -> None:
            outputs[-1] = data["text/plain"]
            shell.drawn += 1

        update(data, raw=raw)
        return SimpleNamespace(update=update)

    modules = {"IPython": ModuleType("IPython"), "IPython.display": ModuleType("IPython.display")}
    modules["IPython"].get_ipython = lambda: shell  # type: ignore[attr-defined]
    modules["IPython.display"].display = display  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(progress._InCell, "cell", None)
    return shell


def bars(shell: SimpleNamespace, cell: int = 1) -> list[str]:
    """Of the one output of a cell, the lines up to their bars."""
    (output,) = shell.shown[cell]
    return [line.partition("|")[0] for line in output.splitlines()]


@pytest.mark.parametrize(
    ("config", "drawn"), [({"IPKernelApp": {}}, True), ({"TerminalIPythonApp": {}}, False), (None, False)], ids=str
)
def test_a_notebook_gets_bars_unless_they_are_refused(
    notebook: SimpleNamespace, config: dict[str, Any] | None, drawn: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    notebook.config = config or {}
    assert list(progress_bar("abc", "letters", progress=False)) == ["a", "b", "c"]
    assert not notebook.shown
    assert list(progress_bar("abc", "letters")) == ["a", "b", "c"]
    assert bool(notebook.shown) == drawn
    assert capfd.readouterr() == ("", "")


def test_bars_of_a_cell_share_one_output_in_which_the_last_is_left(notebook: SimpleNamespace) -> None:
    for _ in progress_bar(range(3), "outer", mininterval=0):
        assert bars(notebook)[0].startswith("outer:")
        for _ in progress_bar(range(2), "inner", mininterval=0):
            assert [line.split(":")[0] for line in bars(notebook)] == ["outer", "inner"]
    assert bars(notebook) == ["outer: 100%"]
    list(progress_bar(range(2), "next"))
    assert bars(notebook) == ["next: 100%"]


def test_what_is_to_stay_in_a_notebook_stays(notebook: SimpleNamespace) -> None:
    list(progress_bar(range(3), "kept", leave=True))
    list(progress_bar(range(3), "not kept"))
    list(progress_bar(range(3), "kept too", leave=True))
    assert bars(notebook) == ["kept: 100%", "kept too: 100%"]


def test_another_cell_has_another_output(notebook: SimpleNamespace) -> None:
    list(progress_bar(range(2), "first"))
    unfinished = iter(progress_bar(range(2), "unfinished"))
    next(unfinished)
    notebook.execution_count = 2
    list(progress_bar(range(2), "second"))
    assert bars(notebook, 2) == ["second: 100%"]
    assert len(notebook.shown[1]) == 1


def test_a_loop_that_is_left_leaves_its_bar_where_it_was(notebook: SimpleNamespace) -> None:
    bar = progress_bar(range(4), "left", mininterval=0)
    for number in bar:
        if number == 2:
            break
    bar.close()
    assert bars(notebook) == ["left:  50%"]


def test_a_kernel_without_widgets_draws_the_same(notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    list(progress_bar(range(2), "plain"))
    assert bars(notebook) == ["plain: 100%"]


def test_a_notebook_is_not_drawn_at_every_step(notebook: SimpleNamespace) -> None:
    list(progress_bar(range(10_000), "many"))
    assert 2 <= notebook.drawn < 100


def test_bars_that_a_library_makes_are_drawn_as_ours(
    notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, widget = ModuleType("library"), object()
    library.tqdm = widget  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "library", library)
    with pytest.raises(ZeroDivisionError), drawn_as_ours("library"):
        list(library.tqdm(range(3), **bar_options("theirs")))
        raise ZeroDivisionError
    assert bars(notebook) == ["theirs: 100%"]
    assert library.tqdm is widget


def test_bars_of_libraries_are_hidden_in_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    with hidden_bars():
        print("0%|   |", file=sys.stderr)
    print("after", file=sys.stderr)
    assert capfd.readouterr() == ("", "after\n")


def test_bars_of_libraries_are_hidden_in_a_notebook(notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden: list[bool] = []

    @contextmanager
    def capture_output(*, stdout: bool) -> Iterator[None]:
        hidden.append(not stdout)
        yield
        hidden.append(False)

    capture = ModuleType("IPython.utils.capture")
    capture.capture_output = capture_output  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.utils", ModuleType("IPython.utils"))
    monkeypatch.setitem(sys.modules, "IPython.utils.capture", capture)
    with hidden_bars():
        assert hidden == [True]
    assert hidden == [True, False]


NESTED = """
import sys
sys.modules["ipywidgets"] = None
from geometry.progress import progress_bar
for _ in progress_bar(range(2), "outer"):
    list(progress_bar(range(3), "inner"))
"""


def test_a_cell_that_is_run_again_shows_its_bar_again() -> None:
    cell = new_code_cell(NESTED)
    client = NotebookClient(new_notebook(cells=[cell]), kernel_name="python3")
    with client.setup_kernel():
        for _ in range(2):
            client.execute_cell(cell, 0)
            (output,) = cell.outputs
            assert output.data.keys() == {"text/plain"}
            assert output.data["text/plain"].startswith("outer: 100%|")


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
