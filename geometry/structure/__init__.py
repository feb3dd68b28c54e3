"""Tests of the geometry, each beside its null models."""

from geometry.structure.against_nulls import compare_with_nulls, stream
from geometry.structure.battery import ClaimResult, adjusted, run_battery, skipped_concepts
from geometry.structure.categories import membership, regularity, simplex_angles, simplex_span
from geometry.structure.child_separation import separation
from geometry.structure.claims import CLAIMS, Claim
from geometry.structure.comparison import Comparison
from geometry.structure.composition import Composition, additive_composition
from geometry.structure.contrasts import PairContrast, pair_contrast
from geometry.structure.existence import projection
from geometry.structure.logits import LogitChanges, logit_changes, logit_selectivity
from geometry.structure.nulls import BASIC_NULLS, NULLS, Null
from geometry.structure.orthogonality import (
    chain_orthogonality,
    parent_orthogonality,
    sibling_contrast_orthogonality,
    sibling_orthogonality,
)
from geometry.structure.shape_comparison import ShapeComparison, compare_shapes
from geometry.structure.shapes import ShapeClassifier, left_out_score
from geometry.structure.significance import q_values
from geometry.structure.simplices import Simplex, simplex, simplex_irregularity, simplex_membership
from geometry.structure.splits import train_mask, training_parts
from geometry.structure.statistic import Statistic
from geometry.structure.tree import four_points, pairwise_cosines, quartets, tree_correlation
from geometry.structure.verdict import orthogonality_verdict

__all__ = [
    "BASIC_NULLS",
    "CLAIMS",
    "NULLS",
    "Claim",
    "ClaimResult",
    "Comparison",
    "Composition",
    "LogitChanges",
    "Null",
    "PairContrast",
    "ShapeClassifier",
    "ShapeComparison",
    "Simplex",
    "Statistic",
    "additive_composition",
    "adjusted",
    "chain_orthogonality",
    "compare_shapes",
    "compare_with_nulls",
    "four_points",
    "left_out_score",
    "logit_changes",
    "logit_selectivity",
    "membership",
    "orthogonality_verdict",
    "pair_contrast",
    "pairwise_cosines",
    "parent_orthogonality",
    "projection",
    "q_values",
    "quartets",
    "regularity",
    "run_battery",
    "separation",
    "sibling_contrast_orthogonality",
    "sibling_orthogonality",
    "simplex",
    "simplex_angles",
    "simplex_irregularity",
    "simplex_membership",
    "simplex_span",
    "skipped_concepts",
    "stream",
    "train_mask",
    "training_parts",
    "tree_correlation",
]
