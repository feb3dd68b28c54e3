"""The scores that statistics read: of a concept with the words of its families, an eighth of WordNet's nouns."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, held_out_columns

if TYPE_CHECKING:
    from geometry.evidence.statistics.score_kernels import Sets

_WORTH = 0.5  # of all scores at most: more are multiplied sooner at once


def family_scores(directions: ConceptDirections) -> NDArray[np.floating[Any]]:
    """`ConceptDirections.scores` as far as families go, shape (k, H); nan elsewhere, unless all are as cheap.

    They are those of every concept with its own held-out words, and of a parent and its children with the words of
    the parent, its children and their children.
    """
    if (scores := directions.__dict__.get("_family_scores")) is None:  # as of `ConceptDirections.scores`
        scores = directions.__dict__["_family_scores"] = _scores(directions)
    return scores


def _scores(directions: ConceptDirections) -> NDArray[np.floating[Any]]:
    held_out = np.flatnonzero(~directions.train)
    concepts, words, count = _families(directions.hierarchy, directions.train.tobytes())
    vectors = directions.vectors.detach()
    compiled = vectors.device.type == "cpu" and vectors.dtype in {torch.float32, torch.float64}
    if not compiled or count > _WORTH * len(directions) * len(held_out):
        return directions.scores
    from geometry.evidence.statistics.score_kernels import products  # numba takes a second to import

    points, rows = directions.cloud.located(held_out)
    scores = np.full((len(directions), len(held_out)), np.nan, vectors.numpy().dtype)
    products(
        np.ascontiguousarray(vectors.numpy()),
        np.ascontiguousarray(points.detach().to(vectors.dtype).numpy()),
        rows, concepts, words, scores,
    )  # fmt: skip
    return scores


# Permutations share hierarchy and split with the model.
@lru_cache(maxsize=8)
def _families(hierarchy: ConceptHierarchy, train: bytes) -> "tuple[Sets, Sets, int]":
    """The concepts and the held-out words of every family, and of every concept without one; how many scores."""
    from geometry.evidence.statistics.score_kernels import Sets

    columns = held_out_columns(hierarchy, train)
    below = {
        parent: (*hierarchy.families.get(parent, ()), *hierarchy.reported_families.get(parent, ()))
        for parent in (*hierarchy.families, *hierarchy.reported_families)
    }
    concepts, words = list[NDArray[np.int64]](), list[NDArray[np.int64]]()
    for parent, children in below.items():
        own = np.unique([parent, *children])
        held = [parent, *children, *(lower for child in children for lower in below.get(child, ()))]
        concepts.append(own)
        words.append(np.unique(np.concatenate([columns[index] for index in held])))
    alone = np.setdiff1d(np.arange(len(hierarchy)), np.concatenate([np.empty(0, np.int64), *concepts]))
    concepts += [alone[place : place + 1] for place in range(len(alone))]
    words += [columns[index] for index in alone]
    count = sum(len(own) * len(held) for own, held in zip(concepts, words, strict=True))
    return Sets.of(concepts), Sets.of(words), count
