"""Maps of points by UMAP, and Mapper graphs of their topology, each beside null models."""

from geometry.maps.clustering import MutualNeighbours
from geometry.maps.embedding import umap_embedding
from geometry.maps.lenses import (
    Lens,
    depth_lens,
    eccentricity_lens,
    given_lens,
    lens_values,
    pca_lens,
    projection_lens,
    umap_lens,
)
from geometry.maps.mapper import Clusterer, Cover, mapper
from geometry.maps.mapper_graph import MapperGraph
from geometry.maps.mapper_nulls import MapperComparison, compare_mapper
from geometry.maps.neighbours import Neighbours, nearest_neighbours
from geometry.maps.node_concepts import Bridge, NodeConcepts, bridges, node_concepts
from geometry.maps.null_points import PointNull, gaussian_points, shuffled_labels, token_null
from geometry.maps.points import LabelledPoints
from geometry.maps.purity import neighbourhood_purity
from geometry.maps.stability import StabilitySetting, StabilitySweep, stability_sweep
from geometry.maps.trustworthiness import Trustworthiness, trustworthiness

__all__ = [
    "Bridge",
    "Clusterer",
    "Cover",
    "LabelledPoints",
    "Lens",
    "MapperComparison",
    "MapperGraph",
    "MutualNeighbours",
    "Neighbours",
    "NodeConcepts",
    "PointNull",
    "StabilitySetting",
    "StabilitySweep",
    "Trustworthiness",
    "bridges",
    "compare_mapper",
    "depth_lens",
    "eccentricity_lens",
    "gaussian_points",
    "given_lens",
    "lens_values",
    "mapper",
    "nearest_neighbours",
    "neighbourhood_purity",
    "node_concepts",
    "pca_lens",
    "projection_lens",
    "shuffled_labels",
    "stability_sweep",
    "token_null",
    "trustworthiness",
    "umap_embedding",
    "umap_lens",
]
