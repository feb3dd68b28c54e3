"""What pictures of Mapper graphs are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.plots.maps import MOST_CATEGORIES

__all__ = ["MapperGraph", "check_mapper"]


@dataclass(frozen=True, eq=False)
class MapperGraph:
    """A Mapper graph with a place for every node.

    Attributes
    ----------
    positions : shape (m, 2), of the nodes.
    members : the words of each of the m nodes.
    labels : m names of the nodes' dominant concepts.
    purity : shape (m,), the share of each node's members in its dominant concept, 0 to 1.
    categories : at most 12 names.
    shares : shape (m, k), the share of each node's members in each category; what is left to 1 is other.
    edges : e pairs of node indices.
    shared : shape (e,), numbers of members that both ends of an edge hold.
    meanings : e strings, what each edge means, such as the concepts that bridge its nodes.
    """

    positions: NDArray[np.floating]
    members: Sequence[Sequence[str]]
    labels: Sequence[str]
    purity: NDArray[np.floating]
    categories: Sequence[str]
    shares: NDArray[np.floating]
    edges: Sequence[tuple[int, int]]
    shared: NDArray[np.integer]
    meanings: Sequence[str]


def check_mapper(graph: MapperGraph) -> None:
    """A ValueError says which part of a graph does not fit the others."""
    nodes, categories, edges = len(graph.members), len(graph.categories), len(graph.edges)
    if not nodes:
        raise ValueError("mapper graph: it has no nodes; use a finer cover or a smaller least size of clusters")
    if not 1 <= categories <= MOST_CATEGORIES:
        raise ValueError(f"mapper graph: {categories} categories; give 1 to {MOST_CATEGORIES}")
    for name, values, shape in (
        ("positions", graph.positions, (nodes, 2)),
        ("purity", graph.purity, (nodes,)),
        ("shares", graph.shares, (nodes, categories)),
        ("shared", graph.shared, (edges,)),
    ):
        if values.shape != shape:
            raise ValueError(f"mapper graph: {name} have shape {values.shape}; give {shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"mapper graph: {name} hold nan or infinity; give numbers")
    for name, texts, count in (("labels", graph.labels, nodes), ("meanings", graph.meanings, edges)):
        if len(texts) != count:
            raise ValueError(f"mapper graph: {len(texts)} {name}; give {count}")
    if (graph.shares < 0).any() or (graph.shares.sum(axis=1) > 1 + 1e-6).any():
        raise ValueError(
            "mapper graph: shares of a node must not be negative nor sum to more than 1; give a word one category"
        )
    for one, other in graph.edges:
        if not (0 <= one < nodes and 0 <= other < nodes):
            raise ValueError(f"mapper graph: edge ({one}, {other}) runs outside the {nodes} nodes; give their indices")
