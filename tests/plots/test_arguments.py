"""Plots refuse what they cannot draw by the name of the argument."""

from collections.abc import Callable
from typing import Any

import pytest

import geometry as geo
from geometry import plots

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
