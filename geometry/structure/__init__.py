"""Tests of the geometry, each beside its null models."""

from geometry.structure.against_nulls import compare_with_nulls
from geometry.structure.comparison import Comparison
from geometry.structure.simplex import Simplex, simplex
from geometry.structure.splits import train_mask
from geometry.structure.statistics import (
    Statistic,
    held_out_projection,
    parent_orthogonality,
    projection,
    separation,
    tree_likeness,
)

__all__ = [
    "Comparison",
    "Simplex",
    "Statistic",
    "compare_with_nulls",
    "held_out_projection",
    "parent_orthogonality",
    "projection",
    "separation",
    "simplex",
    "train_mask",
    "tree_likeness",
]
