"""An interactive map: the same points in several geometries, to search, to colour, and to walk by concept."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from geometry.plots.pages.web import interactive_page, packed
from geometry.plots.point_map import Colouring, ConceptTree, MapPanel, check_map, looks, window


def explorer_page(
    panels: Sequence[MapPanel],
    texts: Sequence[str],
    colourings: Sequence[Colouring],
    tree: ConceptTree | None = None,
    *,
    title: str,
    detail: str = "",
) -> str:
    """The page as one string of HTML, which works from a file and without a network.

    Texts are of the n points, spaces included; a map of concept vectors alone has points of shape (0, 2). The first
    colouring is shown. A word is coloured as long as one of its narrowest concepts is ticked in the tree. Coordinates
    are kept to 1/65535 of a panel's extent. ValueError: panels, texts, colourings and tree do not fit each other.
    """
    points, _ = check_map(panels, colourings, tree)
    if len(texts) != points:
        raise ValueError(f"texts: {len(texts)} of them for {points} points; give one a point")
    concepts = tree and {
        "names": tree.names,
        "edges": packed(np.reshape(tree.edges, (-1, 2)), "u4"),
        "sizes": [len(members) for members in tree.members],
        "members": packed(np.concatenate([[], *tree.members]), "u4"),
    }
    colours = [
        {
            "name": item.name,
            "categories": list(zip(item.categories, looks(item.categories, ordered=item.ordered), strict=True)),
            "points": packed(item.points, "i1"),
            "concepts": None if item.concepts is None else packed(item.concepts, "i1"),
        }
        for item in colourings
    ]
    data = {"points": points, "texts": texts, "panels": [*map(_panel, panels)], "colourings": colours, "tree": concepts}
    return interactive_page("explorer.js", title=title, detail=detail, **data)


def _panel(panel: MapPanel) -> dict[str, Any]:
    places = np.asarray(panel.places, dtype=np.float64)
    low = places.min(axis=0)
    step = np.maximum(np.ptp(places, axis=0) / 65535, 1e-300)
    return {
        "title": panel.title,
        "caption": panel.caption,
        "window": window(panel.places),
        "low": low.tolist(),
        "step": step.tolist(),
        "places": packed(np.rint((places - low) / step), "u2"),
    }
