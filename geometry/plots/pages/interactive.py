"""Pages that a script draws: a map to search, to colour and to walk by concept, and a Mapper graph to explore."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.plots.graph import MapperDrawing, check_mapper
from geometry.plots.pages.web import base64, page, visible
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
    data = map_data(panels, texts, colourings, tree)
    return drawn_page("explorer.js", title=title, detail=detail, **data)


def map_data(
    panels: Sequence[MapPanel], texts: Sequence[str], colourings: Sequence[Colouring], tree: ConceptTree | None
) -> dict[str, Any]:
    """What `explorer.js` draws; errors as of `explorer_page`."""
    points, _ = check_map(panels, colourings, tree)
    if len(texts) != points:
        raise ValueError(f"texts: {len(texts)} of them for {points} points; give one a point")
    concepts = tree and {
        "names": tree.names,
        "edges": _packed(np.reshape(tree.edges, (-1, 2)), "u4"),
        "sizes": [len(members) for members in tree.members],
        "members": _packed(np.concatenate([[], *tree.members]), "u4"),
    }
    colours = [
        {
            "name": item.name,
            "categories": list(zip(item.categories, looks(item.categories, ordered=item.ordered), strict=True)),
            "points": _packed(item.points, "i1"),
            "concepts": None if item.concepts is None else _packed(item.concepts, "i1"),
        }
        for item in colourings
    ]
    drawn = [*map(_panel, panels)]
    return {"points": points, "texts": texts, "panels": drawn, "colourings": colours, "tree": concepts}


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
        "places": _packed(np.rint((places - low) / step), "u2"),
    }


def mapper_page(drawing: MapperDrawing, *, title: str, detail: str = "") -> str:
    """The page as one string of HTML that needs no network. ValueError: the drawing's parts do not fit each other."""
    check_mapper(drawing)
    hues = [colour for colour, _ in looks(drawing.categories)]
    purity, shares = (np.round(values, 4).tolist() for values in (drawing.purity, drawing.shares))
    nodes = zip(drawing.positions.tolist(), drawing.labels, purity, shares, drawing.members, strict=True)
    edges = zip(drawing.edges, drawing.shared.tolist(), drawing.meanings, strict=True)
    return drawn_page(
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


def drawn_page(*scripts: str, **data: Any) -> str:
    """A page that shows `data`, a title and a detail among them, by some of our scripts."""
    return page("interactive", "canvas.js", *scripts, title=data["title"], data=_all_visible(data))


def _all_visible(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _all_visible(value) for name, value in data.items()}
    if isinstance(data, str):
        return visible(data)
    return [_all_visible(value) for value in data] if isinstance(data, Sequence) else data


def _packed(values: NDArray[Any], kind: str) -> str:
    """Base64 of `values` as little-endian `kind`, such as "u2"."""
    return base64(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes())
