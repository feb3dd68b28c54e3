"""A Mapper graph to explore: its nodes' words, and what every edge means."""

from typing import Any

import numpy as np

from geometry.plots.mapper import MapperGraph, check_mapper
from geometry.plots.maps import looks, visible, window
from geometry.plots.web import interactive_page

__all__ = ["mapper_page"]


def mapper_page(graph: MapperGraph, *, title: str, detail: str = "") -> str:
    """The page as one string of HTML, which works from a file and without a network.

    Raises
    ------
    ValueError : where the parts of the graph do not fit each other.
    """
    check_mapper(graph)
    data: dict[str, Any] = {
        "title": visible(title),
        "detail": visible(detail),
        "window": window(graph.positions),
        "categories": [
            [visible(name), colour] for name, (colour, _) in zip(graph.categories, looks(graph.categories), strict=True)
        ],
        "scale": [colour for colour, _ in looks("01234567890", ordered=True)],
        "nodes": [
            {
                "x": float(graph.positions[node][0]),
                "y": float(graph.positions[node][1]),
                "label": visible(graph.labels[node]),
                "purity": round(float(graph.purity[node]), 4),
                "shares": np.round(graph.shares[node], 4).tolist(),
                "words": [visible(word) for word in graph.members[node]],
            }
            for node in range(len(graph.members))
        ],
        "edges": [
            [int(one), int(other), int(shared), visible(meaning)]
            for (one, other), shared, meaning in zip(graph.edges, graph.shared, graph.meanings, strict=True)
        ],
    }
    return interactive_page(title, data, ("canvas", "mapper"))
