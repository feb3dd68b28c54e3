"""Heatmap: matrices, each with colours and limits of its own; numbers, blocks and a chosen cell where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, Unpack

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.patches import Rectangle
from matplotlib.transforms import offset_copy
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.plots.canvas import BESIDE, Axes, Canvas, Figure, Options, colour_bar, colour_scale, outside
from geometry.plots.style import COLOURS, INK, extent, literal, palette, signed, spread, wrapped

_NAMES = 1.75  # inches
_SIZE = 6.5


@checked
@dataclass(frozen=True, eq=False)
class HeatmapPanel:
    """One matrix.

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


@checked
def heatmap(panels: Sequence[HeatmapPanel], *, ncols: int | None = None, **options: Unpack[Options]) -> Figure:
    """Matrices side by side, `ncols` in a line; the first of the colours outlines the chosen cell.

    >>> from geometry import plots
    >>> values = [[0.1, 0.9], [0.4, 0.2]]
    >>> panel = plots.HeatmapPanel(values, ["calm", "angry"], ["one", "two"], texts=plots.numbers(values))
    >>> figure = plots.heatmap([panel], title="Rows and columns agree")
    """
    written = [panel.matrix.shape[1] for panel in panels if panel.texts is not None]
    names = [[*panel.rows] for panel in panels]
    with Canvas.of(len(panels), ncols or (max(1, min(3, 10 // max(written))) if written else 5), **options) as canvas:
        (outline,) = palette(["chosen"], options.get("colours") or COLOURS[1:]).values()
        for index, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            colours = _draw(axes, panel, outline)
            shown = canvas.names(index, names, _NAMES, _SIZE)
            axes.set_yticks(range(len(shown)), shown)
            axes.tick_params(length=0, pad=3, labelsize=_SIZE)
            axes.set_ylabel(panel.row_axis if shown or not panel.rows else "", fontsize=7)
            axes.set_xlabel(panel.column_axis, fontsize=7)
            if panel.colourbar:
                (low, high), matrix = panel.limits, panel.matrix
                ends = ("neither", "min", "max", "both")[int((matrix < low).any() + 2 * (matrix > high).any())]
                colour_bar(canvas, axes, colours, panel.colourbar, extend=ends)
            if panel.blocks and not panel.rows and index % canvas.columns == 0:
                _name_blocks(axes, panel)
        canvas.arrange()
        heights, lifts = [], []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width, height = canvas.inches(axes)
            labels = [label.get_text() for label in axes.get_yticklabels()]
            lines = max((1 + label.count("\n") for label in labels), default=1)
            heights.append(_write(axes, panel, width, lines))
            lifts.append(_name_columns(axes, panel, width))
            # As many names of rows as fit.
            room = height if canvas.fixed else heights[-1]
            each = max(1, int(np.ceil(len(labels) * lines * _SIZE * 1.12 / 72 / room)))
            axes.set_yticks(axes.get_yticks()[::each], labels[::each], fontsize=_SIZE, linespacing=1.1)
        return canvas.finish(heights, [panel.title for panel in panels], lifts)


def _draw(axes: Axes, panel: HeatmapPanel, outline: str) -> ScalarMappable:
    values, shape, texts = panel.matrix, panel.matrix.shape, panel.texts
    if any(names and len(names) != n for names, n in zip((panel.rows, panel.columns), shape, strict=True)):
        raise ValueError(f"{panel.title!r}: values of shape {shape} need a name for each row and column, or none")
    lacking = ~np.isfinite(values)
    null = lacking & False if panel.null is None else np.asarray(panel.null, dtype=np.bool_)
    colours = colour_scale(panel.cmap, *panel.limits, log=panel.log)
    painted = colours.to_rgba(np.where(lacking, panel.limits[0], values))
    painted[lacking] = (0.93, 0.93, 0.93, 1.0)
    painted[null if texts is None else null | (np.asarray(texts) == "") & lacking] = 1
    bright = painted[..., :3] @ (0.299, 0.587, 0.114)
    axes.imshow(painted, origin=panel.origin, aspect="auto", interpolation="nearest", rasterized=values.size > 400)
    axes.spines[:].set_visible(False)
    if texts is not None:
        for (row, column), light in np.ndenumerate(bright):
            ink = "#808080" if null[row, column] or lacking[row, column] else "white" if light < 0.5 else INK
            axes.text(column, row, signed(texts[row][column]), ha="center", va="center", color=ink, linespacing=1.15)
        axes.hlines(np.arange(shape[0] + 1) - 0.5, -0.5, shape[1] - 0.5, color="white", lw=1.2)
        axes.vlines(np.arange(shape[1] + 1) - 0.5, -0.5, shape[0] - 0.5, color="white", lw=1.2)
    # A box around one cell would hide it, but for the chosen one.
    frame = "white" if bright.mean() < 0.5 else INK
    boxes = [(start, start, stop - start, frame, 0.6) for _, start, stop in panel.blocks if stop - start > 1]
    boxes += [(panel.chosen[1], panel.chosen[0], 1, outline, 1.4)] if panel.chosen else []
    for x, y, size, edge, width in boxes:
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), size, size, fill=False, clip_on=False, edgecolor=edge, lw=width))
    return colours


def _name_blocks(axes: Axes, panel: HeatmapPanel) -> None:
    blocks = sorted(((start + stop - 1) / 2, start, literal(name)) for name, start, stop in panel.blocks)
    places = spread([centre for centre, *_ in blocks], len(panel.matrix) / 22)
    arrow = {"arrowstyle": "-", "lw": 0.4, "color": INK, "shrinkA": 0, "shrinkB": 0, "relpos": (1, 0.5)}
    how: dict[str, Any] = {"xycoords": BESIDE, "textcoords": BESIDE, "annotation_clip": False, "arrowprops": arrow}
    for (centre, _, name), place in zip(blocks, places, strict=True):
        axes.annotate(name, (0, centre), (-0.07, place), fontsize=6.2, ha="right", va="center", **how)


def _write(axes: Axes, panel: HeatmapPanel, width: float, lines: int) -> float:
    """The inches that the panel's rows need; texts get the size at which they fit their cells."""
    rows, columns = panel.matrix.shape
    if panel.texts is None:
        return max(1.3, 0.1 * rows * lines) if panel.rows and rows <= 40 else min(max(1.3, width * rows / columns), 5.5)
    cell, texts = width / columns - 0.06, [drawn.get_text() for drawn in axes.texts]
    size = next((size for size in (7.0, 6.5, 6.0) if all(extent(text, size) <= cell for text in texts)), 5.6)
    fitted = [wrapped(text, cell, size) for text in texts]
    for drawn, parts in zip(axes.texts, fitted, strict=True):
        drawn.set(text="\n".join(parts), fontsize=size)
    return rows * max(0.24, min(0.4, 0.25 * cell), 0.1 + 1.2 * max(map(len, fitted)) * size / 72, 0.11 * lines + 0.05)


def _name_columns(axes: Axes, panel: HeatmapPanel, width: float) -> float:
    """Names of the columns, upright where they do not fit across; the points that heads above groups of them take."""
    names, cell = [*panel.columns], width / max(1, len(panel.columns))
    top = panel.texts is not None and panel.origin == "upper"
    groups = [(name, len([*same])) for name, same in groupby(names, key=lambda name: name.split("\n")[0])]
    grouped = top and len(groups) < len(names) and all("\n" in name for name in names)
    names = [name.partition("\n")[2] for name in names] if grouped else names
    plain = [literal(name.replace("\n", " ")) for name in names]
    upright, size, labels = True, _SIZE, plain
    for smaller in (5.5, 6.0, _SIZE):
        if not all(extent(word, smaller) <= cell - 0.05 for name in plain for word in name.split()):
            continue
        fitted = [wrapped(name, cell - 0.05, smaller) for name in names]
        if max(map(len, fitted), default=0) <= 3:
            upright, size, labels = False, smaller, ["\n".join(lines) for lines in fitted]
    each = max(1, int(np.ceil(0.095 / cell)))
    axes.set_xticks(range(0, len(names), each), labels[::each], rotation=90 * upright, fontsize=size)
    if top:
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0, pad=2)
    if not grouped:
        return 0.0
    high = 4 + max(72 * extent(label, size) if upright else 1.2 * size * (1 + label.count("\n")) for label in labels)
    above = offset_copy(axes.get_xaxis_transform(), axes.get_figure(root=True), y=high / 72)
    heads = ["\n".join(wrapped(name, cell * count - 0.05, _SIZE)) for name, count in groups]
    for head, (_, count), end in zip(heads, groups, np.cumsum([count for _, count in groups]), strict=True):
        how = {"xycoords": ("data", "axes fraction"), "ha": "center", "fontsize": _SIZE, "color": INK}
        outside(axes, head, (end - (count + 1) / 2, 1), (0, high + 2), **how)
        axes.plot([end - count - 0.42, end - 0.58], [1, 1], color=INK, lw=0.6, transform=above, clip_on=False)
    return high + 9.0 * max(1 + head.count("\n") for head in heads) + 2
