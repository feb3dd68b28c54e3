"""A map moves from layer to layer in a real browser, offline, and takes no phrase for markup."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from geometry import plots
from geometry.plots.pages import layers_page
from tests.plots.pages.conftest import Opened

SHAPE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
STRAYS = np.array([[3.0, 4.0], [-3.0, 4.0], [0.0, -5.0]])[:, None]  # where each layer puts the hostile phrase
NAMES = ("before the first block", "after 1 block", "after 2 blocks")


def parts(hostile: str) -> dict[str, Any]:
    """Three layers: a square that is turned a quarter each time, and a stray with a hostile name."""
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    places = [SHAPE, SHAPE @ turn, SHAPE @ turn @ turn]
    layers = [
        plots.MapPanel(name, np.concatenate([square, stray]), f"{number}% of 15 neighbours preserved {hostile}")
        for number, (name, square, stray) in enumerate(zip(NAMES, places, STRAYS, strict=True))
    ]
    tree = plots.ConceptTree(["animal", "bird"], [(0, 1)], [np.array([0, 1, 2]), np.array([1, 2])])
    colouring = plots.Colouring("concept", ["bird"], np.array([-1, 0, 0, -1, -1]))
    texts = ["cat", "bald eagle", "gray jay", "old oak", hostile]
    return {"layers": layers, "texts": texts, "colourings": [colouring], "tree": tree, "first": 1}


@pytest.fixture(scope="module")
def shown(opened: Callable[[str], Opened], hostile: str) -> Opened:
    return opened(layers_page(**parts(hostile), title=f"found {hostile}", detail=hostile))


def until(shown: Opened, holds: str) -> None:
    """Wait in the page; its policy forbids what playwright waits by."""
    waiting = f"new Promise((done) => {{ const look = () => {holds} ? done() : setTimeout(look, 20); look(); }})"
    shown.page.evaluate(waiting)


def arrived(shown: Opened) -> NDArray[np.float64]:
    """Where the points lie once they have come to rest."""
    until(shown, "going === 0")
    return np.array(shown.run("[...placed[0].x].map((x, item) => [x, placed[0].y[item]])"))


def pixels(shown: Opened, item: int) -> tuple[float, float]:
    x, y = shown.run(f"[views[0].across(placed[0].x[{item}]), views[0].down(placed[0].y[{item}])]")
    return x, y


def test_it_opens_at_the_first_layer_and_asks_for_nothing(shown: Opened, hostile: str) -> None:
    layers = parts(hostile)["layers"]
    assert arrived(shown) == pytest.approx(layers[1].points, abs=1e-3)
    assert shown.text("#where") == shown.text("h2") == "after 1 block"
    assert shown.text("#quality") == shown.text("figcaption") == layers[1].caption
    assert shown.page.locator(".frame").count() == 1
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith(("file:", "data:"))] == []


def test_slider_and_keys_move_every_point_to_its_place_there(shown: Opened, hostile: str) -> None:
    layers = parts(hostile)["layers"]
    shown.page.focus("#slider")
    shown.page.keyboard.press("ArrowRight")
    assert shown.text("#where") == "after 2 blocks"
    assert shown.page.get_attribute("#slider", "aria-valuetext") == "after 2 blocks"
    assert arrived(shown) == pytest.approx(layers[2].points, abs=1e-3)
    shown.page.keyboard.press("Home")
    assert arrived(shown) == pytest.approx(layers[0].points, abs=1e-3)
    shown.page.focus(".top")
    for key, layer in (("]", 1), ("]", 2), ("]", 2), ("[", 1)):
        shown.page.keyboard.press(key)
        assert arrived(shown) == pytest.approx(layers[layer].points, abs=1e-3)
        assert shown.page.input_value("#slider") == str(layer)
        assert shown.text("#quality") == layers[layer].caption


def test_on_the_way_points_lie_between(shown: Opened) -> None:
    start = arrived(shown)
    between = shown.page.evaluate(
        """new Promise((done) => {
          go(2);
          const look = () => {
            const seen = [placed[0].x[4], placed[0].y[4]];
            if (seen[1] < 3.9) done([going !== 0, ...seen]); else requestAnimationFrame(look);
          };
          look();
        })"""
    )
    end = arrived(shown)
    moving, x, y = between
    assert moving
    share = (y - start[4, 1]) / (end[4, 1] - start[4, 1])
    assert 0 < share < 1
    assert x == pytest.approx(start[4, 0] + share * (end[4, 0] - start[4, 0]), abs=1e-3)


def test_who_wants_no_motion_sees_none(shown: Opened, hostile: str) -> None:
    shown.page.emulate_media(reduced_motion="reduce")
    shown.page.evaluate("go(0)")
    assert shown.page.evaluate("[placed[0].x[4], placed[0].y[4]]") == pytest.approx([3, 4], abs=1e-3)
    shown.page.emulate_media(reduced_motion="no-preference")


def test_play_goes_to_the_last_layer_and_stops(shown: Opened) -> None:
    shown.page.get_by_role("button", name="play through the layers").click()
    until(shown, "(at === 2 && playing === 0)")
    assert shown.text("#where") == "after 2 blocks"


def test_a_phrase_is_found_and_pointed_at_wherever_it_has_moved(shown: Opened, hostile: str) -> None:
    for layer in (0, 2):
        shown.page.evaluate(f"go({layer}, false)")
        shown.hover(0, *pixels(shown, 4))
        assert shown.text("#tip") == f"{hostile}\nin no concept shown here"
        shown.hover(0, *pixels(shown, 1))
        assert shown.text("#tip") == "bald eagle\nin bird, animal"
    shown.page.fill("#search", "gray")
    assert shown.texts("#hits code") == ["gray jay"]
    shown.page.press("#search", "Enter")
    width, height = shown.run("[views[0].width, views[0].height]")
    assert pixels(shown, 2) == pytest.approx((width / 2, height / 2))
    shown.page.press("#search", "]")  # is typed, and moves nothing
    assert shown.text("#where") == "after 2 blocks"
    assert shown.page.input_value("#search") == "gray]"


def test_a_hostile_phrase_stays_text(shown: Opened, hostile: str) -> None:
    shown.page.fill("#search", "</script>")
    assert shown.texts("#hits code") == [hostile]
    assert shown.text("h1") == shown.page.title() == f"found {hostile}"
    assert hostile in shown.text("#quality")
    assert shown.page.locator("img").count() == 0
    assert shown.page.locator("script").count() == 2
    assert shown.said == []


def test_the_pages_text_holds_no_address_and_no_open_tag_from_outside(hostile: str) -> None:
    page = layers_page(**parts(hostile), title=hostile, detail=hostile)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|src=(?!x onerror)", page)
    assert page.count("<script") == page.count("</script>") == 2


def test_all_layers_have_one_window_and_many_points_fit() -> None:
    rng = np.random.default_rng(0)
    layers = [plots.MapPanel(str(number), rng.normal(size=(4000, 2)) * (1 + number)) for number in range(60)]
    layers[0].points[:5] = 1e6
    colouring = plots.Colouring("c", ["a"], np.zeros(4000, dtype=int))
    page = layers_page(layers, ["phrase"] * 4000, [colouring], title="t")
    assert len(page.encode()) < 4e6
    windows = set(re.findall(r'"window":\[(.*?)\]', page))
    assert len(windows) == 1
    x0, y0, x1, y1 = map(float, windows.pop().split(","))
    assert 100 < x1 - x0 < 1000
    assert x1 - x0 == pytest.approx(y1 - y0)


def test_parts_that_do_not_fit_are_named() -> None:
    given = parts("x")
    for first in (-1, 3):
        with pytest.raises(ValueError, match=f"layer {first} of 3; give 0 to 2"):
            layers_page(**given | {"first": first}, title="t")
    placed = [replace(layer, concepts=np.zeros((2, 2))) for layer in given["layers"]]
    with pytest.raises(ValueError, match="do not move"):
        layers_page(**given | {"layers": placed}, title="t")
    with pytest.raises(ValueError, match="1 of them for 5 points"):
        layers_page(**given | {"texts": ["a"]}, title="t")
