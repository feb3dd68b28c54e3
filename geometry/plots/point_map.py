"""Maps of points in one or more geometries: concepts in colour, the rest in grey, a concept tree over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Unpack

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from scipy.spatial import KDTree

from geometry.arguments import checked
from geometry.plots.canvas import Canvas, Figure, Options
from geometry.plots.labels import Array, Label, dots, equal_scale, place_labels
from geometry.plots.style import COLOURS, INK, Colours, literal, readable

_MOST_CATEGORIES = 12
_GREY = "#cfcfcf"
_SHAPES = "os^DvP"
# Paul Tol's muted scheme lends four that are dark, and so stand apart from Okabe & Ito's in greyscale.
_COLOURS = (*COLOURS[:7], "#882255", "#332288", "#999933", "#44AA99", COLOURS[7])


@checked
@dataclass(frozen=True, eq=False)
class MapPanel:
    """A geometry, its title, of points (n, 2), concepts (c, 2), or both; the caption is a line below the map."""

    title: str
    points: Array
    caption: str = ""
    concepts: Array | None = None

    @property
    def places(self) -> Array:
        """Of the points, then of the concepts."""
        return self.points if self.concepts is None else np.concatenate([self.points, self.concepts])


@checked
@dataclass(frozen=True, eq=False)
class Colouring:
    """One way to colour a map: a name such as "depth", and at most 12 categories.

    Points have shape (n,), the category of each, -1 for none; concepts (c,) likewise, None for -1 throughout. Ordered
    categories are steps of a scale, drawn from dark to light.
    """

    name: str
    categories: Sequence[str]
    points: NDArray[np.integer]
    concepts: NDArray[np.integer] | None = None
    ordered: bool = False


@checked
@dataclass(frozen=True, eq=False)
class ConceptTree:
    """The c concepts of a map, (parent, child) edges, of which a page lists a child's first, and indices of points."""

    names: Sequence[str]
    edges: Sequence[tuple[int, int]]
    members: Sequence[NDArray[np.integer]]


@checked
def point_map(
    panels: Sequence[MapPanel],
    colouring: Colouring,
    tree: ConceptTree | None = None,
    *,
    labels: Mapping[str, Sequence[int]] | None = None,
    named: Sequence[int] = (),
    **options: Unpack[Options],
) -> Figure:
    """Panels side by side, three or fewer in a row; of thousands of points the outermost may lie outside.

    ValueError: the parts do not fit each other, or more than 40 labels are asked for.

    Edges of the tree are drawn where the panels place concepts; `named` are indices of those to write the names of.
    Labels are text → indices of the points it names: ringed if it is one, else named in bold where they keep to
    themselves, and nowhere if they are mixed with others throughout. The first ones win where room is short.
    """
    points, concepts = check_map(panels, [colouring], tree)
    labels = labels or {}
    if len(labels) + len(named) > 40:
        raise ValueError(f"labels: {len(labels) + len(named)} of them; give at most 40, the telling ones")
    for text, members in labels.items():
        if not len(members) or min(members) < 0 or max(members) >= points:
            raise ValueError(f"label {text!r}: give indices of some of the {points} points")
    if any(index not in range(concepts if panels[0].concepts is not None else 0) for index in named):
        raise ValueError(f"named: {list(named)} run outside the {concepts} concepts that have a place")
    columns = len(panels) if len(panels) <= 3 else 2
    with Canvas.of(len(panels), columns, **options) as canvas:
        chosen = looks(colouring.categories, options.get("colours"), ordered=colouring.ordered)
        marks = [{"color": colour, "marker": marker} for colour, marker in chosen]
        for axes, panel in zip(canvas.axes, panels, strict=True):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color="#bbbbbb")
            axes.set_xlabel(literal(panel.caption), fontsize=6.6, color="#555555", loc="left", labelpad=3)
        legend: dict[str, Any] = dict(zip(colouring.categories, marks, strict=True))
        grey = (colouring.points < 0).any() or (
            concepts and (colouring.concepts is None or (colouring.concepts < 0).any())
        )
        canvas.legend(legend | ({"other": {"color": _GREY, "ms": 3}} if grey else {}))
        figure = canvas.finish([6.7 / max(columns, 1.5)] * len(panels), [panel.title for panel in panels])
        for axes, panel in zip(canvas.axes, panels, strict=True):
            equal_scale(axes, np.reshape(window(panel.places), (2, 2)), (0, 0))
            _draw(axes, panel, colouring, marks, tree)
            wanted = [Label(tree.names[at], panel.places[points + at], radius=2.2) for at in named if tree]
            wanted += _labels(labels, panel, colouring, marks)
            coloured, discs = panel.points[colouring.points >= 0], np.insert(panel.places[points:], 2, 2.2, axis=1)
            drawn = {text.get_text() for text in place_labels(axes, wanted, avoid=[coloured], discs=discs)}
            ringed = [panel.points[at[0]] for text, at in labels.items() if len(at) == 1 and literal(text) in drawn]
            dots(axes, np.reshape(ringed, (-1, 2)), s=10, color="none", edgecolor=INK, lw=0.6, zorder=4)
    return figure


def looks(categories: Sequence[str], colours: Colours = None, *, ordered: bool = False) -> list[tuple[str, str]]:
    """(colour, matplotlib marker) of each category; beyond colour they differ in shape, or in lightness if ordered."""
    scale = [to_hex(colour) for colour in mpl.colormaps["viridis"](np.linspace(0, 0.92, len(categories)))]
    named, order = (colours, None) if isinstance(colours, Mapping) else ({}, colours)
    order = order or (scale if ordered else _COLOURS)
    hues = [named.get(name, order[index % len(order)]) for index, name in enumerate(categories)]
    return list(zip(hues, _SHAPES * 2, strict=False))


def window(places: Array) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of a square around the places; of thousands, all but the outermost 0.4% on either side."""
    tail = 0.004 if len(places) > 2000 else 0.0
    low, high = np.quantile(places, [tail, 1 - tail], axis=0)
    half = 0.56 * max(float((high - low).max()), 1e-12)
    x, y = (low + high) / 2
    return x - half, y - half, x + half, y + half


def check_map(panels: Sequence[MapPanel], colourings: Sequence[Colouring], tree: ConceptTree | None) -> tuple[int, int]:
    """The numbers of points and of concepts; a ValueError says which part does not fit the others."""
    if not panels or not colourings:
        raise ValueError(f"a map needs a panel and a colouring; got {len(panels)} and {len(colourings)}")
    names, edges, groups = (tree.names, tree.edges, tree.members) if tree else ((), (), ())
    points, concepts = len(panels[0].points), len(names)
    for panel in panels:
        what = f"panel {panel.title!r}"
        check_numbers(what, "points", panel.points, (points, 2))
        check_numbers(what, "concepts", panel.concepts, (concepts, 2))
        if (panel.concepts is None) != (panels[0].concepts is None):
            raise ValueError(f"{what}: give places of concepts to all panels or to none")
        if not len(panel.places):
            raise ValueError(f"{what} is empty; give points or concepts")
    for colouring in colourings:
        what, count = f"colouring {colouring.name!r}", len(colouring.categories)
        check_categories(what, colouring.categories)
        for name, codes, size in (("points", colouring.points, points), ("concepts", colouring.concepts, concepts)):
            check_numbers(what, name, codes, (size,))
            if codes is not None and size and (codes.min() < -1 or codes.max() >= count):
                wrong = f"{what}: {name} run from {codes.min()} to {codes.max()}"
                raise ValueError(f"{wrong}; give -1 to {count - 1}, indices of its categories")
    if len(groups) != concepts:
        raise ValueError(f"tree: members of {len(groups)} concepts for {concepts} names; give one a name")
    for name, members in zip(names, groups, strict=True):
        if len(members) and (np.min(members) < 0 or np.max(members) >= points):
            raise ValueError(f"concept {name!r}: members run outside the {points} points; give indices of points")
    above = TopologicalSorter[int]()
    for parent, child in edges:
        if not (0 <= parent < concepts and 0 <= child < concepts):
            raise ValueError(f"tree: edge ({parent}, {child}) runs outside the {concepts} concepts; give their indices")
        above.add(child, parent)
    try:
        above.prepare()
    except CycleError as error:
        raise ValueError(f"tree: concept {names[error.args[1][0]]!r} lies on a cycle; give a tree") from None
    return points, concepts


def check_categories(what: str, categories: Sequence[str]) -> None:
    """A ValueError for none, or more than there are colours."""
    if not 1 <= len(categories) <= _MOST_CATEGORIES:
        raise ValueError(f"{what}: {len(categories)} categories; give 1 to {_MOST_CATEGORIES}")


def check_numbers(what: str, name: str, values: NDArray[Any] | None, shape: tuple[int, ...]) -> None:
    """A ValueError for values of another shape, or that are not finite."""
    if values is not None and values.shape != shape:
        raise ValueError(f"{what}: {name} have shape {values.shape}; give {shape}")
    if values is not None and not np.isfinite(values).all():
        raise ValueError(f"{what}: {name} hold nan or infinity; drop those or give numbers")


def _draw(axes: Axes, panel: MapPanel, colouring: Colouring, marks: list[Any], tree: ConceptTree | None) -> None:
    """The panel without its labels."""
    grey = panel.points[colouring.points < 0]
    dots(axes, grey, s=0.35 if len(grey) > 5000 else 2, color=_GREY, lw=0, rasterized=True)
    coloured = [(panel.points[colouring.points == code], mark) for code, mark in enumerate(marks)]
    size = float(np.clip(14 - 3 * np.log10(1 + (colouring.points >= 0).sum()), 2, 9))
    for points, mark in sorted(coloured, key=lambda item: -len(item[0])):  # small ones on top
        dots(axes, points, s=size, lw=0.15, edgecolor="white", rasterized=True, **mark)
    if panel.concepts is not None and tree is not None:
        ends = panel.concepts[np.reshape(np.array(tree.edges, dtype=int), (-1, 2))]
        axes.add_collection(LineCollection(list(ends), colors="#555555", linewidths=0.4, alpha=0.5, zorder=2.5))
        codes = np.full(len(panel.concepts), -1) if colouring.concepts is None else colouring.concepts
        size = 11 if len(codes) > 100 else 16 if len(codes) > 30 else 26
        look: dict[str, Any] = {"edgecolor": INK if len(panel.points) else "white", "lw": 0.5, "zorder": 3}
        dots(axes, panel.concepts[codes < 0], s=size / 2, color="#b5b5b5", **look)
        for code, mark in enumerate(marks):
            dots(axes, panel.concepts[codes == code], s=size, **mark, **look)


def _labels(
    groups: Mapping[str, Sequence[int]], panel: MapPanel, colouring: Colouring, marks: list[Any]
) -> list[Label]:
    """Names of points, and of the groups that are not mixed with others."""
    labels = []
    for text, members in groups.items():
        own, many = np.isin(np.arange(len(panel.points)), members), len(members) > 1
        place = _heart(panel.points, own, (colouring.points >= 0) | own) if many else panel.points[own][0]
        codes = np.bincount(colouring.points[own & (colouring.points >= 0)])
        colour = readable(marks[codes.argmax()]["color"]) if len(codes) else INK
        if place is not None:
            labels.append(Label(text, place, bold=many, region=many, radius=2.0 * (not many), colour=colour))
    return labels


def _heart(points: Array, own: NDArray[np.bool_], coloured: NDArray[np.bool_]) -> Array | None:
    """The point amid those of a group whose coloured neighbours are mostly its own; None if these are too few."""
    mine = points[own]
    count = int(np.clip(len(mine) // 4, 3, 60))
    near = KDTree(points[coloured]).query(mine, min(count, int(coloured.sum())))[1].reshape(len(mine), -1)
    shares = own[coloured][near].mean(axis=1)
    kept = mine[shares >= max(0.5, 0.9 * shares.max())]
    if (shares >= 0.5).sum() < max(2, 0.05 * len(mine)):
        return None
    return np.asarray(kept[np.linalg.norm(kept - np.median(kept, axis=0), axis=1).argmin()])
