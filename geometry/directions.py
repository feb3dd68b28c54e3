"""Concept vectors of a whole hierarchy, fitted to where its tokens lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.display import html_table, in_short, listed
from geometry.errors import EstimationError
from geometry.estimators import Estimator
from geometry.gram import RowGram, SetFits
from geometry.nested_sets import fit_nested
from geometry.symmetric import lower_gram, mirrored
from geometry.token_cloud import TokenCloud as TokenCloud

if TYPE_CHECKING:
    from pandas import DataFrame

# Permutations share inner products up to here, also where the width is smaller: MAX_TOKENS of `geometry.evidence`.
_FEWEST_LARGE = 129


@dataclass(frozen=True, eq=False)
class ConceptDirections(Mapping[str, torch.Tensor]):
    """ℓ of every concept of a hierarchy: a mapping of names to vectors, parents first.

    >>> import geometry as geo
    >>> unembedding = geo.Unembedding.load("smollm2-135m")
    >>> hierarchy = geo.load_hierarchy("organisms", unembedding.vocabulary)
    >>> directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(unembedding), hierarchy)
    >>> directions["bird"].shape, directions.cosines().shape
    (torch.Size([576]), (15, 15))
    >>> list(directions)[:2], "bird" in directions
    (['organism', 'animal'], True)

    Attributes:
        cloud: the points it was fitted on.
        vectors: shape (k, d), row i belongs to `cloud.hierarchy.concepts[i]`.
        shrinkage: shape (k,), Ledoit–Wolf intensities; nan where not used.
        degenerate: shape (k,), True where ℓ is the mean for want of rows.
        estimator: "lda" or "mean".
        train: bool, shape (T,): the tokens that could be used.
        max_tokens: at most so many of them were used a concept; None: all.
    """

    cloud: TokenCloud
    vectors: torch.Tensor
    shrinkage: NDArray[np.float64]
    degenerate: NDArray[np.bool_]
    estimator: Estimator
    train: NDArray[np.bool_]
    max_tokens: int | None = None

    @classmethod
    @checked
    def fit(
        cls,
        space: CausalSpace,
        hierarchy: ConceptHierarchy,
        *,
        estimator: Estimator = "lda",
        train: NDArray[np.bool_] | None = None,
        max_tokens: int | None = None,
    ) -> "ConceptDirections":
        """Fit every concept of `hierarchy` in `space`; see `fit_cloud` for parameters and errors."""
        cloud = TokenCloud.of(space, hierarchy)
        return cls.fit_cloud(cloud, estimator=estimator, train=train, max_tokens=max_tokens)

    @classmethod
    def fit_cloud(
        cls,
        cloud: TokenCloud,
        *,
        estimator: Estimator = "lda",
        train: NDArray[np.bool_] | None = None,
        max_tokens: int | None = None,
        missing: Literal["raise", "nan"] = "raise",
        reuse: "ConceptDirections | None" = None,
    ) -> "ConceptDirections":
        """Fit every concept of a cloud.

        Parameters:
            estimator: "lda" (Ledoit–Wolf) or "mean"; see `concept_vector`.
            train: bool, shape (T,), restricts the fit to some of `hierarchy.tokens`; default all.
            max_tokens: fit a concept of more training tokens to so many of them, evenly spaced by token id, which
                byte-pair vocabularies order by frequency. Below d it bounds the cost of a concept.
            missing: a concept without a training token raises, or gets a vector of nan.
            reuse: earlier directions on the same points, tokens and estimator; concepts with the same tokens are taken
                from there instead of being fitted again.

        EstimationError: a concept has no token in `train`, `max_tokens` is not positive, or `reuse` comes from
        elsewhere.
        """
        train = np.ones(len(cloud.hierarchy.tokens), dtype=bool) if train is None else np.asarray(train)
        if train.shape != (count := len(cloud.hierarchy.tokens),) or train.dtype != np.bool_:
            raise EstimationError(
                f"train must hold one bool per token, shape ({count},), not {train.dtype} {train.shape}"
            )
        if max_tokens is not None and max_tokens < 1:
            raise EstimationError(f"a concept must be fitted to at least one token, not {max_tokens}")
        fit_to = _training_sets(cloud.hierarchy, train.tobytes(), max_tokens)
        if not cloud.finite:
            raise EstimationError("a cloud needs finite points; these hold NaN or infinite values")
        for concept, tokens in zip(cloud.hierarchy, fit_to, strict=True):
            if missing == "raise" and not len(tokens) and concept.name not in (cloud.hierarchy.drawn or ()):
                raise EstimationError(f"concept {concept.name!r} has no token in the training part")
        if reuse is None:
            fits = _fit_sets(cloud, fit_to, estimator)
        else:
            places = reuse._fits_on(cloud, estimator, train, max_tokens)
            known = np.array([places.get(concept.tokens, -1) for concept in cloud.hierarchy])
            new = np.flatnonzero(known < 0)
            fitted = _fit_sets(cloud, [fit_to[index] for index in new], estimator)
            # The earlier fits, and after them the new ones.
            known[new] = len(reuse) + np.arange(len(new))
            fits = SetFits(
                torch.cat([reuse.vectors, fitted.vectors])[torch.from_numpy(known)],
                np.concatenate([reuse.shrinkage, fitted.shrinkage])[known],
                np.concatenate([reuse.degenerate, fitted.degenerate])[known],
            )
        return cls(cloud, *fits, estimator=estimator, train=train, max_tokens=max_tokens)

    def _fits_on(
        self, cloud: TokenCloud, estimator: Estimator, train: NDArray[np.bool_], max_tokens: int | None
    ) -> dict[tuple[int, ...], int]:
        """Where each concept's fit is, by tokens; EstimationError where `cloud` is not what it was fitted on."""
        same = cloud.points is self.cloud.points and estimator == self.estimator
        if not same or not np.array_equal(cloud.hierarchy.tokens, self.hierarchy.tokens):
            raise EstimationError("directions to reuse must come from the same points, tokens and estimator")
        if not np.array_equal(train, self.train) or max_tokens != self.max_tokens:
            raise EstimationError("directions to reuse must come from the same training tokens")
        return {concept.tokens: index for index, concept in enumerate(self.hierarchy)}

    @property
    def hierarchy(self) -> ConceptHierarchy:
        """The hierarchy whose concepts these are, in the order of `vectors`."""
        return self.cloud.hierarchy

    def held_out(self, concept: int) -> NDArray[np.int64]:
        """Positions in `hierarchy.tokens` of a concept's tokens that its vector could not be fitted to, shape (n,)."""
        members = self.hierarchy.members[concept]
        return members[~self.train[members]]

    @property
    def scores(self) -> NDArray[np.floating[Any]]:
        """⟨ℓ_w, g(y)⟩ of every concept with every held-out token, shape (k, H)."""
        if (scores := self.__dict__.get("_scores")) is None:  # cached_property would lock out all other threads
            held_out = self.cloud.at(np.flatnonzero(~self.train))
            scores = self.__dict__["_scores"] = (self.vectors @ held_out.T).cpu().numpy()
        return scores

    def __getitem__(self, name: str) -> torch.Tensor:
        """ℓ of a concept by name, shape (d,)."""
        return self.vectors[self.hierarchy.index(name)]

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.hierarchy

    def get(self, name: str, default: Any = None) -> Any:
        """ℓ of a concept, or the default for an unknown name."""
        return self[name] if name in self else default  # noqa: SIM401 (this is what it would call)

    # A mapping would compare tensors, whose equality has no truth value.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the concepts, in the order of `vectors`."""
        return self.hierarchy.names

    def numpy(self) -> NDArray[np.floating[Any]]:
        """The vectors as an array, shape (k, d), in the order of `names`."""
        return self.vectors.numpy(force=True)

    def to_frame(self) -> "DataFrame":
        """A row for every concept, a column for every dimension."""
        from pandas import DataFrame

        return DataFrame(self.numpy(), index=list(self.names))

    def __repr__(self) -> str:
        fitted = f"{self.estimator}{f' on at most {self.max_tokens} words' if self.max_tokens else ''}"
        size = f"{len(self)} × {self.vectors.shape[1]}, {fitted}"
        return (
            f"ConceptDirections({in_short(repr(self.hierarchy.name), 40)}, {size}: {in_short(listed(self.names), 80)})"
        )

    def _repr_html_(self) -> str:
        parents, norms = self.hierarchy.parents, self.vectors.norm(dim=1).tolist()
        shown = zip(self.hierarchy, norms, self.shrinkage.tolist(), strict=True)
        rows = ((c.name, ", ".join(parents[c.name]), len(c), norm, shrunk) for c, norm, shrunk in shown)
        return html_table(("concept", "parents", "words", "‖ℓ‖", "shrinkage"), rows, repr(self))

    def cosines(self) -> NDArray[np.float64]:
        """cos(ℓ_w, ℓ_z) of every two concepts, shape (k, k); 0 of a vector that is."""
        lengths = np.sqrt(self.inner_products.diagonal())
        with np.errstate(invalid="ignore"):
            return self.inner_products / np.maximum(np.outer(lengths, lengths), np.finfo(np.float64).tiny)

    @property
    def inner_products(self) -> NDArray[np.float64]:
        """⟨ℓ_w, ℓ_z⟩ of every two concepts, shape (k, k)."""
        if (products := self.__dict__.get("_products")) is None:  # as of `scores`
            vectors = self.vectors.detach()
            if vectors.device.type == "cpu" and vectors.dtype in {torch.float32, torch.float64}:
                lower = torch.from_numpy(lower_gram(vectors.numpy()))
            else:
                lower = vectors @ vectors.T
            products = self.__dict__["_products"] = mirrored(lower).cpu().double().numpy()
        return products


# Permutations share hierarchy and split with the model.
@lru_cache(maxsize=16)
def held_out_columns(hierarchy: ConceptHierarchy, train: bytes) -> tuple[NDArray[np.int64], ...]:
    """Where each concept's held-out tokens are among the columns of `ConceptDirections.scores`."""
    held_out = ~np.frombuffer(train, dtype=bool)
    columns = np.cumsum(held_out) - 1
    return tuple(columns[members[held_out[members]]] for members in hierarchy.members)


def thinned(tokens: NDArray[np.int64], max_tokens: int | None) -> NDArray[np.int64]:
    """At most so many of some tokens, evenly spaced."""
    if max_tokens is None or len(tokens) <= max_tokens:
        return tokens
    return tokens[np.linspace(0, len(tokens) - 1, max_tokens).round().astype(np.int64)]


# Permutations share hierarchy and split with the model.
@lru_cache(maxsize=16)
def _training_sets(hierarchy: ConceptHierarchy, train: bytes, max_tokens: int | None) -> tuple[NDArray[np.int64], ...]:
    """Which tokens each concept is fitted to."""
    mask = np.frombuffer(train, dtype=bool)
    return tuple(thinned(members[mask[members]], max_tokens) for members in hierarchy.members)


def _fit_sets(cloud: TokenCloud, sets: Sequence[NDArray[np.int64]], estimator: Estimator) -> SetFits:
    """`concept_vector` of each set of points; large nested sets share their sums. nan of an empty set."""
    if estimator == "mean":
        means = RowGram(cloud.points, kept=False).means(sets)
        return SetFits(means, np.full(len(sets), np.nan), np.zeros(len(sets), dtype=bool))
    # From inner products a set costs n²(d + n), from a scatter matrix nd² + d³.
    large = [index for index, tokens in enumerate(sets) if len(tokens) >= max(cloud.width, _FEWEST_LARGE)]
    if not large:
        return cloud.fit(sets)
    empty, apart = np.empty(0, dtype=np.int64), set(large)
    fits = cloud.fit([empty if index in apart else tokens for index, tokens in enumerate(sets)])
    for index, fit in fit_nested(cloud.points, {index: sets[index] for index in large}).items():
        fits.vectors[index], fits.shrinkage[index], fits.degenerate[index] = fit.vector, fit.shrinkage, fit.degenerate
    return fits
