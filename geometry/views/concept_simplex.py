"""Three or four concept vectors as a triangle or a tetrahedron, with their words."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

import numpy as np

import geometry.plots as plots
from geometry.arguments import checked
from geometry.directions import ConceptDirections
from geometry.errors import EstimationError
from geometry.evidence import nearest_vertices
from geometry.frames import Frame
from geometry.views.selection import (
    Words,
    chosen,
    filled,
    has_held_out,
    labels_of,
    listed,
    points_of,
    said,
    shown_words,
    with_beside,
)

if TYPE_CHECKING:
    from geometry.plots import Figure, Options, SimplexPanel


@checked
def simplex(
    directions: ConceptDirections,
    concepts: Sequence[str],
    *,
    beside: Mapping[str, ConceptDirections] | None = None,
    **options: "Unpack[Options]",
) -> "Figure":
    """Three or four concept vectors and their words in the span of the vectors, drawn to scale.

    >>> import geometry as geo
    >>> space = geo.CausalSpace.fit(geo.Unembedding.load("smollm2-135m"))
    >>> directions = geo.ConceptDirections.fit(space, geo.load_hierarchy("organisms", space.unembedding.vocabulary))
    >>> figure = geo.views.simplex(directions, ["mammal", "bird", "fish", "insect"])

    Parameters:
        concepts: the vertices; of nested ones each word is shown in the smallest.
        beside: title → further directions of the same concepts, such as `null_directions`: a panel each.
        options: of `geo.plots`; `ax` takes one Axes a panel.

    Words are held-out ones where the directions were fitted with a `train` mask, else those that they were fitted to.

    HierarchyError: an unknown or repeated concept. EstimationError: another number of concepts, vertices on a line or
    in a plane, or a concept without a vector.
    Source: Park et al., arXiv 2406.01506, figure 4.
    """
    names = chosen("simplex", directions, concepts, 3, 4)
    fits = with_beside("simplex", directions, beside, names)
    words = shown_words(directions, names)
    panels = [simplex_panel(other, words, title if len(fits) > 1 else "") for title, other in fits.items()]
    title, caption = _said(fits, names, sum(map(len, words.values())))
    return plots.simplex(panels, **filled(options, title, caption, labels_of(names)))


def simplex_panel(directions: ConceptDirections, words: Words, title: str) -> "SimplexPanel":
    """One panel of the concepts and the positions of their words; EstimationError: vertices that span no simplex."""
    names, short = list(words), labels_of(list(words))
    vertices = directions.vectors[[directions.hierarchy.index(name) for name in names]]
    try:
        frame = Frame.spanned_by(*(vertices[1:] - vertices[0]), origin=vertices.mean(dim=0))
    except EstimationError as error:
        shape = "triangle" if len(names) == 3 else "tetrahedron"
        said = f"simplex: the vectors of {listed(names)} span no {shape}; take others"
        raise EstimationError(said) from error
    corners = dict(zip(short.values(), frame.coordinates(vertices), strict=True))
    placed = {short[name]: frame.coordinates(points_of(directions, tokens)) for name, tokens in words.items()}
    return plots.SimplexPanel(title, corners, placed)


def _said(fits: Mapping[str, ConceptDirections], names: Sequence[str], count: int) -> tuple[str, str]:
    directions, short = fits["model"], list(labels_of(names).values())
    indices = [directions.hierarchy.index(name) for name in names]
    title = f"Concept vectors of {listed(short)}, and {count} words that they were fitted to"
    words = "the words that these were fitted to, which lie near them in noise too"
    if has_held_out(directions):
        accuracy = {title: _accuracy(nearest_vertices(other, indices)) for title, other in fits.items()}
        title = f"Concept vectors of {listed(short)}, and {count} held-out words"
        if all(map(np.isfinite, accuracy.values())):
            number = said("Nearest-centroid accuracy of held-out words of", accuracy)
            title = number.replace(
                " of held-out words of", f" of held-out words among {listed(short)}, chance-corrected:"
            )
        words = f"{count} held-out words; accuracy is balanced over the concepts, 0 by chance"
    return title, (
        f"Span of {', '.join(f'ℓ({name})' for name in short)}, centred, to scale. Large marks: these concept vectors;"
        f" small marks: {words}."
    )


def _accuracy(confusion: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> float:
    """Balanced over the concepts, 0 by chance, 1 at best; nan if one has no word of its own."""
    counts = confusion.sum(axis=1)
    if not counts.all():
        return float("nan")
    chance = 1 / len(counts)
    return float(((confusion.diagonal() / counts).mean() - chance) / (1 - chance))
