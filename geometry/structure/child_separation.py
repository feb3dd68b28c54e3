"""Separation: a child's unseen words are told from its parent's other words."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from geometry.directions import ConceptDirections
from geometry.structure.splits import Split
from geometry.structure.statistic import FEWEST, Statistic

__all__ = ["separation", "separation_auc"]


def separation_auc(directions: ConceptDirections, *, contrast: bool = False) -> NDArray[np.float64]:
    """AUC of ℓ_child at telling held-out child tokens from the parent's other held-out tokens, shape (E,).

    With `contrast` the score is along ℓ_child − ℓ_parent, which discounts what all of the parent's
    tokens share.
    """
    hierarchy = directions.hierarchy
    result = np.full(len(hierarchy.edges), np.nan)
    points = directions.cloud.points
    held_out = [directions.held_out(concept) for concept in range(len(hierarchy))]
    for index, (parent, child) in enumerate(hierarchy.edges):
        inside = held_out[child]
        outside = np.setdiff1d(held_out[parent], hierarchy.members[child], assume_unique=True)
        if min(len(inside), len(outside)) < FEWEST:
            continue
        vector = directions.vectors[child]
        if contrast:
            vector = vector - directions.vectors[parent]
        tokens = torch.from_numpy(np.concatenate([inside, outside]))
        result[index] = _auc((points[tokens] @ vector).cpu().numpy(), len(inside))
    return result


def _auc(scores: NDArray[np.float64], positives: int) -> float:
    """Mann–Whitney: the chance that one of the first `positives` scores exceeds one of the rest."""
    ranks = rankdata(scores)[:positives]
    negatives = len(scores) - positives
    return float((ranks.sum() - positives * (positives + 1) / 2) / (positives * negatives))


def separation(split: Split, *, contrast: bool = False) -> Statistic:
    """`separation_auc` after a token or a lemma split."""
    name = f"{'contrast-auc' if contrast else 'auc'}/{split}"
    return Statistic(name, split, 0.5, partial(separation_auc, contrast=contrast), _edge_labels)


def _edge_labels(directions: ConceptDirections) -> tuple[str, ...]:
    names = directions.hierarchy.names
    return tuple(f"{names[child]} < {names[parent]}" for parent, child in directions.hierarchy.edges)
