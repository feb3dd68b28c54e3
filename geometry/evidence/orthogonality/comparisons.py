"""What each claim of orthogonality compares: two contrasts of sets of words that share none."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.evidence.statistics.statistic import FEWEST

FEWEST_LEMMAS = 16
MOST_OF_A_FAMILY = 12  # they share words, and so say little more than these
_ZERO = -1


class WordSet(NamedTuple):
    """The words of a concept without the lemmas of some others."""

    concept: int
    without: tuple[int, ...] = ()


class Comparison(NamedTuple):
    """upper − lower ⊥ reference − base; no base is the zero vector. Families are what is drawn again in a bootstrap."""

    family: int
    upper: WordSet
    lower: WordSet
    reference: WordSet
    base: WordSet | None = None


def _child_and_parent(hierarchy: ConceptHierarchy) -> Iterator[Comparison]:
    for parent, child in hierarchy.edges:
        rest = WordSet(parent, (child,))
        yield Comparison(parent, WordSet(child), rest, rest)


def _siblings_and_parent(hierarchy: ConceptHierarchy) -> Iterator[Comparison]:
    for parent, children in hierarchy.families.items():
        for first, second in combinations(children, 2):
            yield Comparison(parent, WordSet(second), WordSet(first), WordSet(parent, (first, second)))


def _siblings_and_their_children(hierarchy: ConceptHierarchy) -> Iterator[Comparison]:
    for top, siblings in hierarchy.families.items():
        for first, second in combinations(siblings, 2):
            for item in (first, second):
                for pair in combinations(hierarchy.families.get(item, ()), 2):
                    reference, base = WordSet(second, pair), WordSet(first, pair)
                    yield Comparison(top, WordSet(pair[1]), WordSet(pair[0]), reference, base)


def _links_of_a_chain(hierarchy: ConceptHierarchy) -> Iterator[Comparison]:
    for top, middles in hierarchy.families.items():
        for middle in middles:
            for bottom in hierarchy.families.get(middle, ()):
                rest = WordSet(middle, (bottom,))
                yield Comparison(top, WordSet(bottom), rest, rest, WordSet(top, (middle,)))


# Claim → its comparisons, and how many folds they take: four where both contrasts contain the same words.
CLAIMED: Mapping[str, tuple[Callable[[ConceptHierarchy], Iterator[Comparison]], int]] = {
    "orthogonality-a": (_child_and_parent, 4),
    "orthogonality-b": (_siblings_and_parent, 2),
    "orthogonality-c": (_siblings_and_their_children, 2),
    "orthogonality-d": (_links_of_a_chain, 4),
}


@dataclass(frozen=True, eq=False)
class Comparisons:
    """The comparisons of one claim on a hierarchy that have enough words on every side.

    Attributes:
        claim: its name.
        n_folds: of words that they take.
        contrasts: shape (m, 4), the numbers of the sets upper, lower, reference and base; −1 for the zero vector.
        unrelated: shape (m, 2), the reference and base of another comparison whose concepts share no lemma with those
            of upper and lower; −2 where there is none.
        family: shape (m,), numbers from 0.
        families: of each number the position of its concept.
        left_out: comparisons with fewer than 16 lemmas in a set.
    """

    claim: str
    n_folds: int
    contrasts: NDArray[np.int64]
    unrelated: NDArray[np.int64]
    family: NDArray[np.int64]
    families: tuple[int, ...]
    left_out: int

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.contrasts)

    @property
    def n_families(self) -> int:
        """How many families they come from."""
        return len(np.unique(self.family))


class WordSets:
    """Numbers sets of words as comparisons ask for them, for all claims that divide words into as many folds."""

    def __init__(self, hierarchy: ConceptHierarchy) -> None:
        self._hierarchy = hierarchy
        lemmas = [np.unique(hierarchy.lemmas[members]) for members in hierarchy.members]
        owner = np.repeat(np.arange(len(lemmas)), [len(own) for own in lemmas])
        n_lemmas = int(hierarchy.lemmas.max()) + 1
        held = coo_array((np.ones(len(owner)), (owner, np.concatenate(lemmas))), shape=(len(lemmas), n_lemmas))
        self._held = held.toarray() > 0
        self._shared = self._held.astype(np.float32) @ self._held.T.astype(np.float32) > 0
        self._numbers: dict[WordSet, int] = {}

    def compare(self, claim: str, rng: np.random.Generator) -> Comparisons:
        """The comparisons of a claim; `rng` chooses among those of large families, and the unrelated references."""
        every, n_folds = CLAIMED[claim]
        # A family under two siblings lists its contrasts twice.
        listed = list(dict.fromkeys(every(self._hierarchy)))
        enough = [item for item in listed if self.enough(item)]
        kept = _few_of_each(enough, rng)
        numbers = [
            [_ZERO if part is None else self._numbers.setdefault(part, len(self._numbers)) for part in item[1:]]
            for item in kept
        ]
        contrasts = np.array(numbers, dtype=np.int64).reshape(-1, 4)
        families, family = np.unique(np.array([item.family for item in kept], dtype=np.int64), return_inverse=True)
        return Comparisons(
            claim,
            n_folds,
            contrasts,
            _unrelated(kept, contrasts, self._shared, rng),
            family.astype(np.int64),
            tuple(families.tolist()),
            len(listed) - len(enough),
        )

    def tokens(self) -> list[NDArray[np.int64]]:
        """Of every set, in the order of the numbers: positions in `hierarchy.tokens`."""
        return [self._tokens(part) for part in self._numbers]

    def _kept(self, part: WordSet) -> NDArray[np.bool_]:
        kept = self._held[part.concept]
        return kept & ~self._held[list(part.without)].any(axis=0) if part.without else kept

    def enough(self, comparison: Comparison) -> bool:
        """Whether every side has the lemmas that it takes."""
        sides = (part for part in comparison[1:] if part is not None)
        return all(int(self._kept(part).sum()) >= FEWEST_LEMMAS for part in sides)

    def _tokens(self, part: WordSet) -> NDArray[np.int64]:
        members = self._hierarchy.members[part.concept]
        return members[self._kept(part)[self._hierarchy.lemmas[members]]]


@lru_cache(maxsize=64)
def families_compared(claim: str, hierarchy: ConceptHierarchy) -> int:
    """How many families have a comparison of a claim with enough words on every side."""
    sets = WordSets(hierarchy)
    return len({item.family for item in CLAIMED[claim][0](hierarchy) if sets.enough(item)})


def _few_of_each(listed: list[Comparison], rng: np.random.Generator) -> list[Comparison]:
    """At most 12 of a family, in the order listed."""
    order = rng.permutation(len(listed))
    family = np.array([item.family for item in listed], dtype=np.int64)[order]
    grouped = np.argsort(family, kind="stable")
    starts = np.flatnonzero(np.diff(family[grouped], prepend=-1))
    place = np.arange(len(listed)) - np.repeat(starts, np.diff(np.append(starts, len(listed))))
    return [listed[index] for index in np.sort(order[grouped[place < MOST_OF_A_FAMILY]])]


def _unrelated(
    kept: list[Comparison], contrasts: NDArray[np.int64], shared: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    m = len(kept)
    result = np.full((m, 2), -2, dtype=np.int64)
    if m < FEWEST:
        return result
    # A base that is not there cannot share anything: the reference stands in for it.
    others = np.array([[item.reference.concept, (item.base or item.reference).concept] for item in kept])
    for index, item in enumerate(kept):
        meets = (shared[item.upper.concept] | shared[item.lower.concept])[others].any(axis=1)
        if len(apart := np.flatnonzero(~meets)):
            result[index] = contrasts[rng.choice(apart), 2:]
    return result
