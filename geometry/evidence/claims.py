"""The claims of the theory: each one statistic, its prediction, and the rule of its verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any

import yaml

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.evidence.orthogonality.comparisons import CLAIMED, FEWEST_LEMMAS, families_compared
from geometry.evidence.orthogonality.pooled import FEWEST_FAMILIES
from geometry.evidence.requirements import Requirement, lacking
from geometry.evidence.statistics.categories import membership, simplex_angles, simplex_dimension, simplex_span
from geometry.evidence.statistics.child_separation import separation
from geometry.evidence.statistics.existence import projection
from geometry.evidence.statistics.logits import logit_selectivity
from geometry.evidence.statistics.orthogonality import (
    chain_orthogonality,
    parent_orthogonality,
    sibling_contrast_orthogonality,
    sibling_orthogonality,
)
from geometry.evidence.statistics.statistic import Statistic
from geometry.evidence.statistics.tree import four_points, quartets, tree_correlation
from geometry.evidence.strength import SignalStrength
from geometry.evidence.verdicts import OrthogonalityRule, StructureRule
from geometry.results import TestResult
from geometry.significance import Alternative

_SHAPE = StructureRule()
_STRENGTH = StructureRule(("random_subset",), strength=True)


@checked
@dataclass(frozen=True)
class Claim:
    """What is claimed about the concepts of a hierarchy, how it is measured, and what supports it.

    >>> claim = Claim("mine", "Concepts project on their vectors", "projection", 1.0, projection())
    >>> [claim.name for claim in CLAIMS][:2]
    ['existence', 'separation']

    Attributes:
        name: its key in results.
        title: what it says, in a sentence without symbols.
        measure: what the number is, for an axis.
        predicted: the number if the theory is right and there is no noise.
        statistic: what is measured and tested against permuted lemmas. Of a claim of orthogonality it is the cosine as
            it was published, which stands beside the debiased one (`geometry.evidence.orthogonality`).
        alternative: on which side of the permutations the claim puts the model.
        rule: from its result to its verdict (`geometry.evidence.VERDICTS`).
        share: the noise-corrected share of variance that the claim is about, if it is about one.
        requires: what a hierarchy must have for it to be judged; default, what its statistic requires.
        consults: further statistics that stand beside it: name among the result's `related` → statistic.
    """

    name: str
    title: str
    measure: str
    predicted: float
    statistic: Statistic
    alternative: Alternative = "greater"
    rule: Callable[[TestResult], str] = _SHAPE
    share: Callable[[SignalStrength], float] | None = None
    consults: Mapping[str, Statistic] = field(default_factory=dict)
    requires: tuple[Requirement, ...] = ()

    __repr__ = short_repr

    def lacking(self, hierarchy: ConceptHierarchy, *, in_full: bool = False) -> str:
        """What a hierarchy lacks for it to be measured, "needs at least 8 families, has 1"; empty where nothing is.

        `in_full` says which of them count, too. Empty does not promise: a division of the words may leave too few.
        """
        return lacking(self.requires or self.statistic.requires, hierarchy, in_full=in_full)

    @property
    def orthogonality(self) -> bool:
        """Whether it is about a cosine that should be 0."""
        return self.name in CLAIMED


_TEXTS = yaml.safe_load((files("geometry.data") / "claims" / "claims.yaml").read_text(encoding="utf-8"))


def _claim(name: str, statistic: Statistic, alternative: Alternative = "greater", **options: Any) -> Claim:
    return Claim(name, **_TEXTS[name], statistic=statistic, alternative=alternative, **options)


def _orthogonality(letter: str, published: Statistic) -> Claim:
    name = f"orthogonality-{letter}"
    where = f"with {FEWEST_LEMMAS} lemmas on every side of a comparison"
    families = Requirement("families", FEWEST_FAMILIES, partial(families_compared, name), where)
    return _claim(name, published, "less", rule=OrthogonalityRule(), requires=(families,))


CLAIMS: tuple[Claim, ...] = (
    _claim("existence", projection(), rule=_STRENGTH, share=SignalStrength.mean_share),
    _claim("separation", separation(contrast=True), rule=_STRENGTH, share=SignalStrength.contrast_share),
    _orthogonality("a", parent_orthogonality()),
    _orthogonality("b", sibling_orthogonality()),
    _orthogonality("c", sibling_contrast_orthogonality()),
    _orthogonality("d", chain_orthogonality()),
    _claim("logits", logit_selectivity(), rule=StructureRule(("random_parent",))),
    _claim("membership", membership(), rule=_STRENGTH, share=SignalStrength.contrast_share),
    _claim(
        "span", simplex_span(), rule=StructureRule(("random_subset",)), consults={"disattenuated": simplex_dimension()}
    ),
    _claim("angles", simplex_angles(), "less", rule=StructureRule(("random_parent",))),
    _claim("tree-correlation", tree_correlation("all")),
    _claim("tree-correlation-disjoint", tree_correlation()),
    _claim("quartets", quartets()),
    _claim("four-points", four_points(), "less"),
)
