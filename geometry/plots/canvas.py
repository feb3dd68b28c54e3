"""What all kinds share: axes, new or given, with titles, references and texts around them, and one legend below."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure as Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import offset_copy
from numpy.typing import ArrayLike

from geometry.plots.style import INK, extent, headline, headline_height, literal, short, signed, spread, style, wrapped

Given = Axes | Sequence[Axes] | None

_WIDTH = 7.2
_GREY = "#555555"
_SMALL = 5.8


def grid(
    rows: int,
    columns: int,
    *,
    figsize: tuple[float, float] | None = None,
    title: str = "",
    caption: str = "",
    width_ratios: Sequence[float] | None = None,
    height_ratios: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Axes row by row under one title, to compose kinds of pictures through their `ax`.

    >>> figure, (left, right) = grid(1, 2, title="Two kinds in one figure")
    """
    with style():
        figure = Figure(figsize=figsize or (_WIDTH, 2.6 * rows + headline_height(title, caption)))
        figure.set_layout_engine("constrained", w_pad=0.05, h_pad=0.06)
        axes = figure.subplots(rows, columns, squeeze=False, width_ratios=width_ratios, height_ratios=height_ratios)
        headline(figure, title, caption)
    return figure, list(axes.ravel())


def numbers(values: ArrayLike, digits: int = 2) -> list[list[str]]:
    """The texts of a matrix's cells: so many decimals, powers of ten where these would be long, "–" for nan."""
    return [
        [signed(f"{value:.{digits}f}") if abs(value) < 1e4 else short(value) for value in row]
        for row in np.asarray(values, dtype=np.float64).tolist()
    ]


@dataclass(frozen=True)
class Canvas:
    """The axes that a kind draws into, one a panel, of a new figure (`own`) or of the caller's."""

    figure: Figure
    axes: list[Axes]
    own: bool
    columns: int
    fixed: bool
    heads: tuple[str, str]

    @classmethod
    def of(
        cls, ax: Given, panels: int, figsize: tuple[float, float] | None, title: str, caption: str, *, columns: int = 1
    ) -> "Canvas":
        """As many axes as there are panels; given ones must be as many. A given size is `fixed`."""
        if not panels:
            raise ValueError("a figure needs at least one panel")
        if ax is not None:
            given = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
            if len(given) != panels:
                raise ValueError(f"{panels} panels need as many axes, not {len(given)}")
            for axes in given:
                axes.spines[["top", "right"]].set_visible(False)
            return cls(cast(Figure, given[0].get_figure(root=True)), given, False, len(given), True, ("", ""))
        columns = min(columns, panels)
        rows = -(-panels // columns)
        figure = Figure(figsize=figsize or (_WIDTH, 2.0 + 2.5 * rows))
        figure.set_layout_engine("constrained", w_pad=0.05, h_pad=0.05)
        every = list(figure.subplots(rows, columns, squeeze=False).ravel())
        for unused in every[panels:]:
            unused.remove()
        if figsize:
            headline(figure, title, caption)
        return cls(figure, every[:panels], True, columns, bool(figsize), (title, caption))

    def lines(self) -> list[range]:
        """The panels that stand beside each other, line by line."""
        count = len(self.axes)
        return [range(first, min(first + self.columns, count)) for first in range(0, count, self.columns)]

    def inches(self, axes: Axes) -> tuple[float, float]:
        """Width and height of axes; given ones may become narrower when a layout finds room for what follows."""
        box = axes.get_window_extent()
        share = 1 if self.own or not self.figure.get_layout_engine() else 0.8
        return float(share * box.width / self.figure.dpi), float(box.height / self.figure.dpi)

    def names(self, axes: Axes, most: float) -> float:
        """Inches that names left of the axes may take: all there are in a figure whose layout is not ours to move."""
        if self.own or self.figure.get_layout_engine():
            return most
        left = axes.get_position().x0
        taken = (other.get_position().x1 for other in self.figure.axes)
        room = left - max((x for x in taken if x <= left), default=0.0)
        return min(most, max(0.3, float(room * self.figure.get_figwidth()) - 0.15))

    def arrange(self, heights: Sequence[float] = ()) -> None:
        """Let the layout make room for what has been drawn; lines of panels become about so many inches high."""
        for axes in self.axes:  # what lies inside of the axes takes no room
            for artist in (*axes.lines, *axes.collections, *axes.patches):
                artist.set_in_layout(False)
        if heights and not self.fixed:
            cast(Any, self.axes[0].get_subplotspec()).get_gridspec().set_height_ratios(heights)
            self.figure.set_figheight(sum(heights) + 0.8 * len(heights) + 1)
        if engine := self.figure.get_layout_engine():
            engine.execute(self.figure)

    def titles(self, titles: Sequence[str], lifts: Sequence[float] = (), size: float = 8, right: float = 0) -> None:
        """Titles above the panels, with a letter before each; points to leave below them, and to take at the right."""
        for place, (axes, title) in enumerate(zip(self.axes, titles, strict=True)):
            width = self.inches(axes)[0]
            lines = wrapped(title, width + right / 72, size)
            pad = 4 + (lifts[place] if lifts else 0)
            # At the left, yet of the centre's kind: the kind at the left holds the letter.
            axes.set_title("\n".join(lines), fontsize=size, pad=pad, loc="center").set(x=0, ha="left")
            if self.own and len(self.axes) > 1:
                letter = ascii_lowercase[place % 26] + "\n" * (len(lines) - 1)
                drawn = axes.set_title(letter, fontsize=9, fontweight="bold", pad=pad, loc="left")
                drawn.set(x=-0.05 / width, ha="right")

    def legend(self, handles: Sequence[Artist], size: float = 6.8) -> None:
        """One legend below all panels, in as many columns as fit; handles without a label are left out."""
        handles = [handle for handle in handles if handle.get_label()]
        if not handles:
            return
        axes = min(self.axes, key=lambda one: (round(one.get_position().y0, 3), one.get_position().x0))
        room: Any = self.figure.bbox
        if not self.own:  # below the lowest axes at the left, as wide as these with all that is around them
            self.arrange()
            room = axes.get_tightbbox()
        width = room.width / self.figure.dpi
        labels = ["\n".join(wrapped(str(handle.get_label()), width - 0.6, size)) for handle in handles]
        wide = [max(extent(line, size) for line in label.split("\n")) + 4.2 * size / 72 for label in labels]
        columns = max(n for n in range(1, len(wide) + 1) if n == 1 or sum(sorted(wide)[-n:]) <= width - 0.1)
        how: dict[str, Any] = {"ncols": columns, "fontsize": size, "columnspacing": 1.3, "handlelength": 2.1}
        if self.own:
            self.figure.legend(handles, labels, loc="outside lower center", borderaxespad=0.3, **how)
            return
        own = axes.get_window_extent()
        x, y = (room.x0 - own.x0) / self.figure.dpi, (room.y0 - own.y0) / self.figure.dpi - 0.04
        how |= {"bbox_to_anchor": (0, 0), "bbox_transform": offset_copy(axes.transAxes, self.figure, x=x, y=y)}
        axes.legend(handles, labels, loc="upper left", borderaxespad=0, **how)

    def finish(self, heights: Sequence[float], *, rows: bool = True) -> Figure:
        """The headline above a new figure, and every panel in the place where it stays.

        Where a given size or given axes leave less than the heights, text at `rows` becomes as much smaller.
        """
        if not self.fixed:
            self.arrange(heights)
            width, height = self.figure.get_size_inches()
            lacking = sum(heights) - sum(self.inches(axes)[1] for axes in self.axes[:: self.columns])
            self.figure.set_figheight(height + lacking + headline_height(*self.heads, width=width))
            headline(self.figure, *self.heads)
        self.arrange()
        for place, axes in enumerate(self.axes if self.fixed and rows else ()):
            scale = self.inches(axes)[1] / heights[place // self.columns]
            for text in (*axes.get_yticklabels(), *axes.texts) if scale < 0.98 else ():
                text.set_fontsize(max(2.0, cast(float, text.get_fontsize()) * scale))
        if self.own:
            self.figure.set_layout_engine("none")
        return self.figure


def limits_of(values: Sequence[Any], *, log: bool = False, pad: float = 0.05) -> tuple[float, float]:
    """Limits of an axis with all finite values on it, positive ones if it is logarithmic."""
    every = np.concatenate([np.ravel(np.asarray(part, dtype=np.float64)) for part in (*values, [])])
    every = every[np.isfinite(every) & ((every > 0) | (not log))]
    every = np.log10(every) if log else every
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    margin = pad * (high - low) or (0.3 if log else 0.1 * abs(high) or 0.5)
    return (10 ** (low - margin), 10 ** (high + margin)) if log else (low - margin, high + margin)


def numeric(axis: Axis, inches: float, *, log: bool = False) -> None:
    """Ticks with short labels, no more than fit; powers of ten as such, since mathematical text is off."""
    low, high = sorted(axis.get_view_interval())
    axis.label.set_fontsize(7.5)
    axis.set_tick_params(labelsize=7)
    tiny = 1e-9 * (high - low)
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value if log or abs(value) > tiny else 0.0, 4)))
    most = max(2, int(inches / (0.4 if isinstance(axis, XAxis) else 0.28)))
    if not log:
        axis.set_major_locator(MaxNLocator(nbins=min(most, 7), steps=[1, 2, 2.5, 5, 10]))
        return
    decades = math.log10(high / low)
    subs = (1.0,) if decades > most / 2 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=min(most, 9) + 1))
    axis.set_minor_locator(NullLocator())


def references(canvas: Canvas, axes: Axes, marks: Mapping[float, str], *, horizontal: bool = False) -> float:
    """Dotted lines across the panel, named above it or, if horizontal, at its right; the points that the names take.

    Limits must be set before.
    """
    width, height = canvas.inches(axes)
    shown: list[tuple[float, str]] = []
    for value, meaning in marks.items():
        (axes.axhline if horizontal else axes.axvline)(value, color=INK, lw=0.7, ls=(0, (1, 2)), zorder=0.5)
        place = axes.transAxes.inverted().transform(axes.transData.transform((value, value)))[int(horizontal)]
        if meaning and -1e-6 <= place <= 1 + 1e-6:
            shown.append((float(place), literal(meaning)))
    shown.sort()
    if horizontal:
        middles = spread([place * height * 72 for place, _ in shown], 1.35 * _SMALL)
        for middle, (_, meaning) in zip(middles, shown, strict=True):
            outside(axes, meaning, (1, middle / 72 / height), (3, 0), va="center")
    levels: list[float] = []  # where the last name of each line ends, in inches
    for place, meaning in shown if not horizontal else ():
        wide = extent(meaning, _SMALL)
        left = min(max(place * width - wide / 2, 0), max(width - wide, 0))
        level = next((n for n, end in enumerate(levels) if end + 0.05 <= left), len(levels))
        levels[level : level + 1] = [left + wide]
        ends = {0: (0.0, "left"), max(width - wide, 0): (1.0, "right")}
        x, ha = ends.get(left, (place, "center"))
        outside(axes, meaning, (x, 1), (0, 2 + 7 * level), ha=ha)
    return 9.0 * bool(levels) + 7.0 * max(0, len(levels) - 1)


def beside(
    axes: Axes,
    places: Sequence[float],
    cells: Sequence[Sequence[str]],
    heads: Sequence[str],
    inks: Sequence[Any],
    *,
    start: float = 6,
    bold: Sequence[bool] = (),
) -> float:
    """Columns of text right of the axes, at places in data, from so many points on; returns where they end."""
    for column, head in enumerate(heads):
        texts = [signed(literal(row[column])) if column < len(row) else "" for row in cells]
        wide = 72 * max(*(extent(text, 6.4, "bold") for text in texts), *(extent(x, _SMALL) for x in head.split("\n")))
        right = all(text.lstrip("+-\N{MINUS SIGN}<≤≥≈ ")[:1].isdigit() or text in ("", "–") for text in texts)
        x, ha = (start + wide, "right") if right else (start, "left")
        outside(axes, head, (1, 1), (x, 3), ha=ha)
        for index, (place, text) in ((n, pair) for n, pair in enumerate(zip(places, texts, strict=True)) if pair[1]):
            weight = "bold" if bold and bold[index] else "normal"
            how = {"xycoords": ("axes fraction", "data"), "color": inks[index], "fontsize": 6.4, "weight": weight}
            outside(axes, text, (1, place), (x, 0), ha=ha, va="center", **how)
        start += wide + 8
    return start - 8


def outside(axes: Axes, text: str, at: tuple[float, float], lift: tuple[float, float], **how: Any) -> None:
    """Small grey text so many points from a place, by default in fractions of the axes, that may lie beyond these."""
    how = (
        dict[str, Any](
            {"xycoords": "axes fraction", "color": _GREY, "fontsize": _SMALL, "linespacing": 1.05, "va": "bottom"}
        )
        | how
    )
    axes.annotate(text, at, lift, textcoords="offset points", annotation_clip=False, **how)
