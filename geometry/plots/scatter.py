"""Scatter: points in a plane of two quantities, nulls in grey beneath them, lines for what the theory says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options, flat, outside, scale
from geometry.plots.style import INK, signed, wrapped

_MOST_POINTS = 4000
_DASHES = ("-", (0, (1, 1.6)), (0, (5, 2)), (0, (5, 2, 1, 2)))


@checked
@dataclass(frozen=True, eq=False)
class ScatterPanel:
    """One panel with axes x and y, of which those in `log` ("", "x", "y" or "xy") are logarithmic; note: a summary.

    Points and nulls: name → shape (n, 2); nan are dropped, and 4,000 of a name are drawn at most. Lines: (slope,
    intercept, what it means), an infinite slope is a vertical line at x = intercept.
    """

    x: str
    y: str
    points: Mapping[str, ArrayLike]
    title: str = ""
    nulls: Mapping[str, ArrayLike] = field(default_factory=dict)
    lines: Sequence[tuple[float, float, str]] = ()
    note: str = ""
    log: str = ""


@checked
def scatter(
    panels: Sequence[ScatterPanel], *, ncols: int = 2, share: bool = True, **options: Unpack[Options]
) -> Figure:
    """Panels of points, on common limits if `share`.

    >>> panel = ScatterPanel("parents", "children", {"model": [[5.0, 0.1], [4.0, -0.2]]}, lines=[(0, 0, "prediction")])
    >>> figure = scatter([panel])
    """
    meanings = dict.fromkeys(meaning for panel in panels for *_, meaning in panel.lines)
    lines: dict[str, Any] = {m: {"color": INK, "lw": 0.8, "ls": _DASHES[n % 4]} for n, m in enumerate(meanings)}
    pairs = [[(n, flat(of[n]).reshape(-1, 2)) for of in (panel.nulls, panel.points) for n in of] for panel in panels]
    finite = [[(name, xy[np.isfinite(xy).all(axis=1)]) for name, xy in panel] for panel in pairs]
    levels = [[intercept for slope, intercept, _ in panel.lines if not slope] for panel in panels]
    with Canvas.of(len(panels), ncols, **options) as canvas:
        looks = canvas.looks([name for p in panels for name in p.points], [name for p in panels for name in p.nulls])
        for index, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            among = slice(None) if share else slice(index, index + 1)
            every = [values for of in finite[among] for _, values in of]
            scale(axes, "x", [values[:, 0] for values in every], log="x" in panel.log)
            scale(axes, "y", [*(values[:, 1] for values in every), *levels[among]], log="y" in panel.log)
            for name, values in finite[index]:
                shown = np.random.default_rng(0).permutation(values)[:_MOST_POINTS]
                how: dict[str, Any] = {"s": 13, "alpha": 0.85} if len(shown) < 60 else {"s": 5, "rasterized": True}
                how = {"alpha": 0.5 if len(shown) < 500 else 0.3} | how | looks[name]
                axes.scatter(*shown.T, lw=0, zorder=1 + (name in panel.points), **how)
            low, high = axes.get_xlim()
            across = np.geomspace(low, high, 200) if "x" in panel.log else np.linspace(low, high, 200)
            for slope, intercept, meaning in panel.lines:
                line = (
                    (across, slope * across + intercept) if np.isfinite(slope) else ([intercept] * 2, axes.get_ylim())
                )
                axes.plot(*line, zorder=1.5, scalex=False, scaley=False, **lines[meaning])
        canvas.arrange()
        lifts = []
        for index, (axes, panel) in enumerate(zip(canvas.axes, panels, strict=True)):
            under = index + canvas.columns
            left = share and index % canvas.columns and panels[index - 1].y == panel.y
            below = share and under < len(panels) and panels[under].x == panel.x
            canvas.dress(axes, {}, "" if below else panel.x, "" if left else panel.y)
            note = wrapped(signed(panel.note), canvas.inches(axes)[0], 6.5) if panel.note else []
            outside(axes, "\n".join(note), (0, 1), (0, 3), fontsize=6.5)
            lifts.append(6.5 * 1.25 * len(note))
        canvas.legend(looks | lines)
        return canvas.finish([2.0] * len(panels), [panel.title for panel in panels], lifts)
