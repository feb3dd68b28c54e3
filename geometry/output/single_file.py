"""One file that is whole or as it was."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from geometry.errors import OutputError
from geometry.output.interrupts import held, unwinding
from geometry.output.locks import Busy, locked, sweep

_PATIENCE = 60.0


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A file to write instead of `path`, which takes its place when the block ends well and goes if not.

    Whoever writes the same file meanwhile waits. What a killed run left is removed.

    OutputError: the folder does not exist or the file cannot be written there.
    """
    target = Path(path)
    if not target.name or "\0" in str(target):
        raise OutputError(f"{str(target)!r}: cannot be written: give the name of a file, without null characters")
    # By the name, so that the next run finds it; a name as long as can be has room for no prefix.
    name = hashlib.sha256(target.name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    folder = target.with_name(f".unfinished-{name}")
    try:
        with unwinding():
            try:
                with locked(folder, _PATIENCE):
                    sweep(folder)
                    unfinished = folder / target.name
                    try:
                        unfinished.touch(exist_ok=False)
                        mode = unfinished.stat().st_mode
                        yield unfinished
                        # Some writers put a private file of their own in its place.
                        unfinished.chmod(mode)
                        unfinished.replace(target)
                    finally:
                        with held(), suppress(OSError):
                            sweep(folder)
            finally:
                with held(), suppress(OSError):
                    folder.rmdir()
    except Busy as error:
        says = f"another run has been writing it for {_PATIENCE:.0f} s; try again when that is done"
        raise OutputError(f"{target}: cannot be written: {says}") from error
    except (OSError, UnicodeEncodeError) as error:
        raise OutputError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
