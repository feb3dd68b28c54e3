"""A page like a short paper from blocks: text, tables, pictures, links. No script; every text is escaped."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from PIL import Image, UnidentifiedImageError

from geometry.plots.pages.web import plain, static_page
from geometry.plots.style import signed

__all__ = ["Block", "Commands", "Links", "Paragraph", "Picture", "Table", "document_page", "downsampled"]

# Relative and percent-encoded: no scheme, no host, no absolute path, nothing that ends an attribute.
_RELATIVE = re.compile(r"(?!/)[\w.~%/#!$&'()*+,;=@-]+", re.ASCII)
_NUMBER = re.compile(r"[+\N{MINUS SIGN}]?[\d.,]+(e[+\N{MINUS SIGN}-]?\d+)?%?|[–—]?")
_COLOURS = 256
_ALIKE = (1.0, 0.002)


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
    """A figure embedded in the page.

    Attributes
    ----------
    png : shown at the size that its dpi say, and no wider than the page.
    links : (label, relative address) of larger versions; the first also wraps the picture.
    text : what it shows, for who cannot see it; the caption if empty.
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


Block = Paragraph | Table | Picture | Links | Commands


def document_page(title: str, detail: str, sections: Sequence[tuple[str, Sequence[Block]]]) -> str:
    """The page as one string of HTML that works from a file, without script and without a network, and prints.

    Parameters
    ----------
    title, detail : the heading, and a sentence or two below it.
    sections : (heading, its blocks); several get a table of contents.

    Raises
    ------
    ValueError : a row of a table is not as long as its head, an address is not relative, or a picture is no PNG.
    """
    headings = [plain(heading) for heading, _ in sections]
    contents = "".join(f'<li><a href="#section-{number}">{name}</a></li>' for number, name in enumerate(headings, 1))
    body = f'<header><h1>{plain(title)}</h1><p class="detail">{plain(detail)}</p></header>\n'
    if len(sections) > 1:
        body += f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n'
    for number, (name, (_, blocks)) in enumerate(zip(headings, sections, strict=True), 1):
        body += f'<section id="section-{number}">\n<h2>{name}</h2>\n' + "".join(map(_block, blocks)) + "</section>\n"
    style = (files("geometry.plots.pages") / "document.css").read_text(encoding="utf-8")
    return static_page(title, style, f"<main>\n{body}</main>")


def downsampled(png: bytes, dpi: int = 150) -> bytes:
    """The same picture as a smaller PNG: at most `dpi`, on white, with 256 colours where that looks the same.

    A picture that does not say its own resolution keeps its pixels.

    Raises
    ------
    ValueError : these bytes are no PNG, or a damaged one.
    """
    image = _opened(png)
    own = _dpi(image)
    solid = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    if own > dpi:
        size = (max(1, round(solid.width * dpi / own)), max(1, round(solid.height * dpi / own)))
        solid = solid.resize(size, Image.Resampling.LANCZOS)
    few = solid.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    difference = np.abs(np.asarray(few.convert("RGB"), dtype=np.int16) - np.asarray(solid, dtype=np.int16)).max(axis=2)
    alike = difference.mean() <= _ALIKE[0] and (difference > 24).mean() <= _ALIKE[1]
    held = io.BytesIO()
    (few if alike else solid).save(held, "PNG", optimize=True, dpi=(min(own, dpi),) * 2)
    return held.getvalue()


def _block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{plain(text)}</p>\n"
        case Commands(text):
            return "<pre><code>" + "\n".join(map(plain, text.split("\n"))) + "</code></pre>\n"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block)
        case Links(items):
            entries = "".join(
                f'<li><a href="{_address(href)}">{plain(label)}</a> <span>{plain(what)}</span></li>\n'
                for label, href, what in items
            )
            return f'<ul class="links">{entries}</ul>\n'


def _table(table: Table) -> str:
    width = len(table.head)
    if wrong := [row for row in table.rows if len(row) != width]:
        raise ValueError(f"table {table.caption!r}: a row has {len(wrong[0])} cells, its head {width}")
    shown = [[signed(cell) for cell in row] for row in table.rows]
    numeric = [bool(shown) and all(_NUMBER.fullmatch(cell) for cell in column) for column in zip(*shown, strict=True)]
    numeric = numeric or [False] * width
    kind = [' class="number"' if right else "" for right in numeric]
    head = "".join(f'<th scope="col"{k}>{plain(cell)}</th>' for cell, k in zip(table.head, kind, strict=True))
    rows = "".join(
        "<tr>"
        + f'<th scope="row"{kind[0]}>{plain(row[0])}</th>'
        + "".join(f"<td{k}>{_breakable(cell)}</td>" for cell, k in zip(row[1:], kind[1:], strict=True))
        + "</tr>\n"
        for row in shown
    )
    caption = f"<figcaption>{plain(table.caption)}</figcaption>\n" if table.caption else ""
    return (
        f'<figure class="table">{caption}<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table></div></figure>\n"
    )


def _breakable(cell: str) -> str:
    # A checksum has no place to break at, and a phone no room for it.
    pieces = re.split(r"(\S{16})(?=\S{8})", cell)
    return "<wbr>".join(plain(piece) for piece in pieces if piece)


def _picture(picture: Picture) -> str:
    image = _opened(picture.png)
    width, height = (round(pixels * 96 / _dpi(image)) for pixels in image.size)
    source = base64.b64encode(picture.png).decode("ascii")
    shown = (
        f'<img alt="{plain(" ".join((picture.text or picture.caption).split()))}" width="{width}" height="{height}"'
        f' src="data:image/png;base64,{source}">'
    )
    links = [f'<a href="{_address(href)}">{plain(label)}</a>' for label, href in picture.links]
    if links:
        shown = f'<a href="{_address(picture.links[0][1])}">{shown}</a>'
    larger = f'<span class="larger">{" · ".join(links)}</span>' if links else ""
    return f'<figure class="picture">{shown}\n<figcaption>{plain(picture.caption)} {larger}</figcaption></figure>\n'


def _opened(png: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(png), formats=("PNG",))
        image.load()
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"a picture is no PNG or a damaged one: {error}") from error
    return image


def _dpi(image: Image.Image) -> float:
    own = image.info.get("dpi", (96, 96))[0]
    return float(own) if own >= 1 else 96.0


def _address(href: str) -> str:
    if not _RELATIVE.fullmatch(href):
        raise ValueError(f"{href!r} is not a relative, percent-encoded address")
    return plain(href)
