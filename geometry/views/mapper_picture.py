"""A Mapper graph in colours of one's own: the concepts of its points, classes, or a number of each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.arguments import checked
from geometry.errors import EstimationError
from geometry.maps import LabelledPoints, MapperGraph, drawing
from geometry.output import replacing
from geometry.views.selection import filled

if TYPE_CHECKING:
    from geometry.plots import Figure, MapperDrawing, Options

# Class → positions of its points, a class of each point, or a number of each.
Colour = Mapping[str, Any] | Sequence[Any] | NDArray[Any]
_STEPS = 6  # of a number, on a page


@checked(colour=Any)
def mapper(
    graph: MapperGraph,
    labelled: LabelledPoints,
    *,
    colour: Colour | None = None,
    measure: str = "mean of the nodes' points",
    named: int = 25,
    cmap: str = "viridis",
    **options: "Unpack[Options]",
) -> "Figure":
    """Draw a Mapper graph: nodes as large as their points are many, edges as wide as what they share.

    >>> import geometry as geo
    >>> points = np.random.default_rng(0).normal(size=(60, 5))
    >>> labelled = geo.maps.LabelledPoints.of_classes(points, ["a", "b", "c"] * 20)
    >>> graph = geo.mapper(labelled, points[:, 0], cover=geo.maps.Cover(4))
    >>> figure = geo.views.mapper(graph, labelled, colour=points[:, 1], measure="second coordinate")

    Parameters:
        graph: of `geo.mapper`, whose lens may be a function of one's own or an array.
        labelled: the points that it was made of.
        colour: default, nodes are pies of the concepts or classes of `labelled`. Or other ones, a mapping of class to
            positions of its points or a text a point ("" for none); or a number a point, whose mean a node shows.
        measure: what the numbers are, at the colour bar.
        named: so many of the largest nodes have words.
        cmap: matplotlib's name of a colour map, of numbers.
        options: of `geo.plots`; `colours` are of classes.

    EstimationError: a graph of other points, or colours of another number of points, or that are not finite.
    """
    drawn, numeric = _coloured(graph, labelled, colour, measure)
    title, caption = _said(graph, drawn, numeric)
    return plots.graph(drawn, named=named, cmap=cmap, **filled(options, title, caption, {}))


@checked(colour=Any)
def mapper_page(
    graph: MapperGraph,
    labelled: LabelledPoints,
    path: str | Path,
    *,
    colour: Colour | None = None,
    measure: str = "mean of the nodes' points",
    title: str = "",
    detail: str = "",
) -> Path:
    """Write the graph as an interactive page: one HTML file that needs no network; parameters as of `mapper`.

    Numbers are shown in six steps of equally many points. OutputError: the folder does not exist or the file cannot be
    written there.
    """
    if colour is not None and (numbers := _numbers(colour, len(labelled))) is not None:
        colour = _steps(numbers)
    drawn, _ = _coloured(graph, labelled, colour, measure)
    own_title, own_detail = _said(graph, drawn, False)
    with replacing(path) as unfinished:
        html = plots.pages.mapper_page(drawn, title=title or own_title, detail=detail or own_detail)
        unfinished.write_text(html, encoding="utf-8")
    return Path(path)


def _coloured(
    graph: MapperGraph, labelled: LabelledPoints, colour: Colour | None, measure: str
) -> "tuple[MapperDrawing, bool]":
    """What is drawn, and whether by numbers."""
    numbers = None if colour is None else _numbers(colour, len(labelled))
    if numbers is not None:
        values = np.array([numbers[members].mean() for members in graph.nodes])
        return replace(drawing(graph, labelled), values=values, measure=measure, things="points"), True
    drawn = drawing(graph, labelled if colour is None else _reclassed(labelled, colour))
    return replace(drawn, things="points"), False


def _numbers(colour: Colour, points: int) -> NDArray[np.float64] | None:
    """The numbers of points, if it is numbers that are given."""
    if isinstance(colour, Mapping):
        return None
    try:
        array = np.asarray(colour.detach().cpu() if hasattr(colour, "detach") else colour)
    except ValueError as error:
        raise EstimationError(f"mapper: colour must be a text or a number a point: {error}") from error
    if array.dtype.kind in "US" or (array.dtype.kind == "O" and all(isinstance(each, str) for each in array.flat)):
        return None
    if array.dtype.kind not in "biuf" or array.shape != (points,):
        problem = f"not {array.dtype} {array.shape}"
        raise EstimationError(f"mapper: colour must be a text or a number for each of {points} points, {problem}")
    if not np.isfinite(array).all():
        raise EstimationError(f"mapper: {int((~np.isfinite(array)).sum())} colours are NaN or infinite; give numbers")
    return array.astype(np.float64)


def _reclassed(labelled: LabelledPoints, colour: Colour) -> LabelledPoints:
    if isinstance(colour, Mapping):
        return replace(labelled, members=colour)
    if isinstance(colour, str):
        says = f"mapper: colour says what to colour by, a class or a number for each point, not {colour!r}"
        raise EstimationError(f"{says}; colours themselves are colours={{class: colour}}")
    classes = list(map(str, colour))
    if len(classes) != len(labelled):
        raise EstimationError(f"mapper: colour has {len(classes)} classes for {len(labelled)} points; give one a point")
    return replace(labelled, members=LabelledPoints.of_classes(labelled.points, classes).members)


def _steps(numbers: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    """Ranges of the numbers → the points in them."""
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _STEPS + 1)))
    step = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    names = [f"{plots.short(low)} to {plots.short(high)}" for low, high in pairwise(edges)]
    names = names or [plots.short(edges[0])]
    return {name: np.flatnonzero(step == index) for index, name in enumerate(names) if (step == index).any()}


def _said(graph: MapperGraph, drawn: "MapperDrawing", numeric: bool) -> tuple[str, str]:
    title = f"Mapper graph of {graph.points} points: {len(graph)} nodes in {_counted(graph.components, 'component')}"
    title += f", {_counted(graph.holes, 'hole')}"
    caption = (
        f"Nodes are clusters of points within an interval of the lens; {graph.coverage:.0%} of the points are in one."
    )
    if not numeric:
        sizes = [len(members) for members in drawn.members]
        caption += (
            f" Node purity, the share of a node's largest class, is {np.average(drawn.purity, weights=sizes):.2f}."
        )
    return title, caption + " A hole is a loop that no triple overlap fills."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
