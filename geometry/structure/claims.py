"""The claims of the theory, each as one statistic with its prediction and what could explain it away."""

from dataclasses import dataclass

from geometry.structure.categories import membership, regularity, simplex_span
from geometry.structure.child_separation import separation
from geometry.structure.comparison import Alternative
from geometry.structure.existence import projection
from geometry.structure.logits import logit_selectivity
from geometry.structure.orthogonality import (
    chain_orthogonality,
    parent_orthogonality,
    sibling_contrast_orthogonality,
    sibling_orthogonality,
)
from geometry.structure.statistic import Statistic
from geometry.structure.tree import four_points, quartets, tree_correlation

__all__ = ["CLAIMS", "Claim"]


@dataclass(frozen=True)
class Claim:
    """One claim about a hierarchy in a model.

    Attributes
    ----------
    name : its key in results.
    says : what it says, in a sentence without symbols.
    measure : what the number is, for an axis.
    statistic : what is measured and tested against shuffled rows.
    predicted : the statistic's value if the theory is right.
    alternative : on which side of shuffled rows the claim puts the model.
    explained_by : nulls that keep part of the structure, and that the model must be beyond as well.
    published : of an orthogonality claim, the same statistic on all words, as it was published; its
        verdict is `orthogonality_verdict`, and its magnitudes are compared.
    """

    name: str
    says: str
    measure: str
    statistic: Statistic
    predicted: float
    alternative: Alternative = "greater"
    explained_by: tuple[str, ...] = ()
    published: Statistic | None = None


def _orthogonality(letter: str, says: str, halves: Statistic, whole: Statistic) -> Claim:
    measure = "|cos|, the two vectors from halves without a common word"
    return Claim(f"orthogonality-{letter}", says, measure, halves, 0.0, "less", (), whole)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "existence",
        "Words that a concept vector has not seen lie along it",
        "projection of unseen lemmas, ℓᵀg/‖ℓ‖²",
        projection("lemma"),
        1.0,
        explained_by=("random_subset",),
    ),
    Claim(
        "separation",
        "A child's unseen words are told from its parent's other words",
        "AUC of ℓ(child) − ℓ(parent), unseen lemmas",
        separation("lemma", contrast=True),
        1.0,
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
    Claim(
        "logits",
        "Moving along a parent contrast changes the parents' odds, not the children's",
        "selectivity (p − |c|)/(|p| + |c|) of log-odds changes",
        logit_selectivity(),
        1.0,
        explained_by=("random_parent",),
    ),
    Claim(
        "membership",
        "Unseen words are nearest their own vertex among siblings",
        "balanced accuracy, 0 by chance, 1 if perfect",
        membership(),
        1.0,
        explained_by=("random_subset",),
    ),
    Claim(
        "span",
        "k siblings span k − 1 directions that other words confirm",
        "share of the span found again in the other half",
        simplex_span(),
        1.0,
        explained_by=("random_subset",),
    ),
    Claim(
        "regularity",
        "Siblings form a regular simplex",
        "mean |cos − ½| of its angles",
        regularity(),
        0.0,
        "less",
        explained_by=("random_subset",),
    ),
    Claim(
        "tree-correlation",
        "Concepts close in the tree have similar vectors (all pairs)",
        "Spearman's ρ of cosine with closeness",
        tree_correlation("all"),
        1.0,
    ),
    Claim(
        "tree-correlation-disjoint",
        "… and so have those that share no word",
        "Spearman's ρ, word-disjoint pairs",
        tree_correlation(),
        1.0,
    ),
    Claim(
        "quartets",
        "Four concepts pair up as in the tree",
        "share of quartets, ⅓ by chance",
        quartets(),
        1.0,
    ),
    Claim(
        "four-points",
        "Distances are those of some tree",
        "Holland's δ of quartets, 0 on a tree, ½ without",
        four_points(),
        0.0,
        "less",
    ),
)
