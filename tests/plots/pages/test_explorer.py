"""The interactive map does what it says in a real browser, offline, and takes no token for markup."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from geometry import plots
from geometry.plots.pages import explorer_page
from geometry.plots.pages.web import visible
from geometry.plots.point_map import looks, window
from tests.plots.pages.conftest import READ, Opened

RNG = np.random.default_rng(0)
FILLER = 400
BIRDS, CATS, STONES = [0, 1, 2], [3, 4], [5, 6]
COUNT = 8 + FILLER


def parts(hostile: str) -> dict:
    """thing ⊃ animal ⊃ bird, cat; thing ⊃ a stone with a hostile name. Words stand on a ring, fillers in its middle."""
    texts = [" penguin", "penguin", " Penguins", " cat", " cats", " stone", hostile, "a\nb\x00\u202e"]
    texts += [f" filler{number}" for number in range(FILLER)]
    turns = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring = 10 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    points = np.concatenate([ring, RNG.normal(0, 1, (FILLER, 2))])
    names = ["thing", "animal", "bird", "cat", hostile]
    members = [[*BIRDS, *CATS, *STONES], [*BIRDS, *CATS], BIRDS, CATS, STONES]
    tree = plots.ConceptTree(names, [(0, 1), (1, 2), (1, 3), (0, 4)], [np.array(held) for held in members])
    kind, depth = np.full(COUNT, -1), np.full(COUNT, -1)
    kind[BIRDS], kind[CATS], kind[STONES] = 0, 1, 2
    depth[STONES], depth[[*BIRDS, *CATS]] = 0, 1
    colourings = [
        plots.Colouring("concept", ["bird", "cat", hostile], kind, np.array([-1, -1, 0, 1, 2])),
        plots.Colouring("depth", ["depth 1", "depth 2"], depth, ordered=True),
    ]
    centres = np.stack([points[held].mean(axis=0) for held in members])
    panels = [
        plots.MapPanel("causal inner product", points, f"0.9; shuffled 0.5 {hostile}", centres),
        plots.MapPanel(hostile, -points, "", -centres),
    ]
    return {"panels": panels, "texts": texts, "colourings": colourings, "tree": tree}


@pytest.fixture(scope="module")
def shown(opened: Callable[[str], Opened], hostile: str) -> Opened:
    return opened(explorer_page(**parts(hostile), title=f"found {hostile}", detail=hostile))


COLOURED = (
    f"read = {READ}"
    + """, views.map(({ base }) => {
  const data = read(base), found = {};
  for (let at = 0; at < data.length; at += 4) {
    const name = [data[at], data[at + 1], data[at + 2]].join();
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
})"""
)


def inked(shown: Opened, colour: str) -> list[int]:
    """How many pixels of each panel have exactly this colour."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return [found.get(f"{red},{green},{blue}", 0) for found in shown.run(COLOURED)]


def place(shown: Opened, item: int, panel: int) -> tuple[float, float]:
    x, y = shown.run(
        f"[views[{panel}].across(placed[{panel}].x[{item}]), views[{panel}].down(placed[{panel}].y[{item}])]"
    )
    return x, y


BIRD, CAT, STONE = (colour for colour, _ in looks("abc"))


def test_the_page_says_nothing_and_asks_for_nothing(shown: Opened) -> None:
    for selector in ("#colouring", "#layer", ".tree input >> nth=0"):
        shown.page.focus(selector)
    shown.page.emulate_media(media="print")
    shown.run("1")
    shown.page.emulate_media(media="screen")
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith(("file:", "data:"))] == []


def test_the_policy_forbids_scripts_and_requests_that_are_not_ours(
    opened: Callable[[str], Opened], hostile: str
) -> None:
    this = opened(explorer_page(**parts(hostile), title="t"))
    this.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran=1'}))"
    )
    this.page.evaluate("fetch('https://example.org').catch(() => 0)")
    assert this.page.evaluate("window.ran") is None
    assert len([line for line in this.said if "Content Security Policy" in line]) >= 2


def test_search_finds_the_exact_token_and_marks_it_in_every_panel(shown: Opened) -> None:
    shown.page.fill("#search", " penguin")
    assert shown.texts("#hits code") == ["␣penguin", "penguin", "␣Penguins"]
    shown.page.press("#search", "Enter")
    assert "␣penguin – in bird, animal, thing" in shown.text("#said")
    for panel in (0, 1):
        x, y = place(shown, 0, panel)
        width, height = shown.run(f"[views[{panel}].width, views[{panel}].height]")
        assert (x, y) == pytest.approx((width / 2, height / 2))
    assert shown.run("views.every(({ zoom }) => zoom > 1)")


def test_search_without_a_space_and_with_the_keyboard(shown: Opened) -> None:
    shown.page.fill("#search", "penguin")
    assert shown.texts("#hits code") == ["penguin", "␣penguin", "␣Penguins"]
    assert shown.text("#found") == "3 found"
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        shown.page.press("#search", key)
    assert shown.text("#said").startswith("␣penguin")
    assert shown.page.get_attribute("#search", "aria-activedescendant") == "hit1"
    shown.page.fill("#search", "bird")
    assert shown.texts("#hits li") == ["bird\nconcept"]
    shown.page.fill("#search", "nowhere at all")
    assert shown.text("#found") == "0 found"
    assert shown.page.is_hidden("#hits")


def test_hovering_shows_the_token_and_rings_it_in_every_panel(shown: Opened) -> None:
    ringed = f"read = {READ}, views.map(({{ top }}) => read(top).some(Boolean))"
    assert shown.run(ringed) == [False, False]
    shown.hover(0, *place(shown, 0, 0))
    assert shown.text("#tip") == "␣penguin\nin bird, animal, thing"
    assert shown.run(ringed) == [True, True]
    shown.hover(1, *place(shown, 7, 1))
    assert shown.text("#tip") == "a·b··\nin no concept shown here"
    shown.page.mouse.move(5, 5)
    assert shown.page.is_hidden("#tip")
    assert shown.run(ringed) == [False, False]


def test_a_hostile_token_stays_text_everywhere(shown: Opened, hostile: str) -> None:
    shown.hover(0, *place(shown, 6, 0))
    assert shown.text("#tip").startswith(hostile)
    shown.page.fill("#search", "</script>")
    assert shown.texts("#hits code") == [hostile, hostile]  # the token and the concept
    shown.page.press("#search", "Enter")
    assert shown.text("#said").startswith(hostile)
    assert hostile in shown.texts(".name")
    assert hostile in shown.texts("#legend li")
    assert shown.text("h1") == shown.page.title() == f"found {hostile}"
    assert hostile in shown.texts("h2")
    assert hostile in shown.text("figcaption >> nth=0")
    assert shown.page.locator("img").count() == 0
    assert shown.page.locator("script").count() == 2
    assert shown.said == []


def test_ticks_take_colour_from_subtrees_and_give_it_back(shown: Opened) -> None:
    shown.page.uncheck("#layer")
    before = shown.run(COLOURED)
    assert min(*inked(shown, BIRD), *inked(shown, CAT), *inked(shown, STONE)) > 0
    animal = shown.page.get_by_label("colour animal and all below it")
    animal.uncheck()
    assert inked(shown, BIRD) == inked(shown, CAT) == [0, 0]
    assert min(inked(shown, STONE)) > 0
    assert shown.run("boxes[0].indeterminate")
    animal.check()
    assert shown.run(COLOURED) == before
    shown.page.get_by_role("button", name="none", exact=True).click()
    shown.page.get_by_label("colour bird and all below it").check()
    assert min(inked(shown, BIRD)) > 0
    assert inked(shown, CAT) == inked(shown, STONE) == [0, 0]


def test_another_colouring_changes_legend_and_colours(shown: Opened, hostile: str) -> None:
    assert shown.texts("#legend li") == ["bird", "cat", hostile, "other"]
    shown.page.select_option("#colouring", "depth")
    assert shown.texts("#legend li") == ["depth 1", "depth 2", "other"]
    assert inked(shown, BIRD) == [0, 0]
    assert min(inked(shown, looks("ab", ordered=True)[0][0])) > 0


def test_the_layer_of_concepts_can_be_hidden(shown: Opened) -> None:
    before = inked(shown, BIRD)
    shown.page.uncheck("#layer")
    assert max(inked(shown, BIRD)) < min(before)
    shown.hover(0, *place(shown, COUNT + 2, 0))
    assert "bird" not in shown.run("document.getElementById('tip').textContent").split("\n")[0]


def test_a_concepts_name_rings_its_words(shown: Opened) -> None:
    shown.page.get_by_role("button", name="cat", exact=True).click()
    assert shown.run("spotlit") == 3
    x, y = place(shown, 3, 1)
    row = f"{round(y)} * views[1].top.width + {round(x)}"
    beside = f"read = {READ}, [...Array(20).keys()].some((step) => read(views[1].top)[4 * ({row} + step) + 3] > 0)"
    assert shown.run(beside)


def test_the_map_is_moved_by_keys_mouse_and_wheel(shown: Opened) -> None:
    home = place(shown, 0, 0)
    shown.page.focus(".top >> nth=0")
    shown.page.keyboard.press("ArrowLeft")
    assert place(shown, 0, 0) == pytest.approx((home[0] + 60, home[1]))
    shown.page.keyboard.press("+")
    assert shown.run("views[0].zoom") == 1.5
    shown.page.keyboard.press("0")
    assert place(shown, 0, 0) == pytest.approx(home)
    shown.hover(0, *home)
    shown.page.mouse.wheel(0, -300)  # what lies under the pointer stays there
    assert place(shown, 0, 0) == pytest.approx(home, abs=1)
    assert shown.run("views[0].zoom") == pytest.approx(2)
    shown.page.mouse.down()
    box = shown.page.locator(".frame").nth(0).bounding_box()
    shown.page.mouse.move(box["x"] + 100, box["y"] + 50)
    shown.page.mouse.up()
    assert place(shown, 0, 0) == pytest.approx((99, 49), abs=1)
    assert shown.run("views[1].zoom") == 1


def test_a_map_of_concepts_alone(opened: Callable[[str], Opened], hostile: str) -> None:
    given = parts(hostile)
    none = np.empty(0, dtype=int)
    tree = replace(given["tree"], members=[none] * 5)
    panels = [replace(panel, points=np.empty((0, 2))) for panel in given["panels"]]
    this = opened(explorer_page(panels, [], [replace(given["colourings"][0], points=none)], tree, title="t"))
    assert min(inked(this, BIRD)) > 0
    this.hover(1, *place(this, 2, 1))
    assert this.text("#tip") == "bird\nbelow animal"
    this.page.get_by_label("colour bird and all below it").uncheck()
    assert inked(this, BIRD) == [0, 0]
    assert this.said == []


def test_a_whole_vocabulary_fits_and_keeps_its_places(opened: Callable[[str], Opened]) -> None:
    count = 49152
    points = [RNG.normal(size=(count, 2)).astype(np.float32) * scale for scale in (1, 1000)]
    texts = [f" token{number}é" for number in range(count)]
    members = [RNG.choice(count, size, replace=False) for size in RNG.integers(50, 600, 400)]
    tree = plots.ConceptTree([f"concept {n}" for n in range(400)], [(n // 3, n) for n in range(1, 400)], members)
    colouring = plots.Colouring("c", list("abcdefghijkl"), RNG.integers(-1, 12, count))
    html = explorer_page(
        [plots.MapPanel("a", points[0]), plots.MapPanel("b", points[1])], texts, [colouring] * 3, tree, title="t"
    )
    assert len(html.encode()) < 8e6
    this = opened(html)
    for panel, given in enumerate(points):
        read = np.array(this.run(f"[...placed[{panel}].x].flatMap((x, item) => [x, placed[{panel}].y[item]])")).reshape(
            -1, 2
        )
        assert (abs(read - given) <= np.ptp(given, axis=0) / 65535).all()
    assert this.run("members[7].join()") == ",".join(map(str, members[7]))
    assert this.said == []


def test_the_pages_text_holds_no_address_and_no_open_tag_from_outside(hostile: str) -> None:
    page = explorer_page(**parts(hostile), title=hostile, detail=hostile)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|src=(?!x onerror)", page)
    assert page.count("<script") == page.count("</script>") == 2
    assert page.count("<img") == 0


def changed(part: str, **changes: object) -> Callable[[dict], None]:
    def change(given: dict) -> None:
        value = given[part]
        given[part] = (
            [replace(value[0], **changes), *value[1:]] if isinstance(value, list) else replace(value, **changes)
        )

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda given: given.update(panels=[]), "needs a panel"),
        (lambda given: given.update(texts=["a"]), "1 of them for 408 points"),
        (changed("panels", points=np.zeros((408, 3))), r"have shape \(408, 3\); give \(408, 2\)"),
        (changed("panels", points=np.full((408, 2), np.nan)), "nan or infinity"),
        (changed("panels", concepts=None), "to all panels or to none"),
        (changed("panels", concepts=np.zeros((4, 2))), r"concepts have shape \(4, 2\); give \(5, 2\)"),
        (changed("colourings", points=np.full(408, 3)), "run from 3 to 3; give -1 to 2"),
        (changed("colourings", points=np.zeros(3, dtype=int)), r"have shape \(3,\)"),
        (changed("colourings", categories=list("abcdefghijklm")), "13 categories; give 1 to 12"),
        (changed("tree", edges=[(0, 1), (1, 0)]), "cycle"),
        (changed("tree", edges=[(0, 5)]), "outside the 5 concepts"),
        (changed("tree", members=[np.array([408])] * 5), "outside the 408 points"),
        (changed("tree", members=[]), "members of 0 concepts for 5 names"),
    ],
)
def test_parts_that_do_not_fit_are_named(change: Callable[[dict], None], says: str) -> None:
    given = parts("x")
    change(given)
    with pytest.raises(ValueError, match=says):
        explorer_page(**given, title="t")


def test_categories_differ_in_colour_and_neighbours_in_shape() -> None:
    chosen = looks([str(number) for number in range(12)])
    assert len({colour for colour, _ in chosen}) == 12
    assert all(first != second for (_, first), (_, second) in pairwise(chosen))


def test_steps_of_a_scale_grow_lighter() -> None:
    def lightness(colour: str) -> float:
        return sum(w * int(colour[at : at + 2], 16) for w, at in ((0.299, 1), (0.587, 3), (0.114, 5)))

    steps = [lightness(colour) for colour, _ in looks("abcdefghijkl", ordered=True)]
    assert all(later - earlier > 4 for earlier, later in pairwise(steps))


def test_unprintable_characters_are_dots_and_spaces_stay() -> None:
    assert [visible(text) for text in (" bird ", "a\nb", "\x00", "\u202eevil", "\ud800")] == [
        " bird ",
        "a·b",
        "·",
        "·evil",
        "·",
    ]


def test_windows_are_square_and_hold_all_of_a_few_points() -> None:
    points = np.array([[0.0, 0.0], [10.0, 1.0]])
    x0, y0, x1, y1 = window(points)
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert x0 < 0 < 10 < x1
    assert window(np.zeros((1, 2)))[0] < 0
    far = np.concatenate([RNG.normal(size=(5000, 2)), [[1e6, 0.0]]])
    assert window(far)[2] < 100
