"""What a hierarchy must have for a statistic to be measured, declared where the statistic is.

One declaration says it before work starts (`geometry.evidence.unmeasurable`) and in the verdict "not measurable".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr

FEWEST = 3  # a mean, an AUC or a correlation over fewer tokens or pairs says nothing
DIVIDED = FEWEST + 1  # words of a concept: one to fit to, and so many to hold out


@dataclass(frozen=True)
class Requirement:
    """At least so many of something. Necessary, not sufficient: divisions of the words may leave less.

    >>> edges = Requirement("edges", 2, lambda hierarchy: len(hierarchy.edges))
    >>> vocabulary = geo.Vocabulary(["Ġanimal", "Ġdog", "Ġbird"])  # doctest: +SKIP
    >>> edges.lacking(geo.load_hierarchy({"animal": {"pet": ["dog"], "other": ["bird"]}}, vocabulary))  # doctest: +SKIP
    ''

    Attributes:
        what: is counted, in the number that goes with `least`.
        least: so many of it.
        count: how many a hierarchy has; beyond `least` it may stop counting.
        where: which of them count, as far as `what` does not say.
    """

    what: str
    least: int
    count: Callable[[ConceptHierarchy], int]
    where: str = ""

    __repr__ = short_repr

    def lacking(self, hierarchy: ConceptHierarchy, *, in_full: bool = False) -> str:
        """What is needed and what there is, "needs at least 8 families, has 1"; empty where it is enough."""
        if (has := self.count(hierarchy)) >= self.least:
            return ""
        what = f"{self.what} {self.where}" if in_full and self.where else self.what
        return f"needs at least {self.least} {what}, has {has}"


def lacking(requirements: Sequence[Requirement], hierarchy: ConceptHierarchy, *, in_full: bool = False) -> str:
    """What the first of several requirements that is not met says; empty where all are."""
    said = (requirement.lacking(hierarchy, in_full=in_full) for requirement in requirements)
    return next(filter(None, said), "")


@lru_cache(maxsize=16)
def divisible(hierarchy: ConceptHierarchy) -> NDArray[np.bool_]:
    """Concepts of which a division by lemmas may leave enough to fit to and to hold out, shape (k,)."""
    sizes = np.array([len(members) for members in hierarchy.members])
    return (sizes >= DIVIDED) & halvable(hierarchy)


@lru_cache(maxsize=16)
def halvable(hierarchy: ConceptHierarchy) -> NDArray[np.bool_]:
    """Concepts of two lemmas or more, shape (k,): others have no halves."""
    return np.array([len(np.unique(hierarchy.lemmas[members])) > 1 for members in hierarchy.members], dtype=bool)


def others(hierarchy: ConceptHierarchy, concept: int, other: int) -> int:
    """How many words a concept has that another lacks."""
    return len(np.setdiff1d(hierarchy.members[concept], hierarchy.members[other], assume_unique=True))
