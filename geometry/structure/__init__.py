"""Tests of the geometry, each beside its null models."""

from geometry.structure.against_nulls import compare_with_nulls, stream
from geometry.structure.child_separation import separation
from geometry.structure.comparison import Comparison
from geometry.structure.existence import projection
from geometry.structure.nulls import NULLS, Null
from geometry.structure.orthogonality import (
    chain_orthogonality,
    parent_orthogonality,
    sibling_contrast_orthogonality,
    sibling_orthogonality,
)
from geometry.structure.simplices import Simplex, simplex, simplex_irregularity, simplex_membership
from geometry.structure.splits import train_mask
from geometry.structure.statistic import Statistic
from geometry.structure.tree import pairwise_cosines, tree_likeness
from geometry.structure.verdict import orthogonality_verdict

__all__ = [
    "NULLS",
    "Comparison",
    "Null",
    "Simplex",
    "Statistic",
    "chain_orthogonality",
    "compare_with_nulls",
    "orthogonality_verdict",
    "pairwise_cosines",
    "parent_orthogonality",
    "projection",
    "separation",
    "sibling_contrast_orthogonality",
    "sibling_orthogonality",
    "simplex",
    "simplex_irregularity",
    "simplex_membership",
    "stream",
    "train_mask",
    "tree_likeness",
]
