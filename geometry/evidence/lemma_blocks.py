"""Permutations of a hierarchy's own lemmas, each with all of its forms, among lemmas as frequent as itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy, lemma_frequency_ranks
from geometry.display import short_repr

_BANDS = 40  # of equally many lemmas; fewer where there are few lemmas
_FEWEST = 20  # lemmas of a stratum


@dataclass(frozen=True, eq=False)
class LemmaBlocks:
    """The lemmas of a hierarchy in strata, within which they are exchangeable if concepts mean nothing.

    >>> blocks = LemmaBlocks.of(hierarchy)  # doctest: +SKIP
    >>> rows = blocks.permutation(np.random.default_rng(0))  # doctest: +SKIP

    A stratum holds the lemmas of one band of frequency (`geometry.concepts.lemma_frequency_ranks`) with the same number
    of forms: blocks of one size can change places, and rows of frequent words differ from those of rare ones. Bands
    with fewer than 20 such lemmas are joined with the next.

    Attributes:
        hierarchy: whose tokens are permuted.
        strata: of each, the positions of its lemmas' tokens in `hierarchy.tokens`, shape (lemmas, forms).
    """

    hierarchy: ConceptHierarchy
    strata: tuple[NDArray[np.int64], ...]

    __repr__ = short_repr

    @classmethod
    def of(cls, hierarchy: ConceptHierarchy, *, by_frequency: bool = True) -> "LemmaBlocks":
        """Sort the lemmas of a hierarchy into strata; without `by_frequency` by their number of forms alone."""
        lemmas = hierarchy.lemmas
        order = np.argsort(lemmas, kind="stable")
        forms = np.bincount(lemmas)
        starts = np.cumsum(forms) - forms
        order_of_lemmas = np.argsort(lemma_frequency_ranks(hierarchy), kind="stable")
        band = np.empty(len(forms), dtype=np.int64)
        band[order_of_lemmas] = np.arange(len(forms)) * (_BANDS if by_frequency else 1) // len(forms)
        strata = []
        for size in np.unique(forms):
            own = order_of_lemmas[forms[order_of_lemmas] == size]
            for part in _joined(own, band[own]):
                strata.append(order[starts[part][:, None] + np.arange(size)])
        return cls(hierarchy, tuple(strata))

    @property
    def fixed(self) -> int:
        """How many lemmas cannot move, being alone in their stratum."""
        return sum(len(stratum) == 1 for stratum in self.strata)

    def permutation(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Which row each token gets, shape (T,): lemmas change places with all their forms, in the forms' order."""
        rows = np.empty(len(self.hierarchy.tokens), dtype=np.int64)
        for stratum in self.strata:
            rows[stratum] = stratum[rng.permutation(len(stratum))]
        return rows


def _joined(lemmas: NDArray[np.int64], bands: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Lemmas in order of frequency, cut between bands where at least 20 lie on either side."""
    parts, start = [], 0
    for cut in np.flatnonzero(np.diff(bands)) + 1:
        if cut - start >= _FEWEST and len(lemmas) - cut >= _FEWEST:
            parts.append(lemmas[start:cut])
            start = int(cut)
    return [*parts, lemmas[start:]]
