"""Where the tokens of a hierarchy lie: the model's own rows, or others under the same concepts, as null models have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.gram import RowGram, SetFits, in_single_precision

LookUp = Callable[[NDArray[np.int64]], torch.Tensor]


@dataclass(frozen=True, eq=False)
class TokenCloud:
    """The points of a hierarchy's tokens, shape (T, d); row i is g of `hierarchy.tokens[i]`.

    Attributes:
        hierarchy: whose tokens.
        points: where they lie.
        permutation_of: the cloud of which the points are a permutation, and which of its points each is; its inner
            products serve both.
    """

    hierarchy: ConceptHierarchy
    points: torch.Tensor
    permutation_of: "tuple[TokenCloud, NDArray[np.int64]] | None" = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or len(self.points) != len(self.hierarchy.tokens):
            raise EstimationError(
                f"hierarchy {self.hierarchy.name!r} has {len(self.hierarchy.tokens)} tokens,"
                f" but the points have shape {tuple(self.points.shape)}"
            )

    @classmethod
    def of(cls, space: CausalSpace, hierarchy: ConceptHierarchy) -> "TokenCloud":
        """The model's own rows g(y). EstimationError if the hierarchy was made for another vocabulary."""
        vocabulary = space.unembedding.vocabulary
        for token, word in zip(hierarchy.tokens, hierarchy.words, strict=True):
            if token >= len(vocabulary) or vocabulary.text(int(token)).strip() != word:
                raise EstimationError(
                    f"hierarchy {hierarchy.name!r} takes token {token} for {word!r}, which it is not in"
                    f" {space.unembedding.name}; build the hierarchy with this model's vocabulary"
                )
        return cls(hierarchy, space.rows(hierarchy.tokens))

    def moved(self, points: torch.Tensor) -> "TokenCloud":
        """The same tokens and concepts at other points."""
        return TokenCloud(self.hierarchy, points)

    def permuted(self, rows: NDArray[np.int64]) -> "TokenCloud":
        """The same tokens and concepts, token i at point `rows[i]`; of a large cloud in single precision."""
        return _Gathered(self, partial(_permuted, self, rows), (self, rows))

    def gathered(self, look_up: LookUp) -> "TokenCloud":
        """The same tokens and concepts at points that are looked up, (n, d) from positions (n,), when asked for."""
        return _Gathered(self, look_up)

    @cached_property
    def finite(self) -> bool:
        """Whether all points are."""
        if self.permutation_of is not None:
            return self.permutation_of[0].finite
        return all(bool(end.isfinite()) for end in torch.aminmax(self.points))

    @cached_property
    def products(self) -> RowGram:
        """Fits from inner products that are kept, for many permutations."""
        return RowGram(self.points.float() if in_single_precision(len(self.points)) else self.points)

    @property
    def width(self) -> int:
        """d, the length of a point."""
        return int(self.points.shape[1])

    def at(self, tokens: NDArray[np.int64]) -> torch.Tensor:
        """The points of some tokens, by their position, shape (n, d)."""
        return self.points[torch.from_numpy(tokens).to(self.points.device)]

    def located(self, tokens: NDArray[np.int64]) -> tuple[torch.Tensor, NDArray[np.int64]]:
        """The points of some tokens where they already lie: a matrix, and which of its rows each is."""
        if self.permutation_of is None:
            return self.points, tokens
        cloud, rows = self.permutation_of
        return cloud.products.rows, rows[tokens]

    def fit(self, sets: Sequence[NDArray[np.int64]]) -> SetFits:
        """LDA fits to sets of tokens, by their position; see `RowGram`."""
        if self.permutation_of is None:
            return RowGram(self.points, kept=False).fit(sets)
        cloud, rows = self.permutation_of
        return cloud.products.fit([rows[members] for members in sets])


class _Gathered(TokenCloud):
    """A cloud whose points are gathered as far as they are asked for."""

    def __init__(
        self,
        cloud: TokenCloud,
        look_up: LookUp,
        permutation_of: "tuple[TokenCloud, NDArray[np.int64]] | None" = None,
    ) -> None:
        self.__dict__.update(hierarchy=cloud.hierarchy, permutation_of=permutation_of, _look_up=look_up, _like=cloud)

    @cached_property
    def points(self) -> torch.Tensor:
        return self.at(np.arange(len(self.hierarchy.tokens)))

    @property
    def width(self) -> int:
        return self._like.width  # type: ignore[attr-defined]

    def at(self, tokens: NDArray[np.int64]) -> torch.Tensor:
        return self._look_up(tokens)  # type: ignore[attr-defined]

    def located(self, tokens: NDArray[np.int64]) -> tuple[torch.Tensor, NDArray[np.int64]]:
        if self.permutation_of is not None:
            return super().located(tokens)
        return self.at(tokens), np.arange(len(tokens))


def _permuted(cloud: TokenCloud, rows: NDArray[np.int64], tokens: NDArray[np.int64]) -> torch.Tensor:
    points = cloud.products.rows
    return points[torch.from_numpy(rows[tokens]).to(points.device)]
