"""The claims of the theory, each as one statistic with its prediction and what could explain it away."""

from dataclasses import dataclass

from geometry.structure.significance import Alternative
from geometry.structure.statistics.categories import edge_variation, membership, regularity, simplex_span
from geometry.structure.statistics.child_separation import separation
from geometry.structure.statistics.existence import projection
from geometry.structure.statistics.logits import logit_selectivity
from geometry.structure.statistics.orthogonality import (
    chain_orthogonality,
    parent_orthogonality,
    sibling_contrast_orthogonality,
    sibling_orthogonality,
)
from geometry.structure.statistics.statistic import Statistic
from geometry.structure.statistics.tree import four_points, quartets, tree_correlation

__all__ = ["CLAIMS", "Claim", "HierarchyClaim"]


@dataclass(frozen=True)
class Claim:
    """What is claimed, and what would support it.

    Attributes
    ----------
    name : its key in results.
    says : what it says, in a sentence without symbols.
    measure : what the number is, for an axis.
    predicted : the number if the theory is right.
    alternative : on which side of shuffled rows the claim puts the model.
    explained_by : nulls that keep part of the structure, and that the model must be beyond as well.
    """

    name: str
    says: str
    measure: str
    predicted: float
    alternative: Alternative = "greater"
    explained_by: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HierarchyClaim(Claim):
    """A claim about the concepts of a hierarchy.

    Attributes
    ----------
    statistic : what is measured and tested against shuffled rows.
    published : of an orthogonality claim, the same statistic on all words, as it was published; its
        verdict is `orthogonality_verdict`, and its magnitudes are compared.
    """

    statistic: Statistic
    published: Statistic | None = None


def _orthogonality(letter: str, says: str, halves: Statistic, whole: Statistic) -> HierarchyClaim:
    measure = "|cos| between word-disjoint halves"
    return HierarchyClaim(f"orthogonality-{letter}", says, measure, 0.0, "less", statistic=halves, published=whole)


CLAIMS: tuple[HierarchyClaim, ...] = (
    HierarchyClaim(
        "existence",
        "Words that a concept vector has not seen lie along it",
        "projection of unseen lemmas, ℓᵀg/‖ℓ‖²",
        1.0,
        statistic=projection("lemma"),
        explained_by=("random_subset",),
    ),
    HierarchyClaim(
        "separation",
        "A child's unseen words are told from its parent's other words",
        "AUC of ℓ(child) − ℓ(parent), unseen lemmas",
        1.0,
        statistic=separation("lemma", contrast=True),
        explained_by=("random_subset",),
    ),
    _orthogonality(
        "a",
        "(a) A child's contrast with its parent is orthogonal to the parent",
        parent_orthogonality("halves"),
        parent_orthogonality(),
    ),
    _orthogonality(
        "b",
        "(b) The contrast of two siblings is orthogonal to their parent",
        sibling_orthogonality("halves"),
        sibling_orthogonality(),
    ),
    _orthogonality(
        "c",
        "(c) The contrast of two parents is orthogonal to that of one's children",
        sibling_contrast_orthogonality("halves"),
        sibling_contrast_orthogonality(),
    ),
    _orthogonality(
        "d",
        "(d) Steps down a chain of concepts are orthogonal",
        chain_orthogonality("halves"),
        chain_orthogonality(),
    ),
    HierarchyClaim(
        "logits",
        "Moving along a parent contrast changes the parents' odds, not the children's",
        "selectivity (p − |c|)/(|p| + |c|) of log-odds changes",
        1.0,
        statistic=logit_selectivity(),
        explained_by=("random_parent",),
    ),
    HierarchyClaim(
        "membership",
        "Unseen words are nearest their own vertex among siblings",
        "balanced accuracy, 0 by chance, 1 if perfect",
        1.0,
        statistic=membership(),
        explained_by=("random_subset",),
    ),
    HierarchyClaim(
        "span",
        "k siblings span k − 1 directions that other words confirm",
        "share of the span found again in the other half",
        1.0,
        statistic=simplex_span(),
        explained_by=("random_subset",),
    ),
    HierarchyClaim(
        "edges",
        "Siblings are all equally far apart",
        "spread of the simplex's edge lengths, sd / mean",
        0.0,
        "less",
        statistic=edge_variation(),
        explained_by=("random_subset",),
    ),
    HierarchyClaim(
        "regularity",
        "Siblings stand at the angles of a regular simplex",
        "mean |cos − ½| of its angles",
        0.0,
        "less",
        statistic=regularity(),
        explained_by=("random_subset",),
    ),
    HierarchyClaim(
        "tree-correlation",
        "Concepts close in the tree have similar vectors",
        "Spearman's ρ of cosine with closeness, all pairs",
        1.0,
        statistic=tree_correlation("all"),
    ),
    HierarchyClaim(
        "tree-correlation-disjoint",
        "Concepts close in the tree are similar, sharing no word",
        "Spearman's ρ, word-disjoint pairs",
        1.0,
        statistic=tree_correlation(),
    ),
    HierarchyClaim(
        "quartets",
        "Four concepts pair up as in the tree",
        "share of quartets, ⅓ by chance",
        1.0,
        statistic=quartets(),
    ),
    HierarchyClaim(
        "four-points",
        "Distances are those of some tree",
        "Holland's δ of quartets, 0 on a tree, ½ without",
        0.0,
        "less",
        statistic=four_points(),
    ),
)
