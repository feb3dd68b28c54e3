"""Progress of long work: a bar where somebody watches, in a terminal or a notebook; in a log, lines, and only if asked.

Imports nothing of ours.
"""

import sys
import time
from collections.abc import Iterable
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
        leave: whether a bar stays when it is full.
        options: further ones of `tqdm`, such as `total` and `unit`.
    """
    from tqdm.auto import tqdm  # looks whether this is a notebook when it is imported

    bar: Any = tqdm(iterable, **bar_options(desc, progress=progress, leave=leave), **options)
    return bar


def bar_options(desc: str, *, progress: bool | None = None, leave: bool = False) -> dict[str, Any]:
    """What `tqdm` is to be given, for libraries that make their own bar; see `progress_bar`."""
    watched = in_notebook() or getattr(sys.stderr, "isatty", lambda: False)()
    shown = (watched if progress is None else progress) and sys.stderr is not None
    options: dict[str, Any] = {"desc": desc, "disable": not shown, "leave": leave}
    if shown and not watched:
        line = "{desc}: {n_fmt} of {total_fmt}, {elapsed}"
        # Bars within another one are many: those alone say something that take long.
        options["delay"] = _SECONDS if _Lines.all else 0
        options |= {"file": _Lines(), "mininterval": _SECONDS, "miniters": 1, "bar_format": line, "position": 0}
    return options


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which draws bars although its standard error is no terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


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
