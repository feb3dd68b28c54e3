"""Dots: one row for each model, its values on several concept sets beside those of noise, one panel a measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from geometry.plots.style import COLOURS, NULL_GREYS, headline, headline_height, literal, style, tag_panel

__all__ = ["DotRow", "Dots", "plot_dots"]

_MARKERS = ("o", "D", "^", "s")
_NULL_MARKERS = ("|", "x", "d", "v")
_ROW = 0.36
_MOST = 5.0  # inches of rows; more rows lie closer


@dataclass(frozen=True)
class DotRow:
    """One model in one panel: set of concepts → (value, low, high), and null → value."""

    values: Mapping[str, tuple[float, float, float]]
    nulls: Mapping[str, float]


@dataclass(frozen=True)
class Dots:
    """One panel: what is measured, one row a model, and where the theory is, if anywhere."""

    measure: str
    rows: Sequence[DotRow]
    predicted: float | None = None


def plot_dots(panels: Sequence[Dots], names: Sequence[str], *, finding: str, detail: str = "") -> Figure:
    """Panels side by side over the same rows; the sets differ in marker and colour, nulls are grey."""
    sets = list(dict.fromkeys(key for panel in panels for row in panel.rows for key in row.values))
    nulls = list(dict.fromkeys(key for panel in panels for row in panel.rows for key in row.nulls))
    with style():
        pitch = _ROW * max(1.0, 0.4 * len(sets)) if any("\n" in name for name in names) else _ROW
        rows = max(0.8, min(pitch * len(names), max(_MOST, 0.19 * len(names))))
        height = headline_height(finding, detail) + 0.12 + rows + 0.72
        figure = Figure(figsize=(7.2, height))
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(left=0.27, right=0.985, bottom=0.72 / height, wspace=0.1)
        for place, (axes, panel) in enumerate(zip(grid, panels, strict=True)):
            if panel.predicted is not None:
                axes.axvline(panel.predicted, color="#999999", lw=0.7, ls=":")
            for line, row in enumerate(panel.rows):
                for order, name in enumerate(sets):
                    if name not in row.values:
                        continue
                    value, low, high = row.values[name]
                    y = line + 0.22 * (order - (len(sets) - 1) / 2)
                    axes.plot([low, high], [y, y], color=COLOURS[order], lw=1.0, zorder=2)
                    axes.plot(value, y, _MARKERS[order], color=COLOURS[order], ms=4.2, zorder=3)
                for order, name in enumerate(nulls):
                    if name in row.nulls:
                        grey = NULL_GREYS[order % len(NULL_GREYS)]
                        axes.plot(row.nulls[name], line, _NULL_MARKERS[order], color=grey, ms=5, mew=1.0, zorder=1)
            axes.set(ylim=(len(names) - 0.45, -0.55), xlabel=panel.measure)
            axes.xaxis.label.set_fontsize(7)
            axes.grid(axis="y", color="#eeeeee", lw=0.6)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            if len(panels) > 1:
                tag_panel(axes, "abcdef"[place])
        grid[0].set_yticks(
            range(len(names)), ["\n".join(map(literal, name.split("\n"))) for name in names], fontsize=6.5
        )
        handles = [
            Line2D([], [], marker=_MARKERS[i], color=COLOURS[i], lw=1, ms=4.2, label=name)
            for i, name in enumerate(sets)
        ]
        handles += [
            Line2D([], [], marker=_NULL_MARKERS[i], color=NULL_GREYS[i % 3], lw=0, ms=5, label=name)
            for i, name in enumerate(nulls)
        ]
        wide = max(len(name) for name in (*sets, *nulls)) > 22
        figure.legend(
            handles=handles, loc="lower left", ncols=3 if wide else 5, bbox_to_anchor=(0.01, 0.0), columnspacing=1.4
        )
        headline(figure, finding, detail, room=0.12)
    return figure
