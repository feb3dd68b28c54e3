"""What is measured on fitted concept vectors: existence, orthogonality, separation.

Each statistic is a pure function of `ConceptDirections`, one number per concept or per edge, nan where
there are too few tokens. That lets every statistic run on every null model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from geometry.directions import ConceptDirections
from geometry.structure.splits import Split

__all__ = [
    "Statistic",
    "contrast_cosine",
    "held_out_projection",
    "parent_orthogonality",
    "projection",
    "separation",
    "separation_auc",
    "tree_correlation",
    "tree_likeness",
]

# An AUC or a mean over fewer held-out tokens says nothing.
_FEWEST_HELD_OUT = 3


@dataclass(frozen=True)
class Statistic:
    """A named measurement.

    Attributes
    ----------
    name : with its split, "projection/lemma".
    split : of tokens, on whose training part the vectors are fitted.
    nulls : names of the null models it is read beside.
    unstructured : its value where there is no structure: 0 for a cosine, 0.5 for an AUC.
    evaluate : from directions to one number per label; nan where there is too little data.
    labels : what the numbers belong to.
    """

    name: str
    split: Split
    nulls: tuple[str, ...]
    unstructured: float
    evaluate: Callable[[ConceptDirections], NDArray[np.float64]]
    labels: Callable[[ConceptDirections], tuple[str, ...]]


def held_out_projection(directions: ConceptDirections) -> NDArray[np.float64]:
    """Existence: mean of ℓᵀg(y)/‖ℓ‖² over each concept's held-out tokens, shape (k,).

    1 on the training tokens by construction, 0 for random tokens (arXiv 2406.01506, figure 3).
    """
    result = np.full(len(directions), np.nan)
    points = directions.cloud.points
    for index, members in enumerate(directions.hierarchy.members):
        held_out = members[~directions.train[members]]
        vector = directions.vectors[index]
        if len(held_out) >= _FEWEST_HELD_OUT:
            scores = points[torch.from_numpy(held_out)] @ vector
            result[index] = float(scores.mean() / (vector @ vector))
    return result


def contrast_cosine(directions: ConceptDirections) -> NDArray[np.float64]:
    """Orthogonality (a): cos(ℓ_child − ℓ_parent, ℓ_parent) for every edge, shape (E,)."""
    edges = np.array(directions.hierarchy.edges, dtype=np.int64).reshape(-1, 2)
    parents = directions.vectors[torch.from_numpy(edges[:, 0])]
    contrasts = directions.vectors[torch.from_numpy(edges[:, 1])] - parents
    cosines = torch.nn.functional.cosine_similarity(contrasts, parents, dim=1)
    return cosines.cpu().numpy().astype(np.float64)


def separation_auc(directions: ConceptDirections, *, contrast: bool = False) -> NDArray[np.float64]:
    """AUC of ℓ_child at telling held-out child tokens from the parent's other held-out tokens, shape (E,).

    With `contrast` the score is along ℓ_child − ℓ_parent, which discounts what all of the parent's
    tokens share.
    """
    hierarchy = directions.hierarchy
    result = np.full(len(hierarchy.edges), np.nan)
    points = directions.cloud.points
    held_out = [members[~directions.train[members]] for members in hierarchy.members]
    for index, (parent, child) in enumerate(hierarchy.edges):
        inside = held_out[child]
        outside = np.setdiff1d(held_out[parent], hierarchy.members[child], assume_unique=True)
        if min(len(inside), len(outside)) < _FEWEST_HELD_OUT:
            continue
        vector = directions.vectors[child]
        if contrast:
            vector = vector - directions.vectors[parent]
        tokens = torch.from_numpy(np.concatenate([inside, outside]))
        result[index] = _auc((points[tokens] @ vector).cpu().numpy(), len(inside))
    return result


def tree_correlation(directions: ConceptDirections) -> NDArray[np.float64]:
    """Spearman's ρ between cos(ℓ_w, ℓ_z) and 1/(1 + tree distance), shape (2,).

    First over all pairs of concepts, then over pairs without a common token: shared words make two
    vectors alike in any model, and nested concepts share them.
    """
    hierarchy = directions.hierarchy
    upper = np.triu_indices(len(hierarchy), 1)
    cosines = directions.cosines()[upper]
    closeness = 1 / (1 + hierarchy.tree_distance()[upper])
    disjoint = hierarchy.shared_tokens()[upper] == 0
    return np.array([_spearman(cosines, closeness), _spearman(cosines[disjoint], closeness[disjoint])])


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if len(a) < _FEWEST_HELD_OUT or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def _auc(scores: NDArray[np.float64], positives: int) -> float:
    """Mann–Whitney: the chance that one of the first `positives` scores exceeds one of the rest."""
    ranks = rankdata(scores)[:positives]
    negatives = len(scores) - positives
    return float((ranks.sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _concept_labels(directions: ConceptDirections) -> tuple[str, ...]:
    return directions.hierarchy.names


def _edge_labels(directions: ConceptDirections) -> tuple[str, ...]:
    names = directions.hierarchy.names
    return tuple(f"{names[child]} < {names[parent]}" for parent, child in directions.hierarchy.edges)


def projection(split: Split) -> Statistic:
    """`held_out_projection` after a token or a lemma split."""
    nulls = ("shuffled", "gaussian")
    return Statistic(f"projection/{split}", split, nulls, 0.0, held_out_projection, _concept_labels)


def parent_orthogonality() -> Statistic:
    """`contrast_cosine` on vectors fitted to all tokens."""
    nulls = ("shuffled", "gaussian", "random_subset")
    return Statistic("cosine/whole", "whole", nulls, 0.0, contrast_cosine, _edge_labels)


def separation(split: Split, *, contrast: bool = False) -> Statistic:
    """`separation_auc` after a token or a lemma split."""
    name = f"{'contrast-auc' if contrast else 'auc'}/{split}"
    nulls = ("shuffled", "gaussian", "random_subset")
    return Statistic(name, split, nulls, 0.5, partial(separation_auc, contrast=contrast), _edge_labels)


def tree_likeness() -> Statistic:
    """`tree_correlation` on vectors fitted to all tokens."""
    nulls = ("shuffled", "gaussian")
    return Statistic(
        "tree/whole", "whole", nulls, 0.0, tree_correlation, lambda _: ("all pairs", "word-disjoint pairs")
    )
