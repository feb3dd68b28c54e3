"""Keep little memory that is free: glibc keeps what a thread has freed for that thread. Imports nothing of ours."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8


def give_back() -> None:
    """Return freed memory to the system, where the C library can be asked to; cheap beside any model's work."""
    with suppress(OSError, AttributeError, TypeError):  # another C library, or none that can be loaded by no name
        ctypes.CDLL(None).malloc_trim(0)


def few_arenas(count: int = 2) -> None:
    """Let threads share so many pools of freed memory; to be called before the threads are there."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, count)
