"""What all kinds share: options, axes with their labels, names and texts, one legend below, and who makes room."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import Any, TypedDict, Unpack, cast

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes as Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, is_color_like
from matplotlib.figure import Figure as Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import offset_copy
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.plots.style import INK, Colours, extent, headline, literal, looks, short, signed, spread, style, wrapped

Cells = tuple[float, Sequence[str], Any, bool]
Size = tuple[float, float] | None

BESIDE: Any = ("axes fraction", "data")
_SMALL, _BAR = 5.8, 2.6  # points, inches


class Options(TypedDict, total=False):
    """What every kind takes: Axes to draw into, one a panel, without a headline, or the inches of a new figure.

    Colours come in order, or name → colour. Title (the finding) and caption are painted above and written into files.
    """

    ax: Axes | Sequence[Axes] | None
    figsize: Size
    colours: Colours
    title: str
    caption: str


class _Shown(Figure):
    """A figure that a notebook shows as it is: matplotlib alone does so for those of pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        held = BytesIO()
        with style():
            self.savefig(held, format="png", dpi=2 * self.dpi)  # for screens of many pixels; shown at half the size
        width, height = (int(side) for side in self.get_size_inches() * self.dpi)
        return held.getvalue(), {"width": width, "height": height}

    def __repr__(self) -> str:
        return super().__repr__().replace(type(self).__name__, "Figure")


@checked
def grid(
    rows: int, columns: int, *, figsize: Size = None, title: str = "", caption: str = "", **ratios: Sequence[float]
) -> tuple[Figure, list[Axes]]:
    """Axes row by row under one title, to compose kinds through their `ax`; ratios: `width_ratios`, `height_ratios`.

    >>> figure, (left, right) = grid(1, 2, title="Two kinds in one figure", width_ratios=(2, 1))
    """
    with style():
        figure = _Shown(figsize=figsize or (7.2, 2.6 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **cast(Any, ratios))
        headline(figure, title, caption, grow=not figsize)
    return figure, list(axes.flat)


@checked
def plot_options(
    *,
    ax: Axes | Sequence[Axes] | None = None,
    figsize: Size = None,
    colours: Colours = None,
    title: str = "",
    caption: str = "",
) -> Options:
    """The options, all of them; refused are other types, unknown names, and what is no colour."""
    for colour in colours.values() if isinstance(colours, Mapping) else colours or ():
        if not is_color_like(colour):
            raise ValueError(f"colours: {colour!r} is none; give names or #rrggbb")
    return {"ax": ax, "figsize": figsize, "colours": colours, "title": title, "caption": caption}


class Canvas:
    """The axes of a kind, one a panel, of a new figure (`own`) or the caller's; their places are `fixed` if given."""

    def __init__(self, panels: int, columns: int, options: Options) -> None:
        options = plot_options(**options)
        given, figsize = options["ax"], options["figsize"]
        self.own, self.fixed = given is None, given is not None or bool(figsize)
        self.looks = partial(looks, colours=options["colours"])
        self.heads = options["title"], options["caption"]
        self.columns = min(columns, panels) if self.own else panels
        if not panels:
            raise ValueError("a figure needs at least one panel")
        if self.own:
            self.figure, self.axes = grid(-(-panels // self.columns), self.columns, figsize=figsize)
            while len(self.axes) > panels:
                self.axes.pop().remove()
            headline(self.figure, *(self.heads if figsize else ("", "")))
            return
        self.axes = list(np.ravel(np.asarray(given, dtype=object)))
        if len(self.axes) != panels:
            raise ValueError(f"{panels} panels need as many axes, not {len(self.axes)}; give ax= one a panel")
        self.figure = cast(Figure, self.axes[0].get_figure(root=True))
        for axes in self.axes:
            axes.spines[["top", "right"]].set_visible(False)

    @classmethod
    @contextmanager
    def of(cls, panels: int, columns: int = 1, **options: Unpack[Options]) -> Iterator["Canvas"]:
        """As many axes as there are panels, in the house style."""
        with style():
            yield cls(panels, columns, options)

    def inches(self, axes: Axes) -> tuple[float, float]:
        """Width and height of axes; given ones may become narrower when a layout finds room for what follows."""
        box = axes.get_window_extent()
        share = 1 if self.own or not self.figure.get_layout_engine() else 0.8
        return float(share * box.width / self.figure.dpi), float(box.height / self.figure.dpi)

    def names(self, index: int, names: Sequence[Sequence[str]], most: float, size: float) -> list[str]:
        """The names of a panel's rows, as many inches wide at most; none if the panel at its left has the same."""
        if index % self.columns and names[index] == names[index - 1]:
            return []
        if not self.own and not self.figure.get_layout_engine():  # there is as much room as there is
            left = self.axes[index].get_position().x0
            taken = [x for x in (axes.get_position().x1 for axes in self.figure.axes) if x <= left]
            most = min(most, max(0.3, float(self.figure.get_figwidth() * (left - max(taken, default=0))) - 0.15))
        return ["\n".join(wrapped(name, most, size)) for name in names[index]]

    def arrange(self) -> None:
        """Let the layout make room for what has been drawn; what lies inside of the axes takes none."""
        for artist in (artist for axes in self.axes for artist in (*axes.lines, *axes.collections, *axes.patches)):
            artist.set_in_layout(False)
        if engine := self.figure.get_layout_engine():
            engine.execute(self.figure)

    def dress(self, axes: Axes, references: Mapping[float, str], x: str, y: str | None = None) -> float:
        """Labels, ticks that fit, and references, level if there is a y; gives the points that their names take above.

        Limits must be set before.
        """
        width, height = self.inches(axes)
        for axis, label, inches in ((axes.xaxis, x, width), (axes.yaxis, y, height)):
            if label is not None:
                axis.set_label_text("\n".join(wrapped(label, inches + 0.15, 7.5)))
                numeric(axis, inches)
        for value in references:
            (axes.axvline if y is None else axes.axhline)(value, color=INK, lw=0.7, ls=(0, (1, 2)), zorder=0.5)
        fractions = (axes.transScale + axes.transLimits).transform([(value, value) for value in references] or [(0, 0)])
        places = zip(fractions[:, int(y is not None)].tolist(), map(literal, references.values()), strict=False)
        named = sorted((at, meaning) for at, meaning in places if meaning and -1e-6 <= at <= 1 + 1e-6)
        if y is not None:
            middles = spread([at for at, _ in named], 1.35 * _SMALL / 72 / height)
            for middle, (_, meaning) in zip(middles, named, strict=True):
                outside(axes, meaning, (1, middle), (3, 0), va="center")
            return 0.0
        line, end = -1, 0.0
        for at, meaning in named:  # beside the one before it, or above that
            half = min(extent(meaning, _SMALL) / 2 / width, 0.5)
            at = min(max(at, half), 1 - half)
            line = line + 1 if at - half < end else max(line, 0)
            end = max(end, at + half + 0.05 / width)
            outside(axes, meaning, (at, 1), (0, 2 + 7 * line), ha="center")
        return 2.0 + 7.0 * (line + 1) if named else 0.0

    def legend(self, looks: dict[str, Any]) -> None:
        """One legend below all panels, in as many columns as fit; a look without a width is of a marker."""
        size, dpi = 6.8, self.figure.dpi
        axes = min(self.axes, key=lambda axes: (round(axes.get_position().y0, 3), axes.get_position().x0))
        room: Any = self.figure.bbox
        if not self.own:  # below the lowest axes at the left, as wide as these with all that is around them
            self.arrange()
            room = axes.get_tightbbox()
        width = room.width / dpi
        looks = {"\n".join(wrapped(name, width - 0.6, size)): look for name, look in looks.items() if name}
        plain: dict[str, Any] = {"lw": 0, "ms": 4}
        marks = [Line2D([], [], **(plain | {"marker": "" if "lw" in at else "o"} | at)) for at in looks.values()]
        wide = sorted(extent(label, size) + 4.2 * size / 72 for label in looks)
        columns = max((n for n in range(1, len(wide) + 1) if sum(wide[-n:]) <= width - 0.1), default=1)
        how: dict[str, Any] = {"ncols": columns, "fontsize": size, "columnspacing": 1.3, "handlelength": 2.1}
        if self.own and marks:
            self.figure.legend(marks, [*looks], loc="outside lower center", borderaxespad=0.3, **how)
        elif marks:
            x, y = (room.p0 - axes.get_window_extent().p0) / dpi - (0, 0.04)
            how |= {"bbox_to_anchor": (0, 0), "bbox_transform": offset_copy(axes.transAxes, self.figure, x=x, y=y)}
            axes.legend(marks, [*looks], loc="upper left", borderaxespad=0, **how)

    def finish(self, heights: Sequence[float], titles: Sequence[str] = (), lifts: Sequence[float] = ()) -> Figure:
        """Titles so many points above the panels, a headline above a new figure, and every panel where it stays.

        Panels need so many inches; where a given size or given axes leave less, text of rows becomes as much smaller.
        """
        for index, title in enumerate(titles):
            axes, lift = self.axes[index], lifts[index] if lifts else 0
            width, size = self.inches(axes)[0], 8 if self.columns < 3 else 7.5
            lines = wrapped(signed(title), width + 0.2 * bool(lift), size)
            # At the left, yet of the centre's kind: the kind at the left holds the letter.
            axes.set_title("\n".join(lines), fontsize=size, pad=4 + lift, loc="center").set(x=0, ha="left")
            if self.own and len(self.axes) > 1:
                letter = chr(97 + index % 26) + "\n" * (len(lines) - 1)
                drawn = axes.set_title(letter, loc="left", pad=4 + lift, size=9, weight="bold")
                drawn.set(x=-0.05 / width, ha="right")
        if not self.fixed:
            rows = [max(heights[n : n + self.columns]) for n in range(0, len(heights), self.columns)]
            cast(Any, self.axes[0].get_subplotspec()).get_gridspec().set_height_ratios(rows)
            self.figure.set_figheight(sum(rows) + 0.8 * len(rows) + 1)
            self.arrange()
            lacking = sum(rows) - sum(self.inches(axes)[1] for axes in self.axes[:: self.columns])
            self.figure.set_figheight(self.figure.get_figheight() + lacking)
            headline(self.figure, *self.heads, grow=True)
        self.arrange()
        for axes, height in zip(self.axes, heights, strict=True) if self.fixed else ():
            shrunk, named = self.inches(axes)[1] / height, isinstance(axes.yaxis.get_major_locator(), FixedLocator)
            for text in (*axes.get_yticklabels(), *axes.texts) if named and shrunk < 0.98 else ():
                text.set_fontsize(max(2.0, cast(float, text.get_fontsize()) * shrunk))
        if self.own:
            self.figure.set_layout_engine("none")
        return self.figure


def flat(values: ArrayLike | None) -> NDArray[np.float64]:
    """Numbers of any shape in a line; none for None."""
    return np.ravel(np.asarray([] if values is None else values, dtype=np.float64))


def limits_of(values: Sequence[Any], *, log: bool = False) -> tuple[float, float]:
    """Limits of an axis with all finite values on it, positive ones if it is logarithmic."""
    every = np.concatenate([flat(part) for part in (*values, None)])
    every = every[np.isfinite(every) & ((every > 0) | (not log))]
    every = np.log10(every) if log else every
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    margin = 0.05 * (high - low) or (0.3 if log else 0.1 * abs(high) or 0.5)
    return (10 ** (low - margin), 10 ** (high + margin)) if log else (low - margin, high + margin)


def scale(axes: Axes, axis: str, values: Sequence[Any], *, log: bool = False, limits: Size = None) -> None:
    """Set the limits of "x" or "y", by default those of the values, after its scale."""
    axes.set(**{f"{axis}scale": "log" if log else "linear"})
    axes.set(**{f"{axis}lim": limits or limits_of(values, log=log)})


def numeric(axis: Axis, inches: float) -> None:
    """Ticks with short labels, no more than fit; powers of ten as such, since mathematical text is off."""
    low, high = sorted(axis.get_view_interval())
    log, most = axis.get_scale() == "log", max(2, int(inches / (0.4 if isinstance(axis, XAxis) else 0.28)))
    axis.label.set_fontsize(7.5)
    axis.set_tick_params(labelsize=7)
    least = 0 if log else 1e-9 * (high - low)
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value if abs(value) > least else 0.0, 4)))
    axis.set_major_locator(MaxNLocator(nbins=min(most, 7), steps=[1, 2, 2.5, 5, 10]))
    if log:
        decades = np.log10(high / low)
        subs = (1.0,) if decades > most / 2 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=min(most, 9) + 1))
        axis.set_minor_locator(NullLocator())


def beside(axes: Axes, rows: Sequence[Cells], heads: Sequence[str], start: float = 6.0) -> float:
    """Columns of text under heads, right of the axes from so many points on; gives where they end.

    A row has a place in data, its cells, their colour, and whether they are bold.
    """
    for column, head in enumerate(heads):
        texts = [signed(literal(cells[column])) if column < len(cells) else "" for _, cells, *_ in rows]
        wide = 72 * max([extent(head, _SMALL), *(extent(text, 6.4, "bold") for text in texts)])
        right = all(text.lstrip("+-\N{MINUS SIGN}<≤≥≈ ")[:1].isdigit() or text in ("", "–") for text in texts)
        x, ha = (start + wide, "right") if right else (start, "left")
        outside(axes, head, (1, 1), (x, 3), ha=ha)
        for (place, _, ink, bold), text in zip(rows, texts, strict=True):
            how = {"xycoords": BESIDE, "fontsize": 6.4, "weight": "bold" if bold else "normal"}
            outside(axes, text, (1, place), (x, 0), ha=ha, va="center", color=ink, **how)
        start += wide + 8
    return start - 8


def colour_scale(cmap: str, low: float, high: float, *, log: bool = False) -> ScalarMappable:
    """Numbers within the limits as colours; ValueError: no such colour map."""
    if cmap not in colormaps:
        raise ValueError(f"cmap {cmap!r} is no colour map of matplotlib; give 'viridis' or 'RdBu_r', for example")
    return ScalarMappable((LogNorm if log else Normalize)(low, high), cmap)


def colour_bar(canvas: Canvas, axes: Axes, colours: ScalarMappable, label: str, **how: Any) -> None:
    """A horizontal bar below the axes, no wider than these."""
    width = canvas.inches(axes)[0]
    how |= {"pad": 0.03, "aspect": min(width, _BAR) / 0.09, "shrink": min(1.0, _BAR / width)}
    bar = canvas.figure.colorbar(colours, ax=axes, orientation="horizontal", **how)
    bar.outline.set_linewidth(0.4)
    numeric(bar.ax.xaxis, 0.6 * min(width, _BAR))
    bar.ax.tick_params(labelsize=6, width=0.4, length=2)
    bar.set_label(label, fontsize=6.5)


def outside(axes: Axes, text: str, at: tuple[float, float], lift: tuple[float, float], **how: Any) -> None:
    """Small grey text so many points from a place, by default in fractions of the axes, that may lie beyond these."""
    look = {"xycoords": "axes fraction", "color": "#555555", "fontsize": _SMALL, "linespacing": 1.05, "va": "bottom"}
    if text:
        axes.annotate(text, at, lift, textcoords="offset points", annotation_clip=False, **cast(Any, look | how))
