"""A folder of results that is complete or untouched: files appear only once all of them are written."""

import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geometry.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class OutputFolder:
    """Context manager that stages files and moves them into `folder` when the block ends well.

    Entering checks that the folder can be written, before any work. Leaving by an exception removes
    what was staged, and the folder itself if it was new.

    OutputError: the folder cannot be created or written, or results cannot be stored.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._made: list[Path] = []

    def __enter__(self) -> "OutputFolder":
        try:
            self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
            self.folder.mkdir(parents=True, exist_ok=True)
            self._staging = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.folder))
        except OSError as error:
            self._remove_made()
            raise OutputError(f"{self.folder}: cannot write results there: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, OSError):
                raise OutputError(f"{self.folder}: cannot store results: {error}") from error
            if kind is None:
                self._publish()
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)
            if kind is not None:
                self._remove_made()

    def _publish(self) -> None:
        staged = sorted(self._staging.iterdir())
        # Looked for beforehand: half of the files moved would be worse than none.
        if blocked := [path.name for path in staged if (self.folder / path.name).is_dir()]:
            raise OutputError(f"{self.folder / blocked[0]}: a folder stands where a result should go; remove it")
        try:
            for path in staged:
                path.replace(self.folder / path.name)
        except OSError as failure:
            raise OutputError(f"{self.folder}: cannot store results: {failure}") from failure

    def figure(self, name: str, figure: "Figure") -> Path:
        """Write `name`.png and `name`.svg; returns where the PNG lies until all files are moved."""
        from geometry.plots import save  # numbers must not need matplotlib

        return save(figure, self._place(name))[0]

    def json(self, name: str, content: dict[str, Any]) -> None:
        """Write `name`.json, UTF-8, indented. NaN becomes null."""
        text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
        self._place(f"{name}.json").write_text(text + "\n", encoding="utf-8")

    def text(self, name: str, content: str) -> None:
        """Write a text file under its full name, UTF-8."""
        self._place(name).write_text(content, encoding="utf-8")

    def arrays(self, name: str, **arrays: ArrayLike) -> None:
        """Write `name`.npz, compressed and without pickles."""
        plain = {key: np.asarray(value) for key, value in arrays.items()}
        np.savez_compressed(self._place(f"{name}.npz"), allow_pickle=False, **plain)

    def _place(self, name: str) -> Path:
        if Path(name).name != name:
            raise OutputError(f"{name!r} is not a plain file name")
        return self._staging / name

    def _remove_made(self) -> None:
        for path in self._made:
            try:
                path.rmdir()
            except OSError:
                continue


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A file to write instead of `path`, which takes its place when the block ends well and goes if not.

    OutputError: the folder does not exist or the file cannot be written there.
    """
    target = Path(path)
    unfinished = target.with_name(f".unfinished-{secrets.token_hex(4)}-{target.name}")
    if "\0" in str(target):
        raise OutputError(f"{str(target)!r}: cannot be written: a name holds no null character")
    try:
        unfinished.touch(exist_ok=False)
        mode = unfinished.stat().st_mode
        yield unfinished
        # Some writers put a private file of their own in its place.
        unfinished.chmod(mode)
        unfinished.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


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
