"""The figures of readings: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import geometry.plots as plots
from geometry.display import in_short
from geometry.experiments.result import FigureSpec

if TYPE_CHECKING:
    from geometry.experiments.anatomy.readings import ReadingPart

_WORDS = 3  # of either sign


def overview(part: "ReadingPart") -> FigureSpec:
    """A panel a vector: words of either sign, beside what the null reaches."""
    panels = []
    for name, reading in part.shown.items():
        tokens = [*reading.promoted[:_WORDS], *reading.suppressed[:_WORDS][::-1]]
        null = name in part.controls
        rows = [plots.StripRow(in_short(repr(token), 18), [z], bar=True, null=null) for token, z in tokens]
        references = {reading.chance_z: "95% of the null", -reading.chance_z: ""}
        panels.append(
            plots.StripPanel("z-score of the logit's shift", rows, f"{name}{' (control)' * null}", references)
        )
    words, near = part.counts("words"), part.counts("concepts")
    own, of = words["vectors"]
    others = ", ".join(
        f"{name} {words[name][0]} of {words[name][1]}" for name in part.controls if name in part.readings
    )
    title = (
        f"Of {of} vectors at a block {own} move a token beyond 95% of their null ({others}), and"
        f" {near['vectors'][0] or 'none'} lie near a concept"
    )
    caption = (
        f"The {_WORDS} tokens that each vector raises and lowers most, read through the final norm's weight. Dotted:"
        f" the largest |z| that 95% of {part.n_random} vectors of the null reach with any token: of the same texts with"
        " sides exchanged or labels shuffled, of the random vector random ones."
    )
    return FigureSpec("reading", title, caption, partial(plots.strip, panels, ncols=3))


def whole(part: "ReadingPart") -> FigureSpec:
    """One vector with its pairs, as the console draws it."""
    from geometry.anatomy.reading_figure import captioned, draw_reading, titled

    name = next(
        (name for name, reading in part.readings.items() if reading.pairs is not None), next(iter(part.readings))
    )
    reading = part.readings[name]
    return FigureSpec("reading_whole", titled(reading), captioned(reading), partial(draw_reading, reading))
