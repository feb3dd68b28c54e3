"""Read files that may be anything: only ordinary ones, and no more than is said."""

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; OSError where it is a pipe, a device or a folder, which may never end or begin."""
    # Without it the opening of a pipe waits for who writes into it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no ordinary file, but a folder, pipe or device", str(path))
    return os.fdopen(descriptor, "rb")


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of an ordinary file; OSError where it is none, or has more than `most`."""
    with open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            raise OSError(errno.EFBIG, f"{size} bytes, of which at most {most} are read", str(path))
        return file.read(most)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes; OSError where it is no ordinary file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
