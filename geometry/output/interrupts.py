"""Ends that leave nothing behind: SIGTERM unwinds as Ctrl-C does, and neither breaks into what must stay whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Handed back in the reverse order: whoever asks twice uses the first.
_INTERRUPT, _ENDS = signal.SIGINT, [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def unwinding() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise SystemExit, so that all that is under way is cleaned up.

    A handler that the program has set itself stays, and outside the main thread, which alone is sent signals, nothing
    is changed.
    """
    ours = [number for number in _ENDS if _in_main_thread() and signal.getsignal(number) == signal.SIG_DFL]
    try:
        for number in ours:
            signal.signal(number, _end)
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def held() -> Iterator[None]:
    """Within the block interrupts wait: the first of them comes when it is over. For what takes no time."""
    waiting: list[int] = []
    handlers: dict[int, Any] = {}
    try:
        for number in (_INTERRUPT, *_ENDS) if _in_main_thread() else ():
            # The default end of a process, or a handler that was not set from Python, cannot be put off.
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, lambda number, _: waiting.append(number))
        yield
    finally:
        for number in reversed(handlers):
            signal.signal(number, handlers[number])
        if waiting:
            handlers[waiting[0]](waiting[0], None)


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
