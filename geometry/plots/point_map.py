"""Maps of points in one or more geometries: concepts in colour, the rest in grey, a concept tree over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.spatial import KDTree

from geometry.plots.canvas import Canvas, Options
from geometry.plots.labels import Label, equal_scale, place_labels
from geometry.plots.style import COLOURS, INK, Colours, literal, palette, readable

__all__ = ["MOST_CATEGORIES", "Colouring", "ConceptTree", "MapPanel", "check_map", "looks", "point_map", "window"]

MOST_CATEGORIES = 12
_MOST_LABELS = 40
_GREY = "#cfcfcf"
_SHAPES = "os^DvP"
# Paul Tol's muted scheme lends four that are dark, and so stand apart from Okabe & Ito's in greyscale.
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

    Parameters
    ----------
    tree : its edges are drawn where the panels place concepts.
    labels : text → indices of the points it names: ringed if it is one, else named in bold where they keep to
        themselves, and nowhere if they are mixed with others throughout. The first ones win where room is short.
    named : indices of the concepts to write the names of, before any label; with the labels at most 40.

    Raises
    ------
    ValueError : where the parts do not fit each other, or more than 40 labels are asked for.
    """
    points, concepts = check_map(panels, [colouring], tree, None)
    labels = labels or {}
    _check_labels(labels, named, points, concepts if panels[0].concepts is not None else 0)
    chosen = looks(colouring.categories, options.get("colours"), ordered=colouring.ordered)
    columns = len(panels) if len(panels) <= 3 else 2
    with Canvas.of(len(panels), columns, **options) as canvas:
        for axes, panel in zip(canvas.axes, panels, strict=True):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color="#bbbbbb")
            axes.set_xlabel(literal(panel.caption), fontsize=6.6, color="#555555", loc="left", labelpad=3)
        marks = [{"color": colour, "marker": marker} for colour, marker in chosen]
        canvas.legend({**dict(zip(colouring.categories, marks, strict=True)), "other": {"color": _GREY, "ms": 3}})
        figure = canvas.finish([6.7 / max(columns, 1.5)] * len(panels), [panel.title for panel in panels])
        for axes, panel in zip(canvas.axes, panels, strict=True):
            corners = np.array(window(*_layers(panel))).reshape(2, 2)
            equal_scale(axes, corners, (0, 0))
            _draw(axes, panel, colouring, chosen, tree)
            wanted = _wanted(panel, colouring, chosen, tree, labels, named)
            nodes = np.empty((0, 2)) if panel.concepts is None else panel.concepts
            discs = np.column_stack([nodes, np.full(len(nodes), 2.2)])
            coloured = panel.points[colouring.points >= 0]
            drawn = {text.get_text() for text in place_labels(axes, wanted, avoid=coloured, discs=discs)}
            ringed = [panel.points[at[0]] for text, at in labels.items() if len(at) == 1 and literal(text) in drawn]
            rings = np.reshape(ringed, (-1, 2))
            axes.scatter(rings[:, 0], rings[:, 1], s=10, facecolor="none", edgecolor=INK, lw=0.6, zorder=4)
    return figure


def looks(categories: Sequence[str], colours: Colours = None, *, ordered: bool = False) -> list[tuple[str, str]]:
    """(colour, matplotlib marker) of each category; beyond colour they differ in shape, or in lightness if ordered."""
    names: Sequence[str] = [str(place) for place in range(len(categories))]
    if colours is None and ordered:
        colours = [to_hex(colour) for colour in mpl.colormaps["viridis"](np.linspace(0, 0.92, len(names)))]
    names = categories if isinstance(colours, Mapping) else names
    hues = palette(names, colours or _COLOURS)
    return [(hues[name], _SHAPES[place % len(_SHAPES)]) for place, name in enumerate(names)]


def window(*layers: NDArray[np.floating]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of a square around the points; of thousands, all but the outermost 0.4% on either side."""
    shown = np.concatenate(layers)
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


def _layers(panel: MapPanel) -> list[NDArray[np.floating]]:
    return [panel.points] if panel.concepts is None else [panel.points, panel.concepts]


def _draw(
    axes: Axes, panel: MapPanel, colouring: Colouring, chosen: Sequence[tuple[str, str]], tree: ConceptTree | None
) -> None:
    """The panel without its labels."""
    grey = panel.points[colouring.points < 0]
    _dots(axes, grey, (_GREY, "o"), s=0.35 if len(grey) > 5000 else 2, lw=0, rasterized=True)
    coloured = [panel.points[colouring.points == code] for code in range(len(chosen))]
    size = float(np.clip(14 - 3 * np.log10(1 + sum(map(len, coloured))), 2, 9))
    for code in sorted(range(len(chosen)), key=lambda code: -len(coloured[code])):  # small ones on top
        _dots(axes, coloured[code], chosen[code], s=size, lw=0.15, edgecolor="white", rasterized=True)
    if panel.concepts is not None and tree is not None:
        ends = panel.concepts[np.array(tree.edges, dtype=int).reshape(-1, 2)]
        axes.add_collection(LineCollection(list(ends), colors="#555555", linewidths=0.4, alpha=0.5, zorder=2.5))
        codes = np.full(len(panel.concepts), -1) if colouring.concepts is None else colouring.concepts
        edge, size = INK if len(panel.points) else "white", 11 if len(codes) > 100 else 16
        _dots(axes, panel.concepts[codes < 0], ("#b5b5b5", "o"), s=size / 2, lw=0.5, edgecolor=edge, zorder=3)
        for code, look in enumerate(chosen):
            _dots(axes, panel.concepts[codes == code], look, s=size, lw=0.5, edgecolor=edge, zorder=3)


def _dots(axes: Axes, points: NDArray[np.floating], look: tuple[str, str], **how: Any) -> None:
    axes.scatter(points[:, 0], points[:, 1], color=look[0], marker=look[1], **how)


def _wanted(
    panel: MapPanel,
    colouring: Colouring,
    chosen: Sequence[tuple[str, str]],
    tree: ConceptTree | None,
    labels: Mapping[str, Sequence[int]],
    named: Sequence[int],
) -> list[Label]:
    wanted = []
    if tree is not None and panel.concepts is not None:
        wanted = [Label(tree.names[index], panel.concepts[index], radius=2.2) for index in named]
    for text, members in labels.items():
        own = np.zeros(len(panel.points), dtype=np.bool_)
        own[np.asarray(members)] = True
        place = panel.points[own][0] if len(members) == 1 else _heart(panel.points, own, (colouring.points >= 0) | own)
        if place is not None:
            many = len(members) > 1
            codes = np.bincount(colouring.points[own & (colouring.points >= 0)])
            colour = readable(chosen[int(codes.argmax())][0]) if len(codes) else INK
            wanted.append(Label(text, place, bold=many, region=many, radius=2.0 * (not many), colour=colour))
    return wanted


def _heart(
    points: NDArray[np.floating], own: NDArray[np.bool_], coloured: NDArray[np.bool_]
) -> NDArray[np.floating] | None:
    """The point amid those of a group whose coloured neighbours are mostly its own; None if these are too few."""
    mine = points[own]
    count = int(np.clip(len(mine) // 4, 3, 60))
    near = KDTree(points[coloured]).query(mine, min(count, int(coloured.sum())))[1].reshape(len(mine), -1)
    shares = own[coloured][near].mean(axis=1)
    kept = mine[shares >= max(0.5, 0.9 * shares.max())]
    if (shares >= 0.5).sum() < max(2, 0.05 * len(mine)):
        return None
    return np.asarray(kept[np.linalg.norm(kept - np.median(kept, axis=0), axis=1).argmin()])


def _check_labels(labels: Mapping[str, Sequence[int]], named: Sequence[int], points: int, concepts: int) -> None:
    if len(labels) + len(named) > _MOST_LABELS:
        raise ValueError(f"labels: {len(labels) + len(named)} of them; give at most {_MOST_LABELS}, the telling ones")
    for text, members in labels.items():
        if not len(members) or min(members) < 0 or max(members) >= points:
            raise ValueError(f"label {text!r}: give indices of some of the {points} points")
    if any(place < 0 or place >= concepts for place in named):
        raise ValueError(f"named: {list(named)} run outside the {concepts} concepts that have a place")
