"""Mapper graphs in colours of one's own: concepts, classes, numbers."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import geometry as geo
from tests.views.reading import headline, legend

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(120, 4)) + np.repeat(np.eye(4)[:3] * 6, 40, axis=0)
LABELLED = geo.maps.LabelledPoints.of_classes(POINTS, ["a"] * 40 + ["b"] * 40 + [""] * 40)
GRAPH = geo.mapper(LABELLED, POINTS[:, 0], cover=geo.maps.Cover(4, 0.4))


def test_nodes_are_pies_of_the_points_own_classes() -> None:
    figure = geo.views.mapper(GRAPH, LABELLED)
    assert legend(figure)[:3] == ["a", "b", "other"]
    title, caption = headline(figure)
    assert title.startswith(f"Mapper graph of 120 points: {len(GRAPH)} nodes in {GRAPH.components} component")
    assert f"{GRAPH.coverage:.0%} of the points" in caption
    concepts = geo.maps.node_concepts(GRAPH, LABELLED)
    assert f"is {concepts.mean_purity:.2f}" in caption


@pytest.mark.parametrize(
    "colour", [["x", "y"] * 60, np.array(["x", "y"] * 60), {"x": np.arange(0, 120, 2), "y": np.arange(1, 120, 2)}],
    ids=["texts", "array", "mapping"],
)  # fmt: skip
def test_other_classes_are_a_text_a_point_or_positions(colour: object) -> None:
    figure = geo.views.mapper(GRAPH, LABELLED, colour=colour, colours={"x": "#123456"})
    assert sorted(legend(figure)[:2]) == ["x", "y"]
    assert "#123456" in {mark.get_color() for mark in figure.legends[0].legend_handles}


def test_numbers_are_means_of_nodes_on_a_scale() -> None:
    numbers = POINTS[:, 1]
    figure = geo.views.mapper(GRAPH, LABELLED, colour=numbers, measure="second coordinate", cmap="magma")
    _, bar = figure.axes
    assert bar.get_xlabel() == "second coordinate"
    means = np.array([numbers[members].mean() for members in GRAPH.nodes])
    np.testing.assert_allclose(bar.get_xlim(), (means.min(), means.max()))
    assert all(name.startswith("points") for name in legend(figure))
    assert "purity" not in headline(figure)[1]


def test_a_constant_and_a_small_graph_are_drawn() -> None:
    assert geo.views.mapper(GRAPH, LABELLED, colour=np.ones(120)).axes
    few = geo.maps.LabelledPoints.of_classes(POINTS[:8], ["a", "b"] * 4)
    graph = geo.mapper(few, POINTS[:8, 0], cover=geo.maps.Cover(2, 0.3))
    assert geo.views.mapper(graph, few).axes


def test_it_draws_into_given_axes_with_its_bar_beside_it() -> None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    assert geo.views.mapper(GRAPH, LABELLED, colour=POINTS[:, 0], ax=right) is figure
    assert right.collections
    assert not left.collections
    assert len(figure.axes) == 3


def test_the_page_holds_classes_or_steps_of_numbers(tmp_path: Path) -> None:
    path = geo.views.mapper_page(GRAPH, LABELLED, tmp_path / "graph.html")
    assert '"categories": [["a"' in path.read_text(encoding="utf-8").replace('":[', '": [')
    numbers = geo.views.mapper_page(GRAPH, LABELLED, tmp_path / "numbers.html", colour=np.arange(120.0))
    assert "19.8 to 39.7" in numbers.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("colour", "problem"),
    [
        ([1, 2], "a text or a number for each of 120 points"),
        (np.full(120, np.nan), "120 colours are NaN or infinite"),
        (["a"], "colour has 1 classes for 120 points"),
        (np.ones((120, 2)), "a text or a number for each of 120 points"),
        ({"a": [1000]}, "positions must lie in 0 … 119"),
        ([None] * 120, "a text or a number for each of 120 points"),
        ([[1], [1, 2]], "colour must be a text or a number a point"),
    ],
    ids=["short", "nan", "texts", "matrix", "outside", "nothing", "ragged"],
)
def test_colours_that_do_not_fit_are_one_line(colour: object, problem: str) -> None:
    with pytest.raises(geo.GeometryError, match=problem):
        geo.views.mapper(GRAPH, LABELLED, colour=colour)
    with pytest.raises(geo.GeometryError, match=problem):
        geo.views.mapper_page(GRAPH, LABELLED, "never.html", colour=colour)


def test_a_graph_of_other_points_is_refused() -> None:
    with pytest.raises(geo.GeometryError, match="120 points does not belong to 8"):
        geo.views.mapper(GRAPH, LABELLED.select(np.arange(8)))
