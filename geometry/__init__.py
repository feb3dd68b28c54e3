"""Concept hierarchies in the geometry of language models: directions, tests with nulls, pictures.

The flow runs one way: an `Unembedding` gives a `CausalSpace`; a `ConceptHierarchy` over its
vocabulary gives `ConceptDirections`; statistics on these are compared with null models.
"""

from geometry.causal import CausalSpace
from geometry.concepts import (
    Concept,
    ConceptHierarchy,
    hierarchy_from_graph,
    hierarchy_from_words,
    load_hierarchy,
    packaged_hierarchies,
    wordnet_hierarchy,
)
from geometry.directions import ConceptDirections, TokenCloud
from geometry.errors import EstimationError, GeometryError, HierarchyError, ModelError, OutputError
from geometry.estimators import concept_vector
from geometry.frames import Frame
from geometry.models import Unembedding, Vocabulary, display_name, fetch
from geometry.output import OutputFolder
from geometry.structure import (
    NULLS,
    Comparison,
    Null,
    Simplex,
    Statistic,
    chain_orthogonality,
    compare_with_nulls,
    orthogonality_verdict,
    pairwise_cosines,
    parent_orthogonality,
    projection,
    separation,
    sibling_contrast_orthogonality,
    sibling_orthogonality,
    simplex,
    simplex_irregularity,
    simplex_membership,
    stream,
    train_mask,
    tree_likeness,
)

__all__ = [
    "NULLS",
    "CausalSpace",
    "Comparison",
    "Concept",
    "ConceptDirections",
    "ConceptHierarchy",
    "EstimationError",
    "Frame",
    "GeometryError",
    "HierarchyError",
    "ModelError",
    "Null",
    "OutputError",
    "OutputFolder",
    "Simplex",
    "Statistic",
    "TokenCloud",
    "Unembedding",
    "Vocabulary",
    "chain_orthogonality",
    "compare_with_nulls",
    "concept_vector",
    "display_name",
    "fetch",
    "hierarchy_from_graph",
    "hierarchy_from_words",
    "load_hierarchy",
    "orthogonality_verdict",
    "packaged_hierarchies",
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
    "wordnet_hierarchy",
]
