"""Cosines of concept vectors, subtree by subtree, of three concepts as of four hundred."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.arguments import checked
from geometry.directions import ConceptDirections
from geometry.display import in_short
from geometry.views.selection import chosen, filled, labels_of, said, with_beside

if TYPE_CHECKING:
    from geometry.plots import Figure, HeatmapPanel, Options

_NUMBERED = 12  # concepts at most of which every cosine is written out
_INCHES, _LETTER = 0.26, 0.055  # of a row with a name, and of a letter of it
_LONGEST = 32  # letters of a name


@checked
def heatmap(
    directions: ConceptDirections,
    concepts: Sequence[str] | None = None,
    *,
    beside: Mapping[str, ConceptDirections] | None = None,
    cmap: str = "viridis",
    **options: "Unpack[Options]",
) -> "Figure":
    """Cosines of every two concept vectors.

    >>> import geometry as geo
    >>> space = geo.CausalSpace.fit(geo.Unembedding.load("smollm2-135m"))
    >>> directions = geo.ConceptDirections.fit(space, geo.load_hierarchy("organisms", space.unembedding.vocabulary))
    >>> figure = geo.views.heatmap(directions, ["animal", "mammal", "bird", "plant"])

    Parameters:
        concepts: their names, in this order; default all, depth first, where subtrees of many are boxed and named.
        beside: title → further directions of the same concepts, such as `null_directions`: a panel each.
        cmap: matplotlib's name of a colour map.
        options: of `geo.plots`; `ax` takes one Axes a panel.

    HierarchyError: an unknown or repeated concept. EstimationError: a concept without a vector, or none at all.
    """
    hierarchy = directions.hierarchy
    every = concepts is None
    names = [hierarchy.names[index] for index in hierarchy.depth_first] if concepts is None else list(concepts)
    names = chosen("heatmap", directions, names, 1, len(hierarchy))
    fits = with_beside("heatmap", directions, beside, names)
    rows = [hierarchy.index(name) for name in names]
    # Of rounding alone, a vector's cosine with itself may exceed 1.
    matrices = {title: np.minimum(other.cosines()[np.ix_(*_rows(other, names))], 1) for title, other in fits.items()}
    blocks = hierarchy.blocks() if every and len(names) > len(hierarchy.blocks()) else []
    labels = labels_of([name for name, _, _ in blocks] or names)
    panels = cosine_panels(matrices, [(labels[name], start, stop) for name, start, stop in blocks], cmap)
    if not blocks:
        short = [in_short(label, _LONGEST) for label in labels.values()]
        shown = {"rows": short, "columns": short}
        panels = [_named(panel, shown, written=len(names) <= _NUMBERED and len(fits) < 3) for panel in panels]
    if len(fits) == 1:
        panels = [plots.HeatmapPanel(**(vars(panel) | {"title": ""})) for panel in panels]
    title, caption = _said(directions, rows, matrices, boxed=bool(blocks), every=every)
    kept = filled(options, title, caption, {})
    if "ax" not in kept and "figsize" not in kept:
        longest = max(len(in_short(label, _LONGEST)) for label in labels.values())
        kept["figsize"] = _size(len(names), len(panels), 10 if blocks else longest, boxed=bool(blocks))
    return plots.heatmap(panels, ncols=3, **kept)


def cosine_panels(
    matrices: Mapping[str, NDArray[np.float64]], blocks: Sequence[tuple[str, int, int]], cmap: str = "viridis"
) -> "list[HeatmapPanel]":
    """A panel for each matrix of cosines, all on one scale, with the subtrees that are boxed: (name, start, stop)."""
    lowest = min(float(matrix.min()) for matrix in matrices.values())
    limits = min(float(np.floor(10 * lowest) / 10), 0.9), 1.0
    return [
        plots.HeatmapPanel(
            matrix, title=title, limits=limits, cmap=cmap, colourbar="cosine of concept vectors", blocks=blocks
        )
        for title, matrix in matrices.items()
    ]


def _rows(directions: ConceptDirections, names: Sequence[str]) -> tuple[list[int], list[int]]:
    rows = [directions.hierarchy.index(name) for name in names]
    return rows, rows


def _named(panel: "HeatmapPanel", shown: Mapping[str, Any], written: bool) -> "HeatmapPanel":
    texts = {"texts": plots.numbers(panel.matrix)} if written else {}
    return plots.HeatmapPanel(**(vars(panel) | dict(shown) | texts))


def _size(rows: int, panels: int, letters: int, *, boxed: bool) -> tuple[float, float]:
    """Inches of a new figure whose cells are about as high as wide, with names of so many letters."""
    columns, name = min(panels, 3), _LETTER * max(letters, 10)
    wide = 7.2 if boxed or columns > 1 else float(np.clip(_INCHES * rows + 1.05 + name, 4.2, 7.2))
    each, lines = (wide - 0.65 - name) / columns, -(-panels // columns)
    return wide, (each + name) * lines + 1.35


def _said(
    directions: ConceptDirections,
    rows: Sequence[int],
    matrices: Mapping[str, NDArray[np.float64]],
    *,
    boxed: bool,
    every: bool,
) -> tuple[str, str]:
    """Title and caption: mean cosines of concepts within others, and of all other pairs."""
    hierarchy = directions.hierarchy
    names = [hierarchy.names[row] for row in rows]
    below = np.array([[name in under for name in names] for under in map(hierarchy.descendants, names)])
    nested = below | below.T
    others = ~nested & ~np.eye(len(rows), dtype=bool)
    what = f"{len(rows)} concepts of {hierarchy.name}"
    pairs = {"of nested ones": nested, "of other pairs": others} if nested.any() else {"of two": others}
    found = [
        said(kind, {title: float(matrix[mask].mean()) for title, matrix in matrices.items()})
        for kind, mask in pairs.items()
        if mask.any()
    ]
    order = "Depth first" + ("; boxes are subtrees" if boxed else "") if every else "In the order given"
    caption = f"{order}. Cosines in the unified space, of vectors fitted to {_fitted(directions, rows)}."
    if nested.any():
        caption += " Nested concepts share words, and shared words make vectors similar in any model."
    return f"{what}: mean cosine {', '.join(found)}" if found else f"Cosine of {what}", caption


def _fitted(directions: ConceptDirections, rows: Sequence[int]) -> str:
    used = [int(directions.train[directions.hierarchy.members[row]].sum()) for row in rows]
    sizes = [min(count, directions.max_tokens or count) for count in used]
    return f"{min(sizes)} to {max(sizes)} words each" if min(sizes) < max(sizes) else f"{sizes[0]} words each"
