"""Concept vectors of a whole hierarchy, fitted on a cloud of token rows.

`TokenCloud` holds where each token of a hierarchy lies; replacing its points (by shuffled or random
rows) gives a null model with the same concepts. `ConceptDirections` holds the vectors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError
from geometry.estimators import ConceptVector, Estimator, concept_vector, lda_from_scatter


@dataclass(frozen=True, eq=False)
class TokenCloud:
    """The points of a hierarchy's tokens.

    Attributes
    ----------
    points : shape (T, d); row i is g of `hierarchy.tokens[i]`.
    """

    hierarchy: ConceptHierarchy
    points: torch.Tensor

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
        return replace(self, points=points)


@dataclass(frozen=True, eq=False)
class ConceptDirections:
    """ℓ of every concept of a hierarchy.

    Attributes
    ----------
    cloud : the points it was fitted on.
    vectors : shape (k, d), row i belongs to `cloud.hierarchy.concepts[i]`.
    shrinkage : shape (k,), Ledoit–Wolf intensities; nan where not used.
    degenerate : shape (k,), True where ℓ is the mean for want of rows.
    estimator : "lda" or "mean".
    train : bool, shape (T,): the tokens that could be used.
    largest : at most so many of them were used a concept; None: all.
    """

    cloud: TokenCloud
    vectors: torch.Tensor
    shrinkage: NDArray[np.float64]
    degenerate: NDArray[np.bool_]
    estimator: Estimator
    train: NDArray[np.bool_]
    largest: int | None = None

    @classmethod
    def fit(
        cls,
        space: CausalSpace,
        hierarchy: ConceptHierarchy,
        *,
        estimator: Estimator = "lda",
        train: NDArray[np.bool_] | None = None,
    ) -> "ConceptDirections":
        """Fit every concept of `hierarchy` in `space`; see `fit_cloud` for parameters and errors."""
        return cls.fit_cloud(TokenCloud.of(space, hierarchy), estimator=estimator, train=train)

    @classmethod
    def fit_cloud(
        cls,
        cloud: TokenCloud,
        *,
        estimator: Estimator = "lda",
        train: NDArray[np.bool_] | None = None,
        largest: int | None = None,
        missing: Literal["raise", "nan"] = "raise",
        known: "ConceptDirections | None" = None,
    ) -> "ConceptDirections":
        """Fit every concept of a cloud.

        Parameters
        ----------
        estimator : "lda" (Ledoit–Wolf) or "mean"; see `concept_vector`.
        train : bool, shape (T,), restricts the fit to some of `hierarchy.tokens`; default all.
        largest : fit a concept of more training tokens to so many of them, evenly spaced by token id,
            which byte-pair vocabularies order by frequency. Below d it bounds the cost of a concept.
        missing : a concept without a training token raises, or gets a vector of nan.
        known : earlier directions on the same points, tokens and estimator; concepts with the same
            tokens are taken from there instead of being fitted again.

        Raises
        ------
        EstimationError
            A concept has no token in `train`, `largest` is not positive, or `known` comes from elsewhere.
        """
        used = np.ones(len(cloud.points), dtype=bool) if train is None else np.asarray(train)
        if used.shape != (len(cloud.points),) or used.dtype != np.bool_:
            raise EstimationError(
                f"train must hold one bool per token, shape ({len(cloud.points)},), not {used.dtype} {used.shape}"
            )
        if largest is not None and largest < 1:
            raise EstimationError(f"a concept must be fitted to at least one token, not {largest}")
        fitted = {} if known is None else known._fits_on(cloud, estimator, used, largest)
        chosen = [_thinned(members[used[members]], largest) for members in cloud.hierarchy.members]
        if not all(bool(end.isfinite()) for end in torch.aminmax(cloud.points)):
            raise EstimationError("a cloud needs finite points; these hold NaN or infinite values")
        for concept, tokens in zip(cloud.hierarchy, chosen, strict=True):
            if missing == "raise" and not len(tokens) and concept.name not in (cloud.hierarchy.drawn or ()):
                raise EstimationError(f"concept {concept.name!r} has no token in the training part")
        new = [index for index, concept in enumerate(cloud.hierarchy) if concept.tokens not in fitted]
        fresh = _fit_sets(cloud.points, [chosen[index] for index in new], estimator)
        fitted |= {cloud.hierarchy.concepts[index].tokens: fit for index, fit in zip(new, fresh, strict=True)}
        fits = [fitted[concept.tokens] for concept in cloud.hierarchy]
        return cls(
            cloud=cloud,
            vectors=torch.stack([fit.vector for fit in fits]),
            shrinkage=np.array([fit.shrinkage for fit in fits]),
            degenerate=np.array([fit.degenerate for fit in fits]),
            estimator=estimator,
            train=used,
            largest=largest,
        )

    def _fits_on(
        self, cloud: TokenCloud, estimator: Estimator, train: NDArray[np.bool_], largest: int | None
    ) -> dict[tuple[int, ...], ConceptVector]:
        """What was fitted, by tokens; EstimationError where `cloud` is not what it was fitted on."""
        same = cloud.points is self.cloud.points and estimator == self.estimator
        if not same or not np.array_equal(cloud.hierarchy.tokens, self.hierarchy.tokens):
            raise EstimationError("known directions must come from the same points, tokens and estimator")
        if not np.array_equal(train, self.train) or largest != self.largest:
            raise EstimationError("known directions must come from the same training tokens")
        fits = zip(self.vectors, self.shrinkage.tolist(), self.degenerate.tolist(), strict=True)
        return {concept.tokens: ConceptVector(*fit) for concept, fit in zip(self.hierarchy, fits, strict=True)}

    @property
    def hierarchy(self) -> ConceptHierarchy:
        """The hierarchy whose concepts these are."""
        return self.cloud.hierarchy

    def held_out(self, concept: int) -> NDArray[np.int64]:
        """Positions of a concept's tokens that its vector was not fitted to."""
        members = self.hierarchy.members[concept]
        return members[~self.train[members]]

    def __getitem__(self, name: str) -> torch.Tensor:
        """ℓ of a concept by name, shape (d,)."""
        return self.vectors[self.hierarchy.index(name)]

    def __len__(self) -> int:
        return len(self.vectors)

    def cosines(self) -> NDArray[np.float64]:
        """cos(ℓ_w, ℓ_z) of every two concepts, shape (k, k)."""
        units = torch.nn.functional.normalize(self.vectors, dim=1)
        return (units @ units.T).cpu().numpy().astype(np.float64)


def _thinned(tokens: NDArray[np.int64], largest: int | None) -> NDArray[np.int64]:
    if largest is None or len(tokens) <= largest:
        return tokens
    return tokens[np.linspace(0, len(tokens) - 1, largest).round().astype(np.int64)]


def _fit_sets(points: torch.Tensor, sets: Sequence[NDArray[np.int64]], estimator: Estimator) -> list[ConceptVector]:
    """`concept_vector` of each set of points, in order; large nested sets share their sums."""
    width = points.shape[1]
    large = [index for index, tokens in enumerate(sets) if len(tokens) >= width and estimator == "lda"]
    # A null model may draw a concept whose few words are all held out; it counts as missing.
    missing = ConceptVector(torch.full_like(points[0], torch.nan), float("nan"), True)
    fits = {
        index: concept_vector(points[torch.from_numpy(tokens)], estimator) if len(tokens) else missing
        for index, tokens in enumerate(sets)
        if index not in large
    }
    fits |= _fit_nested(points, {index: sets[index] for index in large})
    return [fits[index] for index in range(len(sets))]


def _fit_nested(points: torch.Tensor, sets: Mapping[int, NDArray[np.int64]]) -> dict[int, ConceptVector]:
    """Fit each set with Σy and Σyyᵀ summed from the largest other set inside it and the points left over."""
    fits: dict[int, ConceptVector] = {}
    squared_norms = torch.linalg.vector_norm(points, dim=1).square()
    sums: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for index in sorted(sets, key=lambda index: len(sets[index])):
        left = np.zeros(len(points), dtype=bool)
        left[sets[index]] = True
        inside = next((other for other in reversed(sums) if left[sets[other]].all()), None)
        if inside is not None:
            left[sets[inside]] = False
        rows = points[torch.from_numpy(np.flatnonzero(left))]
        total, moment = rows.sum(dim=0), rows.T @ rows
        if inside is not None:
            # Let go: the next set around this one is likely to be around the new one too, and d × d is much to keep.
            inner_total, inner_moment = sums.pop(inside)
            total += inner_total
            moment += inner_moment
        sums[index] = total, moment
        mean = total / len(sets[index])
        scatter = torch.addr(moment, mean, mean, alpha=-len(sets[index]))
        centred_norms = (squared_norms - 2 * (points @ mean))[torch.from_numpy(sets[index])] + mean @ mean
        fits[index] = lda_from_scatter(mean, scatter, centred_norms)
    return fits
