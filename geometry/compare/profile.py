"""What is kept of a model once its unembedding is let go: its cosines, its claims, its spectrum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError, ModelError
from geometry.evidence import (
    CLAIMS,
    ClaimResult,
    TestResult,
    adjusted,
    claim_results,
    claim_tests,
    test_against_nulls,
    pairwise_cosines,
)

__all__ = ["OWN_CLAIMS", "ModelProfile", "check_common", "model_profile", "same_weights"]

# Of each model's own concepts, which may be many, only what the common ones leave open: does size make geometry?
_OWN = ("existence", "separation", "membership")
OWN_CLAIMS = tuple(claim for claim in CLAIMS if claim.name in _OWN)
# What the verdicts rest on; the others are in the analysis of structure.
_NULLS = ("shuffled", "random_subset", "random_parent")
_OWN_NULLS = _NULLS[:2]


@dataclass(frozen=True, eq=False)
class ModelProfile:
    """One model as it is compared.

    Attributes
    ----------
    model : name, family, vocabulary, width and the rest of `Unembedding.summary`.
    hierarchy : the common concepts, over this model's tokens.
    cosines : of every two common concepts' vectors, beside shuffled rows.
    claims : results on the common concepts.
    own : the model's full set of concepts, and `own_claims` the main results on it (`OWN_CLAIMS`).
    eigenvalues : of Σ, shape (d,), ascending.
    """

    model: Mapping[str, Any]
    hierarchy: ConceptHierarchy
    cosines: TestResult
    claims: tuple[ClaimResult, ...]
    own: ConceptHierarchy
    own_claims: tuple[ClaimResult, ...]
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
        """The same on each draw of shuffled rows."""
        return [_matrix(draw) for draw in self.cosines.nulls["shuffled"]]

    @property
    def dimensions(self) -> float:
        """Participation ratio (Σλ)²/Σλ² of Σ's eigenvalues λ: how many directions the rows fill, at most d."""
        return float(self.eigenvalues.sum() ** 2 / np.square(self.eigenvalues).sum())

    def to_dict(self) -> dict[str, Any]:
        """An entry of results.models."""
        return {
            **self.model,
            "participation_ratio": self.dimensions,
            "concepts": {"common": len(self.hierarchy), "own": len(self.own)},
            "words": {"common": len(self.hierarchy.tokens), "own": len(self.own.tokens)},
            "claims": {
                "common": [result.to_dict() for result in self.claims],
                "own": [result.to_dict() for result in self.own_claims],
            },
        }


def model_profile(
    space: CausalSpace,
    common: ConceptHierarchy,
    own: ConceptHierarchy,
    *,
    draws: int = 19,
    largest: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> ModelProfile:
    """Measure one model: the claims on the common concepts and on its own, with q-values over both.

    Parameters
    ----------
    common : hierarchy over the words that all models have, with this model's tokens.
    draws : of shuffled rows; of the other nulls one.
    largest : concepts are fitted to at most so many words; give the same for all models, at most half the
        smallest width. See `evaluate_claims`.

    Raises
    ------
    EstimationError
        What `test_against_nulls` refuses.
    """
    options: Any = {"draws": draws, "other_draws": 1, "largest": largest, "seed": seed, "progress": progress}
    own_tests = claim_tests(space, own, claims=OWN_CLAIMS, nulls=_OWN_NULLS, **options)
    thinned = [replace(claim, published=None) for claim in CLAIMS]
    tests = claim_tests(space, common, claims=thinned, also=[pairwise_cosines()], nulls=_NULLS, **options)
    published = [claim.published for claim in CLAIMS if claim.published is not None]
    # As in the battery, but beside no more nulls than the verdicts on orthogonality need.
    tests |= test_against_nulls(
        space, common, published, nulls=_OWN_NULLS, draws=1, missing="nan", seed=seed, progress=progress
    )
    claims = claim_results(CLAIMS, common, tests)
    judged = adjusted([*claims, *claim_results(OWN_CLAIMS, own, own_tests)])
    return ModelProfile(
        space.unembedding.summary(),
        common,
        tests["cosines/whole"],
        tuple(judged[: len(CLAIMS)]),
        own,
        tuple(judged[len(CLAIMS) :]),
        space.eigenvalues.cpu().numpy(),
    )


def same_weights(models: Sequence[Mapping[str, Any]]) -> None:
    """Refuse two names for the same matrix.

    Raises
    ------
    ModelError
        Two entries of `Unembedding.summary` have one checksum.
    """
    for one, other in combinations(models, 2):
        if one["sha256"] == other["sha256"]:
            raise ModelError(f"{one['name']} and {other['name']} are the same weights; name one of them")


def check_common(profiles: Sequence[ModelProfile]) -> None:
    """Refuse profiles whose common concepts differ in name or words."""
    first = profiles[0].hierarchy
    for other in profiles[1:]:
        words = (sorted(concept.words) for concept in other.hierarchy)
        if other.hierarchy.names != first.names or list(words) != [sorted(concept.words) for concept in first]:
            raise EstimationError(
                f"{profiles[0].name} and {other.name} were measured on different concepts;"
                " build both hierarchies with common_vocabulary"
            )


def _matrix(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix: NDArray[np.float64] = squareform(cosines)
    return matrix + np.eye(len(matrix))
