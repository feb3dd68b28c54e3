"""MapperGraph: clusters as nodes, shared points as edges, and its topology."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geometry.arguments import checked
from geometry.output import replacing

# In a picture: the widest row of components, in units of the square root of the area that all take, and their gaps.
_ROW, _GAP = 1.3, 0.8
# Up to so many nodes springs of the graph's own distances, which do not depend on the seed; their cost is cubic.
_KAMADA_KAWAI = 150


@dataclass(frozen=True, eq=False)
class MapperGraph:
    """A Mapper graph; see `mapper`.

    Attributes:
        nodes: for each node the ascending positions of its points.
        edges: shape (e, 2), pairs of nodes that share points, the lower number first.
        shared: shape (e,), how many points they share.
        centres: shape (m, c), each node's mean lens.
        points: how many points were covered or left out as noise, n.
    """

    nodes: tuple[NDArray[np.int64], ...]
    edges: NDArray[np.int64]
    shared: NDArray[np.int64]
    centres: NDArray[np.float64]
    points: int

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        size = f"{len(self)} nodes, {len(self.edges)} edges"
        return f"MapperGraph({size}, {self.components} components, {self.loops} loops)"

    @cached_property
    def component_of(self) -> NDArray[np.int64]:
        """For each node the number of its connected component, the largest (in nodes) being 0."""
        graph = coo_array((np.ones(len(self.edges)), tuple(self.edges.T)), shape=(len(self), len(self)))
        labels = connected_components(graph.tocsr(), directed=False)[1]
        order = np.argsort(-np.bincount(labels), kind="stable")
        return np.argsort(order)[labels]

    @property
    def components(self) -> int:
        """Number of connected components."""
        return int(self.component_of.max()) + 1

    @property
    def loops(self) -> int:
        """First Betti number of the graph, edges − nodes + components; counts three clusters around one point too."""
        return len(self.edges) - len(self) + self.components

    @cached_property
    def holes(self) -> int:
        """First Betti number of the nerve: loops, with triangles filled whose three nodes share a point.

        With several lenses cubes meet at corners, and most loops of the graph are such triangles.
        """
        number = {(first, second): index for index, (first, second) in enumerate(self.edges.tolist())}
        nodes_of: dict[int, list[int]] = {}
        for node, members in enumerate(self.nodes):
            for point in members.tolist():
                nodes_of.setdefault(point, []).append(node)
        filled = {triangle for nodes in set(map(tuple, nodes_of.values())) for triangle in combinations(nodes, 3)}
        # A triangle's edges are the bits of a number.
        return self.loops - _rank(sum(1 << number[pair] for pair in combinations(nodes, 2)) for nodes in filled)

    @cached_property
    def coverage(self) -> float:
        """Share of the points that are in some node."""
        return len(np.unique(np.concatenate(self.nodes))) / self.points

    @cached_property
    def home(self) -> NDArray[np.int64]:
        """For each point the first of its nodes, −1 for noise."""
        home = np.full(self.points, -1, dtype=np.int64)
        for number in reversed(range(len(self))):
            home[self.nodes[number]] = number
        return home

    def summary(self) -> dict[str, float]:
        """Counts of nodes, edges, components, loops and holes, and the coverage."""
        topology = {name: getattr(self, name) for name in ("components", "loops", "holes", "coverage")}
        return {"nodes": len(self), "edges": len(self.edges), **topology}

    @checked
    def layout(self, seed: int = 0) -> NDArray[np.float64]:
        """Positions of the nodes for a picture, shape (m, 2): springs within a component, components side by side.

        It is about one unit from node to node, and the largest component is on top, the rest in rows below. The `seed`
        is of the springs' initial positions.
        """
        positions, boxes = np.zeros((len(self), 2)), []
        for component in range(self.components):
            nodes = np.flatnonzero(self.component_of == component)
            graph: nx.Graph[int] = nx.Graph()
            graph.add_nodes_from(nodes.tolist())
            graph.add_edges_from(self.edges[np.isin(self.edges[:, 0], nodes)].tolist())
            few = 2 < len(nodes) <= _KAMADA_KAWAI
            placed = nx.kamada_kawai_layout(graph) if few else nx.spring_layout(graph, seed=seed, weight=None)
            inside = np.array([placed[node] for node in graph]) * np.sqrt(len(nodes)) / 2
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

    @checked
    def to_networkx(self, attributes: Mapping[str, Any] | None = None) -> "nx.Graph[int]":
        """As a networkx graph with `size` and `component` of nodes and `shared` of edges.

        `attributes` holds name → one string or number a node, as `NodeConcepts.attributes` gives.
        """
        graph: nx.Graph[int] = nx.Graph()
        for node, members in enumerate(self.nodes):
            lens = {f"lens_{axis}": float(value) for axis, value in enumerate(self.centres[node])}
            graph.add_node(node, size=len(members), component=int(self.component_of[node]), **lens)
        for (first, second), shared in zip(self.edges.tolist(), self.shared.tolist(), strict=True):
            graph.add_edge(first, second, shared=shared)
        for name, values in (attributes or {}).items():
            nx.set_node_attributes(graph, dict(zip(graph, np.asarray(values).tolist(), strict=True)), name)
        return graph

    @checked
    def write_graphml(self, path: str | Path, attributes: Mapping[str, Any] | None = None) -> None:
        """Write `to_networkx` as GraphML, which Gephi, Cytoscape and networkx read.

        OutputError: the folder does not exist or the file cannot be written there.
        """
        with replacing(path) as unfinished:
            nx.write_graphml_xml(self.to_networkx(attributes), unfinished)


def _rank(rows: Iterable[int]) -> int:
    """Rank over the field of two elements; a row is a number's bits."""
    pivots: dict[int, int] = {}
    for row in rows:
        while row and (top := row.bit_length()) in pivots:
            row ^= pivots[top]
        if row:
            pivots[row.bit_length()] = row
    return len(pivots)
