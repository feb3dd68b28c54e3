"""A folder of results that is complete or untouched: files appear only once all of them are written."""

import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geometry.errors import OutputError, shown
from geometry.output.interrupts import held, unwinding
from geometry.output.locks import Busy, locked
from geometry.output.publishing import STAGING, publish, sweep_unfinished, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PATIENCE = 1.0


class OutputFolder:
    """Context manager that stages files and moves them into `folder` when the block ends well.

    Entering checks that the folder can be written and that nobody else is writing there, before any work. Leaving by an
    exception, Ctrl-C and SIGTERM included, removes what was staged, and the folder itself if it was new; what a killed
    run left, the next one finishes or removes. The files of the results that were there before go, those of others
    stay: results.json lists its own under "files", each with its sha256.

    OutputError: the folder cannot be created or written, another run writes there, or results cannot be stored.
    """

    def __init__(self, folder: str | Path) -> None:
        if not isinstance(folder, str | Path) or not str(folder).strip() or not _is_name(str(folder)):
            raise OutputError(f"{shown(folder)}: cannot write results there: give the name of a folder")
        self.folder = Path(folder)
        self._staging = self.folder / STAGING

    def __enter__(self) -> "OutputFolder":
        made = [path for path in (self.folder, *self.folder.parents) if not _exists(path)]
        with ExitStack() as ending, ExitStack() as stack:
            ending.enter_context(unwinding())
            # Undone in the reverse order: emptied, unlocked, removed.
            stack.callback(_remove_empty, made)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(self.folder, _PATIENCE))
                stack.callback(shutil.rmtree, self._staging, ignore_errors=True)
                sweep_unfinished(self.folder)
                self._staging.mkdir()
            except Busy as error:
                says = "another run is writing results there; wait until it is done, or choose another folder"
                raise OutputError(f"{self.folder}: {says}") from error
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise OutputError(f"{self.folder}: cannot write results there: {reason}") from error
            self._stack, self._ending = stack.pop_all(), ending.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._ending, held(), self._stack:
            if isinstance(error, OSError):
                raise OutputError(f"{self.folder}: cannot store results: {error}") from error
            if kind is None:
                try:
                    publish(self._staging, self.folder)
                except OSError as failure:
                    raise OutputError(f"{self.folder}: cannot store results: {failure}") from failure

    def figure(self, name: str, figure: "Figure") -> Path:
        """Write `name`.png and `name`.svg; returns where the PNG lies until all files are moved."""
        from geometry.plots import save  # numbers must not need matplotlib

        return save(figure, self._place(name))[0]

    def json(self, name: str, content: dict[str, Any]) -> None:
        """Write `name`.json, UTF-8, indented. NaN becomes null."""
        write_json(self._place(f"{name}.json"), _plain(content))

    def text(self, name: str, content: str) -> None:
        """Write a text file under its full name, UTF-8."""
        self._place(name).write_text(content, encoding="utf-8")

    def arrays(self, name: str, **arrays: ArrayLike) -> None:
        """Write `name`.npz, compressed and without pickles."""
        plain = {key: np.asarray(value) for key, value in arrays.items()}
        np.savez_compressed(self._place(f"{name}.npz"), allow_pickle=False, **plain)

    def _place(self, name: str) -> Path:
        if Path(name).name != name or name.startswith("."):
            raise OutputError(f"{name!r} is not a plain file name")
        return self._staging / name


def _is_name(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, a folder that may not be looked into
        return True


def _remove_empty(folders: Iterable[Path]) -> None:
    for path in folders:
        with suppress(OSError):
            path.rmdir()


def _plain(value: Any) -> Any:
    """JSON's own types, with None for what is not a number."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
