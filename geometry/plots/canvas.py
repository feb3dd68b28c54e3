"""What all kinds share: new or given axes, titles, legends and references around them, and a figure of fitting height."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import offset_copy
from numpy.typing import ArrayLike

from geometry.plots.style import (
    INK,
    extent,
    headline,
    headline_height,
    literal,
    short,
    signed,
    spread,
    style,
    wrapped,
)

__all__ = ["Canvas", "Figure", "Given", "beside", "grid", "limits_of", "numbers", "numeric", "references"]

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
    """The axes that a kind draws into, one a panel, of a new figure or of the caller's.

    Attributes
    ----------
    own : whether the figure is a new one, with a headline, panel letters and a height that follows from its rows.
    columns : axes in a row.
    """

    figure: Figure
    axes: list[Axes]
    own: bool
    columns: int
    figsize: tuple[float, float] | None

    @classmethod
    def of(cls, ax: Given, panels: int, *, columns: int = 1, figsize: tuple[float, float] | None = None) -> "Canvas":
        """As many axes as there are panels; given ones must be as many."""
        if not panels:
            raise ValueError("a figure needs at least one panel")
        if ax is not None:
            given = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
            if len(given) != panels:
                raise ValueError(f"{panels} panels need as many axes, not {len(given)}")
            for axes in given:
                axes.spines[["top", "right"]].set_visible(False)
            return cls(cast(Figure, given[0].get_figure(root=True)), given, False, len(given), None)
        columns = min(columns, panels)
        rows = -(-panels // columns)
        figure = Figure(figsize=figsize or (_WIDTH, 2.0 + 2.5 * rows))
        figure.set_layout_engine("constrained", w_pad=0.05, h_pad=0.05)
        every = list(figure.subplots(rows, columns, squeeze=False).ravel())
        for unused in every[panels:]:
            unused.remove()
        return cls(figure, every[:panels], True, columns, figsize)

    def names(self, axes: Axes, most: float) -> float:
        """Inches that names left of the axes may take: all there are in a figure whose layout is not ours to move."""
        if self.own or self.figure.get_layout_engine():
            return most
        left = axes.get_position().x0
        taken = max(
            (other.get_position().x1 for other in self.figure.axes if other.get_position().x1 <= left), default=0
        )
        return min(most, max(0.3, (left - taken) * self.figure.get_figwidth() - 0.15))

    def shrink(self, heights: Sequence[float]) -> None:
        """Smaller text at the rows where the given axes or size leave these less than the inches that they need."""
        for place, axes in enumerate(self.axes):
            scale = self.inches(axes)[1] / heights[place // self.columns]
            if scale < 0.99:
                for text in (*axes.get_yticklabels(), *axes.texts):
                    text.set_fontsize(max(2.0, text.get_fontsize() * scale))

    def row(self, place: int) -> range:
        """The panels that stand beside the one at a place."""
        first = place - place % self.columns
        return range(first, min(first + self.columns, len(self.axes)))

    def arrange(self, heights: Sequence[float] = ()) -> None:
        """Let the layout make room for what has been drawn; rows of new axes become so many inches high."""
        engine = self.figure.get_layout_engine()
        for axes in self.axes:  # what lies inside of the axes takes no room
            for artist in (*axes.lines, *axes.collections, *axes.patches):
                artist.set_in_layout(False)
        if self.own and heights and self.figsize is None:
            self._grid().set_height_ratios(heights)
            self.figure.set_figheight(sum(heights) + 0.8 * len(heights) + 1)
            for _ in range(2):
                if engine:
                    engine.execute(self.figure)
                lacking = sum(heights) - sum(self.inches(axes)[1] for axes in self.axes[:: self.columns])
                self.figure.set_figheight(self.figure.get_figheight() + lacking)
        if engine:
            engine.execute(self.figure)

    def _grid(self) -> GridSpec:
        return cast(GridSpec, cast(Any, self.axes[0].get_subplotspec()).get_gridspec())

    def inches(self, axes: Axes) -> tuple[float, float]:
        """Width and height of axes."""
        box = axes.get_window_extent()
        return box.width / self.figure.dpi, box.height / self.figure.dpi

    def titles(self, titles: Sequence[str], lifts: Sequence[float] = (), size: float = 8, right: float = 0) -> None:
        """Titles above the panels, wrapped, with a letter before each.

        Parameters
        ----------
        lifts : points to leave below each.
        right : points that they may take right of the panel.
        """
        for place, (axes, title) in enumerate(zip(self.axes, titles, strict=True)):
            width = self.inches(axes)[0]
            lines = wrapped(title, width + right / 72, size) if title else []
            pad = 4 + (lifts[place] if lifts else 0)
            # At the left, yet of the centre's kind: the kind at the left holds the letter.
            if lines:
                axes.set_title("\n".join(lines), fontsize=size, pad=pad, loc="center").set(x=0, ha="left")
            if self.own and len(self.axes) > 1:
                letter = ascii_lowercase[place % 26] + "\n" * max(0, len(lines) - 1)
                drawn = axes.set_title(letter, fontsize=9, fontweight="bold", pad=pad, loc="left")
                drawn.set(x=-0.05 / width, ha="right")

    def legend(self, handles: Sequence[Artist], size: float = 6.8) -> None:
        """One legend below all panels, in as many columns as fit."""
        if not handles:
            return
        room = self.figure.bbox
        if not self.own:  # below the lowest axes at the left, as wide as these with all that is around them
            self.arrange()
            axes = min(self.axes, key=lambda one: (round(one.get_position().y0, 3), one.get_position().x0))
            room = axes.get_tightbbox()
        width = room.width / self.figure.dpi
        labels = ["\n".join(wrapped(str(handle.get_label()), width - 0.6, size)) for handle in handles]
        wide = [max(extent(line, size) for line in label.split("\n")) + 4.2 * size / 72 for label in labels]
        columns = next((n for n in range(min(len(wide), 8), 1, -1) if _across(wide, n) <= width - 0.1), 1)
        how: dict[str, Any] = {"ncols": columns, "fontsize": size, "columnspacing": 1.3, "handlelength": 2.1}
        if self.own:
            self.figure.legend(handles, labels, loc="outside lower center", borderaxespad=0.3, **how)
            return
        own = axes.get_window_extent()
        x, y = (room.x0 - own.x0) / self.figure.dpi, (room.y0 - own.y0) / self.figure.dpi - 0.04
        anchor = offset_copy(axes.transAxes, self.figure, x=x, y=y)
        axes.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=anchor, borderaxespad=0, **how
        )

    def finish(self, title: str, caption: str, heights: Sequence[float] = ()) -> Figure:
        """The headline above, and every panel in the place where it stays; inches of the rows' heights if they matter."""
        if not self.own:
            return self.figure
        self.arrange(heights)
        if self.figsize is None:
            width = self.figure.get_figwidth()
            self.figure.set_figheight(self.figure.get_figheight() + headline_height(title, caption, width=width))
        headline(self.figure, title, caption)
        self.arrange()
        self.figure.set_layout_engine("none")
        return self.figure


def _across(widths: Sequence[float], columns: int) -> float:
    # A legend fills its columns one after the other; the first ones are longer if they do not come out even.
    total, start = 0.0, 0
    for column in range(columns):
        stop = start + len(widths) // columns + (column < len(widths) % columns)
        total += max(widths[start:stop])
        start = stop
    return total


def limits_of(values: Sequence[Any], *, log: bool = False, pad: float = 0.05) -> tuple[float, float]:
    """Limits of an axis with all finite values on it, positive ones if it is logarithmic."""
    every = np.concatenate([np.ravel(np.asarray(part, dtype=np.float64)) for part in values] or [np.zeros(0)])
    every = every[np.isfinite(every) & ((every > 0) | (not log))]
    if not len(every):
        return (0.1, 10.0) if log else (0.0, 1.0)
    every = np.log10(every) if log else every
    low, high = float(every.min()), float(every.max())
    margin = pad * (high - low) or (0.3 if log else 0.1 * abs(high) or 0.5)
    low, high = low - margin, high + margin
    return (10**low, 10**high) if log else (low, high)


def numeric(axis: Axis, inches: float, *, log: bool = False) -> None:
    """Ticks with short labels, no more than fit; powers of ten as such, since mathematical text is off."""
    low, high = sorted(axis.get_view_interval())
    tiny = 1e-9 * (high - low)
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value if log or abs(value) > tiny else 0.0, 4)))
    most = max(2, int(inches / (0.45 if axis.axis_name == "x" else 0.28)))
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
        middles = spread([place * height * 72 for place, _ in shown], 1.15 * _SMALL)
        for middle, (_, meaning) in zip(middles, shown, strict=True):
            _outside(axes, meaning, (1, middle / 72 / height), (3, 0), ha="left", va="center")
        return 0.0
    levels: list[float] = []  # where the last name of each line ends, in inches
    for place, meaning in shown:
        wide = extent(meaning, _SMALL)
        left = min(max(place * width - wide / 2, 0), max(width - wide, 0))
        level = next((n for n, end in enumerate(levels) if end + 0.05 <= left), len(levels))
        levels[level : level + 1] = [left + wide]
        _outside(axes, meaning, (left / width, 1), (0, 2 + 7 * level), ha="left", va="bottom")
    return 2 + 7.0 * len(levels) if levels else 0.0


def beside(
    axes: Axes,
    places: Sequence[float],
    cells: Sequence[Sequence[str]],
    heads: Sequence[str],
    inks: Sequence[Any],
    *,
    start: float = 6,
    size: float = 6.4,
    bold: Sequence[bool] = (),
) -> float:
    """Columns of text right of the axes, at places in data; returns the points from the axes to their end."""
    for column, head in enumerate(heads):
        texts = [row[column] if column < len(row) else "" for row in cells]
        wide = 72 * max(
            [extent(signed(literal(text)), size, "bold") for text in texts]
            + [extent(line, _SMALL) for line in head.split("\n")]
        )
        right = all(text.lstrip("+-\N{MINUS SIGN}<≤≥≈ ")[:1].isdigit() or text in ("", "–") for text in texts)
        x, ha = (start + wide, "right") if right else (start, "left")
        _outside(axes, head, (1, 1), (x, 3), ha=ha, va="bottom")
        for index, (place, text) in enumerate(zip(places, texts, strict=True)):
            if text:
                weight = "bold" if bold and bold[index] else "normal"
                how = {"xycoords": ("axes fraction", "data"), "color": inks[index], "fontsize": size}
                _outside(axes, signed(literal(text)), (1, place), (x, 0), ha=ha, va="center", weight=weight, **how)
        start += wide + 8
    return start - 8


def _outside(axes: Axes, text: str, at: tuple[float, float], lift: tuple[float, float], **how: Any) -> None:
    how = {"xycoords": "axes fraction", "color": _GREY, "fontsize": _SMALL, "linespacing": 1.05} | how
    axes.annotate(text, at, lift, textcoords="offset points", annotation_clip=False, **how)
