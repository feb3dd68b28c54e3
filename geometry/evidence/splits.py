"""Which tokens a fit may see: all, a random part, a part that keeps each lemma on one side, or word-disjoint folds."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError

Split = Literal["whole", "token", "lemma", "halves"]


def train_mask(
    hierarchy: ConceptHierarchy, split: Split, rng: np.random.Generator, train_fraction: float = 0.7
) -> NDArray[np.bool_]:
    """Bool array over `hierarchy.tokens`, True for tokens to fit on.

    One split serves all concepts, so that a token held out of a child is held out of its parent too.

    Parameters:
        split: "whole" trains on everything; "token" draws tokens; "lemma" draws lemmas, so that case and plural
            variants of a word never fall on both sides; "halves" draws half of the lemmas: what two
            halves without a common word agree on is not in the words.
        train_fraction: expected share of tokens or lemmas to train on, strictly between 0 and 1; of "halves" it is ½.
    """
    if split not in get_args(Split):
        raise EstimationError(f"unknown split {split!r}; choose from {', '.join(get_args(Split))}")
    if not 0 < train_fraction < 1:
        raise EstimationError(f"train_fraction must lie strictly between 0 and 1, not {train_fraction}")
    if split == "whole":
        return np.ones(len(hierarchy.tokens), dtype=bool)
    fraction = 0.5 if split == "halves" else train_fraction
    units = np.arange(len(hierarchy.tokens)) if split == "token" else hierarchy.lemmas
    order = _spread(hierarchy, units, rng)
    steps = np.floor(fraction * np.arange(len(order) + 1) + rng.random())
    return (np.diff(steps) > 0)[np.argsort(order)][units]


def lemma_folds(hierarchy: ConceptHierarchy, n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each of `hierarchy.tokens`, from 0; the forms of a lemma are in one fold, and folds share no word.

    Every concept has close to an equal share of its lemmas in each fold.
    """
    order = _spread(hierarchy, hierarchy.lemmas, rng)
    # Folds come in random turns, so that which fold gets the odd lemma is not always the same.
    turns = np.concatenate([rng.permutation(n_folds) for _ in range(len(order) // n_folds + 1)])[: len(order)]
    return turns[np.argsort(order)][hierarchy.lemmas]


def _spread(hierarchy: ConceptHierarchy, units: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The units, shuffled, then ordered by the smallest concept that holds them.

    Taken at even steps, every concept gives up close to its share, however few its words.
    """
    smallest = np.full(len(hierarchy.tokens), len(hierarchy))
    for index in sorted(range(len(hierarchy)), key=lambda index: -len(hierarchy.members[index])):
        smallest[hierarchy.members[index]] = index
    order = rng.permutation(int(units.max()) + 1)
    stratum = np.zeros(len(order), dtype=np.int64)
    stratum[units] = smallest
    return order[np.argsort(stratum[order], kind="stable")]


def training_parts(split: Split, mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], ...]:
    """The parts to fit on, each by itself: both halves of "halves", otherwise the one that `train_mask` gave."""
    return (mask, ~mask) if split == "halves" else (mask,)
