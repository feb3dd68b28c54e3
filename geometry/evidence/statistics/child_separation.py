"""Separation: a child's vector discriminates its held-out words from its parent's others."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.directions import ConceptDirections
from geometry.evidence.splits import Split
from geometry.evidence.statistics.statistic import FEWEST, Statistic, edge_families, edge_labels, keyed

_SLICE = 1 << 20  # scores that are held at a time


def separation_auc(directions: ConceptDirections, *, contrast: bool = False) -> NDArray[np.float64]:
    """AUC of ℓ_child: held-out tokens of the child against the parent's other held-out tokens, shape (E,).

    With `contrast` the score is along ℓ_child − ℓ_parent, which discounts what all of the parent's tokens share.
    """
    hierarchy, edges = directions.hierarchy, directions.hierarchy.reported_edges
    result = np.full(len(edges), np.nan)
    if not edges:
        return result
    vectors = directions.vectors[[child for _, child in edges]]
    if contrast:
        vectors = vectors - directions.vectors[[parent for parent, _ in edges]]
    held_out_tokens = np.flatnonzero(~directions.train)
    points = directions.cloud.points[torch.from_numpy(held_out_tokens)].T
    # All scores of many edges in one product; the large parents' many words are looked up, not multiplied again.
    step = max(1, _SLICE // max(1, len(held_out_tokens)))
    position = np.cumsum(~directions.train) - 1
    held_out = [directions.held_out(concept) for concept in range(len(hierarchy))]
    inside = np.zeros(len(directions.train), dtype=bool)
    for index, (parent, child) in enumerate(edges):
        if index % step == 0:
            scores = (vectors[index : index + step] @ points).cpu().numpy()
        own = scores[index % step]
        inside[hierarchy.members[child]] = True
        outside = held_out[parent][~inside[held_out[parent]]]
        inside[hierarchy.members[child]] = False
        if min(len(held_out[child]), len(outside)) < FEWEST or not np.isfinite(own).all():
            continue
        result[index] = _auc(own[position[held_out[child]]], own[position[outside]])
    return result


def _auc(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    """Mann–Whitney: the chance that a positive score exceeds a negative one, ties counted half."""
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, "left") + np.searchsorted(ordered, positives, "right")
    return float(below.sum() / (2 * len(positives) * len(negatives)))


def separation(split: Split = "lemma", *, contrast: bool = False) -> Statistic:
    """`separation_auc` after a token or a lemma split."""
    name = keyed("contrast_separation" if contrast else "separation", split, "lemma")
    evaluate = partial(separation_auc, contrast=contrast)
    return Statistic(name, split, 0.5, evaluate, edge_labels, clusters=edge_families)
