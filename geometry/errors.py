"""The one family of exceptions: every refusal names the input, what is wrong, and what to do."""

import reprlib
from numbers import Number
from pathlib import Path

_LONGEST = 2000  # characters of a message; it may list the names of a user's own file
_KEPT_OF_END = 600
_LONGEST_SHOWN = 200
_LONGEST_INTEGER = 256  # bits


class GeometryError(Exception):
    """Base of every error this package raises on bad input. Its message is one plain line."""

    def __init__(self, message: str) -> None:
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - _KEPT_OF_END]} … {message[-_KEPT_OF_END:]}"
        # Messages quote other libraries, whose own may run over several lines, and files, which may hold anything.
        super().__init__(visible(" ".join(message.split())))


class ModelError(GeometryError):
    """A model, a weight file or a vocabulary cannot be found, read or trusted."""


class HierarchyError(GeometryError):
    """A concept hierarchy is malformed: a cycle, an empty or a duplicate concept, an unknown name."""


class EstimationError(GeometryError):
    """An estimator or a test was given too little, non-finite or mismatched data."""


class OutputError(GeometryError):
    """Results cannot be written where they were asked for."""


class SteeringError(GeometryError):
    """A steering vector, its model, its position or its prompt does not fit, or a vector file is unreadable."""


class ArgumentError(GeometryError, TypeError):
    """A function was given something of another type than it takes; the message names the argument."""


def visible(text: str) -> str:
    r"""The text with everything escaped that a terminal would obey or could not write, but for line ends and tabs.

    >>> print(visible("red: \x1b[31m"))
    red: \x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in text)


class _Bounded(reprlib.Repr):
    """A few items, of which a few are shown in turn, whatever the depth and the size."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = 4
        self.maxstring = self.maxother = 120

    def repr_int(self, x: int, level: int) -> str:
        """Python itself refuses to write integers of thousands of digits."""
        return super().repr_int(x, level) if x.bit_length() < _LONGEST_INTEGER else f"{x.bit_length()}-bit integer"

    def repr_instance(self, x: object, level: int) -> str:
        """Of what may be of any size the type alone."""
        if isinstance(x, Path):
            return self.repr1(str(x), level)
        plain = isinstance(x, str | bytes | Number | bool) or x is None
        return super().repr_instance(x, level) if plain else f"{type(x).__name__} object"


_BOUNDED = _Bounded()


def shown(value: object) -> str:
    """What was refused, for a message: its repr, shortened before it is made, so that no input makes it large.

    >>> shown("no"), shown([0] * 10**6)
    ("'no'", '[0, 0, 0, 0, ...]')
    """
    text = _BOUNDED.repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
