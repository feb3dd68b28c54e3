"""One look for all figures: colour-blind-safe colours, nulls in grey, untrusted text kept literal."""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path
from matplotlib.transforms import offset_copy
from scipy.optimize import isotonic_regression

Colours = Sequence[str] | Mapping[str, str] | None
Looks = dict[str, dict[str, Any]]

# Okabe & Ito, in an order that keeps neighbours apart in greyscale too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#F0E442")
MARKERS = ("o", "D", "^", "s", "v", "P", "X", "*")
NULL_GREYS = ("#6b6b6b", "#9a9a9a", "#c4c4c4")
INK = "#222222"
HALO = [withStroke(linewidth=1.6, foreground="white")]
_MARGIN = 0.09  # inches around a headline
_SETTINGS: Any = mpl.rc_params_from_file(Path(__file__).with_name("house.mplstyle"), use_default_template=False)


@contextmanager
def style() -> Iterator[None]:
    """Figures made inside share the package's look."""
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # Vocabularies hold every script; characters that no font has are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def palette(names: Sequence[str], colours: Colours = None) -> dict[str, str]:
    """The colour of each name: the mapping's, or else the sequence's (the house's, if None) in order."""
    named, order = (colours, COLOURS) if isinstance(colours, Mapping) else ({}, colours or COLOURS)
    return {name: named.get(name, order[n % len(order)]) for n, name in enumerate(dict.fromkeys(names))}


def looks(names: Sequence[str], nulls: Iterable[str] = (), colours: Colours = None) -> Looks:
    """Colour and marker of each name; nulls come after the others, and are grey."""
    hues = palette(names, colours) | {name: NULL_GREYS[n % 2] for n, name in enumerate(dict.fromkeys(nulls))}
    return {name: {"color": hue, "marker": MARKERS[n % len(MARKERS)]} for n, (name, hue) in enumerate(hues.items())}


def readable(colour: str) -> tuple[float, ...]:
    """The colour, dark enough for small text on white."""
    bright = float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))
    return tuple(min(1.0, 0.45 / max(bright, 0.1)) * part for part in to_rgb(colour))


def literal(text: str) -> str:
    """Token text fit for a label: trimmed, with control and unprintable characters shown as "·"."""
    return "".join(character if character.isprintable() else "·" for character in text.strip())


def signed(text: str) -> str:
    """A true minus sign before negative numbers, and none before a rounded zero."""
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", re.sub(r"(?<!\w)-(0\.0+)(?!\d)", r"\1", text))


def short(value: float, digits: int = 3) -> str:
    """A number in so many digits without letters; "–" if it is not finite.

    >>> [short(value) for value in (0.25, -3.0, 1234.5, 1.14e7, 1e26, float("nan"))]
    ['0.25', '−3', '1,234', '1.1×10⁷', '10²⁶', '–']
    """
    if not np.isfinite(value):
        return "–"
    if abs(value) < 1000:
        value = float(f"{value:.{digits}g}")
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        return signed(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}")
    factor, power = f"{value:.1e}".replace(".0e", "e").split("e")
    ten = "10" + str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return ten if factor == "1" else signed(f"{factor}×{ten}")


def numbers(values: Any, digits: int = 2) -> list[list[str]]:
    """The texts of a matrix's cells: so many decimals, powers of ten where these would be long, "–" for nan."""
    rows = np.asarray(values, dtype=np.float64).tolist()
    return [[signed(f"{x:.{digits}f}") if abs(x) < 1e4 else short(x) for x in row] for row in rows]


@lru_cache(maxsize=4096)
def extent(text: str, size: float, weight: str = "normal") -> float:
    """How many inches wide the text is, its longest line, if it is of that size."""
    font = FontProperties(size=size, weight=weight)
    sizes = [text_to_path.get_text_width_height_descent(line, font, ismath=False) for line in text.split("\n")]
    return max(sizes)[0] / 72


def wrapped(text: str, inches: float, size: float, weight: str = "normal") -> list[str]:
    """Lines no wider than so many inches; a line break in the text stays one, words longer than that are cut."""
    lines: list[str] = []
    for part in text.split("\n"):
        lines.append("")
        for word in literal(part).split():
            if lines[-1] and extent(f"{lines[-1]} {word}", size, weight) > inches:
                lines.append("")
            rest = f"{lines[-1]} {word}".strip()
            while len(rest) > 1 and extent(rest, size, weight) > inches:
                fits = next((n for n in range(len(rest) - 1, 1, -1) if extent(rest[:n], size, weight) <= inches), 1)
                fits = max(rest.rfind(mark, 0, fits) + 1 for mark in "-_/") or fits
                lines[-1:], rest = [rest[:fits], ""], rest[fits:]
            lines[-1] = rest
    return lines


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved as little as needed, in squares, to keep `gap` between them."""
    steps = gap * np.arange(len(places))
    return (isotonic_regression(np.asarray(places) - steps).x + steps).tolist()


def headline(figure: Figure, title: str, caption: str = "", *, grow: bool = False) -> None:
    """Write the title in bold and the caption below it, wrapped, and make room for both: from the panels, or `grow`."""
    if not (title or caption):
        return
    (width, height), used, said = figure.get_size_inches(), _MARGIN, []
    for text, size, weight, colour in ((title, 9.5, "bold", INK), (caption, 7.5, "normal", "#555555")):
        lines = wrapped(" ".join(signed(text).split()), width - 2 * _MARGIN, size, weight)
        how: dict[str, Any] = {"fontsize": size, "fontweight": weight, "color": colour, "linespacing": 1.25}
        how["transform"] = offset_copy(figure.transFigure, figure, x=_MARGIN, y=-used)
        figure.text(0, 1, "\n".join(lines), va="top", **how)
        used += (len(lines) * size / 72 * 1.3 + 0.05) * any(lines)
        said.append(" ".join(lines))
    figure.set_label("\n".join(said))  # a name that nothing draws; `save` writes it into the files
    figure.set_figheight(height := height + grow * used)
    rect = (0.5 * _MARGIN / width, 0, 1 - _MARGIN / width, 1 - used / height)
    if figure.axes:
        figure.set_layout_engine("constrained", rect=rect)


def tag_panel(axes: Axes, letter: str) -> None:
    """A bold panel letter outside the top left corner."""
    axes.text(-0.02, 1.02, letter, transform=axes.transAxes, fontsize=9, fontweight="bold", ha="right", va="bottom")


def save(figure: Figure, stem: str | Path) -> list[Path]:
    """Write `stem`.png and `stem`.svg, always the same bytes, with the headline's texts as Title and Description.

    ValueError: the folder does not exist.
    """
    stem = Path(stem)
    stem = stem.with_suffix("") if stem.suffix.lower() in (".png", ".svg") else stem
    if not stem.parent.is_dir():
        raise ValueError(f"{stem.parent}: no such folder; make it first")
    title, _, caption = str(figure.get_label()).partition("\n")
    said: dict[str, Any] = {key: text for key, text in (("Title", title), ("Description", caption)) if text}
    with style():
        if engine := figure.get_layout_engine():  # places that were found once stay, whatever is written how often
            engine.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(png := stem.with_name(f"{stem.name}.png"), metadata=said)
        figure.savefig(svg := stem.with_name(f"{stem.name}.svg"), metadata=said | {"Date": None})
    return [png, svg]
