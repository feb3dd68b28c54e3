"""Positions of a graph's nodes: springs within each component, the components packed side by side."""

import networkx as nx
import numpy as np
from numpy.typing import NDArray

# The widest row of components, in units of the square root of the area that all take.
_ROW = 1.3
_GAP = 0.8
# Up to so many nodes springs of the graph's own distances, which do not depend on the seed; their cost is cubic.
_KAMADA_KAWAI = 150


def component_layout(edges: NDArray[np.int64], component_of: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Positions, shape (m, 2), about one unit from node to node; the largest component on top, the rest in rows below.

    `component_of` numbers each node's component from the largest; `seed` is of the springs' initial positions.
    """
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(len(component_of)))
    graph.add_edges_from(edges.tolist())
    positions = np.zeros((len(component_of), 2))
    boxes = []
    for component in range(int(component_of.max()) + 1):
        nodes = np.flatnonzero(component_of == component)
        inside = _springs(graph.subgraph(nodes.tolist()), seed) * np.sqrt(len(nodes)) / 2
        positions[nodes] = inside - inside.min(axis=0)
        boxes.append((nodes, np.ptp(inside, axis=0) + _GAP))
    widest = max(max(size[0] for _, size in boxes), _ROW * float(np.sqrt(sum(np.prod(size) for _, size in boxes))))
    x = y = height = 0.0
    for nodes, size in boxes:
        if x and x + size[0] > widest:
            x, y, height = 0.0, y - height, 0.0
        positions[nodes] += (x, y - size[1])
        x, height = x + size[0], max(height, size[1])
    return positions


def _springs(graph: "nx.Graph[int]", seed: int) -> NDArray[np.float64]:
    ordered: nx.Graph[int] = nx.Graph()
    ordered.add_nodes_from(sorted(graph))
    ordered.add_edges_from(sorted(graph.edges))
    few = 2 < len(ordered) <= _KAMADA_KAWAI
    position = nx.kamada_kawai_layout(ordered) if few else nx.spring_layout(ordered, seed=seed, weight=None)
    return np.array([position[node] for node in ordered], dtype=np.float64)
