"""Keep little memory that is free: what threads freed, pages of files that were read. Imports nothing of ours."""

import ctypes
import mmap
import re
import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Rows = TypeVar("Rows", bound=Sized)

_M_ARENA_MAX = -8
_MADV_DONTNEED = 4
_PAGE = mmap.PAGESIZE
_TOGETHER = 1 << 16  # the system maps so many bytes around one that is read
_READ = 1 << 27  # bytes that may be read before they are let go
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+) *(.*)")


def give_back() -> None:
    """Return freed memory to the system, where the C library can be asked to; cheap beside any model's work."""
    with suppress(OSError, AttributeError, TypeError):  # another C library, or none that can be loaded by no name
        ctypes.CDLL(None).malloc_trim(0)


def few_arenas(count: int = 2) -> None:
    """Let threads share so many pools of freed memory; to be called before the threads are there."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, count)


def in_passing(matrix: "torch.Tensor", blocks: Iterable[Rows], *, scattered: bool = False) -> Iterator[Rows]:
    """Blocks of rows, one after another, while what was read of a matrix in a mapped file is let go.

    >>> import torch
    >>> matrix = torch.zeros(5, 3)
    >>> [len(block) for block in in_passing(matrix, torch.split(matrix, 2))]
    [2, 2, 1]

    A mapped file counts as memory of this process as far as it was read. Blocks are anything with a length; `scattered`
    rows have others between them, which are read along.
    """
    if not _is_large(matrix):
        yield from blocks
        return
    row = matrix.stride(0) * matrix.element_size()
    read = 0
    for block in blocks:
        yield block
        read += len(block) * (max(row, _TOGETHER) if scattered else row)
        if read >= _READ:
            let_go(matrix)
            read = 0
    let_go(matrix)


def let_go(tensor: "torch.Tensor") -> None:
    """Let the system have the pages of a tensor that lies in a mapped file, to be read again when they are asked for.

    Not where any of it was changed, which is known to this process alone; nor of other memory than a file's, which
    would be lost. Does nothing elsewhere than on Linux.
    """
    if not _is_large(tensor):
        return
    start = tensor.untyped_storage().data_ptr()
    with suppress(OSError, AttributeError, TypeError, ValueError):
        if (mapping := _unchanged_file(start)) is not None:
            stop = min(start + tensor.untyped_storage().nbytes(), mapping[1])
            start = -(-start // _PAGE) * _PAGE
            length = (stop - start) // _PAGE * _PAGE
            ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def _is_large(tensor: "torch.Tensor") -> bool:
    return sys.platform == "linux" and tensor.device.type == "cpu" and tensor.untyped_storage().nbytes() >= _READ


def _unchanged_file(address: int) -> tuple[int, int] | None:
    """Where the mapping of a file that this address is in begins and ends, if no page of it is this process's own."""
    found, counts = None, {"Anonymous": -1, "Swap": -1}
    with Path("/proc/self/smaps").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if (mapping := _MAPPING.match(line)) is not None:
                if found is not None:
                    break
                begin, end = int(mapping[1], 16), int(mapping[2], 16)
                is_file = mapping[4] != "0" and mapping[3].endswith("p") and not mapping[5].startswith("/dev/")
                if begin <= address < end:
                    if not is_file:
                        return None
                    found = begin, end
            elif found is not None:
                name, _, value = line.partition(":")
                if name in counts:
                    counts[name] = int(value.split()[0])
    return found if found is not None and not any(counts.values()) else None
