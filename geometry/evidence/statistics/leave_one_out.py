"""Leave-one-lemma-out: every word is classified among siblings by centroids that its own lemma is no part of."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.evidence.requirements import FEWEST, Requirement
from geometry.evidence.statistics.statistic import Statistic

_Families = tuple[tuple[int, tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]], ...]


def leave_one_lemma_out() -> Statistic:
    """Nearest-centroid accuracy among a concept's children, balanced and chance-corrected, all words held out in turn.

    As `membership`, which holds out 30% of the lemmas once: (accuracy − 1/k) / (1 − 1/k) with k children. A word of
    child c is compared with the centroids of the other children, and with that of c without the word's own lemma, forms
    included. Words of several children are left out, and children with fewer than 3 others and one lemma beside.
    """
    what = f"concept with 2 children of {FEWEST + 1} lemmas in no sibling"
    return Statistic(
        "leave_one_lemma_out", "whole", 0.0, _accuracies, _labels, requires=(Requirement(what, 1, _count),)
    )


def _count(hierarchy: ConceptHierarchy) -> int:
    return len(_families(hierarchy))


def _labels(directions: ConceptDirections) -> tuple[str, ...]:
    names = directions.hierarchy.labels
    return tuple(f"{names[parent]} ({len(children)})" for parent, children in _families(directions.hierarchy))


# Permutations share the model's hierarchy.
@lru_cache(maxsize=8)
def _families(hierarchy: ConceptHierarchy) -> _Families:
    """Each parent of two usable children or more, with these children's words that no sibling holds, and the lemmas."""
    families = []
    for parent, children in hierarchy.reported_families.items():
        held = np.bincount(np.concatenate([hierarchy.members[child] for child in children]))
        own = [members[held[members] == 1] for members in (hierarchy.members[child] for child in children)]
        usable = []
        for words in own:
            lemmas = np.unique(hierarchy.lemmas[words], return_inverse=True)[1].astype(np.int64)
            if len(words) and lemmas.max() >= FEWEST:
                usable.append((words, lemmas))
        if len(usable) >= 2:
            families.append((parent, tuple(usable)))
    return tuple(families)


def _accuracies(directions: ConceptDirections) -> NDArray[np.float64]:
    points = directions.cloud.points
    return np.array([_accuracy(points, children) for _, children in _families(directions.hierarchy)], dtype=np.float64)


def _accuracy(points: torch.Tensor, children: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]) -> float:
    rows = [points[torch.from_numpy(words).to(points.device)] for words, _ in children]
    centroids = torch.stack([own.mean(dim=0) for own in rows])
    shares = []
    for child, (own, (_, lemmas)) in enumerate(zip(rows, children, strict=True)):
        distances = torch.cdist(own, centroids)
        group = torch.from_numpy(lemmas).to(points.device)
        sums = torch.zeros(int(lemmas.max()) + 1, own.shape[1], dtype=own.dtype, device=own.device)
        sums.index_add_(0, group, own)
        sizes = torch.bincount(group)[group]
        without = (centroids[child] * len(own) - sums[group]) / (len(own) - sizes)[:, None]
        distances[:, child] = torch.linalg.vector_norm(own - without, dim=1)
        shares.append(float((distances.argmin(dim=1) == child).double().mean()))
    k = len(children)
    return (float(np.mean(shares)) - 1 / k) / (1 - 1 / k)
