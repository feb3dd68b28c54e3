"""Existence: words that a concept vector has not seen lie along it."""

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.directions import ConceptDirections
from geometry.structure.splits import Split
from geometry.structure.statistic import FEWEST, Statistic

__all__ = ["held_out_projection", "projection"]


def held_out_projection(directions: ConceptDirections) -> NDArray[np.float64]:
    """Existence: mean of ℓᵀg(y)/‖ℓ‖² over each concept's held-out tokens, shape (k,).

    On a null model with drawn concepts, theirs alone, in order.

    1 on the training tokens by construction, 0 for random tokens (arXiv 2406.01506, figure 3).
    """
    points = directions.cloud.points
    result = []
    for index in sorted(directions.cloud.drawn or range(len(directions))):
        held_out = directions.held_out(index)
        vector = directions.vectors[index]
        scores = points[torch.from_numpy(held_out)] @ vector
        enough = len(held_out) >= FEWEST
        result.append(float(scores.mean() / (vector @ vector)) if enough else np.nan)
    return np.array(result)


def projection(split: Split) -> Statistic:
    """`held_out_projection` after a token or a lemma split."""
    return Statistic(
        f"projection/{split}", split, 0.0, held_out_projection, lambda directions: directions.hierarchy.names
    )
