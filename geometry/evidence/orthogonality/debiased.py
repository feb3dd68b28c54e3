"""Cosines freed of noise: products of estimates from folds of the words that share none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import thinned
from geometry.display import short_repr
from geometry.estimators import Estimator
from geometry.evidence.orthogonality.comparisons import CLAIMED, Comparisons, WordSets
from geometry.evidence.splits import lemma_folds
from geometry.evidence.strength import mean_of_finite
from geometry.gram import RowGram
from geometry.randomness import generator

# The estimate is unbiased whatever the number of words, and changes by a tenth of its interval beyond so many.
FOLD_TOKENS = 64

Values = NDArray[np.float64]


class Products(NamedTuple):
    """Of each comparison an unbiased estimate of ⟨c, p⟩² and one of |c|²|p|², shape (m,)."""

    squared: Values
    lengths: Values

    def __repr__(self) -> str:
        return short_repr(self)


@dataclass(frozen=True, eq=False)
class DebiasedDesign:
    """The comparisons and the folds on which a model and its twins are measured alike.

    Attributes:
        hierarchy: the concepts.
        comparisons: claim → its comparisons.
        sets: number of folds → the sets of words that are compared, as positions in `hierarchy.tokens`.
        n_splits: random divisions into folds, over which products are averaged.
        seed: of the divisions.
    """

    hierarchy: ConceptHierarchy
    comparisons: Mapping[str, Comparisons]
    sets: Mapping[int, Sequence[NDArray[np.int64]]]
    n_splits: int
    seed: int

    __repr__ = short_repr

    @classmethod
    def of(
        cls, hierarchy: ConceptHierarchy, claims: Sequence[str] = tuple(CLAIMED), *, n_splits: int = 2, seed: int = 0
    ) -> "DebiasedDesign":
        """The comparisons of claims (a) to (d) on a hierarchy."""
        sets = {n_folds: WordSets(hierarchy) for n_folds in sorted({CLAIMED[name][1] for name in claims})}
        comparisons = {
            name: sets[CLAIMED[name][1]].compare(name, generator(seed, f"comparisons of {name}")) for name in claims
        }
        return cls(hierarchy, comparisons, {n: words.tokens() for n, words in sets.items()}, n_splits, seed)

    def measure(self, gram: RowGram, estimator: Estimator = "lda") -> dict[str, tuple[Products, Products]]:
        """Claim → products with its own reference, and with an unrelated one (nan where there is none).

        Divisions in which a set has no word in one of the folds do not count; nan where no division does.

        With c and p of two folds, pooled cos² = Σ⟨c₁,p₁⟩⟨c₂,p₂⟩ / Σ⟨c₁,c₂⟩⟨p₁,p₂⟩, where c and p share no word. Where
        they do, four folds: Σ⟨c₁,p₂⟩⟨c₃,p₄⟩ / Σ⟨c₁,c₃⟩⟨p₂,p₄⟩, averaged over the roles of the folds. Noise has no
        part in products of different words, so that the expectation is that of vectors without noise.

        Source: after Diedrichsen et al., arXiv 1607.01371, on unbiased distances.
        """
        splits = [self._split(gram, estimator, number) for number in range(self.n_splits)]
        return {
            name: (_mean([split[name][0] for split in splits]), _mean([split[name][1] for split in splits]))
            for name in self.comparisons
        }

    @cached_property
    def _parts(self) -> list[dict[int, list[list[NDArray[np.int64]]]]]:
        """Of every division, by number of folds: the sets in each fold."""
        divisions: list[dict[int, list[list[NDArray[np.int64]]]]] = []
        for number in range(self.n_splits):
            divisions.append({})
            for n_folds, sets in self.sets.items():
                fold = lemma_folds(self.hierarchy, n_folds, generator(self.seed, f"{n_folds} folds", number))
                divisions[-1][n_folds] = [
                    [thinned(tokens[fold[tokens] == one], FOLD_TOKENS) for tokens in sets] for one in range(n_folds)
                ]
        return divisions

    def _split(self, gram: RowGram, estimator: Estimator, number: int) -> dict[str, tuple[Products, Products]]:
        result = {}
        for n_folds, parts in self._parts[number].items():
            vectors = [_fitted(part, gram, estimator) for part in parts]
            for name, comparisons in self.comparisons.items():
                if comparisons.n_folds == n_folds:
                    result[name] = _measured(comparisons, vectors)
        return result


def _mean(products: Sequence[Products]) -> Products:
    return Products(*(mean_of_finite(np.stack(part)) for part in zip(*products, strict=True)))


def _fitted(sets: Sequence[NDArray[np.int64]], gram: RowGram, estimator: Estimator) -> torch.Tensor:
    """ℓ of each set and, last, the zero vector."""
    vectors = gram.fit(sets).vectors if estimator == "lda" else gram.means(sets)
    return torch.cat([vectors, torch.zeros_like(gram.rows[:1])])


def _measured(comparisons: Comparisons, vectors: Sequence[torch.Tensor]) -> tuple[Products, Products]:
    """Products with the comparisons' own references and with the unrelated ones, from the vectors of each fold."""
    upper, lower, reference, base = torch.from_numpy(comparisons.contrasts).T
    contrasts = torch.stack([rows[upper] - rows[lower] for rows in vectors])
    own = _products(contrasts, torch.stack([rows[reference] - rows[base] for rows in vectors]))
    reference, base = torch.from_numpy(comparisons.unrelated).T
    other = _products(contrasts, torch.stack([rows[reference] - rows[base] for rows in vectors]))
    missing = comparisons.unrelated[:, 0] == -2
    return own, Products(*(np.where(missing, np.nan, part) for part in other))


def _products(contrasts: torch.Tensor, references: torch.Tensor) -> Products:
    """From both contrasts in every fold, shape (folds, m, d)."""
    across, above, below = (
        torch.einsum("imd,jmd->ijm", *pair).cpu().double().numpy()
        for pair in ((contrasts, references), (contrasts, contrasts), (references, references))
    )
    if len(contrasts) == 2:
        return Products((across[0, 0] * across[1, 1] + across[0, 1] * across[1, 0]) / 2, above[0, 1] * below[0, 1])
    roles = list(permutations(range(len(contrasts)), 4))
    squared = np.mean([across[i, j] * across[k, m] for i, j, k, m in roles], axis=0)
    lengths = np.mean([above[i, k] * below[j, m] for i, j, k, m in roles], axis=0)
    return Products(squared, lengths)
