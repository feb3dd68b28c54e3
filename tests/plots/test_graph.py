"""Mapper graphs: what is drawn measures what was given, and every edge says what it means."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

from geometry import plots
from geometry.plots.maps import looks
from tests.plots.conftest import READ, Opened


def graph(hostile: str = "<b>$x^{") -> plots.MapperGraph:
    """animals – food – plants in a row, and a node of its own."""
    return plots.MapperGraph(
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


def test_areas_of_nodes_and_turns_of_pies_measure_what_was_given() -> None:
    (axes,) = plots.plot_mapper(graph(), finding="f").axes
    rims = {tuple(patch.center): patch.radius for patch in axes.patches if isinstance(patch, Circle)}
    assert rims[0.0, 0.0] / rims[1.0, 0.0] == pytest.approx(2)  # 8 words against 2
    pies = [one for one in axes.collections if isinstance(one, PatchCollection)]
    food = next(pie for pie in pies if len(pie.get_paths()) == 3)  # half animals, a quarter plants, the rest other
    sides = [path.vertices - [1.0, 0.0] for path in food.get_paths()]
    assert (sides[0][:, 0] > -1e-9).all()  # from 12 o'clock, clockwise
    assert (sides[1] < 1e-9).all()
    assert (sides[2][:, 0] < 1e-9).all()
    assert (sides[2][:, 1] > -1e-9).all()
    colours = [colour.lower() for colour, _ in looks("abc")]
    assert [to_hex(colour) for colour in food.get_facecolor()] == [*colours[:2], "#d9d9d9"]


def test_edges_are_the_wider_the_more_both_ends_share() -> None:
    (axes,) = plots.plot_mapper(graph(), finding="f").axes
    (lines,) = [one for one in axes.collections if isinstance(one, LineCollection)]
    np.testing.assert_allclose(lines.get_segments(), [[[0, 0], [1, 0]], [[1, 0], [2, 0]]])
    thin, wide = lines.get_linewidths()
    assert wide > 1.5 * thin


def test_both_axes_have_one_scale_and_hold_all_nodes() -> None:
    (axes,) = plots.plot_mapper(graph(), finding="f", detail="d").axes
    frame = axes.get_window_extent()
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    assert frame.width / (x1 - x0) == pytest.approx(frame.height / (y1 - y0))
    assert x0 < 0 < 2 < x1
    assert y0 < 0 < 1 < y1


def test_the_largest_nodes_are_named_with_their_purity(tmp_path: Path) -> None:
    figure = plots.plot_mapper(graph(), finding="$f$", detail="</svg>", named=3)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"animal 0.88", "food 0.50", "plant 1.00"} <= set(texts)
    assert not any(text.startswith("<b>") for text in texts)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "animals",
        "plants",
        "<b>$x^{",
        "other",
    ]
    _, svg = plots.save(figure, tmp_path / "figure")
    assert not {one.tag.split("}")[-1] for one in ET.parse(svg).iter()} & {"b", "script"}  # noqa: S314 (our own file)


def test_a_graph_of_one_node_without_edges_is_drawn() -> None:
    alone = replace(
        graph(), positions=np.zeros((1, 2)), members=[["a"]], labels=["a"], purity=np.ones(1),
        shares=np.ones((1, 3)) / 3, edges=[], shared=np.empty(0, dtype=int), meanings=[],
    )  # fmt: skip
    assert len([one for one in plots.plot_mapper(alone, finding="f").axes[0].patches if isinstance(one, Circle)]) == 1
    assert "<script" in plots.mapper_page(alone, title="t")


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
    ],
)
@pytest.mark.parametrize(
    "draw", [lambda g: plots.plot_mapper(g, finding="f"), lambda g: plots.mapper_page(g, title="t")]
)
def test_parts_that_do_not_fit_are_named(draw: Callable, changes: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        draw(replace(graph(), **changes))


@pytest.fixture(scope="module")
def shown(opened: Callable[[str], Opened], hostile: str) -> Opened:
    return opened(plots.mapper_page(graph(hostile), title=f"found {hostile}", detail=hostile))


def at(shown: Opened, node: int) -> tuple[float, float]:
    x, y = shown.run(f"place(view, {node})")
    return x, y


def test_hovering_a_node_shows_its_words_and_purity(shown: Opened) -> None:
    shown.hover(0, *at(shown, 1))
    assert shown.text("#tip").split("\n") == ["food", "purity 0.50, 2 words", "␣chicken, ␣rice"]


def test_hovering_an_edge_shows_what_it_means(shown: Opened, hostile: str) -> None:
    (x, y), (right, _) = at(shown, 0), at(shown, 1)
    shown.hover(0, (x + right) / 2, y)
    assert shown.text("#tip").split("\n") == ["animal – food", "bridged by poultry", "1 shared: ␣chicken"]
    (x, y), (right, _) = at(shown, 1), at(shown, 2)
    shown.hover(0, (x + right) / 2, y + 1)
    assert shown.text("#tip").split("\n")[1] == f"bridged by {hostile}"
    shown.hover(0, (x + right) / 2, y + 60)
    assert shown.page.is_hidden("#tip")


def test_search_finds_the_nodes_that_hold_a_word(shown: Opened) -> None:
    shown.page.fill("#search", " rice")
    assert shown.texts("#hits li") == ["␣rice\nfood", "␣rice\nplant"]
    shown.page.press("#search", "Enter")
    assert shown.text("#said") == "food – purity 0.50, 2 words"
    assert shown.texts("#words li") == ["␣chicken", "␣rice"]
    x, y = at(shown, 1)
    assert [x, y] == pytest.approx(shown.run("[view.width / 2, view.height / 2]"))


def test_purity_is_another_colouring(shown: Opened, hostile: str) -> None:
    assert shown.texts("#legend li") == ["animals", "plants", hostile, "other"]
    inked = f"read = {READ}, [...read(view.base)].join()"
    before = shown.run(inked)
    shown.page.select_option("#colouring", "purity")
    assert shown.texts("#legend li") == ["0.00", "0.25", "0.50", "0.75", "1.00"]
    assert shown.run(inked) != before
    shown.page.select_option("#colouring", "concepts of its words")
    assert shown.run(inked) == before


def test_hostile_words_stay_text_and_the_page_is_silent(shown: Opened, hostile: str) -> None:
    shown.hover(0, *at(shown, 3))
    assert shown.text("#tip").split("\n") == [hostile, "purity 0.25, 1 word", hostile]
    shown.page.get_by_role("button", name=hostile).click()
    assert shown.texts("#words li") == [hostile]
    assert shown.text("h1") == shown.page.title() == f"found {hostile}"
    assert shown.page.locator("img").count() == 0
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith(("file:", "data:"))] == []
