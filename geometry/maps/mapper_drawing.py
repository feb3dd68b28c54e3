"""From a Mapper graph and the concepts of its points to what `plots.graph` and `plots.pages.mapper_page` draw."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from geometry.arguments import checked
from geometry.concepts import short_name
from geometry.maps.mapper_graph import MapperGraph
from geometry.maps.mapper_nodes import Bridge, NodeConcepts, bridges, node_concepts
from geometry.maps.points import LabelledPoints

if TYPE_CHECKING:
    from geometry.plots import MapperDrawing

_CATEGORIES = 11
_WORDS = 12


@checked
def drawing(
    graph: MapperGraph,
    labelled: LabelledPoints,
    concepts: NodeConcepts | None = None,
    between: Sequence[Bridge] | None = None,
) -> "MapperDrawing":
    """A Mapper graph as plain data for a page and a picture, `plots.graph(drawing(graph, labelled), title="My lens")`.

    A node's words stand in the order of how typical they are: the cosine of each point with the node's mean, both from
    the mean of all points. The 11 concepts of most points are the categories; a word of two counts half for each.
    `concepts` and `between` are `node_concepts` and `bridges` of the graph, worked out where they are not given.

    EstimationError: a graph of another number of points.
    """
    from geometry.plots import MapperDrawing  # numbers must not need matplotlib

    concepts = concepts or node_concepts(graph, labelled)
    largest = np.argsort(-(concepts.shares * concepts.sizes[:, None]).sum(axis=0), kind="stable")[:_CATEGORIES]
    shares = concepts.shares[:, largest]
    centred = labelled.points - labelled.points.mean(axis=0)
    norms = np.maximum(np.linalg.norm(centred, axis=1), 1e-12)
    typical_first = [
        nodes[np.argsort(-(centred[nodes] @ centred[nodes].mean(axis=0)) / norms[nodes], kind="stable")]
        for nodes in graph.nodes
    ]
    return MapperDrawing(
        graph.layout(),
        [[labelled.names[point].strip() for point in points] for points in typical_first],
        [short_name(name) or "other" for name in concepts.dominant],
        concepts.purity,
        [short_name(concepts.concepts[index]) for index in largest],
        shares / np.maximum(1, shares.sum(axis=1, keepdims=True)),
        [(first, second) for first, second in graph.edges.tolist()],
        graph.shared,
        [_meaning(bridge) for bridge in (bridges(graph, labelled) if between is None else between)],
    )


def _meaning(bridge: Bridge) -> str:
    first, second = (short_name(name) or "nothing named" for name in bridge.concepts)
    through = f"{first} and {second} meet" if first != second else f"both {first}"
    return f"{through} in {', '.join(word.strip() for word in bridge.words[:_WORDS])}"
