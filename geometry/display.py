"""How objects show themselves: a line for the console, a small table for a notebook. Imports nothing of ours."""

from collections.abc import Iterable, Sequence, Sized
from dataclasses import fields
from html import escape
from itertools import islice
from typing import Any

_LONGEST = 190  # characters of a line
_LONGEST_FIELD = 40
_MOST_ROWS = 20


def in_short(text: str, longest: int = _LONGEST) -> str:
    """A text of at most so many characters on one line; its end is kept, where a line says what became of it.

    >>> in_short("a" * 20 + " = b", 12)
    'aaaaaaa… = b'
    """
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def fitted(head: str, pieces: Sequence[str], tail: str, separator: str = ", ", longest: int = _LONGEST) -> str:
    """A line of as many of the pieces as fit between its beginning and its end.

    >>> fitted("x: 3", ["a 1", "b 2", "c 3"], "; p = 1", longest=21)
    'x: 3; a 1, …; p = 1'
    """
    for kept in range(len(pieces), -1, -1):
        middle = separator.join([*pieces[:kept], *["…"] * (kept < len(pieces))])
        line = f"{head}; {middle}{tail}" if middle else f"{head}{tail}"
        if len(line) <= longest:
            break
    return in_short(line, longest)


def listed(names: Sequence[str], most: int = 4) -> str:
    """The names where they are few, else the first and the last of them, and how many there are.

    >>> listed("abc"), listed("abcdefg")
    ('a, b, c', 'a, b, c, … g (7)')
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])}, … {names[-1]} ({len(names)})"


def short_repr(self: Any) -> str:
    """The class and its fields, arrays by their shapes: for `__repr__ = short_repr` of dataclasses and named tuples."""
    names = getattr(self, "_fields", None) or [field.name for field in fields(self) if field.repr]
    shown = ", ".join(f"{name}={_brief(getattr(self, name))}" for name in names)
    return f"{in_short(f'{type(self).__name__}({shown}', _LONGEST - 1)})"


def _brief(value: object) -> str:
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return in_short(repr(value[: 2 * _LONGEST]), _LONGEST_FIELD)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{'×'.join(map(str, value.shape)) or 'scalar'} {str(value.dtype).removeprefix('torch.')}"
    name = getattr(value, "name", None) or getattr(value, "__name__", None)
    if isinstance(name, str):
        return in_short(name, _LONGEST_FIELD)
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, Sized) else type(value).__name__


def html_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    caption: str,
    most: int = _MOST_ROWS,
    longest: int = 2 * _LONGEST_FIELD,
) -> str:
    """A table as a notebook shows it: everything escaped, numbers to three digits, no more than `most` rows.

    Texts of more than `longest` characters are shortened.

    >>> html_table(["word"], [["<b>"]], "words").count("&lt;b&gt;")
    1
    """
    waiting = iter(rows)
    kept = list(islice(waiting, most))
    more = sum(1 for _ in waiting)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_cell(cell, longest))}</td>' for cell in row)}</tr>" for row in kept)
    if more:
        body += f'<tr><td colspan="{len(heads)}">… and {more:,} more</td></tr>'
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return (
        f"<table><caption>{escape(in_short(caption))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell(value: object, longest: int) -> str:
    if value is None or value != value:  # nan
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if 1e-3 <= abs(value) < 1e6 or not value else f"{value:.3g}"
    return in_short(str(value), longest)
