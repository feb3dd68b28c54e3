"""Machine code of kernels, kept under the hash of their source: numba's own cache may run that of an earlier source.

It notes first which file an overload is in and writes that file afterwards, under numbers that count from 1 for each
source. Of a run that is killed in between, or of two that compile at once, the next one takes what was there before.
"""

import hashlib
import inspect
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import serialize

from geometry.errors import OutputError
from geometry.output import replacing

Function = TypeVar("Function", bound=Callable[..., Any])

_dumps: Callable[[object], bytes] = serialize.dumps


def compiled(**options: Any) -> Callable[[Function], Function]:
    """`numba.njit` with these options, whose machine code is kept where numba keeps it.

    >>> import numpy as np
    >>> @compiled(nogil=True)
    ... def twice(x):
    ...     return 2 * x
    >>> twice(1.5)
    3.0

    A kernel may call others of its own file alone: the source of that file is what its machine code is kept under.
    """

    def decorate(function: Function) -> Function:
        kernel: Any = numba.njit(**options)(function)
        with suppress(RuntimeError):  # there is no folder that can be written: it is compiled in each process
            kernel.enable_caching()
            cache: Any = kernel._cache
            # Should another numba keep it in another way, it is that way.
            if hasattr(cache, "_cache_file"):
                cache._cache_file = _Overloads(Path(cache.cache_path), function, repr(sorted(options.items())))
        kept: Function = kernel
        return kept

    return decorate


class _Overloads:
    """The files of a kernel, one an overload, as numba reads and writes them."""

    def __init__(self, folder: Path, function: Callable[..., Any], options: str) -> None:
        try:
            source = inspect.getsource(inspect.getmodule(function) or function)
        except (OSError, TypeError):  # typed in, or installed without its sources
            source = repr((function.__code__.co_code, function.__code__.co_consts))
        self._folder = folder
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self._decided = repr((source, options, numba.__version__, function.__qualname__))

    def load(self, key: object) -> Any:
        """What was kept of an overload; None of one that is not there, damaged or of another source."""
        with suppress(Exception):  # pickles fail in many ways
            content = self._path(key).read_bytes()
            if hashlib.sha256(content[32:]).digest() == content[:32]:
                return pickle.loads(content[32:])  # noqa: S301 (as numba's own, beside our code)
        return None

    def save(self, key: object, data: object) -> None:
        """Keep an overload; where nothing can be written, it is compiled anew in each process."""
        content = _dumps(data)
        with suppress(OSError, OutputError), replacing(self._path(key)) as unfinished:
            unfinished.write_bytes(hashlib.sha256(content).digest() + content)

    def flush(self) -> None:
        """Forget what was kept, of earlier sources too."""
        for path in self._folder.glob(f"{self._name}-*.kernel"):
            with suppress(OSError):
                path.unlink()

    def _path(self, key: object) -> Path:
        decided = hashlib.sha256(f"{self._decided}{key!r}".encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / f"{self._name}-{decided[:32]}.kernel"
