"""One set of arrays that may be kept: the key that everything which decides it goes into, and the file of that name."""

import hashlib
import inspect
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from geometry.cache.array_file import Layout, read_arrays, write_arrays
from geometry.cache.folder import SUFFIX, limit, trim
from geometry.errors import OutputError
from geometry.memory import in_passing
from geometry.output import replacing

if TYPE_CHECKING:
    import torch

_LOADED = time.time()
_BLOCK = 1 << 22  # numbers that are hashed at a time


class Key:
    """The hash of a kind of arrays and of all that decides their numbers.

    >>> from geometry.cache import Key
    >>> key = Key("spectra")
    >>> key.add("float64", 2)
    >>> len(key.sha256)
    64
    """

    def __init__(self, kind: str) -> None:
        self.kind, self._digest = kind, hashlib.sha256()
        self.add(kind)

    def add(self, *parts: object) -> None:
        """Add values that are fully written by their `repr`: texts, numbers, lists of these; no arrays."""
        self._digest.update(repr(parts).encode("utf-8", "surrogatepass"))

    def add_tensor(self, tensor: "torch.Tensor") -> None:
        """Add the numbers of a tensor as they are stored now, their type and shape."""
        import torch

        self.add(str(tensor.dtype), tuple(tensor.shape))
        plain = tensor.detach()
        blocks: tuple[torch.Tensor, ...] = (plain,)
        if plain.ndim:
            blocks = torch.split(plain, max(1, _BLOCK * len(plain) // max(1, plain.numel())))
        for block in in_passing(plain, blocks):
            self._digest.update(block.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)

    def add_code(self, *modules: str) -> None:
        """Add the source of loaded modules and the version of their package, by which numbers are computed.

        Of a file that was changed after it was loaded nobody knows what runs: such a key is never found again.
        """
        for name in modules:
            module = sys.modules.get(name)
            self.add(name, getattr(sys.modules.get(name.partition(".")[0]), "__version__", ""))
            try:
                changed = Path(inspect.getfile(module)).stat().st_mtime > _LOADED if module else False
                self.add(secrets.token_hex() if changed else inspect.getsource(module) if module else "")
            except (OSError, TypeError):  # built in, typed in, or installed without its sources
                self.add("")

    @property
    def sha256(self) -> str:
        """Of what was added so far, hexadecimal."""
        return self._digest.hexdigest()


@dataclass(frozen=True)
class Entry:
    """The file of one key.

    Attributes:
        path: of the file, `<sha256 of the key>.safetensors`.
        kind: what the arrays are; it stands in the file with the key.
        cache: the package's cache folder, whose limit holds; None in a folder that a user has named, where nothing is
            ever removed.
    """

    path: Path
    kind: str
    cache: Path | None = None

    @classmethod
    def within(cls, cache: Path, key: Key) -> "Entry":
        """In the package's cache folder, below the name of its kind."""
        return cls(cache / key.kind / f"{key.sha256}{SUFFIX}", key.kind, cache)

    @classmethod
    def beside(cls, folder: Path, key: Key) -> "Entry":
        """In a folder that a user has named."""
        return cls(folder / f"{key.sha256}{SUFFIX}", key.kind)

    def read(self, layout: Layout) -> dict[str, NDArray[Any]] | None:
        """The arrays, bit for bit as they were given, if the file is whole and has these names, shapes and types."""
        arrays = read_arrays(self.path, self._label, layout)
        if arrays is not None and self.cache is not None:
            with suppress(OSError):  # it was used last just now
                os.utime(self.path)
        return arrays

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep the arrays, in the order of a later `read`; where nothing can be written, do without."""
        most = None if self.cache is None else limit()
        if most is not None and sum(array.nbytes for array in arrays.values()) > most:
            return
        with suppress(OSError, OutputError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as unfinished:
                write_arrays(unfinished, self._label, arrays)
        if self.cache is not None and most is not None:
            trim(self.cache, most)

    @property
    def _label(self) -> dict[str, str]:
        return {"kind": self.kind, "key": self.path.name.removesuffix(SUFFIX)}
