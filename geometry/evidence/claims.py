"""The claims of the theory: each one statistic, its prediction, and the rule of its verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import yaml

from geometry.evidence.statistics.categories import angle_deviation, edge_variation, membership, simplex_span
from geometry.evidence.statistics.child_separation import separation
from geometry.evidence.statistics.existence import projection
from geometry.evidence.statistics.logits import logit_selectivity
from geometry.evidence.statistics.orthogonality import (
    Words,
    chain_orthogonality,
    parent_orthogonality,
    sibling_contrast_orthogonality,
    sibling_orthogonality,
)
from geometry.evidence.statistics.statistic import Statistic
from geometry.evidence.statistics.tree import four_points, quartets, tree_correlation
from geometry.evidence.verdicts import OrthogonalityRule, StructureRule
from geometry.results import TestResult
from geometry.significance import Alternative

_STRUCTURE = StructureRule()
_NESTING = StructureRule(("random_subset",))


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
        predicted: the number if the theory is right.
        statistic: what is measured and tested against shuffled rows.
        alternative: on which side of shuffled rows the claim puts the model.
        rule: from its result to its verdict (`geometry.evidence.VERDICTS`).
        published: the same statistic on all words as it was published; it is related to the result, signed, and the
            statistic's magnitudes are tested.
        consults: further statistics that the rule consults: name among the result's `related` → statistic.
    """

    name: str
    title: str
    measure: str
    predicted: float
    statistic: Statistic
    alternative: Alternative = "greater"
    rule: Callable[[TestResult], str] = _STRUCTURE
    published: Statistic | None = None
    consults: Mapping[str, Statistic] = field(default_factory=dict)


_TEXTS = yaml.safe_load((files("geometry.data") / "claims" / "claims.yaml").read_text(encoding="utf-8"))


def _claim(name: str, statistic: Statistic, alternative: Alternative = "greater", **options: Any) -> Claim:
    return Claim(name, **_TEXTS[name], statistic=statistic, alternative=alternative, **options)


def _orthogonality(letter: str, cosine: Callable[[Words], Statistic]) -> Claim:
    options: Any = {"published": cosine("whole"), "consults": {"separation": separation(contrast=True)}}
    return _claim(f"orthogonality-{letter}", cosine("halves"), "less", rule=OrthogonalityRule(), **options)


CLAIMS: tuple[Claim, ...] = (
    _claim("existence", projection(), rule=_NESTING),
    _claim("separation", separation(contrast=True), rule=_NESTING),
    _orthogonality("a", parent_orthogonality),
    _orthogonality("b", sibling_orthogonality),
    _orthogonality("c", sibling_contrast_orthogonality),
    _orthogonality("d", chain_orthogonality),
    _claim("logits", logit_selectivity(), rule=StructureRule(("random_parent",))),
    _claim("membership", membership(), rule=_NESTING),
    _claim("span", simplex_span(), rule=_NESTING),
    _claim("edges", edge_variation(), "less", rule=_NESTING),
    _claim("angles", angle_deviation(), "less", rule=_NESTING),
    _claim("tree-correlation", tree_correlation("all")),
    _claim("tree-correlation-disjoint", tree_correlation()),
    _claim("quartets", quartets()),
    _claim("four-points", four_points(), "less"),
)
