"""What is kept of a model once its unembedding is let go: its cosines, its claims, its spectrum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError, ModelError
from geometry.evidence import CLAIMS, MAX_TOKENS, evaluate_claims, pairwise_cosines
from geometry.results import Results, TestResult

# Of each model's own concepts, which may be many, only what the common ones leave open: does size make geometry?
OWN_CLAIMS = tuple(claim for claim in CLAIMS if claim.name in ("existence", "separation", "membership"))
# What the verdicts rest on; the others are in the study of claims.
_NULLS = ("shuffled", "random_subset", "random_parent")
_OWN_NULLS = _NULLS[:2]


@dataclass(frozen=True, eq=False)
class ModelProfile:
    """One model as it is compared.

    Attributes:
        model: name, family, vocabulary, width and the rest of `Unembedding.summary`.
        hierarchy: the common concepts, over this model's tokens.
        cosines: of every two common concepts' vectors, beside shuffled rows.
        claims: results on the common concepts, by claim.
        own: the model's full set of concepts, and `own_claims` the main results on it (`OWN_CLAIMS`).
        eigenvalues: of Σ, shape (d,), ascending.
    """

    model: Mapping[str, Any]
    hierarchy: ConceptHierarchy
    cosines: TestResult
    claims: Results
    own: ConceptHierarchy
    own_claims: Results
    eigenvalues: NDArray[np.float64]

    @property
    def name(self) -> str:
        """The model's."""
        return str(self.model["name"])

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Cosines of the common concepts, shape (k, k), ones on the diagonal."""
        return _matrix(self.cosines.values)

    @property
    def shuffled(self) -> list[NDArray[np.float64]]:
        """The same on each permutation of shuffled rows."""
        return [_matrix(row) for row in self.cosines.nulls["shuffled"].values]

    @property
    def effective_dimension(self) -> float:
        """Participation ratio (Σλ)²/Σλ² of Σ's eigenvalues λ, at most d."""
        return float(self.eigenvalues.sum() ** 2 / np.square(self.eigenvalues).sum())

    def to_dict(self) -> dict[str, Any]:
        """An entry of results.models."""
        return {
            **self.model,
            "effective_dimension": self.effective_dimension,
            "concepts": {"common": len(self.hierarchy), "own": len(self.own)},
            "words": {"common": len(self.hierarchy.tokens), "own": len(self.own.tokens)},
            "claims": {"common": self.claims.to_dict(), "own": self.own_claims.to_dict()},
        }


def model_profile(
    space: CausalSpace,
    common: ConceptHierarchy,
    own: ConceptHierarchy,
    *,
    n_permutations: int = 19,
    max_tokens: int | None = MAX_TOKENS,
    seed: int = 0,
    progress: bool | None = None,
) -> ModelProfile:
    """Measure one model: the claims on the common concepts and on its own, with p-values adjusted over both.

    >>> profile = model_profile(space, common.over(space.unembedding.vocabulary), own)  # doctest: +SKIP
    >>> profile.claims["existence"].value, profile.effective_dimension  # doctest: +SKIP

    Parameters:
        common: hierarchy over the words that all models have, with this model's tokens.
        own: hierarchy over all words of the model.
        n_permutations: of shuffled rows; the other nulls are drawn once.
        max_tokens: concepts are fitted to at most so many words, in all models alike. See `evaluate_claims`.

    Raises EstimationError: what `test_against_nulls` refuses.
    """
    options: Any = {"n_permutations": n_permutations, "n_others": 1, "max_tokens": max_tokens}
    options |= {"seed": seed, "progress": progress}
    own_results = evaluate_claims(space, own, claims=OWN_CLAIMS, nulls=_OWN_NULLS, **options)
    results = evaluate_claims(space, common, also=[pairwise_cosines()], nulls=_NULLS, **options)
    adjusted = Results([*results[: len(CLAIMS)], *own_results]).adjusted()
    return ModelProfile(
        space.unembedding.summary(),
        common,
        results["pairwise_cosines"],
        adjusted[: len(CLAIMS)],
        own,
        adjusted[len(CLAIMS) :],
        space.eigenvalues.cpu().numpy(),
    )


def same_weights(models: Sequence[Mapping[str, Any]]) -> None:
    """Refuse two names for the same matrix.

    Raises ModelError: two entries of `Unembedding.summary` have one checksum.
    """
    for first, second in combinations(models, 2):
        if first["sha256"] == second["sha256"]:
            raise ModelError(f"{first['name']} and {second['name']} are the same weights; name one of them")


def check_common(profiles: Sequence[ModelProfile]) -> None:
    """Refuse profiles whose common concepts differ in name or words."""
    words = [{concept.name: sorted(concept.words) for concept in profile.hierarchy} for profile in profiles]
    for profile, theirs in zip(profiles, words, strict=True):
        if list(theirs.items()) != list(words[0].items()):
            both = f"{profiles[0].name} and {profile.name}"
            advice = "build both hierarchies with common_vocabulary"
            raise EstimationError(f"{both} were measured on different concepts; {advice}")


def _matrix(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = squareform(cosines)
    return matrix + np.eye(len(matrix))
