"""The claims of the theory: each one statistic, its prediction, and the rule of its verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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


def _orthogonality(letter: str, title: str, cosine: Callable[[Words], Statistic]) -> Claim:
    return Claim(
        f"orthogonality-{letter}",
        f"({letter}) {title}",
        "|cos| between word-disjoint halves",
        0.0,
        cosine("halves"),
        "less",
        OrthogonalityRule(),
        cosine("whole"),
        {"separation": separation(contrast=True)},
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "existence",
        "Held-out words project on their concept vector",
        "normalised projection of held-out lemmas, ℓᵀg/‖ℓ‖²",
        1.0,
        projection(),
        rule=_NESTING,
    ),
    Claim(
        "separation",
        "A child's contrast discriminates its held-out words from its parent's others",
        "AUC of ℓ(child) − ℓ(parent), held-out lemmas",
        1.0,
        separation(contrast=True),
        rule=_NESTING,
    ),
    _orthogonality("a", "A child's contrast with its parent is orthogonal to the parent", parent_orthogonality),
    _orthogonality("b", "The contrast of two siblings is orthogonal to their parent", sibling_orthogonality),
    _orthogonality(
        "c", "The contrast of two parents is orthogonal to that of one's children", sibling_contrast_orthogonality
    ),
    _orthogonality("d", "Steps down a chain of concepts are orthogonal", chain_orthogonality),
    Claim(
        "logits",
        "Intervention along a parent contrast changes the parents' log-odds, not the children's",
        "selectivity (p − |c|)/(|p| + |c|) of log-odds changes",
        1.0,
        logit_selectivity(),
        rule=StructureRule(("random_parent",)),
    ),
    Claim(
        "membership",
        "Held-out words are nearest the centroid of their own concept among siblings",
        "nearest-centroid accuracy, chance-corrected",
        1.0,
        membership(),
        rule=_NESTING,
    ),
    Claim(
        "span",
        "k siblings span the same k − 1 dimensions in both halves of their words",
        "split-half subspace overlap",
        1.0,
        simplex_span(),
        rule=_NESTING,
    ),
    Claim(
        "edges",
        "Siblings have equal edge lengths",
        "coefficient of variation of edge lengths",
        0.0,
        edge_variation(),
        "less",
        _NESTING,
    ),
    Claim(
        "angles",
        "Siblings have the angles of a regular simplex",
        "deviation from regular-simplex angles, mean |cos − ½|",
        0.0,
        angle_deviation(),
        "less",
        _NESTING,
    ),
    Claim(
        "tree-correlation",
        "Cosine correlates with tree proximity, all pairs of concepts",
        "Spearman's ρ of cosine with tree proximity, all pairs",
        1.0,
        tree_correlation("all"),
    ),
    Claim(
        "tree-correlation-disjoint",
        "Cosine correlates with tree proximity, pairs that share no word",
        "Spearman's ρ of cosine with tree proximity, word-disjoint pairs",
        1.0,
        tree_correlation(),
    ),
    Claim(
        "quartets",
        "Quartets of concepts have the tree's topology",
        "quartet topology agreement, ⅓ by chance",
        1.0,
        quartets(),
    ),
    Claim(
        "four-points",
        "Distances fit an additive tree (four-point condition)",
        "Holland's δ of quartets, 0 on a tree, ½ without",
        0.0,
        four_points(),
        "less",
    ),
)
