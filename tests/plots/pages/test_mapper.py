"""The page of a Mapper graph does what it says in a real browser, offline, and takes no word for markup."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from geometry.plots import MapperDrawing
from geometry.plots.pages import mapper_page
from tests.plots.pages.conftest import READ, Opened
from tests.plots.test_graph import drawing


def test_a_page_refuses_parts_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="1 labels; give 4"):
        mapper_page(replace(drawing(), labels=["a"]), title="t")


def test_a_page_of_one_node_without_edges_is_built() -> None:
    alone = MapperDrawing(
        np.zeros((1, 2)), [["a"]], ["a"], np.ones(1), ["a"], np.ones((1, 1)), [], np.empty(0, dtype=int), []
    )
    assert "<script" in mapper_page(alone, title="t")


@pytest.fixture(scope="module")
def shown(opened: Callable[[str], Opened], hostile: str) -> Opened:
    return opened(mapper_page(drawing(hostile), title=f"found {hostile}", detail=hostile))


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
