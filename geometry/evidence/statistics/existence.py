"""Existence: held-out words project on their concept vector."""

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.directions import ConceptDirections
from geometry.evidence.splits import Split
from geometry.evidence.statistics.statistic import FEWEST, Statistic, keyed


def held_out_projection(directions: ConceptDirections) -> NDArray[np.float64]:
    """Existence: mean of ℓᵀg(y)/‖ℓ‖² over each concept's held-out tokens, shape (k,).

    On a null model with drawn concepts, theirs alone, in order. Always 1 on the training tokens, 0 for random
    tokens (arXiv 2406.01506, figure 3).
    """
    units = directions.vectors / directions.vectors.square().sum(dim=1, keepdim=True)
    result = []
    for index in directions.hierarchy.reported:
        held_out = directions.held_out(index)
        # The mean's projection is the mean projection, and costs no words × concepts product.
        mean = directions.cloud.points[torch.from_numpy(held_out)].mean(dim=0)
        result.append(float(units[index] @ mean) if len(held_out) >= FEWEST else np.nan)
    return np.array(result, dtype=np.float64)


def projection(split: Split = "lemma") -> Statistic:
    """`held_out_projection` after a token or a lemma split."""
    name = keyed("projection", split, "lemma")
    return Statistic(name, split, 0.0, held_out_projection, lambda directions: directions.hierarchy.names)
