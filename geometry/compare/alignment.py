"""Can one model's concepts be rotated onto another's? Orthogonal Procrustes, judged on a held-out subtree."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.compare.similarity import squares
from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError

Matrix = NDArray[np.float64]
# Indices to align on and indices to judge.
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
_SMALLEST_SUBTREE = 2
_SUBTREES = 8
FEWEST_TO_ALIGN = 10
_MOST_SHARED = 0.1
# Further principal coordinates are mostly noise of the fits, and to rotate noise onto noise makes every error larger.
_COORDINATES = 20


@checked
def subtree_folds(hierarchy: ConceptHierarchy) -> list[Fold]:
    """Subtrees to hold out, of at most an eighth of the concepts, and the concepts to align on.

    These have at most a tenth of their words from a concept held out, and the other way round: to share none leaves
    WordNet hardly anything to align on. What common words give, permuted lemmas show.
    """
    sizes = np.array([len(members) for members in hierarchy.members])
    shared = hierarchy.shared_tokens() > _MOST_SHARED * np.minimum(sizes[:, None], sizes)
    order = np.array(hierarchy.depth_first)
    largest = max(_SMALLEST_SUBTREE, len(hierarchy) // _SUBTREES)
    subtrees = [np.sort(order[start:stop]) for _, start, stop in hierarchy.blocks(largest, _SMALLEST_SUBTREE)]
    folds = [(np.flatnonzero(~shared[:, held_out].any(axis=1)), held_out) for held_out in subtrees]
    return [fold for fold in folds if len(fold[0]) >= FEWEST_TO_ALIGN]


@checked(first=ArrayLike, second=ArrayLike, folds=Sequence[tuple[ArrayLike, ArrayLike]])
def alignment_error(first: Matrix, second: Matrix, folds: Sequence[Fold]) -> NDArray[np.float64]:
    """1 − cos between where the alignment puts each held-out concept and where the second model has it.

    >>> errors = alignment_error(first.matrix, second.matrix, subtree_folds(first.hierarchy))  # doctest: +SKIP

    Parameters:
        first, second: Gram matrices of the concept vectors, shape (k, k); Procrustes sees nothing else of them.
        folds: from `subtree_folds`.

    Returns shape (k,): 0 if the rotation fitted to the other subtrees fits here too, 1 if it says nothing; nan for
    concepts in no fold. Both clouds are centred on the concepts aligned. The rotation takes the first's leading 20
    principal coordinates to the second's; what it puts there is held to the second's whole vector.

    Source: Schönemann, A generalized solution of the orthogonal Procrustes problem, Psychometrika 31 (1966).
    """
    first, second = squares(first=first, second=second)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise EstimationError("Gram matrices to be aligned must be finite; leave out concepts that have no vector")
    x, y = _coordinates(first), _coordinates(second)
    errors = np.full(len(first), np.nan)
    for kept, held_out in folds:
        x_centre, y_centre = x[kept].mean(axis=0), y[kept].mean(axis=0)
        moving, aim = (x - x_centre)[:, :_COORDINATES], (y - y_centre)[:, :_COORDINATES]
        u, s, vt = np.linalg.svd(moving[kept].T @ aim[kept])
        # Beyond the rank the rotation is arbitrary: nothing there was aligned.
        known = s > s[0] * len(s) * np.finfo(np.float64).eps
        moved = moving[held_out] @ u[:, known] @ vt[known]
        norms = np.linalg.norm(moved, axis=1) * np.linalg.norm((y - y_centre)[held_out], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            errors[held_out] = 1 - (moved * aim[held_out]).sum(axis=1) / norms
    return errors


def _coordinates(gram: Matrix) -> Matrix:
    """Points with this Gram matrix along their principal axes, the longest first, shape (k, k)."""
    values, vectors = np.linalg.eigh(gram)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None)))[:, ::-1])
