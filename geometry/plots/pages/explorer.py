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

    A word is coloured as long as one of its narrowest concepts is ticked in the tree. Coordinates are kept to
    1/65535 of a panel's extent. ValueError: panels, texts, colourings and tree do not fit each other.

    Parameters
    ----------
    panels : side by side; a map of concept vectors alone has points of shape (0, 2).
    texts : of the n points, spaces included.
    colourings : to choose from; the first is shown.
    tree : concepts to toggle, whose edges are drawn where the panels place concepts.
    title, detail : the finding and how it was measured.
    """
    points, _ = check_map(panels, colourings, tree, texts)
    return interactive_page(
        "explorer.js",
        title=title,
        detail=detail,
        points=points,
        texts=list(texts),
        panels=[_panel(panel) for panel in panels],
        colourings=[_colouring(colouring) for colouring in colourings],
        tree=tree
        and {
            "names": list(tree.names),
            "edges": packed(np.reshape(tree.edges, (-1, 2)), "u4"),
            "sizes": [len(members) for members in tree.members],
            "members": packed(np.concatenate([[], *tree.members]), "u4"),
        },
    )


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


def _colouring(colouring: Colouring) -> dict[str, Any]:
    chosen = looks(colouring.categories, ordered=colouring.ordered)
    return {
        "name": colouring.name,
        "categories": [[name, *look] for name, look in zip(colouring.categories, chosen, strict=True)],
        "points": packed(colouring.points, "i1"),
        "concepts": None if colouring.concepts is None else packed(colouring.concepts, "i1"),
    }
