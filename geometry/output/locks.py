"""A folder that one run at a time works in; what a killed one left there is the next one's to sweep."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from geometry.output.interrupts import held

try:
    import fcntl
except ImportError:  # no such locks on this system: two runs are then not told apart
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
_PAUSE = 0.05
# What file systems without locks say.
_UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


class Busy(Exception):  # noqa: N818 (a state of things, which its catcher puts in words)
    """Another run works in the folder."""


@contextmanager
def locked(folder: Path, patience: float, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Be the only one in `folder`, which is made if its parent exists. The system ends the lock of a killed run.

    Parameters:
        patience: seconds to wait for another, after a call of `waiting`.

    Busy: another was there all the time. OSError: the folder cannot be made or written.
    """
    path, start, told = folder / LOCK, time.monotonic(), False
    descriptor: int | None = None
    try:
        while True:
            with held():  # or an interrupt leaves a lock that nobody knows of
                descriptor = _lock(path)
            if descriptor is not None:
                break
            waited = time.monotonic() - start
            if waited > patience:
                raise Busy
            if not told and waited > 10 * _PAUSE:
                waiting()
                told = True
            time.sleep(_PAUSE)
        yield
    finally:
        if descriptor is not None:
            with held():
                _release(descriptor, path)


def sweep(folder: Path, keep: Collection[str] = ()) -> None:
    """Remove all that is in a locked folder but its lock and what is called as `keep` says."""
    for path in folder.iterdir():
        if path.name not in (LOCK, *keep):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with what is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _release(descriptor: int, path: Path) -> None:
    with suppress(OSError):
        path.unlink()
    if fcntl is not None:
        with suppress(OSError):
            # A child that was forked meanwhile holds the file open too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _lock(path: Path) -> int | None:
    """A descriptor of the locked file; None where another has it."""
    path.parent.mkdir(exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except FileNotFoundError:  # the folder went with whoever was in it
        return None
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who leaves removes the file: a lock on a removed one keeps nobody out.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        if error.errno in _UNLOCKABLE:
            return descriptor
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
