"""A Mapper graph to explore: its nodes' words, and what every edge means."""

from typing import Any

import numpy as np

from geometry.plots.graph import MapperDrawing, check_mapper
from geometry.plots.pages.web import interactive_page, visible
from geometry.plots.point_map import looks, window

__all__ = ["mapper_page"]


def mapper_page(drawing: MapperDrawing, *, title: str, detail: str = "") -> str:
    """The page as one string of HTML, which works from a file and without a network.

    Raises
    ------
    ValueError : where the parts of the drawing do not fit each other.
    """
    check_mapper(drawing)
    data: dict[str, Any] = {
        "title": visible(title),
        "detail": visible(detail),
        "window": window(drawing.positions),
        "categories": [
            [visible(name), colour]
            for name, (colour, _) in zip(drawing.categories, looks(drawing.categories), strict=True)
        ],
        "scale": [colour for colour, _ in looks("01234567890", ordered=True)],
        "nodes": [
            {
                "x": float(drawing.positions[node][0]),
                "y": float(drawing.positions[node][1]),
                "label": visible(drawing.labels[node]),
                "purity": round(float(drawing.purity[node]), 4),
                "shares": np.round(drawing.shares[node], 4).tolist(),
                "words": [visible(word) for word in drawing.members[node]],
            }
            for node in range(len(drawing.members))
        ],
        "edges": [
            [int(first), int(second), int(shared), visible(meaning)]
            for (first, second), shared, meaning in zip(drawing.edges, drawing.shared, drawing.meanings, strict=True)
        ],
    }
    return interactive_page(title, data, ("canvas", "mapper"))
