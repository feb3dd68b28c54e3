"""Progress of long work: a bar where somebody watches, in a terminal or a notebook; in a log, lines, and only if asked.

Imports nothing of ours.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")
_SECONDS = 5.0  # between two lines of a log


def progress_bar(
    iterable: Iterable[T] | None = None,
    desc: str = "",
    *,
    progress: bool | None = None,
    leave: bool = False,
    **options: Any,
) -> "tqdm[T]":
    """The iterable, or without one a counter to `update`, with a bar or lines that say how far it is.

    >>> sum(progress_bar([1, 2, 3], "adding", progress=False))
    6

    Parameters:
        progress: True and False show it and do not; None shows it in a terminal and in a notebook. Where standard
            error is neither, as in a log, True writes a line every few seconds.
        leave: whether a bar stays when it is full. In a notebook the last one of a cell does in any case.
        options: further ones of `tqdm`, such as `total` and `unit`.
    """
    from tqdm import tqdm

    bar: Any = tqdm(iterable, **bar_options(desc, progress=progress, leave=leave), **options)
    return bar


def bar_options(desc: str, *, progress: bool | None = None, leave: bool = False) -> dict[str, Any]:
    """What `tqdm` is to be given, by libraries that make their own bar too (`drawn_as_ours`); see `progress_bar`."""
    watched = in_notebook() or getattr(sys.stderr, "isatty", lambda: False)()
    shown = (watched if progress is None else progress) and sys.stderr is not None
    options: dict[str, Any] = {"desc": desc, "disable": not shown, "leave": leave}
    if shown and in_notebook():
        # Full bars are drawn once more before they are left.
        options |= {"file": _InCell(leave=leave), "leave": True, "position": 0}
    elif shown and not watched:
        line = "{desc}: {n_fmt} of {total_fmt}, {elapsed}"
        # Bars within another one are many: those alone say something that take long.
        options["delay"] = _SECONDS if _Lines.all else 0
        options |= {"file": _Lines(), "mininterval": _SECONDS, "miniters": 1, "bar_format": line, "position": 0}
    return options


@contextmanager
def drawn_as_ours(library: str) -> Iterator[None]:
    """The bars that a module of a library makes of `bar_options` are those of `progress_bar`, never widgets."""
    from tqdm import tqdm

    module: Any = import_module(library)
    theirs, module.tqdm = module.tqdm, tqdm
    try:
        yield
    finally:
        module.tqdm = theirs


@contextmanager
def hidden_bars() -> Iterator[None]:
    """Bars of other libraries, not all of which know of a switch, are seen in a terminal alone.

    In a log they are noise, in a notebook widgets (`_InCell` says why not).
    """
    with ExitStack() as hidden:
        if in_notebook():
            hidden.enter_context(import_module("IPython.utils.capture").capture_output(stdout=False))
        elif not getattr(sys.stderr, "isatty", lambda: False)():
            hidden.enter_context(redirect_stderr(StringIO()))
        yield


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which draws bars although its standard error is no terminal."""
    return "IPKernelApp" in getattr(_shell(), "config", ())


def _shell() -> Any:
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


class _InCell:
    """The cell of a notebook as a bar writes to it: one output for all bars, the open ones and after these the last.

    Not widgets: these need a package in the kernel, and of a notebook that is read again, or put on a page, they leave
    the empty bar of the beginning or a message that they are gone.
    """

    encoding = "utf-8"
    cell: ClassVar[object] = None
    display: ClassVar[Any] = None
    bars: ClassVar[list["_InCell"]] = []

    def __init__(self, *, leave: bool) -> None:
        self.leave, self.open, self.line = leave, True, ""

    def write(self, text: str) -> None:
        """A bar goes back to the start of its line before it writes again, and ends the line that it leaves."""
        here = _InCell
        if (cell := _shell().execution_count) != here.cell:
            here.cell, here.display, here.bars = cell, None, []
        self.line, self.open = text.strip() or self.line, text != "\n" and self.open
        here.bars = [bar for bar in here.bars if bar.open or bar.leave]
        if self not in here.bars and (self.open or not here.bars):
            here.bars.append(self)
        self._draw("\n".join(bar.line for bar in here.bars))

    def _draw(self, lines: str) -> None:
        here, drawn = _InCell, {"text/plain": lines}
        if here.display is None:
            here.display = import_module("IPython.display").display(drawn, raw=True, display_id=True)
        else:
            here.display.update(drawn, raw=True)

    def flush(self) -> None:
        """Everything is drawn at once."""


class _Lines:
    """Standard error as a bar writes to it: lines, of all bars together one in a few seconds, and what a bar leaves."""

    encoding = "utf-8"
    last = float("-inf")
    all: ClassVar["WeakSet[_Lines]"] = WeakSet()

    def __init__(self) -> None:
        self.waiting = ""
        self.all.add(self)

    def write(self, text: str) -> None:
        """A bar goes back to the start of its line before it writes again, and ends the line that it leaves."""
        self.waiting = text.strip() or self.waiting
        if self.waiting and (time.monotonic() - _Lines.last >= _SECONDS or text == "\n"):
            _Lines.last = time.monotonic()
            sys.stderr.write(f"{self.waiting}\n")
            self.waiting = ""

    def flush(self) -> None:
        """As of standard error."""
        sys.stderr.flush()
