"""A Mapper graph to explore: its nodes' words, and what every edge means."""

import numpy as np

from geometry.plots.graph import MapperDrawing, check_mapper
from geometry.plots.pages.web import interactive_page
from geometry.plots.point_map import looks, window


def mapper_page(drawing: MapperDrawing, *, title: str, detail: str = "") -> str:
    """The page as one string of HTML that needs no network. ValueError: the drawing's parts do not fit each other."""
    check_mapper(drawing)
    hues = [colour for colour, _ in looks(drawing.categories)]
    purity, shares = (np.round(values, 4).tolist() for values in (drawing.purity, drawing.shares))
    nodes = zip(drawing.positions.tolist(), drawing.labels, purity, shares, drawing.members, strict=True)
    edges = zip(drawing.edges, drawing.shared.tolist(), drawing.meanings, strict=True)
    return interactive_page(
        "mapper.js",
        title=title,
        detail=detail,
        window=window(drawing.positions),
        categories=list(zip(drawing.categories, hues, strict=True)),
        scale=[colour for colour, _ in looks("01234567890", ordered=True)],
        nodes=[
            {"x": x, "y": y, "label": label, "purity": purity, "shares": shares, "words": words}
            for (x, y), label, purity, shares, words in nodes
        ],
        edges=[(int(first), int(second), shared, meaning) for (first, second), shared, meaning in edges],
    )
