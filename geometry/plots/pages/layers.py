"""A page on which one map moves from layer to layer of a model."""

from collections.abc import Sequence

import numpy as np

from geometry.plots.pages.interactive import drawn_page, map_data
from geometry.plots.point_map import Colouring, ConceptTree, MapPanel, window

_MANY, _TAIL = (
    2000,
    0.01,
)  # points of all layers, of which so many may lie outside on each side: some layers have strays


def layers_page(
    layers: Sequence[MapPanel],
    texts: Sequence[str],
    colourings: Sequence[Colouring],
    tree: ConceptTree | None = None,
    *,
    first: int = 0,
    title: str,
    detail: str = "",
) -> str:
    """The page as one string of HTML, which works from a file and without a network.

    A layer is a panel: its title says which it is, its caption how good the map is there, and both stand beside the
    slider. Layers share a window; places, already aligned, are of the same n points, which move from one to the next.
    The layer numbered `first` is shown at first. Texts, colourings and tree are those of `explorer_page`, which is what
    else the page does. ValueError: parts do not fit each other, layers that place concepts, or no layer of that number.
    """
    if not 0 <= first < len(layers):
        raise ValueError(f"first: layer {first} of {len(layers)}; give 0 to {len(layers) - 1}")
    if any(layer.concepts is not None for layer in layers):
        raise ValueError("layers: places of concepts do not move; give points alone")
    data = map_data(layers, texts, colourings, tree)
    every = np.concatenate([layer.points for layer in layers])
    tail = _TAIL if len(every) > _MANY else 0.0
    shared = window(np.clip(every, *np.quantile(every, [tail, 1 - tail], axis=0)))
    panels = [panel | {"window": shared} for panel in data["panels"]]
    return drawn_page("explorer.js", "layers.js", title=title, detail=detail, **data | {"panels": panels}, moving=first)
