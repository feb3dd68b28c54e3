"""Which concepts the nodes of a Mapper graph hold, and which words bridge two of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from geometry.arguments import checked
from geometry.concepts.hierarchy import incidence
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.maps.mapper_graph import MapperGraph
from geometry.maps.points import LabelledPoints


@dataclass(frozen=True, eq=False)
class NodeConcepts:
    """The shares of each node that belong to the concepts, shape (m, c), beside its size and the names of its points.

    Shares of a node need not sum to 1, as concepts may overlap and leave points out.
    """

    concepts: tuple[str, ...]
    shares: NDArray[np.float64]
    sizes: NDArray[np.int64]
    words: tuple[tuple[str, ...], ...]

    __repr__ = short_repr

    @cached_property
    def purity(self) -> NDArray[np.float64]:
        """For each node the share of its dominant concept, shape (m,)."""
        return np.asarray(self.shares.max(axis=1))

    @cached_property
    def dominant(self) -> tuple[str, ...]:
        """For each node the concept that most of its points belong to, "" if none does."""
        return tuple(self.concepts[shares.argmax()] if shares.any() else "" for shares in self.shares)

    @property
    def mean_purity(self) -> float:
        """Mean purity of nodes, each counted by its size."""
        return float(np.average(self.purity, weights=self.sizes))

    @checked
    def attributes(self, words: int = 5) -> dict[str, Any]:
        """Dominant concept, purity and first words of every node, for `MapperGraph.to_networkx` and GraphML."""
        first = [", ".join(names[:words]) for names in self.words]
        return {"concept": list(self.dominant), "purity": self.purity.tolist(), "words": first}


@checked
def node_concepts(graph: MapperGraph, labelled: LabelledPoints) -> NodeConcepts:
    """The concepts of a graph's nodes; EstimationError if the graph is of another number of points."""
    if graph.points != len(labelled):
        raise EstimationError(f"a graph of {graph.points} points does not belong to {len(labelled)} labelled points")
    sizes = np.array([len(members) for members in graph.nodes])
    shares = (incidence(graph.nodes, graph.points) @ labelled.incidence).toarray() / sizes[:, None]
    words = tuple(tuple(labelled.names[point] for point in members) for members in graph.nodes)
    return NodeConcepts(tuple(labelled.members), shares, sizes, words)


@dataclass(frozen=True)
class Bridge:
    """An edge of a Mapper graph, and what the two nodes share.

    `concepts` are the dominant ones of its `nodes` ("" for none), and `words` the names of the shared points.
    `enriched` lists concepts that are commoner among the shared points than in either node alone: (name, share of the
    shared points, share of the two nodes together, hypergeometric p), the least p first. The p is not adjusted for how
    many bridges and concepts are looked at.
    """

    nodes: tuple[int, int]
    concepts: tuple[str, str]
    words: tuple[str, ...]
    enriched: tuple[tuple[str, float, float, float], ...]

    __repr__ = short_repr

    @property
    def between(self) -> bool:
        """Whether it joins nodes of different concepts."""
        return self.concepts[0] != self.concepts[1]

    def to_dict(self) -> dict[str, Any]:
        """All of it, for results.json."""
        keys = ("concept", "share_of_shared", "share_of_both", "p_value")
        return vars(self) | {"enriched": [dict(zip(keys, entry, strict=True)) for entry in self.enriched]}


@checked
def bridges(graph: MapperGraph, labelled: LabelledPoints) -> list[Bridge]:
    """What bridges the nodes of every edge, in the order of `graph.edges`; errors as `node_concepts`."""
    concepts = node_concepts(graph, labelled)
    return [_bridge(graph, labelled, concepts, edge) for edge in graph.edges.tolist()]


def _bridge(graph: MapperGraph, labelled: LabelledPoints, concepts: NodeConcepts, edge: list[int]) -> Bridge:
    first, second = edge
    shared = np.intersect1d(graph.nodes[first], graph.nodes[second])
    union = np.union1d(graph.nodes[first], graph.nodes[second])
    in_shared, in_union = (
        np.asarray(labelled.incidence[rows].sum(axis=0)).ravel().astype(np.int64) for rows in (shared, union)
    )
    enriched = []
    for index, name in enumerate(concepts.concepts):
        share = in_shared[index] / len(shared)
        if share > concepts.shares[[first, second], index].max():
            p = float(hypergeom.sf(in_shared[index] - 1, len(union), in_union[index], len(shared)))
            enriched.append((name, float(share), float(in_union[index] / len(union)), p))
    return Bridge(
        (first, second),
        (concepts.dominant[first], concepts.dominant[second]),
        tuple(labelled.names[point] for point in shared),
        tuple(sorted(enriched, key=lambda entry: entry[3])),
    )
