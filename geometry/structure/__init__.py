"""Tests of the geometry, each beside its null models."""

from geometry.structure.against_nulls import compare_with_nulls, stream
from geometry.structure.battery import claim_results, claim_tests, run_battery, skipped_concepts
from geometry.structure.claim_result import ClaimResult, adjusted
from geometry.structure.claims import CLAIMS, Claim, HierarchyClaim
from geometry.structure.comparison import Comparison, summarise
from geometry.structure.held_out import HeldOutClassification, HeldOutSweep, classify_held_out
from geometry.structure.matching import Matching, matched_cosines
from geometry.structure.nulls import BASIC_NULLS, NULLS, PROMPT_NULLS, Null
from geometry.structure.probe import Probe
from geometry.structure.series.composition import Composition, additive_composition
from geometry.structure.series.contrasts import PairContrast, pair_contrast
from geometry.structure.series.series_claims import composition_claim, contrast_claims, shape_claims
from geometry.structure.series.shape_comparison import ShapeComparison, compare_shapes
from geometry.structure.series.shapes import ShapeClassifier, left_out_score
from geometry.structure.significance import permutation_p, q_values
from geometry.structure.splits import train_mask, training_parts
from geometry.structure.statistics.categories import (
    edge_variation,
    membership,
    regularity,
    simplex_angles,
    simplex_span,
)
from geometry.structure.statistics.child_separation import separation
from geometry.structure.statistics.existence import projection
from geometry.structure.statistics.logits import LogitChanges, logit_changes, logit_selectivity
from geometry.structure.statistics.orthogonality import (
    chain_orthogonality,
    parent_orthogonality,
    sibling_contrast_orthogonality,
    sibling_orthogonality,
)
from geometry.structure.statistics.simplices import Simplex, simplex, simplex_irregularity, simplex_membership
from geometry.structure.statistics.statistic import Statistic
from geometry.structure.statistics.tree import four_points, pairwise_cosines, quartets, tree_correlation
from geometry.structure.verdict import orthogonality_verdict

__all__ = [
    "BASIC_NULLS",
    "CLAIMS",
    "NULLS",
    "PROMPT_NULLS",
    "Claim",
    "ClaimResult",
    "Comparison",
    "Composition",
    "HeldOutClassification",
    "HeldOutSweep",
    "HierarchyClaim",
    "LogitChanges",
    "Matching",
    "Null",
    "PairContrast",
    "Probe",
    "ShapeClassifier",
    "ShapeComparison",
    "Simplex",
    "Statistic",
    "additive_composition",
    "adjusted",
    "chain_orthogonality",
    "claim_results",
    "claim_tests",
    "classify_held_out",
    "compare_shapes",
    "compare_with_nulls",
    "composition_claim",
    "contrast_claims",
    "edge_variation",
    "four_points",
    "left_out_score",
    "logit_changes",
    "logit_selectivity",
    "matched_cosines",
    "membership",
    "orthogonality_verdict",
    "pair_contrast",
    "pairwise_cosines",
    "parent_orthogonality",
    "permutation_p",
    "projection",
    "q_values",
    "quartets",
    "regularity",
    "run_battery",
    "separation",
    "shape_claims",
    "sibling_contrast_orthogonality",
    "sibling_orthogonality",
    "simplex",
    "simplex_angles",
    "simplex_irregularity",
    "simplex_membership",
    "simplex_span",
    "skipped_concepts",
    "stream",
    "summarise",
    "train_mask",
    "training_parts",
    "tree_correlation",
]
