"""A Mapper graph to explore: its nodes' words, and what every edge means."""

import numpy as np

from geometry.plots.graph import MapperDrawing, check_mapper
from geometry.plots.pages.web import interactive_page
from geometry.plots.point_map import looks, window


def mapper_page(drawing: MapperDrawing, *, title: str, detail: str = "") -> str:
    """The page as one string of HTML, which works from a file and without a network.

    ValueError: the parts of the drawing do not fit each other.
    """
    check_mapper(drawing)
    hues = [colour for colour, _ in looks(drawing.categories)]
    nodes = zip(
        drawing.positions.tolist(),
        drawing.labels,
        np.round(drawing.purity, 4).tolist(),
        np.round(drawing.shares, 4).tolist(),
        drawing.members,
        strict=True,
    )
    return interactive_page(
        "mapper.js",
        title=title,
        detail=detail,
        window=window(drawing.positions),
        categories=list(zip(drawing.categories, hues, strict=True)),
        scale=[colour for colour, _ in looks("01234567890", ordered=True)],
        nodes=[
            {"x": x, "y": y, "label": label, "purity": purity, "shares": shares, "words": list(words)}
            for (x, y), label, purity, shares, words in nodes
        ],
        edges=[
            [int(first), int(second), int(shared), meaning]
            for (first, second), shared, meaning in zip(drawing.edges, drawing.shared, drawing.meanings, strict=True)
        ],
    )
