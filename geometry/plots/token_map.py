"""Token map: texts as they are read, every token on a ground whose colour is its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options, colour_bar, colour_scale
from geometry.plots.style import INK, extent, literal

_SIZE, _LINE = 8.0, 0.23  # points, inches
_PAD = 0.035  # inches at either side of a token
_WIDEST = 60  # characters of a token


@checked
@dataclass(frozen=True, eq=False)
class TokenPanel:
    """One text: its tokens, spaces and all, and a number for each, shape (n,); nan leaves a token's ground grey."""

    tokens: Sequence[str]
    values: ArrayLike
    title: str = ""


@checked
def token_map(
    panels: Sequence[TokenPanel],
    *,
    limits: tuple[float, float] = (-1, 1),
    cmap: str = "RdBu_r",
    colourbar: str = "",
    **options: Unpack[Options],
) -> Figure:
    """Texts below each other, which share one scale of colours; numbers beyond its limits have the colour of these.

    >>> panel = TokenPanel(["The", " bride", " smiled"], [float("nan"), 0.8, 0.1], "on topic")
    >>> figure = token_map([panel], colourbar="change of log-probability (nats)")

    ValueError: another number of values than of tokens.
    """
    for panel in panels:
        if len(panel.tokens) != np.size(panel.values):
            raise ValueError(f"{panel.title!r}: {np.size(panel.values)} values for {len(panel.tokens)} tokens")
    with Canvas.of(len(panels), 1, **options) as canvas:
        colours = colour_scale(cmap, *limits)
        if colourbar and panels:
            beyond = np.concatenate([np.ravel(np.asarray(panel.values, dtype=np.float64)) for panel in panels])
            ends = ("neither", "min", "max", "both")[int((beyond < limits[0]).any() + 2 * (beyond > limits[1]).any())]
            colour_bar(canvas, canvas.axes[-1], colours, colourbar, extend=ends)
        for axes in canvas.axes:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        canvas.arrange()
        heights = []
        for axes, panel in zip(canvas.axes, panels, strict=True):
            width, x, line = canvas.inches(axes)[0], 0.0, 0
            for token, value in zip(panel.tokens, np.ravel(np.asarray(panel.values, dtype=np.float64)), strict=True):
                text = literal(token)[:_WIDEST] or "·"
                wide = extent(text, _SIZE) + 2 * _PAD
                gap = 0.04 if token[:1].isspace() else 0.0
                if x and x + gap + wide > width:
                    x, gap, line = 0.0, 0.0, line + 1
                shade = colours.to_rgba(np.array([value]))[0] if np.isfinite(value) else np.array([0.93, 0.93, 0.93, 1])
                light = float(shade[:3] @ (0.299, 0.587, 0.114))
                axes.add_patch(Rectangle((x + gap, line + 0.08), wide, 0.84, facecolor=shade, lw=0))
                ink = INK if light > 0.5 else "white"
                axes.text(x + gap + wide / 2, line + 0.5, text, ha="center", va="center", fontsize=_SIZE, color=ink)
                x += gap + wide
            axes.set(xlim=(0, width), ylim=(line + 1, 0))
            heights.append(_LINE * (line + 1))
        return canvas.finish(heights, [panel.title for panel in panels])
