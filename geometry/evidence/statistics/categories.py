"""Every concept with its children as a categorical concept: k values that theory places on a simplex.

Questions about each: are held-out words nearest their own value (membership), do the k values span k − 1 directions
that both halves of the words agree on (span), and do they stand at the angles of a regular simplex, of which theory
says nothing?
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, held_out_columns
from geometry.evidence.requirements import DIVIDED, FEWEST, Requirement, divisible, halvable
from geometry.evidence.splits import Split
from geometry.evidence.statistics.statistic import Statistic

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
    name: str, split: Split, measure: Callable[..., float], fewest: int, needed: Requirement
) -> Statistic:
    """One number, from the children and the fits, for every concept with at least so many children."""

    evaluate, labels = partial(_evaluate, measure, fewest), partial(_labels, fewest)
    return Statistic(name, split, 0.0, evaluate, labels, requires=(needed,))


def _categories(hierarchy: ConceptHierarchy, fewest: int) -> dict[int, tuple[int, ...]]:
    return {parent: subset for parent, subset in hierarchy.reported_families.items() if len(subset) >= fewest}


def _evaluate(measure: Callable[..., float], fewest: int, *fits: ConceptDirections) -> NDArray[np.float64]:
    families = _categories(fits[0].hierarchy, fewest).values()
    return np.array([measure(children, *fits) for children in families], dtype=np.float64)


def _labels(fewest: int, directions: ConceptDirections) -> tuple[str, ...]:
    names, families = directions.hierarchy.labels, _categories(directions.hierarchy, fewest)
    return tuple(f"{names[parent]} ({len(children)})" for parent, children in families.items())


def _of_simplex(name: str, split: Split, measure: Callable[..., torch.Tensor]) -> Statistic:
    """From the vertices ℓ of the children that every fit has, shape (k, d) of each fit; nan if they are too few."""
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


def _of_vertices(measure: Callable[..., torch.Tensor], children: Sequence[int], *fits: ConceptDirections) -> float:
    vertices = torch.stack([directions.vectors[torch.tensor(children)] for directions in fits])
    whole = vertices.isfinite().all(dim=2).all(dim=0)
    return float(measure(*vertices[:, whole])) if int(whole.sum()) >= _FEWEST_VALUES else np.nan


def _membership(children: Sequence[int], directions: ConceptDirections) -> float:
    fitted = [child for child in children if bool(directions.vectors[child].isfinite().all())]
    if len(fitted) < 2:
        return np.nan
    confusion = nearest_vertices(directions, fitted)
    enough = confusion.sum(axis=1) >= FEWEST
    if enough.sum() < 2:
        return np.nan
    # A child with too few held-out words stays a vertex that others may be nearest to.
    accuracy = (confusion.diagonal()[enough] / confusion.sum(axis=1)[enough]).mean()
    return float((accuracy - 1 / len(fitted)) / (1 - 1 / len(fitted)))


def nearest_vertices(directions: ConceptDirections, concepts: Sequence[int]) -> NDArray[np.int64]:
    """Held-out tokens of concept i alone among `concepts`, whose nearest ℓ is that of j: counts, shape (k, k)."""
    columns, truth = _held_out_alone(directions.hierarchy, tuple(concepts), directions.train.tobytes())
    squares = directions.vectors[list(concepts)].square().sum(dim=1).cpu().numpy()
    # ‖y − ℓ‖² without the ‖y‖² that all vertices have in common.
    distances = squares[:, None] - 2 * directions.scores[np.array(concepts)[:, None], columns]
    flat = np.bincount(truth * len(concepts) + distances.argmin(axis=0), minlength=len(concepts) ** 2)
    return flat.reshape(len(concepts), len(concepts))


# Permutations share hierarchy and split with the model.
@lru_cache(maxsize=1 << 11)
def _held_out_alone(
    hierarchy: ConceptHierarchy, concepts: tuple[int, ...], train: bytes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Held-out tokens of a single one of some concepts, as columns of the scores, and of which."""
    columns = [held_out_columns(hierarchy, train)[concept] for concept in concepts]
    owners = np.bincount(np.concatenate(columns))
    alone = [own[owners[own] == 1] for own in columns]
    return np.concatenate(alone), np.repeat(np.arange(len(concepts)), [len(own) for own in alone])


def _span(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    if len(first) > first.shape[1]:
        return torch.tensor(torch.nan)
    first, second = (torch.linalg.qr((vertices[1:] - vertices[0]).T).Q for vertices in (first, second))
    return (first.T @ second).square().sum() / first.shape[1]


def _dimension(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    i, j = torch.triu_indices(len(first), len(first), 1)
    cosines = torch.nn.functional.cosine_similarity(first[i] - first[j], second[i] - second[j], dim=1)
    clear = cosines.square().mean()
    return _span(first, second) / clear if clear > _NOISE / first.shape[1] else torch.tensor(torch.nan)


def _angle(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    gram = first @ second.T
    cosines = _corner_cosines((gram + gram.T) / 2)
    return (torch.rad2deg(torch.acos(cosines.clamp(-1, 1))) - 60).abs().mean()


def _corner_cosines(gram: torch.Tensor) -> torch.Tensor:
    """cos of the angle between edges i→j and i→m at every corner i of a simplex, from its vertices' Gram matrix."""
    k = len(gram)
    squared = gram.diagonal()[:, None] + gram.diagonal()[None] - 2 * gram
    # ⟨v_j − v_i, v_m − v_i⟩ by the law of cosines; squared edges may be negative where halves disagree.
    inner = (squared[:, :, None] + squared[:, None, :] - squared[None]) / 2
    lengths = squared.sqrt()
    cosines = inner / (lengths[:, :, None] * lengths[:, None, :])
    i, j, m = torch.meshgrid(*[torch.arange(k)] * 3, indexing="ij")
    return cosines[(j < m) & (i != j) & (i != m)]
