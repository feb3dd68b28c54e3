"""Existence: held-out words project on their concept vector."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, held_out_columns
from geometry.evidence.requirements import DIVIDED, FEWEST, Requirement, divisible
from geometry.evidence.splits import Split
from geometry.evidence.statistics.family_scores import family_scores
from geometry.evidence.statistics.statistic import Statistic, concept_families, concept_labels, keyed

if TYPE_CHECKING:
    from geometry.evidence.statistics.score_kernels import Sets


def held_out_projection(directions: ConceptDirections) -> NDArray[np.float64]:
    """Existence: mean of ℓᵀg(y)/‖ℓ‖² over each concept's held-out tokens, shape (k,).

    On a null model with drawn concepts, theirs alone, in order. Always 1 on the training tokens, 0 for random
    tokens (arXiv 2406.01506, figure 3). nan of a concept that holds every word: it is the same however words are
    permuted.
    """
    hierarchy, reported = directions.hierarchy, list(directions.hierarchy.reported)
    from geometry.evidence.statistics.score_kernels import means  # numba takes a second to import

    own = _held_out(hierarchy, directions.train.tobytes())
    where, sizes, projections = np.array(reported, np.int64), np.diff(own.starts)[reported], np.empty(len(reported))
    means(family_scores(directions), where, where, own, projections)
    everything = np.array([len(hierarchy.members[index]) == len(hierarchy.tokens) for index in reported], dtype=bool)
    squares = directions.vectors[reported].square().sum(dim=1).cpu().double().numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((sizes < FEWEST) | everything, np.nan, projections / squares)


# Permutations share hierarchy and split with the model.
@lru_cache(maxsize=4)
def _held_out(hierarchy: ConceptHierarchy, train: bytes) -> "Sets":
    """The held-out tokens of every concept, for compiled loops."""
    from geometry.evidence.statistics.score_kernels import Sets

    return Sets.of(held_out_columns(hierarchy, train))


def projection(split: Split = "lemma") -> Statistic:
    """`held_out_projection` after a token or a lemma split."""
    name = keyed("projection", split, "lemma")
    requires = (Requirement(f"concept of {DIVIDED} words and 2 lemmas, besides one of all words", 1, _count),)
    return Statistic(
        name, split, 0.0, held_out_projection, concept_labels, clusters=concept_families, requires=requires
    )


def _count(hierarchy: ConceptHierarchy) -> int:
    proper = [len(hierarchy.members[index]) < len(hierarchy.tokens) for index in hierarchy.reported]
    return int((divisible(hierarchy)[list(hierarchy.reported)] & proper).sum())
