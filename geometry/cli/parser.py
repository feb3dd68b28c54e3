"""Arguments of commands and errors of work, refused in one line; results on terminals that cannot show every letter."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from geometry.errors import GeometryError, shown

_BELOW = 2**31  # as of the studies: seeds are added to, and 32 bits wide elsewhere


class OneLineParser(argparse.ArgumentParser):
    """Refuses bad arguments in one line, as all other bad input is refused."""

    # The base class overloads it by the kind of namespace, which none of ours gives.
    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """The arguments; those that no file name and no text can be are refused before anything else."""
        _open_closed()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # notebooks have streams of their own
                stream.reconfigure(errors="backslashreplace")
        for word in sys.argv[1:] if args is None else args:
            if "\0" in word or not _is_text(word):
                self.error(f"{shown(word)} is no text: it holds a null character or bytes that are not UTF-8")
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line on standard error."""
        self.exit(2, f"error: {GeometryError(message)}; see {self.prog} --help\n")


def whole_number(least: int | None) -> Callable[[str], int]:
    """A type of argument: a whole number of at least so many, of at most 31 bits."""

    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        known = digits.isascii() and digits.isdecimal()
        number = (_bounded(digits) if digits == text else -_bounded(digits)) if known else 0
        if not known or number < (least or 0):
            raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number of at least {least or 0}")
        if number >= _BELOW:
            raise argparse.ArgumentTypeError(f"{shown(text)} is too large: it must be below 2^31")
        return number

    return parse


def finite_number(text: str) -> float:
    """A type of argument: a number, neither infinite nor nan."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a finite number")
    return number


def folder(text: str) -> Path:
    """A type of argument: a folder that is named."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name is no folder; for the one you are in, give .")
    return Path(text)


def one_line(work: Callable[[], object]) -> int:
    """Do the work; 0, or 2 with one line on standard error for bad input, 130 when interrupted."""
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (GeometryError, OSError) as error:
        print(f"error: {GeometryError(str(error))}", file=sys.stderr)
        return 2
    except MemoryError:
        print("error: out of memory; a smaller model or fewer permutations need less", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written, run the same command again", file=sys.stderr)
        return 130
    return 0


def _open_closed() -> None:
    """Streams that were closed go nowhere: else the next file that is opened takes the place of one."""
    try:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    except OSError:  # no such device here
        return
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (as long as we run)


def _is_text(word: str) -> bool:
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _bounded(digits: str) -> int:
    """The number, or one that is too large: Python refuses to read thousands of digits."""
    return int(digits) if len(digits) < 20 else _BELOW
