"""Heatmap: matrices, each with colours and limits of its own; numbers, blocks and a chosen cell where there are any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from geometry.plots.canvas import Canvas, Given, numeric
from geometry.plots.style import INK, Colours, extent, literal, signed, spread, style, wrapped

__all__ = ["HeatmapPanel", "heatmap"]

_BLANK = (0.93, 0.93, 0.93, 1.0)
# In inches.
_NAMES = 1.75
_BAR = 2.6
_NAME = 6.5


@dataclass(frozen=True, eq=False)
class HeatmapPanel:
    """One matrix.

    Attributes
    ----------
    values : shape (r, c); nan leaves a cell blank.
    rows, columns : names; shared by panels in one line that have the same rows.
    limits : where the colours begin and end.
    colourbar : its label; none is drawn without.
    texts : written in the cells, r lists of c.
    null : shape (r, c), bool: cells of a null model, grey on white.
    blocks : (name, start, stop), boxed on the diagonal, and named at the left of the first panel.
    chosen : (row, column) of a cell to outline.
    """

    values: ArrayLike
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    title: str = ""
    limits: tuple[float, float] = (0, 1)
    cmap: str = "viridis"
    log: bool = False
    colourbar: str = ""
    texts: Sequence[Sequence[str]] | None = None
    null: ArrayLike | None = None
    blocks: Sequence[tuple[str, int, int]] = ()
    chosen: tuple[int, int] | None = None
    row_axis: str = ""
    column_axis: str = ""
    origin: Literal["upper", "lower"] = "upper"

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The values, two-dimensional."""
        return np.atleast_2d(np.asarray(self.values, dtype=np.float64))


def heatmap(
    panels: Sequence[HeatmapPanel],
    *,
    ncols: int | None = None,
    ax: Given = None,
    figsize: tuple[float, float] | None = None,
    colours: Colours = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Matrices side by side.

    >>> values = [[0.1, 0.9], [0.4, 0.2]]
    >>> figure = heatmap([HeatmapPanel(values, ["a", "b"], ["c", "d"], texts=plots.numbers(values))])

    Parameters
    ----------
    ncols : panels in a line; by default as many as stay readable.
    colours : the first one outlines the chosen cell.
    """
    chosen = (
        "#D55E00" if not colours else (list(colours.values()) if isinstance(colours, Mapping) else list(colours))[0]
    )
    with style():
        canvas = Canvas.of(ax, len(panels), columns=ncols or _columns(panels), figsize=figsize)
        for place, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            first = place - 1 not in canvas.row(place)
            shared = not first and list(panels[place - 1].rows) == list(panel.rows)
            _draw(axes, panel, chosen)
            if shared or not panel.rows:
                axes.set_yticks([])
            else:
                lines = ["\n".join(wrapped(name, canvas.names(axes, _NAMES), _NAME)) for name in panel.rows]
                axes.set_yticks(range(len(lines)), lines, fontsize=_NAME, linespacing=1.0)
            axes.tick_params(length=0, pad=3)
            axes.set_ylabel(panel.row_axis if first or not shared else "", fontsize=7)
            axes.set_xlabel(panel.column_axis, fontsize=7)
            if panel.colourbar:
                _bar(canvas, axes, panel)
            if first and panel.blocks and not panel.rows:
                _names_of_blocks(axes, panel)
        canvas.arrange()
        sizes = [_written(axes, panel, canvas.inches(axes)[0]) for axes, panel in zip(canvas.axes, panels, strict=True)]
        heights = [max(sizes[n] for n in canvas.row(first)) for first in range(0, len(panels), canvas.columns)]
        lifts = [_heads(axes, panel, canvas.inches(axes)[0]) for axes, panel in zip(canvas.axes, panels, strict=True)]
        canvas.arrange(heights)
        for axes in canvas.axes:
            _thin(canvas, axes)
        canvas.titles([panel.title for panel in panels], lifts, size=7.5)
        return canvas.finish(title, caption, heights)


def _columns(panels: Sequence[HeatmapPanel]) -> int:
    if any(panel.texts is not None for panel in panels):
        widest = max(panel.matrix.shape[1] for panel in panels)
        return max(1, min(3, 10 // widest))
    return min(len(panels), 5)


def _draw(axes: Axes, panel: HeatmapPanel, chosen: str) -> None:
    values = panel.matrix
    scale = LogNorm(*panel.limits) if panel.log else Normalize(*panel.limits)
    painted = np.array(mpl.colormaps[panel.cmap](scale(np.ma.masked_invalid(values)).filled(0.0)))
    painted[~np.isfinite(values)] = _BLANK
    if panel.texts is not None:
        painted[~np.isfinite(values) & (np.asarray(panel.texts) == "")] = 1
    null = np.zeros(values.shape, np.bool_) if panel.null is None else np.asarray(panel.null, dtype=np.bool_)
    painted[null] = (1, 1, 1, 1)
    axes.imshow(painted, origin=panel.origin, aspect="auto", interpolation="nearest", rasterized=values.size > 400)
    axes.spines[:].set_visible(False)
    for row, texts in enumerate(panel.texts or ()):
        for column, text in enumerate(texts):
            bright = float(painted[row, column, :3] @ (0.299, 0.587, 0.114))
            ink = (
                "#808080"
                if null[row, column] or not np.isfinite(values[row, column])
                else "white"
                if bright < 0.5
                else INK
            )
            axes.text(column, row, signed(text), ha="center", va="center", color=ink, linespacing=1.15)
    if panel.texts is not None:
        rows, columns = values.shape
        axes.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, color="white", lw=1.2)
        axes.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, color="white", lw=1.2)
    dark = float(painted[..., :3].mean(axis=(0, 1)) @ (0.299, 0.587, 0.114)) < 0.5
    for _, start, stop in panel.blocks:
        if stop - start > 1:  # a box around one cell would hide it
            _box(axes, start, start, stop - start, "white" if dark else INK, 0.6)
    if panel.chosen is not None:
        _box(axes, panel.chosen[1], panel.chosen[0], 1, chosen, 1.4)


def _box(axes: Axes, x: int, y: int, size: int, colour: str, width: float) -> None:
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), size, size, fill=False, lw=width, edgecolor=colour, clip_on=False))


def _bar(canvas: Canvas, axes: Axes, panel: HeatmapPanel) -> None:
    scale = LogNorm(*panel.limits) if panel.log else Normalize(*panel.limits)
    values = panel.matrix[np.isfinite(panel.matrix)]
    over, under = (
        bool(len(values)) and bool(beyond)
        for beyond in (values.max(initial=-np.inf) > panel.limits[1], values.min(initial=np.inf) < panel.limits[0])
    )
    extend = "both" if over and under else "max" if over else "min" if under else "neither"
    width = canvas.inches(axes)[0]
    bar = canvas.figure.colorbar(
        ScalarMappable(scale, panel.cmap),
        ax=axes,
        orientation="horizontal",
        pad=0.03,
        shrink=min(1.0, _BAR / width),
        aspect=min(width, _BAR) / 0.09,
        extend=extend,
    )
    bar.outline.set_linewidth(0.4)  # type: ignore[operator]
    numeric(bar.ax.xaxis, 0.6 * min(width, _BAR), log=panel.log)
    bar.ax.tick_params(labelsize=6, width=0.4, length=2, which="both")
    bar.ax.minorticks_off()
    bar.set_label(panel.colourbar, fontsize=6.5)


def _names_of_blocks(axes: Axes, panel: HeatmapPanel) -> None:
    count = len(panel.matrix)
    blocks = sorted(panel.blocks, key=lambda block: (block[1] + block[2], block[1]))
    centres = [(start + stop - 1) / 2 for _, start, stop in blocks]
    line = {"arrowstyle": "-", "lw": 0.4, "color": INK, "shrinkA": 0, "shrinkB": 0, "relpos": (1, 0.5)}
    for (name, *_), centre, place in zip(blocks, centres, spread(centres, gap=count / 22), strict=True):
        at: Any = ("axes fraction", "data")
        axes.annotate(
            literal(name), (0, centre), (-0.07, place), xycoords=at, textcoords=at, fontsize=6.2, ha="right", va="center",
            annotation_clip=False, arrowprops=line,
        )  # fmt: skip


def _written(axes: Axes, panel: HeatmapPanel, width: float) -> float:
    """The height in inches that the panel's cells and names need; texts get the size at which they fit."""
    rows, columns = panel.matrix.shape
    lines = max((label.get_text().count("\n") + 1 for label in axes.get_yticklabels()), default=1)
    if panel.texts is None:
        if panel.rows and rows <= 40:
            return max(1.3, rows * max(0.1, 0.1 * lines))
        return min(max(1.3, width * rows / columns), 4.5)
    cell = width / columns - 0.06
    longest = max((line for row in panel.texts for text in row for line in text.split("\n")), key=len, default="")
    size = next((s for s in (7.0, 6.5, 6.0, 5.6) if extent(longest, s) <= cell), 5.6)
    most = 1
    for drawn in axes.texts:
        if drawn.get_ha() == "center":
            fitted = [line for part in drawn.get_text().split("\n") for line in wrapped(part, cell, size)]
            drawn.set(text="\n".join(fitted), fontsize=size)
            most = max(most, len(fitted))
    return rows * max(0.24, 0.1 + 1.2 * most * size / 72, 0.11 * lines + 0.05)


def _heads(axes: Axes, panel: HeatmapPanel, width: float) -> float:
    """Names of the columns, across where they fit and upright where not; the points that their groups take above."""
    names = [str(name) for name in panel.columns]
    if not names:
        axes.set_xticks([])
        return 0.0
    cell = width / len(names)
    top = panel.texts is not None and panel.origin == "upper"
    grouped = top and all("\n" in name for name in names) and len({name.split("\n")[0] for name in names}) < len(names)
    shown = [name.partition("\n")[2] for name in names] if grouped else names
    words = [word for name in shown for word in literal(name.replace("\n", " ")).split()] or [""]
    size = next((s for s in (_NAME, 6.0, 5.5) if max(extent(word, s) for word in words) <= cell - 0.05), 0)
    flat = ["\n".join(wrapped(name, cell - 0.05, size or _NAME)) for name in shown]
    upright = not size or max(name.count("\n") for name in flat) > 2
    every = max(1, int(np.ceil(0.095 / cell))) if upright else 1
    labels = [literal(name.replace("\n", " ")) for name in shown] if upright else flat
    axes.set_xticks(range(0, len(names), every), labels[::every], fontsize=size or _NAME, rotation=90 if upright else 0)
    if top:
        axes.xaxis.set_ticks_position("top")
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0, pad=2)
    if not grouped:
        return 0.0
    high = (
        9.0 * (1 + max(label.count("\n") for label in labels)) + 3
        if not upright
        else 72 * max(extent(n, _NAME) for n in labels) + 5
    )
    start = 0
    most = 1
    for name, members in groupby(names, key=lambda name: name.split("\n")[0]):
        stop = start + len(list(members))
        lines = wrapped(name, cell * (stop - start) - 0.05, _NAME)
        most = max(most, len(lines))
        how: dict[str, Any] = {
            "xycoords": ("data", "axes fraction"),
            "textcoords": "offset points",
            "annotation_clip": False,
        }
        axes.annotate(
            "\n".join(lines),
            ((start + stop - 1) / 2, 1),
            (0, high + 3),
            ha="center",
            va="bottom",
            fontsize=_NAME,
            **how,
        )
        for end in (start - 0.42, stop - 0.58):
            axes.annotate("", (end, 1), (0, high), **how)
        axes.annotate(
            "", (start - 0.42, 1), (stop - 0.58, 1), xycoords=("data", "axes fraction"), textcoords=("data", "axes fraction"),
            annotation_clip=False, arrowprops={"arrowstyle": "-", "lw": 0.7, "color": INK, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        start = stop
    return high + 9.0 * most + 2


def _thin(canvas: Canvas, axes: Axes) -> None:
    """As many names of rows as fit."""
    ticks = axes.get_yticks()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    if not labels:
        return
    need = (max(label.count("\n") for label in labels) + 1) * _NAME * 1.12 / 72
    every = int(np.ceil(need * len(labels) / canvas.inches(axes)[1]))
    if every > 1:
        axes.set_yticks(ticks[::every], labels[::every])
