"""What is kept of a model once its unembedding is let go: its cosines, its claims, its spectrum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError, ModelError
from geometry.evidence import CLAIMS, MAX_TOKENS, Claim, evaluate_claims, pairwise_cosines
from geometry.results import Results, TestResult

# Of each model's own concepts, which may be many, only what the common ones leave open: does size make geometry?
# They are about how strong a signal is, which needs no theory twin.
OWN_CLAIMS = tuple(claim for claim in CLAIMS if claim.name in ("existence", "separation", "membership"))
# What the verdicts rest on; the others are in the study of claims.
_NULLS = ("permuted", "random_subset", "random_parent")
_OWN_NULLS = _NULLS[:2]


@dataclass(frozen=True, eq=False)
class ModelProfile:
    """One model as it is compared.

    Attributes:
        model: name, family, vocabulary, width and the rest of `Unembedding.summary`.
        hierarchy: the common concepts, over this model's tokens.
        cosines: of every two common concepts' vectors, beside those of permuted lemmas.
        claims: results on the common concepts, by claim.
        eigenvalues: of Σ, shape (d,), ascending.
        own: the model's full set of concepts, and `own_claims` the main results on it (`OWN_CLAIMS`); None and none
            where only the common ones were measured.
    """

    model: Mapping[str, Any]
    hierarchy: ConceptHierarchy
    cosines: TestResult
    claims: Results
    eigenvalues: NDArray[np.float64]
    own: ConceptHierarchy | None = None
    own_claims: Results = field(default_factory=lambda: Results([]))

    __repr__ = short_repr

    @property
    def name(self) -> str:
        """The model's."""
        return str(self.model["name"])

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Cosines of the common concepts, shape (k, k), ones on the diagonal."""
        return _matrix(self.cosines.values)

    @property
    def permuted(self) -> list[NDArray[np.float64]]:
        """The same on each permutation of lemmas."""
        return [_matrix(row) for row in self.cosines.nulls["permuted"].values]

    @property
    def effective_dimension(self) -> float:
        """Participation ratio (Σλ)²/Σλ² of Σ's eigenvalues λ, at most d."""
        return float(self.eigenvalues.sum() ** 2 / np.square(self.eigenvalues).sum())

    def _repr_html_(self) -> str:
        own = {"own concepts": len(self.own), "own words": len(self.own.tokens)} if self.own else {}
        rows = {
            "family": self.model["family"],
            "vocabulary": self.model["vocabulary"],
            "width d": self.model["width"],
            "effective dimension": self.effective_dimension,
            "common concepts": len(self.hierarchy),
            "common words": len(self.hierarchy.tokens),
            **own,
            **{test.name: f"{test.value:.3f}, {test.verdict}" for test in self.claims},
        }
        return html_table(("", self.name), rows.items(), f"{self.name} on {self.hierarchy.name}")

    def to_dict(self) -> dict[str, Any]:
        """An entry of results.models."""
        of = {"common": (self.hierarchy, self.claims)} | ({"own": (self.own, self.own_claims)} if self.own else {})
        return {
            **self.model,
            "effective_dimension": self.effective_dimension,
            "concepts": {name: len(hierarchy) for name, (hierarchy, _) in of.items()},
            "words": {name: len(hierarchy.tokens) for name, (hierarchy, _) in of.items()},
            "claims": {name: claims.to_dict() for name, (_, claims) in of.items()},
        }


@checked
def model_profile(
    space: CausalSpace,
    common: ConceptHierarchy,
    own: ConceptHierarchy | None = None,
    *,
    claims: Sequence[Claim] = CLAIMS,
    n_permutations: int = 99,
    n_twins: int = 5,
    max_tokens: int | None = MAX_TOKENS,
    seed: int = 0,
    progress: bool | None = None,
) -> ModelProfile:
    """Measure one model: the claims on the common concepts and on its own, with p-values adjusted over both.

    >>> profile = model_profile(space, common.over(space.unembedding.vocabulary), own)  # doctest: +SKIP
    >>> profile.claims["existence"].value, profile.effective_dimension  # doctest: +SKIP

    Parameters:
        common: hierarchy over the words that all models have, with this model's tokens.
        own: hierarchy over all words of the model; None to leave it at the common ones.
        claims: to measure on the common concepts.
        n_permutations: of lemmas; the other nulls are drawn once.
        n_twins: theory twins on the common concepts; see `evaluate_claims`.
        max_tokens: concepts are fitted to at most so many words, in all models alike. See `evaluate_claims`.

    Raises EstimationError: what `test_against_nulls` refuses.
    """
    options: Any = {"n_permutations": n_permutations, "n_others": 1, "max_tokens": max_tokens}
    options |= {"seed": seed, "progress": progress}
    both: Any = {"claims": claims, "also": [pairwise_cosines()], "nulls": _NULLS, "n_twins": n_twins}
    results = evaluate_claims(space, common, **both, **options)
    of_own = evaluate_claims(space, own, claims=OWN_CLAIMS, nulls=_OWN_NULLS, n_twins=0, **options) if own else ()
    adjusted = Results([*results[: len(claims)], *of_own]).adjusted()
    return ModelProfile(
        space.unembedding.summary(),
        common,
        results["pairwise_cosines"],
        adjusted[: len(claims)],
        space.eigenvalues.cpu().numpy(),
        own,
        adjusted[len(claims) :],
    )


@checked
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
