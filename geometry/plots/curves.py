"""Curves: quantities over a common scale, one line for each condition, nulls in grey and dashed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
from matplotlib.ticker import FixedLocator
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options, flat, scale
from geometry.plots.style import extent, short

# A line drawn over another has gaps through which that one shows.
_DASHES = ("-", (0, (5, 2.2)), (0, (1.4, 1.4)), (0, (7, 2, 1.5, 2)), (0, (3, 1.5)), (0, (5, 1.4, 1, 1.4, 1, 1.4)))


@checked
@dataclass(frozen=True, eq=False)
class Curve:
    """A line through (x, y), both of shape (n,), with a band from low to high, if any; grey where it is a null."""

    x: ArrayLike
    y: ArrayLike
    null: bool = False
    low: ArrayLike | None = None
    high: ArrayLike | None = None


@checked
@dataclass(frozen=True, eq=False)
class CurvePanel:
    """One panel with axes x and y, of which those in `log` ("", "x", "y" or "xy") are logarithmic; limits: of y.

    References: y → what it means, a horizontal dotted line named at the right. Few points are marked, and have ticks.
    """

    x: str
    y: str
    curves: Mapping[str, Curve]
    title: str = ""
    references: Mapping[float, str] = field(default_factory=dict)
    log: str = ""
    marked: bool = True
    limits: tuple[float, float] | None = None


@checked
def curves(panels: Sequence[CurvePanel], *, ncols: int = 2, **options: Unpack[Options]) -> Figure:
    """Panels of lines; a name has one colour, dash and marker in all of them, and one legend stands below.

    >>> accuracy = {"probe": Curve([1, 2, 3], [0.3, 0.6, 0.9]), "shuffled": Curve([1, 3], [0.3, 0.3], null=True)}
    >>> figure = curves([CurvePanel("layer", "accuracy", accuracy, references={0.25: "chance"})])
    """
    null = {name: curve.null for panel in panels for name, curve in panel.curves.items()}
    with Canvas.of(len(panels), ncols, **options) as canvas:
        looks = canvas.looks([name for name in null if not null[name]], [name for name in null if null[name]])
        for order, (name, look) in enumerate(looks.items()):
            look["ls"] = (0, (2.5, 1.5)) if null[name] else _DASHES[order % len(_DASHES)]
            look |= {"lw": max(1.1, 2.1 - 0.25 * order), "ms": 3.4, "mew": 0.7, "dash_capstyle": "butt"}
            look |= {"mfc": "white" if order % 2 else look["color"], "zorder": 2 - null[name] + 0.01 * order}
        bare = {name: look | {"marker": ""} for name, look in looks.items()}
        for axes, panel in zip(canvas.axes, panels, strict=True):
            every = panel.curves.values()
            scale(axes, "x", [curve.x for curve in every], log="x" in panel.log)
            seen = [values for curve in every for values in (curve.y, curve.low, curve.high)]
            scale(axes, "y", [*seen, [*panel.references]], log="y" in panel.log, limits=panel.limits)
            for name, curve in panel.curves.items():
                x, low, high = flat(curve.x), flat(curve.low), flat(curve.high)
                axes.plot(x, flat(curve.y), scalex=False, scaley=False, **(looks if panel.marked else bare)[name])
                if len(low) and len(high):
                    axes.fill_between(x, low, high, color=looks[name]["color"], alpha=0.16, lw=0, zorder=0.8)
        canvas.arrange()
        for axes, panel in zip(canvas.axes, panels, strict=True):
            canvas.dress(axes, panel.references, panel.x, panel.y)
            points = np.unique(np.concatenate([flat(curve.x) for curve in (*panel.curves.values(), Curve([], []))]))
            places = axes.transData.transform([(x, 1) for x in points])[:, 0] / canvas.figure.dpi
            wide = np.array([extent(short(x, 4), 7) + 0.06 for x in points.tolist()])
            if panel.marked and (np.diff(places) >= (wide[1:] + wide[:-1]) / 2).all():
                axes.xaxis.set_major_locator(FixedLocator(points.tolist()))  # one for every point, where they fit
        canvas.legend(looks if any(panel.marked for panel in panels) else bare)
        return canvas.finish([1.75] * len(panels), [panel.title for panel in panels])
