"""Separation: a child's vector discriminates its held-out words from its parent's others."""

from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
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
    words = _held_out(hierarchy, directions.train.tobytes())
    points = directions.cloud.points[torch.from_numpy(np.flatnonzero(~directions.train))].T
    # All scores of many edges in one product; the large parents' many words are looked up, not multiplied again.
    step = max(1, _SLICE // max(1, points.shape[1]))
    for index, (inside, outside) in enumerate(words):
        if index % step == 0:
            scores = (vectors[index : index + step] @ points).cpu().numpy()
        own = scores[index % step]
        if min(len(inside), len(outside)) >= FEWEST and np.isfinite(own[:1]).all():
            result[index] = _auc(own[inside], own[outside])
    return result


# Permutations share hierarchy and split with the model.
@lru_cache(maxsize=4)
def _held_out(hierarchy: ConceptHierarchy, train: bytes) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Of every reported edge the held-out tokens of the child, and the parent's others, counted among all held out."""
    held_out = ~np.frombuffer(train, dtype=bool)
    position = np.cumsum(held_out) - 1
    members = [own[held_out[own]] for own in hierarchy.members]
    return [
        (position[members[child]], position[np.setdiff1d(members[parent], hierarchy.members[child])])
        for parent, child in hierarchy.reported_edges
    ]


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
