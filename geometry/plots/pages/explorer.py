"""An interactive map: the same points in several geometries, to search, to colour, and to walk by concept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.plots.pages.web import interactive_page, packed, visible
from geometry.plots.point_map import Colouring, ConceptTree, MapPanel, check_map, looks, window

__all__ = ["explorer_page"]

_STEPS = 65535


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
    1/65535 of a panel's extent.

    Parameters
    ----------
    panels : side by side; a map of concept vectors alone has points of shape (0, 2).
    texts : of the n points, spaces included.
    colourings : to choose from; the first is shown.
    tree : concepts to toggle, whose edges are drawn where the panels place concepts.
    title, detail : the finding and how it was measured.

    Raises
    ------
    ValueError : where panels, texts, colourings and tree do not fit each other.
    """
    points, _ = check_map(panels, colourings, tree, texts)
    data: dict[str, Any] = {
        "title": visible(title),
        "detail": visible(detail),
        "points": points,
        "texts": [visible(text) for text in texts],
        "panels": [_panel(panel) for panel in panels],
        "colourings": [_colouring(colouring) for colouring in colourings],
        "tree": None,
    }
    if tree is not None:
        flat = np.concatenate([np.asarray(members, dtype=np.uint32) for members in (*tree.members, [])])
        data["tree"] = {
            "names": [visible(name) for name in tree.names],
            "edges": packed(np.array(tree.edges, dtype=np.uint32).reshape(-1, 2), "u4"),
            "sizes": [len(members) for members in tree.members],
            "members": packed(flat, "u4"),
        }
    return interactive_page(title, data, ("canvas", "explorer"))


def _panel(panel: MapPanel) -> dict[str, Any]:
    layers = [panel.points] if panel.concepts is None else [panel.points, panel.concepts]
    places = np.concatenate(layers).astype(np.float64)
    low = places.min(axis=0)
    step = np.maximum((places.max(axis=0) - low) / _STEPS, 1e-300)
    return {
        "title": visible(panel.title),
        "caption": visible(panel.caption),
        "window": window(*layers),
        "low": low.tolist(),
        "step": step.tolist(),
        "places": packed(np.rint((places - low) / step), "u2"),
    }


def _colouring(colouring: Colouring) -> dict[str, Any]:
    chosen = looks(colouring.categories, ordered=colouring.ordered)
    return {
        "name": visible(colouring.name),
        "categories": [[visible(name), *look] for name, look in zip(colouring.categories, chosen, strict=True)],
        "points": _codes(colouring.points),
        "concepts": None if colouring.concepts is None else _codes(colouring.concepts),
    }


def _codes(codes: NDArray[np.integer]) -> str:
    return packed(codes, "i1")
