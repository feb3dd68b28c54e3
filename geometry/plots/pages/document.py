"""A page like a short paper from blocks: text, tables, pictures, links. No script; every text is escaped."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from geometry.plots.pages.web import page
from geometry.plots.style import signed

# Relative and percent-encoded: no scheme, no host, no absolute path, nothing that ends an attribute.
_RELATIVE = re.compile(r"(?!/)[\w.~%/#!$&'()*+,;=@-]+", re.ASCII)
_NUMBER = re.compile(r"[+\N{MINUS SIGN}]?[\d.,]+(e[+\N{MINUS SIGN}-]?\d+)?%?|[–—]?")
# A checksum has no place to break at, and a phone no room for it.
_LONG = re.compile(r"(\S{16})(?=\S{8})")
_STEPS = 5  # of a token's ground, either way


@dataclass(frozen=True)
class Paragraph:
    """Text; line ends are kept."""

    text: str


@dataclass(frozen=True)
class Table:
    """Cells of text, the first of each row its name; columns of numbers are set right-aligned."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure as large as its dpi say, at most as wide as the page, with a text for who cannot see it.

    Links are (label, relative address) of larger versions; the first also wraps the picture.
    """

    png: bytes
    caption: str
    links: Sequence[tuple[str, str]] = ()
    text: str = ""


@dataclass(frozen=True)
class Links:
    """A list of (label, relative address, what it is)."""

    items: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Commands:
    """Lines for a terminal."""

    text: str


@dataclass(frozen=True)
class ScoredText:
    """A text whose tokens have a number each, nan for none; `largest` has the darkest ground, blue below 0, red above.

    The number of a token is shown where the pointer rests on it, with its `unit`.
    """

    tokens: Sequence[str]
    values: Sequence[float]
    largest: float
    unit: str = ""
    caption: str = ""


Block = Paragraph | Table | Picture | Links | Commands | ScoredText


def document_page(title: str, detail: str, sections: Sequence[tuple[str, Sequence[Block]]]) -> str:
    """The page as one string of HTML that works from a file, without script and without a network, and prints.

    Below the title and a sentence or two stand the sections, (heading, its blocks); several get a table of contents.
    ValueError: a row of a table is not as long as its head, an address is not relative, a picture is no PNG, or a
    scored text has another number of tokens than of values.
    """
    parts = {"address": _address, "columns": _columns, "opened": _opened, "pieces": _LONG.split, "shades": _shades}
    return page("document", title=title, detail=detail, sections=sections, **parts)


def downsampled(png: bytes, dpi: int = 150) -> bytes:
    """The same picture as a smaller PNG: at most `dpi`, on white, with 256 colours where that looks the same.

    A picture that does not say its own resolution keeps its pixels. ValueError: no PNG, or a damaged one.
    """
    image, own = _opened(png)
    solid = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    if own > dpi:
        width, height = (max(1, round(side * dpi / own)) for side in solid.size)
        solid = solid.resize((width, height), Image.Resampling.LANCZOS)
    few = solid.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    change = np.abs(np.asarray(few.convert("RGB"), dtype=np.int16) - np.asarray(solid)).max(axis=2)
    alike = change.mean() <= 1 and (change > 24).mean() <= 0.002
    held = io.BytesIO()
    (few if alike else solid).save(held, "PNG", optimize=True, dpi=(min(own, dpi),) * 2)
    return held.getvalue()


def _shades(text: ScoredText) -> list[tuple[str, str, str]]:
    """Every token with the class of its ground (styles cannot be written at a token) and its number."""
    if len(text.tokens) != len(text.values) or not text.largest > 0:
        raise ValueError(
            f"{text.caption!r}: {len(text.values)} values up to {text.largest} for {len(text.tokens)} tokens"
        )
    shades = []
    for token, value in zip(text.tokens, text.values, strict=True):
        step = round(_STEPS * min(abs(value) / text.largest, 1.0)) if np.isfinite(value) else 0
        shade = "none" if not np.isfinite(value) else f"{'up' if value > 0 else 'down'}{step}" if step else "level"
        said = signed(f"{value:+.3f} {text.unit}".strip()) if np.isfinite(value) else "not measured"
        shades.append((token, shade, said))
    return shades


def _columns(table: Table) -> tuple[list[list[str]], list[bool]]:
    """The cells with true minus signs, and which columns are numbers."""
    width = len(table.head)
    if wrong := [row for row in table.rows if len(row) != width]:
        raise ValueError(f"table {table.caption!r}: a row has {len(wrong[0])} cells, its head {width}")
    rows = [[signed(cell) for cell in row] for row in table.rows]
    return rows, [bool(rows) and all(_NUMBER.fullmatch(row[column]) for row in rows) for column in range(width)]


def _opened(png: bytes) -> tuple[Image.Image, float]:
    """A picture and its dots per inch."""
    try:
        image = Image.open(io.BytesIO(png), formats=("PNG",))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"a picture is no PNG or a damaged one: {error}") from error
    own = float(image.info.get("dpi", (96, 96))[0])
    return image, own if own >= 1 else 96.0


def _address(href: str) -> str:
    if not _RELATIVE.fullmatch(href):
        raise ValueError(f"{href!r} is not a relative, percent-encoded address")
    return href
