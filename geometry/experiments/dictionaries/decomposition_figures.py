"""The figure of what vectors are made of: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import geometry.plots as plots
from geometry.experiments.dictionaries.setup import CODEBOOK, RANDOM, SAE
from geometry.experiments.result import FigureSpec
from geometry.intervals import mean_of

if TYPE_CHECKING:
    from geometry.experiments.dictionaries.decomposition import DecompositionPart


def left_over(part: "DecompositionPart") -> FigureSpec:
    """A row a set of directions; a point is a class."""
    coloured = (SAE, CODEBOOK)
    rows = [plots.StripRow(name, values, null=name not in coloured) for name, values in part.shares.items()]
    taken = {name: f"{part.parts(name).mean():.1f}" for name in part.found}
    return FigureSpec(
        "decomposition",
        f"{taken[SAE]} features of the autoencoder leave {mean_of(part.left(SAE)):.0%} of a class's mean difference,"
        f" directions of a random dictionary {mean_of(part.left(RANDOM)):.0%}",
        f"Share of the squared norm that is left of {len(part.found[SAE])} class means less the grand mean."
        " Non-negative"
        " sums of at most 12 directions, each taken only where it gains more than the best would of noise:"
        f" {taken[SAE]} features, {taken[CODEBOOK]} codes, {taken[RANDOM]} random directions on average. Grey: a random"
        " dictionary, and random vectors by as many of the autoencoder's features.",
        partial(
            plots.strip, [plots.StripPanel("share left of the vector", rows, "", {0.0: "", 1.0: ""}, limits=(0.0, 1.0))]
        ),
    )
