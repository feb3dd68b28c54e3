"""The figure of what vectors are made of: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import geometry.plots as plots
from geometry.experiments.dictionaries.said import said
from geometry.experiments.dictionaries.setup import CODEBOOK, RANDOM, SAE
from geometry.experiments.result import FigureSpec
from geometry.intervals import mean_of

if TYPE_CHECKING:
    from geometry.experiments.dictionaries.decomposition import DecompositionPart


def left_over(part: "DecompositionPart") -> FigureSpec:
    """A row a set of directions; a point is a class."""
    coloured = (SAE, CODEBOOK)
    rows = [plots.StripRow(name, values, null=name not in coloured, bar=True) for name, values in part.shares.items()]
    taken = {name: f"{part.parts(name).mean():.1f}" for name in part.found}
    return FigureSpec(
        "decomposition",
        f"{taken[SAE]} features of the autoencoder leave {said(part.left(SAE), form='.0%')} of a class's mean"
        f" difference, directions of a random dictionary {mean_of(part.left(RANDOM)):.0%}",
        f"A point is one of {len(part.found[SAE])} class means less the grand mean. Non-negative sums of at most 12"
        " directions, each taken only where it gains more than the best would of noise:"
        f" {taken[SAE]} features, {taken[CODEBOOK]} codes, {taken[RANDOM]} random directions on average. Grey: a random"
        " dictionary, and random vectors by as many of the autoencoder's features.",
        partial(
            plots.strip,
            # Beyond 1, where all points of the random dictionary may lie, these are seen whole.
            [plots.StripPanel("share of the squared norm left", rows, "", {1.0: "nothing taken"}, limits=(0.0, 1.06))],
        ),
    )
