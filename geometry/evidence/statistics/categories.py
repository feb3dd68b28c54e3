"""Every concept with its children as a categorical concept: k values that theory places on a simplex.

Questions about each: are held-out words nearest their own value (membership), do the k values span k − 1 directions
that both halves of the words agree on (span), and do they stand at the angles of a regular simplex, of which theory
says nothing?
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, held_out_columns
from geometry.evidence.requirements import DIVIDED, FEWEST, Requirement, divisible, halvable
from geometry.evidence.splits import Split
from geometry.evidence.statistics.family_scores import family_scores
from geometry.evidence.statistics.statistic import Statistic

if TYPE_CHECKING:
    from geometry.evidence.statistics.score_kernels import Sets

_FEWEST_VALUES = 3  # two make a line segment, which is always a regular simplex
_WITHOUT_CONTRASTS = ("permuted", "shuffled", "gaussian", "random_subset")
_NOISE = 10  # times the mean squared cosine 1/d of random vectors


def membership() -> Statistic:
    """Nearest-centroid accuracy, balanced and chance-corrected, of held-out words among a concept's children.

    (accuracy − 1/k) / (1 − 1/k): 0 by chance, 1 if every word is nearest its own. Words of several children are left
    out; of a child with fewer than 3 others only the vertex counts.
    """
    what = f"concept with 2 children of {DIVIDED} words and 2 lemmas, {FEWEST} of them in no sibling"
    return _per_category("membership", "lemma", _membership, 2, Requirement(what, 1, _families_of_own_words))


def simplex_span() -> Statistic:
    """Share of the k − 1 dimensions spanned by the children's contrasts in one half of the words that the other finds.

    The mean squared cosine of the principal angles between the two spans: (k − 1)/d for unrelated ones, 1 for equal.
    """
    return _of_simplex("simplex_span", "halves", _span)


def simplex_dimension() -> Statistic:
    """`simplex_span` over what the noise of the contrasts themselves allows: 1 if all k − 1 dimensions are as clear.

    A contrast of two children that is the same in both halves but for noise has a squared cosine with itself below 1;
    if the span is k − 1 dimensions, its overlap is as large as the mean of these. Less, where siblings lie along
    fewer: on a line, one dimension is clear and the others are noise. nan where contrasts are no clearer than noise.
    """
    return replace(_of_simplex("simplex_dimension", "halves", _dimension), not_beside=_WITHOUT_CONTRASTS)


def simplex_angles() -> Statistic:
    """Mean deviation from 60° of the angles of the children's simplex, freed of noise by comparing halves.

    Inner products of ℓ of one half with ℓ of the other estimate those of the true vectors without
    the bias that noise gives to lengths. nan where an edge has no reproducible length.
    """
    return _of_simplex("simplex_angles", "halves", _angle)


def _per_category(
    name: str, split: Split, evaluate: Callable[..., NDArray[np.float64]], fewest: int, needed: Requirement
) -> Statistic:
    """One number for every concept with at least so many children."""
    return Statistic(name, split, 0.0, evaluate, partial(_labels, fewest), requires=(needed,))


def _categories(hierarchy: ConceptHierarchy, fewest: int) -> dict[int, tuple[int, ...]]:
    return {parent: subset for parent, subset in hierarchy.reported_families.items() if len(subset) >= fewest}


def _labels(fewest: int, directions: ConceptDirections) -> tuple[str, ...]:
    names, families = directions.hierarchy.labels, _categories(directions.hierarchy, fewest)
    return tuple(f"{names[parent]} ({len(children)})" for parent, children in families.items())


def _of_simplex(name: str, split: Split, measure: Callable[..., torch.Tensor]) -> Statistic:
    """From the vertices ℓ of the children that every fit has, shape (m, k, d) of each fit, to m numbers.

    Of the m families with k such children; nan of those with too few.
    """
    needed = Requirement(f"concept with {_FEWEST_VALUES} children of 2 lemmas each", 1, _halved_families)
    return _per_category(name, split, partial(_of_vertices, measure), _FEWEST_VALUES, needed)


def _halved_families(hierarchy: ConceptHierarchy) -> int:
    families = _categories(hierarchy, _FEWEST_VALUES).values()
    return sum(int(halvable(hierarchy)[list(children)].sum()) >= _FEWEST_VALUES for children in families)


def _families_of_own_words(hierarchy: ConceptHierarchy) -> int:
    return sum(_with_own_words(hierarchy, children) >= 2 for children in _categories(hierarchy, 2).values())


def _with_own_words(hierarchy: ConceptHierarchy, children: Sequence[int]) -> int:
    held = np.bincount(np.concatenate([hierarchy.members[child] for child in children]))
    own = [int((held[hierarchy.members[child]] == 1).sum()) >= FEWEST for child in children]
    return int((divisible(hierarchy)[list(children)] & own).sum())


def _of_vertices(measure: Callable[..., torch.Tensor], *fits: ConceptDirections) -> NDArray[np.float64]:
    fitted = np.logical_and.reduce([_fitted(directions) for directions in fits])
    places, alike = defaultdict[int, list[int]](list), defaultdict[int, list[list[int]]](list)
    families = _categories(fits[0].hierarchy, _FEWEST_VALUES).values()
    for place, family in enumerate(families):
        children = [child for child in family if fitted[child]]
        places[len(children)].append(place)
        alike[len(children)].append(children)
    result = np.full(len(families), np.nan)
    for k in alike:
        if k >= _FEWEST_VALUES:
            own = torch.tensor(alike[k])
            found = measure(*(directions.vectors[own] for directions in fits))
            result[places[k]] = found.cpu().double().numpy()
    return result


def _fitted(directions: ConceptDirections) -> NDArray[np.bool_]:
    """Which concepts have a vector."""
    return directions.vectors.sum(dim=1).isfinite().cpu().numpy()  # a number that is not finite leaves no sum that is


def _membership(directions: ConceptDirections) -> NDArray[np.float64]:
    fitted = _fitted(directions)
    families = [
        tuple(child for child in children if fitted[child])
        for children in _categories(directions.hierarchy, 2).values()
    ]
    result = np.full(len(families), np.nan)
    measured = [place for place, children in enumerate(families) if len(children) > 1]
    if not measured:
        return result
    alone = _held_out_alone(
        directions.hierarchy, tuple(families[place] for place in measured), directions.train.tobytes()
    )
    right = _nearest(directions, family_scores(directions), alone) == alone.truth
    starts, sizes = alone.concepts.starts[:-1], np.diff(alone.concepts.starts)
    child = np.repeat(starts, np.diff(alone.words.starts)) + alone.truth
    counts, hits = (np.bincount(child, weights, minlength=int(sizes.sum())) for weights in (None, right))
    # A child with too few held-out words stays a vertex that others may be nearest to.
    enough = counts >= FEWEST
    recalls, counted = np.where(enough, hits / np.maximum(counts, 1), 0), np.add.reduceat(enough, starts, dtype=int)
    accuracy = np.add.reduceat(recalls, starts) / np.maximum(counted, 1)
    result[measured] = np.where(counted < 2, np.nan, (accuracy - 1 / sizes) / (1 - 1 / sizes))
    return result


def nearest_vertices(directions: ConceptDirections, concepts: Sequence[int]) -> NDArray[np.int64]:
    """Held-out tokens of concept i alone among `concepts`, whose nearest ℓ is that of j: counts, shape (k, k)."""
    alone, k = _held_out_alone(directions.hierarchy, (tuple(concepts),), directions.train.tobytes()), len(concepts)
    nearest = _nearest(directions, directions.scores, alone)
    return np.bincount(alone.truth * k + nearest, minlength=k * k).reshape(k, k)


def _nearest(directions: ConceptDirections, scores: NDArray[np.floating[Any]], alone: "_Alone") -> NDArray[np.int64]:
    """The concept of its family that each word is nearest, by its place there."""
    from geometry.evidence.statistics.score_kernels import nearest  # numba takes a second to import

    squares = directions.vectors.square().sum(dim=1).cpu().numpy()
    result = np.empty_like(alone.truth)
    nearest(scores, squares, alone.concepts, alone.words, result)
    return result


class _Alone(NamedTuple):
    """Of some families of concepts the held-out tokens of a single one, as columns of the scores, and of which."""

    concepts: "Sets"
    words: "Sets"
    truth: NDArray[np.int64]


# Permutations share hierarchy and split with the model.
@lru_cache(maxsize=16)
def _held_out_alone(hierarchy: ConceptHierarchy, families: tuple[tuple[int, ...], ...], train: bytes) -> _Alone:
    from geometry.evidence.statistics.score_kernels import Sets

    words, truth = list[NDArray[np.int64]](), [np.empty(0, np.int64)]
    for concepts in families:
        columns = [held_out_columns(hierarchy, train)[concept] for concept in concepts]
        owners = np.bincount(np.concatenate(columns))
        alone = [own[owners[own] == 1] for own in columns]
        words.append(np.concatenate(alone))
        truth.append(np.repeat(np.arange(len(concepts)), [len(own) for own in alone]))
    return _Alone(Sets.of([np.array(concepts) for concepts in families]), Sets.of(words), np.concatenate(truth))


def _span(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    k, d = first.shape[1:]
    if k > d:
        return torch.full_like(first[:, 0, 0], torch.nan)
    first, second = (torch.linalg.qr((vertices[:, 1:] - vertices[:, :1]).mT).Q for vertices in (first, second))
    return (first.mT @ second).square().sum(dim=(1, 2)) / (k - 1)


def _dimension(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    k, d = first.shape[1:]
    i, j = torch.triu_indices(k, k, 1)
    # Family by family: of all at once there would be as many numbers as in no other statistic.
    cosines = [
        torch.nn.functional.cosine_similarity(one[i] - one[j], other[i] - other[j], dim=1)
        for one, other in zip(first, second, strict=True)
    ]
    clear = torch.stack(cosines).square().mean(dim=1)
    return torch.where(clear > _NOISE / d, _span(first, second) / clear, torch.nan)


def _angle(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    gram = first @ second.mT
    cosines = _corner_cosines((gram + gram.mT) / 2)
    return (torch.rad2deg(torch.acos(cosines.clamp(-1, 1))) - 60).abs().mean(dim=1)


def _corner_cosines(gram: torch.Tensor) -> torch.Tensor:
    """cos of the angle between edges i→j and i→m at every corner i of simplices, from their vertices' Gram matrices."""
    k = gram.shape[1]
    diagonal = gram.diagonal(dim1=1, dim2=2)
    squared = diagonal[:, :, None] + diagonal[:, None] - 2 * gram
    i, j, m = _corners(k)
    # ⟨v_j − v_i, v_m − v_i⟩ by the law of cosines; squared edges may be negative where halves disagree.
    inner = (squared[:, i, j] + squared[:, i, m] - squared[:, j, m]) / 2
    lengths = squared.sqrt()
    return inner / (lengths[:, i, j] * lengths[:, i, m])


@lru_cache(maxsize=64)
def _corners(k: int) -> torch.Tensor:
    i, j, m = torch.meshgrid(*[torch.arange(k)] * 3, indexing="ij")
    return torch.stack([i, j, m])[:, (j < m) & (i != j) & (i != m)]
