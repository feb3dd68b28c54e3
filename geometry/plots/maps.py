"""What pictures of maps are made of: places of points in one or more geometries, their colouring, a concept tree."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from geometry.plots.style import COLOURS

__all__ = ["MOST_CATEGORIES", "Colouring", "ConceptTree", "MapPanel", "check_map", "looks", "visible", "window"]

MOST_CATEGORIES = 12
_SHAPES = "os^DvP"
# Paul Tol's muted scheme lends four that are dark, and so told from Okabe & Ito's in greyscale.
_COLOURS = (*COLOURS[:7], "#882255", "#332288", "#999933", "#44AA99", COLOURS[7])


@dataclass(frozen=True, eq=False)
class MapPanel:
    """The same points in one geometry.

    Attributes
    ----------
    title : which geometry.
    points : shape (n, 2), places of the points; n may be 0 where there are concepts.
    caption : one line below the map, such as its trustworthiness beside that of shuffled rows.
    concepts : shape (c, 2), places of the concepts, or None for a map of points alone.
    """

    title: str
    points: NDArray[np.floating]
    caption: str = ""
    concepts: NDArray[np.floating] | None = None


@dataclass(frozen=True, eq=False)
class Colouring:
    """One way to colour a map.

    Attributes
    ----------
    name : what the colours mean, such as "depth".
    categories : at most 12 names.
    points : shape (n,), the category of every point, -1 for none of them.
    concepts : shape (c,), that of every concept, or None for -1 throughout.
    ordered : whether the categories are steps of a scale, drawn from dark to light.
    """

    name: str
    categories: Sequence[str]
    points: NDArray[np.integer]
    concepts: NDArray[np.integer] | None = None
    ordered: bool = False


@dataclass(frozen=True, eq=False)
class ConceptTree:
    """The concepts of a map.

    Attributes
    ----------
    names : of the c concepts.
    edges : (parent, child) indices; a child listed under several parents is shown below the first.
    members : for each concept, indices of its points.
    """

    names: Sequence[str]
    edges: Sequence[tuple[int, int]]
    members: Sequence[NDArray[np.integer]]


def looks(categories: Sequence[str], *, ordered: bool = False) -> list[tuple[str, str]]:
    """(colour, matplotlib marker) of each category; beyond colour they differ in shape, or in lightness if ordered."""
    if not ordered:
        return [(_COLOURS[place], _SHAPES[place % len(_SHAPES)]) for place in range(len(categories))]
    scale = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(categories)))
    return [(to_hex(colour), _SHAPES[place % len(_SHAPES)]) for place, colour in enumerate(scale)]


def visible(text: str) -> str:
    """Token text with control and unprintable characters shown as "·"; spaces stay."""
    return "".join(character if character.isprintable() else "·" for character in text)


def window(*places: NDArray[np.floating]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of a square around the places; of thousands, all but the outermost 0.4% on either side."""
    shown = np.concatenate(places)
    tail = 0.004 if len(shown) > 2000 else 0.0
    low, high = np.quantile(shown, [tail, 1 - tail], axis=0)
    half = 0.56 * max(float((high - low).max()), 1e-12)
    x, y = (low + high) / 2
    return x - half, y - half, x + half, y + half


def check_map(
    panels: Sequence[MapPanel], colourings: Sequence[Colouring], tree: ConceptTree | None, texts: Sequence[str] | None
) -> tuple[int, int]:
    """The numbers of points and of concepts; a ValueError says which part does not fit the others."""
    if not panels or not colourings:
        raise ValueError(f"a map needs a panel and a colouring; got {len(panels)} and {len(colourings)}")
    points = len(panels[0].points)
    concepts = len(tree.names) if tree else 0
    for panel in panels:
        for name, places, count in (("points", panel.points, points), ("concepts", panel.concepts, concepts)):
            if places is None:
                continue
            if places.shape != (count, 2):
                raise ValueError(f"panel {panel.title!r}: {name} have shape {places.shape}; give ({count}, 2)")
            if not np.isfinite(places).all():
                raise ValueError(f"panel {panel.title!r}: {name} hold nan or infinity; drop those or place them")
        if (panel.concepts is None) != (panels[0].concepts is None):
            raise ValueError(f"panel {panel.title!r}: give places of concepts to all panels or to none")
    if not points and panels[0].concepts is None:
        raise ValueError(f"panel {panels[0].title!r} is empty; give points or concepts")
    if texts is not None and len(texts) != points:
        raise ValueError(f"texts: {len(texts)} of them for {points} points; give one a point")
    for colouring in colourings:
        _check_colouring(colouring, points, concepts)
    if tree is not None:
        _check_tree(tree, points)
    return points, concepts


def _check_colouring(colouring: Colouring, points: int, concepts: int) -> None:
    count = len(colouring.categories)
    if not 1 <= count <= MOST_CATEGORIES:
        raise ValueError(f"colouring {colouring.name!r}: {count} categories; give 1 to {MOST_CATEGORIES}")
    for kind, codes, expected in (("points", colouring.points, points), ("concepts", colouring.concepts, concepts)):
        if codes is None:
            continue
        if codes.shape != (expected,):
            raise ValueError(f"colouring {colouring.name!r}: {kind} have shape {codes.shape}; give ({expected},)")
        if len(codes) and (codes.min() < -1 or codes.max() >= count):
            raise ValueError(
                f"colouring {colouring.name!r}: {kind} run from {codes.min()} to {codes.max()}; "
                f"give -1 to {count - 1}, indices of its categories"
            )


def _check_tree(tree: ConceptTree, points: int) -> None:
    count = len(tree.names)
    if len(tree.members) != count:
        raise ValueError(f"tree: members of {len(tree.members)} concepts for {count} names; give one a name")
    for name, members in zip(tree.names, tree.members, strict=True):
        if len(members) and (np.min(members) < 0 or np.max(members) >= points):
            raise ValueError(f"concept {name!r}: members run outside the {points} points; give indices of points")
    above: dict[int, set[int]] = {place: set() for place in range(count)}
    for parent, child in tree.edges:
        if not (0 <= parent < count and 0 <= child < count):
            raise ValueError(f"tree: edge ({parent}, {child}) runs outside the {count} concepts; give their indices")
        above[child].add(parent)
    while ready := [place for place, parents in above.items() if not parents]:
        for place in ready:
            del above[place]
        for parents in above.values():
            parents.difference_update(ready)
    if above:
        raise ValueError(f"tree: concept {tree.names[min(above)]!r} lies on or below a cycle; give a tree")
