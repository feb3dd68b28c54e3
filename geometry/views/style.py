"""One look for all figures: colour-blind-safe colours, nulls in grey, untrusted text kept literal."""

import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

__all__ = [
    "COLOURS",
    "HALO",
    "INK",
    "NULL_GREYS",
    "headline",
    "headline_height",
    "literal",
    "save",
    "signed",
    "spread",
    "style",
    "tag_panel",
]

HALO = [withStroke(linewidth=1.6, foreground="white")]
# Okabe & Ito, in an order that keeps neighbours apart in greyscale too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#F0E442")
NULL_GREYS = ("#6b6b6b", "#9a9a9a", "#c4c4c4")
INK = "#222222"
# Size, weight and colour of a finding and of the detail below it, and inches around them.
_HEADS = ((9.5, "bold", INK), (7.5, "normal", "#555555"))
_MARGIN = 0.09

_SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,  # a token may hold "$"
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "svg.hashsalt": "concept-geometry",
    "svg.fonttype": "none",
}


@contextmanager
def style() -> Iterator[None]:
    """Figures made inside share the package's look."""
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # Vocabularies hold every script; characters that no font has are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def literal(text: str) -> str:
    """Token text fit for a label: trimmed, with control and unprintable characters shown as "·"."""
    return "".join(character if character.isprintable() else "·" for character in text.strip())


def headline(figure: Figure, finding: str, detail: str = "", *, room: float = 0.0) -> None:
    """Write the finding in bold and how it was measured below it, wrapped, and make room for both.

    Parameters
    ----------
    room : inches to leave between the text and the panels, for panel titles.
    """
    finding, detail = (literal(" ".join(signed(text).split())) for text in (finding, detail))
    # The label is a name that nothing draws; `save` writes it into the files.
    figure.set_label(f"{finding}\n{detail}")
    width, height = figure.get_size_inches()
    used = _MARGIN
    for text, (size, weight, colour) in zip((finding, detail), _HEADS, strict=True):
        lines = _lines(text, size, weight, width)
        figure.text(
            _MARGIN / width,
            1 - used / height,
            "\n".join(lines),
            fontsize=size,
            fontweight=weight,
            color=colour,
            va="top",
            linespacing=1.25,
        )
        used += _inches(lines, size)
    figure.subplots_adjust(top=1 - (used + room) / height)


def headline_height(finding: str, detail: str = "", *, width: float = 7.2) -> float:
    """Inches that `headline` takes of a figure so wide, for figures that are to be as high as their rows need."""
    texts = (" ".join(signed(text).split()) for text in (finding, detail))
    heads = zip(texts, _HEADS, strict=True)
    return _MARGIN + sum(_inches(_lines(text, size, weight, width), size) for text, (size, weight, _) in heads)


def _lines(text: str, size: float, weight: str, width: float) -> list[str]:
    # An average character of the font is 0.56 em wide, 0.6 in bold.
    return textwrap.wrap(text, int((width - 2 * _MARGIN - 0.02) / (size / 72 * (0.6 if weight == "bold" else 0.545))))


def _inches(lines: Sequence[str], size: float) -> float:
    return len(lines) * size / 72 * 1.3 + 0.05


def signed(text: str) -> str:
    """A true minus sign before negative numbers, and none before a rounded zero."""
    unsigned_zero = re.sub(r"(?<!\w)-(0\.0+)(?!\d)", r"\1", text)
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", unsigned_zero)


def tag_panel(axes: Axes, letter: str) -> None:
    """A bold panel letter outside the top left corner."""
    axes.text(-0.02, 1.02, letter, transform=axes.transAxes, fontsize=9, fontweight="bold", ha="right", va="bottom")


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved as little as a forward and a backward pass need to keep `gap` between them."""
    moved = list(places)
    for index in range(1, len(moved)):
        overlap = moved[index - 1] + gap - moved[index]
        if overlap > 0:
            moved[index] += overlap / 2
            moved[index - 1] -= overlap / 2
    for index in range(len(moved) - 1, 0, -1):
        moved[index - 1] = min(moved[index - 1], moved[index] - gap)
    return moved


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png (300 dpi) and `stem`.svg, the same bytes for the same figure.

    Both carry the text of `headline`: the finding as their Title, how it was measured as their Description.
    """
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "svg")]
    finding, _, detail = str(figure.get_label()).partition("\n")
    said = {key: text for key, text in (("Title", finding), ("Description", detail)) if text}
    undated: list[dict[str, Any]] = [{}, {"Date": None}]
    with style():
        for path, metadata in zip(paths, undated, strict=True):
            figure.savefig(path, dpi=300, facecolor="white", metadata=said | metadata)
    return paths
