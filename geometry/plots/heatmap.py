"""Heatmap: matrices, each with colours and limits of its own; numbers, blocks and a chosen cell where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, Unpack, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import offset_copy
from numpy.typing import ArrayLike, NDArray

from geometry.plots.canvas import Canvas, Options, numeric, outside
from geometry.plots.style import COLOURS, INK, extent, literal, palette, signed, spread, wrapped

_BLANK = (0.93, 0.93, 0.93, 1.0)
# In inches.
_NAMES = 1.75
_BAR = 2.6
_SIZE = 6.5


@dataclass(frozen=True, eq=False)
class HeatmapPanel:
    """One matrix.

    Attributes
    ----------
    values : shape (r, c); nan leaves a cell blank.
    rows, columns : names; shared by panels in one line that have the same rows.
    limits, cmap, log, colourbar : of the colours; the bar's label, none is drawn without.
    texts, null : shape (r, c): what is written in the cells; which are of a null model, grey on white.
    blocks, chosen : (name, start, stop) boxed on the diagonal and named at the left; (row, column) of an outlined cell.
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

    @property
    def norm(self) -> Normalize:
        """From values to colours."""
        return LogNorm(*self.limits) if self.log else Normalize(*self.limits)


def heatmap(panels: Sequence[HeatmapPanel], *, ncols: int | None = None, **options: Unpack[Options]) -> Figure:
    """Matrices side by side.

    >>> from geometry import plots
    >>> values = [[0.1, 0.9], [0.4, 0.2]]
    >>> panel = plots.HeatmapPanel(values, ["calm", "angry"], ["one", "two"], texts=plots.numbers(values))
    >>> figure = plots.heatmap([panel], title="Rows and columns agree")

    Parameters
    ----------
    ncols : panels in a line; by default as many as stay readable.
    options : as of every kind; the first of the colours outlines the chosen cell.
    """
    (outline,) = palette(["chosen"], options.get("colours") or COLOURS[1:]).values()
    if ncols is None:
        widest = max((panel.matrix.shape[1] for panel in panels if panel.texts is not None), default=0)
        ncols = max(1, min(3, 10 // widest)) if widest else 5
    names = [list(panel.rows) for panel in panels]
    with Canvas.of(len(panels), ncols, **options) as canvas:
        for index, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            _draw(axes, panel, outline)
            shown = canvas.names(index, names, _NAMES, _SIZE)
            axes.set_yticks(range(len(shown)), shown, linespacing=1.1)
            axes.tick_params(length=0, pad=3, labelsize=_SIZE)
            axes.set_ylabel(panel.row_axis if shown or not panel.rows else "", fontsize=7)
            axes.set_xlabel(panel.column_axis, fontsize=7)
            if panel.colourbar:
                _bar(canvas, axes, panel)
            if panel.blocks and not panel.rows and index % canvas.columns == 0:
                _name_blocks(axes, panel)
        canvas.arrange()
        heights, lifts = [], []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width, room = canvas.inches(axes)
            heights.append(_write(axes, panel, width))
            lifts.append(_name_columns(axes, panel, width))
            labels = [label.get_text() for label in axes.get_yticklabels()]
            lines = max((1 + label.count("\n") for label in labels), default=1)
            each = int(np.ceil(len(labels) * lines * _SIZE * 1.12 / 72 / (room if canvas.fixed else heights[-1])))
            if each > 1:  # as many names of rows as fit
                axes.set_yticks(axes.get_yticks()[::each], labels[::each], fontsize=_SIZE)
        return canvas.finish(heights, [panel.title for panel in panels], lifts)


def _draw(axes: Axes, panel: HeatmapPanel, outline: str) -> None:
    values, texts = panel.matrix, panel.texts
    if any(names and len(names) != n for names, n in zip((panel.rows, panel.columns), values.shape, strict=True)):
        raise ValueError(
            f"{panel.title!r}: values of shape {values.shape} need a name for each row and column, or none"
        )
    lacking = ~np.isfinite(values)
    null = lacking & False if panel.null is None else np.asarray(panel.null, dtype=np.bool_)
    painted = np.array(mpl.colormaps[panel.cmap](panel.norm(np.where(lacking, panel.limits[0], values)).filled(0)))
    painted[lacking] = _BLANK
    painted[null if texts is None else null | (np.asarray(texts) == "") & lacking] = 1
    bright = painted[..., :3] @ (0.299, 0.587, 0.114)
    axes.imshow(painted, origin=panel.origin, aspect="auto", interpolation="nearest", rasterized=values.size > 400)
    axes.spines[:].set_visible(False)
    if texts is not None:
        for (row, column), light in np.ndenumerate(bright):
            ink = "#808080" if null[row, column] or lacking[row, column] else "white" if light < 0.5 else INK
            axes.text(column, row, signed(texts[row][column]), ha="center", va="center", color=ink, linespacing=1.15)
        rows, columns = (np.arange(count + 1) - 0.5 for count in values.shape)
        axes.hlines(rows, columns[0], columns[-1], color="white", lw=1.2)
        axes.vlines(columns, rows[0], rows[-1], color="white", lw=1.2)
    # A box around one cell would hide it, but for the chosen one.
    colour = "white" if bright.mean() < 0.5 else INK
    boxes = [(start, start, stop - start, colour, 0.6) for _, start, stop in panel.blocks if stop - start > 1]
    boxes += [(panel.chosen[1], panel.chosen[0], 1, outline, 1.4)] if panel.chosen else []
    for x, y, size, edge, width in boxes:
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), size, size, fill=False, clip_on=False, edgecolor=edge, lw=width))


def _bar(canvas: Canvas, axes: Axes, panel: HeatmapPanel) -> None:
    width = canvas.inches(axes)[0]
    most = min(width, _BAR)
    (low, high), values = panel.limits, panel.matrix[np.isfinite(panel.matrix)]
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    how: dict[str, Any] = {
        "extend": extend[bool((values < low).any()), bool((values > high).any())],
        "aspect": most / 0.09,
    }
    mappable = ScalarMappable(panel.norm, panel.cmap)
    bar = canvas.figure.colorbar(mappable, ax=axes, orientation="horizontal", pad=0.03, shrink=most / width, **how)
    bar.outline.set_linewidth(0.4)
    numeric(bar.ax.xaxis, 0.6 * most)
    bar.ax.tick_params(labelsize=6, width=0.4, length=2)
    bar.ax.minorticks_off()
    bar.set_label(panel.colourbar, fontsize=6.5)


def _name_blocks(axes: Axes, panel: HeatmapPanel) -> None:
    blocks = sorted(panel.blocks, key=lambda block: (block[1] + block[2], block[1]))
    centres = [(start + stop - 1) / 2 for _, start, stop in blocks]
    arrow = {"arrowstyle": "-", "lw": 0.4, "color": INK, "shrinkA": 0, "shrinkB": 0, "relpos": (1, 0.5)}
    at: Any = ("axes fraction", "data")
    how: dict[str, Any] = {"xycoords": at, "textcoords": at, "annotation_clip": False, "arrowprops": arrow}
    for (name, *_), centre, place in zip(blocks, centres, spread(centres, len(panel.matrix) / 22), strict=True):
        axes.annotate(literal(name), (0, centre), (-0.07, place), fontsize=6.2, ha="right", va="center", **how)


def _write(axes: Axes, panel: HeatmapPanel, width: float) -> float:
    """The inches that the panel's rows need; texts get the size at which they fit their cells."""
    rows, columns = panel.matrix.shape
    lines = max((1 + label.get_text().count("\n") for label in axes.get_yticklabels()), default=1)
    if panel.texts is None:
        return max(1.3, 0.1 * rows * lines) if panel.rows and rows <= 40 else min(max(1.3, width * rows / columns), 5.5)
    cell = width / columns - 0.06
    parts = {part for row in panel.texts for text in row for part in signed(text).split("\n")}
    size = next((s for s in (7.0, 6.5, 6.0) if all(extent(part, s) <= cell for part in parts)), 5.6)
    most = 1
    for drawn in axes.texts:
        fitted = wrapped(drawn.get_text(), cell, size)
        drawn.set(text="\n".join(fitted), fontsize=size)
        most = max(most, len(fitted))
    return rows * max(0.24, min(0.4, 0.25 * cell), 0.1 + 1.2 * most * size / 72, 0.11 * lines + 0.05)


def _name_columns(axes: Axes, panel: HeatmapPanel, width: float) -> float:
    """Names of the columns, upright where they do not fit across; the points that heads above groups of them take."""
    names = list(panel.columns)
    cell = width / max(1, len(names))
    top = panel.texts is not None and panel.origin == "upper"
    groups = [(name, len(list(same))) for name, same in groupby(names, key=lambda name: name.split("\n")[0])]
    grouped = top and len(groups) < len(names) and all("\n" in name for name in names)
    shown = [name.partition("\n")[2] for name in names] if grouped else names
    words = [word for name in shown for word in literal(name.replace("\n", " ")).split()]
    size = next((s for s in (_SIZE, 6.0, 5.5) if all(extent(word, s) <= cell - 0.05 for word in words)), 0.0)
    labels = ["\n".join(wrapped(name, cell - 0.05, size or _SIZE)) for name in shown]
    upright = not size or any(label.count("\n") > 2 for label in labels)
    if upright:
        size, labels = _SIZE, [literal(name.replace("\n", " ")) for name in shown]
    each = max(1, int(np.ceil(0.095 / cell)))
    axes.set_xticks(range(0, len(names), each), labels[::each], rotation=90 if upright else 0)
    axes.tick_params(axis="x", labelsize=size)
    if top:
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0, pad=2)
    if not grouped:
        return 0.0
    lines = max(1 + label.count("\n") for label in labels)
    high = 4 + (72 * max(extent(label, size) for label in labels) if upright else 1.2 * size * lines)
    above = offset_copy(axes.get_xaxis_transform(), cast(Figure, axes.figure), y=high / 72)
    start, most = 0, 1
    for name, count in groups:
        head = wrapped(name, cell * count - 0.05, _SIZE)
        most = max(most, len(head))
        at = {"xycoords": ("data", "axes fraction"), "ha": "center", "fontsize": _SIZE, "color": INK}
        outside(axes, "\n".join(head), (start + count / 2 - 0.5, 1), (0, high + 2), **at)
        axes.plot([start - 0.42, start + count - 0.58], [1, 1], color=INK, lw=0.6, transform=above, clip_on=False)
        start += count
    return high + 9.0 * most + 2
