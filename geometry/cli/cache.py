"""`concept-geometry cache`: what is kept on this machine, and removing what can be computed again."""

import argparse
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from geometry.cache import KINDS, LIMIT, Held, clear, holdings, limit
from geometry.errors import visible

_HUB = "hub"
_MEGABYTE = 10**6
_GIGABYTE = 10**9


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    says = f"remove what can be computed again: {', '.join(KINDS)}, or all of it; fetched files stay"
    parser.add_argument("--clear", nargs="*", choices=tuple(KINDS), metavar="KIND", help=says)


def run_cache(options: argparse.Namespace) -> None:
    """List what is kept, a line a kind; with --clear remove it first. OutputError: the limit is no number."""
    from geometry.models import cache_folder

    folder, most = cache_folder(), limit()
    if options.clear is not None:
        print(f"removed {_told(clear(folder, options.clear or tuple(KINDS)))}")
    says = f"at most {most / _GIGABYTE:g} GB ({LIMIT})" if most else "nothing is kept"
    print(visible(f"{folder}: {says} of what can be computed again{'' if most else f' ({LIMIT} is 0)'}"))
    for kind, held in holdings(folder).items():
        _line(kind, held, KINDS[kind])
    fetched = _size(path for path in _entries(folder) if path.name not in (*KINDS, _HUB))
    _line("fetched", fetched, "packaged models and what is made of their files; never removed here")
    if (folder / _HUB).exists():
        _line(_HUB, _size([folder / _HUB]), "tensors of the hub's models; never removed here")


def _line(kind: str, held: Held, says: str) -> None:
    print(f"{kind:<12} {_told(held):<22} {says}")


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # nothing was ever kept
        return []


def _size(paths: Iterable[Path]) -> Held:
    """Files and bytes below the paths; links are not followed."""
    sizes = []
    for path in paths:
        for file in path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]:
            with suppress(OSError):  # gone meanwhile
                status = file.lstat()
                sizes += [status.st_size] if stat.S_ISREG(status.st_mode) else []
    return Held(len(sizes), sum(sizes))


def _told(held: Held) -> str:
    return f"{held.files:,} {'file' if held.files == 1 else 'files'}, {held.bytes / _MEGABYTE:,.1f} MB"
