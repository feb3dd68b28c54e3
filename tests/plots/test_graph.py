"""Mapper graphs on paper: what is drawn measures what was given, and a node is named by its words."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from geometry import plots
from geometry.plots.point_map import looks

HOSTILE = "<b>$x^{"


def drawing(hostile: str = HOSTILE) -> plots.MapperDrawing:
    """animals – food – plants in a row, and a node of its own."""
    return plots.MapperDrawing(
        positions=np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [1.0, 1.0]]),
        members=[[f"beast{n}" for n in range(7)] + [" chicken"], [" chicken", " rice"], [" rice", "oak"], [hostile]],
        labels=["animal", "food", "plant", hostile],
        purity=np.array([0.875, 0.5, 1.0, 0.25]),
        categories=["animals", "plants", hostile],
        shares=np.array([[1.0, 0, 0], [0.5, 0.25, 0], [0, 1, 0], [0, 0, 1]]),
        edges=[(0, 1), (1, 2)],
        shared=np.array([1, 4]),
        meanings=["bridged by poultry", f"bridged by {hostile}"],
    )


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_areas_of_nodes_and_turns_of_pies_measure_what_was_given() -> None:
    (axes,) = plots.graph(drawing()).axes
    rims = {tuple(patch.center): patch.radius for patch in axes.patches if isinstance(patch, Circle)}
    assert rims[0.0, 0.0] / rims[1.0, 0.0] == pytest.approx(2)  # 8 words against 2
    pies = [item for item in axes.collections if isinstance(item, PatchCollection)]
    food = next(pie for pie in pies if len(pie.get_paths()) == 3)  # half animals, a quarter plants, the rest other
    sides = [path.vertices - [1.0, 0.0] for path in food.get_paths()]
    assert (sides[0][:, 0] > -1e-9).all()  # from 12 o'clock, clockwise
    assert (sides[1] < 1e-9).all()
    assert (sides[2][:, 0] < 1e-9).all()
    assert (sides[2][:, 1] > -1e-9).all()
    colours = [colour.lower() for colour, _ in looks("abc")]
    assert [to_hex(colour) for colour in food.get_facecolor()] == [*colours[:2], "#d9d9d9"]


def test_edges_are_the_wider_the_more_both_ends_share() -> None:
    (axes,) = plots.graph(drawing()).axes
    (lines,) = [item for item in axes.collections if isinstance(item, LineCollection)]
    np.testing.assert_allclose(lines.get_segments(), [[[0, 0], [1, 0]], [[1, 0], [2, 0]]])
    thin, wide = lines.get_linewidths()
    assert wide > 1.5 * thin


def test_both_axes_have_one_scale_and_hold_all_nodes() -> None:
    (axes,) = plots.graph(drawing(), caption="d").axes
    frame = axes.get_window_extent()
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    assert frame.width / (x1 - x0) == pytest.approx(frame.height / (y1 - y0))
    for patch in axes.patches:
        (x, y), radius = patch.center, patch.radius
        assert x0 < x - radius < x + radius < x1
        assert y0 < y - radius < y + radius < y1


def test_the_largest_nodes_are_named_by_their_first_words(tmp_path: Path) -> None:
    figure = plots.graph(drawing(), title="$f$", caption="</svg>", named=3)
    assert set(words(figure.axes[0])) == {"beast0, beast1, beast2", "chicken, rice", "rice, oak"}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [
        "animals",
        "plants",
        HOSTILE,
        "other",
        "words in a node: 1 to 8",
        "words that an edge shares: 1 to 4",
    ]
    _, svg = plots.save(figure, tmp_path / "figure")
    tags = {item.tag.split("}")[-1] for item in ET.parse(svg).iter()}  # noqa: S314 (our own file)
    assert not tags & {"b", "script"}


def test_long_words_shorten_a_name_and_hostile_ones_stay_text() -> None:
    long = replace(drawing(), members=[["hippopotamus", "rhinoceroses", "x"], ["a" * 40, "b"], ["a\nb\x1b"], [HOSTILE]])
    (axes,) = plots.graph(long).axes
    assert set(words(axes)) == {"hippopotamus, rhinoceroses", "a" * 40, "a·b·", HOSTILE}
    assert not any(text.get_parse_math() for text in axes.texts)


def test_names_keep_apart_and_off_all_nodes() -> None:
    rng = np.random.default_rng(0)
    nodes = 40
    many = plots.MapperDrawing(
        rng.uniform(size=(nodes, 2)),
        [[f"word{n}", "other", "third"] * int(rng.integers(1, 9)) for n in range(nodes)],
        ["a"] * nodes,
        np.ones(nodes),
        ["a"],
        np.ones((nodes, 1)),
        [(n, n + 1) for n in range(nodes - 1)],
        np.ones(nodes - 1, dtype=int),
        [""] * (nodes - 1),
    )
    figure = plots.graph(many)
    (axes,) = figure.axes
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in axes.texts if text.get_text()]
    assert len(boxes) > 15
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    places = axes.transData.transform(many.positions)
    assert not any(box.contains(*place) for box in boxes for place in places)


def test_a_graph_of_one_node_without_edges_is_drawn() -> None:
    alone = replace(
        drawing(), positions=np.zeros((1, 2)), members=[["a"]], labels=["a"], purity=np.ones(1),
        shares=np.ones((1, 3)) / 3, edges=[], shared=np.empty(0, dtype=int), meanings=[],
    )  # fmt: skip
    figure = plots.graph(alone)
    assert len([item for item in figure.axes[0].patches if isinstance(item, Circle)]) == 1
    assert figure.legends[0].get_texts()[-1].get_text() == "words in a node: 1"


def test_it_draws_into_given_axes_in_given_colours_and_sizes() -> None:
    figure = Figure(figsize=(6, 3))
    left, right = figure.subplots(1, 2)
    assert plots.graph(drawing(), ax=right, colours={"plants": "#123456"}, title="t") is figure
    assert not left.collections
    assert figure.get_label() == ""
    pies = [item for item in right.collections if isinstance(item, PatchCollection)]
    assert {"#123456"} == {to_hex(c) for pie in pies if len(pie.get_paths()) == 1 for c in pie.get_facecolor()} & {
        "#123456",
        looks("ab")[1][0].lower(),
    }
    assert plots.graph(drawing(), figsize=(5, 4)).get_size_inches().tolist() == [5, 4]


def test_nodes_with_values_are_coloured_on_a_scale_with_a_bar() -> None:
    values = np.array([0.0, 1.0, 2.0, 4.0])
    figure = plots.graph(replace(drawing(), values=values, measure="$x$", things="prompts"), cmap="viridis")
    axes, bar = figure.axes
    assert bar.get_xlabel() == "$x$"
    np.testing.assert_allclose(bar.get_xlim(), (0, 4))
    pies = [item for item in axes.collections if isinstance(item, PatchCollection)]
    shades = {to_hex(pie.get_facecolor()[0]) for pie in pies}
    assert shades == {to_hex(colormaps["viridis"](value / 4)) for value in values}
    assert [text.get_text().split(" ")[0] for text in figure.legends[0].get_texts()] == ["prompts", "prompts"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"members": [], "labels": []}, "no nodes"),
        ({"positions": np.zeros((4, 3))}, r"positions have shape \(4, 3\); give \(4, 2\)"),
        ({"positions": np.full((4, 2), np.inf)}, "positions hold nan or infinity"),
        ({"labels": ["a"]}, "1 labels; give 4"),
        ({"meanings": ["a"]}, "1 meanings; give 2"),
        ({"shares": np.ones((4, 3))}, "sum to more than 1"),
        ({"shares": np.ones((4, 2))}, r"shares have shape \(4, 2\); give \(4, 3\)"),
        ({"edges": [(0, 4), (0, 1)]}, r"edge \(0, 4\) runs outside the 4 nodes"),
        ({"categories": list("abcdefghijklm")}, "13 categories"),
        ({"values": np.ones(3)}, r"values have shape \(3,\); give \(4,\)"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        plots.graph(replace(drawing(), **changes))
