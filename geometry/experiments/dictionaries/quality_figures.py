"""The figure of what dictionaries keep: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import geometry.plots as plots
from geometry.experiments.dictionaries.setup import COMPONENTS, MEAN, RANDOM, SAE
from geometry.experiments.result import FigureSpec

if TYPE_CHECKING:
    from geometry.experiments.dictionaries.quality import QualityPart

_SERIES = "held-out tokens"


def quality(part: "QualityPart") -> FigureSpec:
    """A row a dictionary; the random one is grey."""
    measured = {
        "explained variance": part.explained,
        "loss recovered": part.recovered,
        "KL (nats a token)": part.losses.divergence,
    }
    references: dict[str, dict[float, str]] = {
        "explained variance": {0.0: "the mean"},
        "loss recovered": {0.0: "the mean", 1.0: "unsteered"},
        "KL (nats a token)": {part.losses.divergence(MEAN)[0]: "the mean"},
    }
    panels = []
    for name, value in measured.items():
        rows = []
        for dictionary in part.quality:
            mean, ends = value(dictionary)
            if dictionary == RANDOM:
                rows.append(plots.ForestRow({}, {RANDOM: plots.NullMark(mean, "x", *ends)}))
            else:
                rows.append(plots.ForestRow({_SERIES: plots.Estimate(mean, *ends)}))
        panels.append(plots.ForestPanel(name, rows, "", references[name]))
    (kept, _), (loss, _) = part.explained(SAE), part.recovered(SAE)
    (theirs, _), (their_loss, _) = part.explained(COMPONENTS), part.recovered(COMPONENTS)
    names = [_label(part, name) for name in part.quality]
    return FigureSpec(
        "quality",
        f"The autoencoder explains {kept:.0%} of the variance at {part.site} and recovers {loss:.0%} of the loss;"
        f" {part.sizes[COMPONENTS]} principal components {theirs:.0%} and {their_loss:.0%}",
        f"Explained variance on {part.quality[SAE].n:,} held-out tokens. Loss recovered (0: as with the mean of all"
        " tokens in the stream's place, 1: as unsteered) and KL(replaced ‖ unsteered) with the stream replaced by its"
        f" reconstruction, on {int(part.losses.tokens.sum()):,} predicted tokens. Bars: 95%, bootstrap over texts."
        f" {part.says}",
        partial(plots.forest, panels, names),
    )


def _label(part: "QualityPart", name: str) -> str:
    return f"{name}\n{part.sizes[name]:,} directions, L0 {part.quality[name].l0:.0f}"
