"""What of the package's cache folder can be computed again: how much there may be of it, what there is, clearing it."""

import math
import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from geometry.errors import OutputError, shown
from geometry.output import Busy, locked, sweep

KINDS = {
    "spectra": "mean and eigensystem of Σ of large unembeddings",
    "activations": "the residual stream on prompts",
    "claims": "claims of single checkpoints, of the study of training",
    "forecasts": "fitted forecasts of what steering brings",
    "dictionaries": "sparse autoencoders that were trained here, and trainings that were interrupted",
}
LIMIT = "CONCEPT_GEOMETRY_CACHE_LIMIT"
SUFFIX = ".safetensors"
GIGABYTE = 10**9
_DEFAULT = 4.0  # gigabytes
_OURS = re.compile(rf"[0-9a-f]{{64}}{re.escape(SUFFIX)}")


class Held(NamedTuple):
    """How many files, and of how many bytes."""

    files: int
    bytes: int


def limit() -> int:
    """The most bytes of all kinds together: $CONCEPT_GEOMETRY_CACHE_LIMIT in gigabytes, 4 if unset; 0 keeps nothing.

    OutputError: the variable holds something else.
    """
    text = os.environ.get(LIMIT, "").strip()
    try:
        gigabytes = float(text) if text else _DEFAULT
    except ValueError:
        gigabytes = math.nan
    if not 0 <= gigabytes < math.inf:
        raise OutputError(f"{LIMIT} is {shown(text)}; set it to a number of gigabytes, such as 4, or to 0 to keep none")
    return int(gigabytes * GIGABYTE)


def holdings(cache: Path) -> dict[str, Held]:
    """What is kept of each kind."""
    sizes = {kind: [size for _, size, _ in _files(cache / kind)] for kind in KINDS}
    return {kind: Held(len(each), sum(each)) for kind, each in sizes.items()}


def trim(cache: Path, most: int) -> Held:
    """Remove what was used longest ago until no more than `most` bytes are kept, and what killed runs left unfinished.

    Returns what was removed.
    """
    found = sorted((file for kind in KINDS for file in _files(cache / kind)), reverse=True)
    total, removed = 0, []
    for _, size, path in found:
        total += size
        if total > most:
            removed += _remove(path, size)
    for kind in KINDS:
        _sweep_unfinished(cache / kind)
    return Held(len(removed), sum(removed))


def clear(cache: Path, kinds: Collection[str] = tuple(KINDS)) -> Held:
    """Remove all that is kept of the kinds; files of others in their folders stay. Returns what was removed."""
    removed = []
    for kind in kinds:
        for _, size, path in _files(cache / kind):
            removed += _remove(path, size)
        _sweep_unfinished(cache / kind)
        with suppress(OSError):  # others' files
            (cache / kind).rmdir()
    return Held(len(removed), sum(removed))


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of last use, bytes and path of each file of ours. Others may remove any of them meanwhile."""
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            with suppress(OSError):
                if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    yield status.st_mtime, status.st_size, Path(entry.path)


def _remove(path: Path, size: int) -> list[int]:
    """The size if it was this run that removed the file."""
    with suppress(OSError):
        path.unlink()
        return [size]
    return []


def _sweep_unfinished(folder: Path) -> None:
    """What `replacing` has made and nobody holds any more: the system ends the lock of a killed run."""
    lefts: list[Path] = []
    with suppress(OSError):
        lefts = sorted(folder.glob(".unfinished-*"))
    for left in lefts:
        with suppress(OSError, Busy):
            with locked(left, 0):
                sweep(left)
            left.rmdir()
