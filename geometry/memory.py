"""Give freed memory back to the system: glibc keeps what a thread has freed for that thread. Imports nothing."""

import ctypes
from contextlib import suppress

__all__ = ["give_back"]


def give_back() -> None:
    """Return freed memory to the system, where the C library can be asked to; cheap beside any model's work."""
    with suppress(OSError, AttributeError, TypeError):  # another C library, or none that can be loaded by no name
        ctypes.CDLL(None).malloc_trim(0)
