"""Separation: a child's vector discriminates its held-out words from its parent's others."""

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, held_out_columns
from geometry.evidence.requirements import DIVIDED, FEWEST, Requirement, divisible, others
from geometry.evidence.splits import Split
from geometry.evidence.statistics.family_scores import family_scores
from geometry.evidence.statistics.statistic import Statistic, edge_families, edge_labels, keyed

if TYPE_CHECKING:
    from geometry.evidence.statistics.score_kernels import Sets


def separation_auc(directions: ConceptDirections, *, contrast: bool = False) -> NDArray[np.float64]:
    """AUC of ℓ_child: held-out tokens of the child against the parent's other held-out tokens, shape (E,).

    With `contrast` the score is along ℓ_child − ℓ_parent, which discounts what all of the parent's tokens share.
    """
    edges = np.array(directions.hierarchy.reported_edges, dtype=np.int64).reshape(-1, 2)
    result = np.full(len(edges), np.nan)
    parents, children = np.ascontiguousarray(edges.T)
    lower = parents if contrast else np.full_like(parents, -1)
    inside, outside = _held_out(directions.hierarchy, directions.train.tobytes())
    from geometry.evidence.statistics.score_kernels import aucs  # numba takes a second to import

    aucs(family_scores(directions), children, lower, inside, outside, FEWEST, result)
    return result


# Permutations share hierarchy and split with the model.
@lru_cache(maxsize=4)
def _held_out(hierarchy: ConceptHierarchy, train: bytes) -> tuple["Sets", "Sets"]:
    """Of every reported edge the held-out tokens of the child, and the parent's others."""
    from geometry.evidence.statistics.score_kernels import Sets

    columns = held_out_columns(hierarchy, train)
    inside = [columns[child] for _, child in hierarchy.reported_edges]
    return Sets.of(inside), Sets.of(
        [
            np.setdiff1d(columns[parent], columns[child], assume_unique=True)
            for parent, child in hierarchy.reported_edges
        ]
    )


def separation(split: Split = "lemma", *, contrast: bool = False) -> Statistic:
    """`separation_auc` after a token or a lemma split."""
    name = keyed("contrast_separation" if contrast else "separation", split, "lemma")
    evaluate = partial(separation_auc, contrast=contrast)
    what = f"child of {DIVIDED} words and 2 lemmas whose parent has {FEWEST} others"
    return Statistic(
        name, split, 0.5, evaluate, edge_labels, clusters=edge_families, requires=(Requirement(what, 1, _count),)
    )


def _count(hierarchy: ConceptHierarchy) -> int:
    enough = divisible(hierarchy)
    edges = hierarchy.reported_edges
    return sum(bool(enough[child]) and others(hierarchy, parent, child) >= FEWEST for parent, child in edges)
