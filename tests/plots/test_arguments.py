"""Plots refuse what they cannot draw by the name of the argument."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import geometry as geo
from geometry import plots
from tests.plots.test_graph import drawing

KINDS: dict[str, Callable[[Any], Any]] = {
    "curves": plots.curves,
    "graph": plots.graph,
    "heatmap": plots.heatmap,
    "planes": plots.planes,
    "scatter": plots.scatter,
    "series": plots.series,
    "simplex": plots.simplex,
    "strip": plots.strip,
    "forest": lambda wrong: plots.forest(wrong, ["a"]),
    "ScatterPanel": lambda wrong: plots.ScatterPanel(wrong, "y", {}),
    "StripPanel": lambda wrong: plots.StripPanel("x", wrong),
}


@pytest.mark.parametrize("wrong", [5, None, object()], ids=["number", "None", "object"])
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_types_are_named(kind: str, wrong: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match=rf"^{kind}: \w+ must be .*, not "):
        KINDS[kind](wrong)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"ax": 3}, "ax must be Axes"),
        ({"colours": 3}, "colours must be several of a text or a mapping"),
        ({"title": 3}, "title must be a text"),
        ({"figsize": "big"}, "figsize must be"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
@pytest.mark.parametrize("kind", ["heatmap", "graph", "point_map"])
def test_options_that_are_none_are_named(kind: str, option: dict, says: str) -> None:
    drawn: dict[str, Callable[..., Any]] = {
        "heatmap": lambda **options: plots.heatmap([plots.HeatmapPanel([[1.0]])], **options),
        "graph": lambda **options: plots.graph(drawing(), **options),
        "point_map": lambda **options: plots.point_map([scatter_of()], plots.Colouring("c", ["a"], CODES), **options),
    }
    with pytest.raises(geo.errors.ArgumentError, match=says):
        drawn[kind](**option)


def test_what_is_no_colour_and_no_colour_map_is_named() -> None:
    with pytest.raises(ValueError, match="colours: 'reddish' is none"):
        plots.graph(drawing(), colours={"plants": "reddish"})
    with pytest.raises(ValueError, match="cmap 'x' is no colour map"):
        plots.heatmap([plots.HeatmapPanel([[1.0]], cmap="x")])
    with pytest.raises(ValueError, match="1 panels need as many axes, not 0"):
        plots.heatmap([plots.HeatmapPanel([[1.0]])], ax=[])


CODES = np.zeros(3, dtype=int)


def scatter_of() -> plots.MapPanel:
    return plots.MapPanel("", np.arange(6.0).reshape(3, 2))
