"""Maps on paper: every part is drawn where it belongs, groups are named where they keep together."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from geometry import plots
from geometry.plots.point_map import looks
from geometry.plots.style import style
from tests.plots.test_labels import drawn_boxes

RNG = np.random.default_rng(0)
NONE = np.empty((0, 2))


def parts(hostile: str = "$x^{") -> tuple[list[plots.MapPanel], plots.Colouring, plots.ConceptTree]:
    points = RNG.normal(size=(300, 2))
    concepts = RNG.normal(size=(4, 2))
    codes = np.full(300, -1)
    codes[:20], codes[20:60], codes[60:65] = 0, 1, 2
    panels = [
        plots.MapPanel("causal", points, "trust 0.9; shuffled 0.5", concepts),
        plots.MapPanel(hostile, -points, "c", -concepts),
    ]
    colouring = plots.Colouring("concept", ["bird", "cat", hostile], codes, np.array([-1, 0, 1, 2]))
    members = [np.arange(65), np.arange(20), np.arange(20, 60), np.arange(60, 65)]
    return (
        panels,
        colouring,
        plots.ConceptTree(["animal", "bird.n", "cat.n", hostile], [(0, 1), (0, 2), (0, 3)], members),
    )


def test_every_point_is_drawn_once_in_its_categorys_colour_or_in_grey() -> None:
    panels, colouring, _ = parts()
    figure = plots.point_map([replace(panel, concepts=None) for panel in panels], replace(colouring, concepts=None))
    for axes, panel in zip(figure.axes, panels, strict=True):
        layers = {
            to_hex(c.get_facecolor()[0]): c
            for c in axes.collections
            if isinstance(c, PathCollection) and len(c.get_facecolor())
        }
        assert len(layers["#cfcfcf"].get_offsets()) == 235
        assert layers["#cfcfcf"].get_rasterized()
        for place, (colour, _) in enumerate(looks(colouring.categories)):
            np.testing.assert_allclose(layers[colour.lower()].get_offsets(), panel.points[colouring.points == place])
        above = [layers[colour.lower()] for colour, _ in looks(colouring.categories)]
        assert axes.collections.index(above[1]) < axes.collections.index(above[0]) < axes.collections.index(above[2])


def test_edges_join_the_places_of_parent_and_child() -> None:
    panels, colouring, tree = parts()
    figure = plots.point_map(panels, colouring, tree, named=[1])
    for axes, panel in zip(figure.axes, panels, strict=True):
        (lines,) = [c for c in axes.collections if isinstance(c, LineCollection)]
        np.testing.assert_allclose(lines.get_segments(), panel.concepts[np.array(tree.edges)])
        (label,) = [text for text in axes.texts if text.get_text() == "bird.n"]
        np.testing.assert_allclose(label.xy, panel.concepts[1])


def rings(axes: Axes) -> np.ndarray:
    (drawn,) = [c for c in axes.collections if isinstance(c, PathCollection) and not len(c.get_facecolor())]
    return np.asarray(drawn.get_offsets())


def test_a_label_of_one_point_stands_at_its_ring_and_one_without_room_has_none() -> None:
    panels, colouring, tree = parts()
    labels = {" penguin": [7], " ": [8]}
    (axes,) = plots.point_map([replace(panels[0], concepts=None)], colouring, tree, labels=labels).axes
    drawn = {text.get_text(): text for text in axes.texts if text.get_text()}
    assert set(drawn) == {"penguin"}
    assert drawn["penguin"].xy == tuple(panels[0].points[7])
    assert to_hex(drawn["penguin"].get_color()) == looks("a")[0][0].lower()
    np.testing.assert_allclose(rings(axes), panels[0].points[[7]])


def test_a_group_is_named_where_it_keeps_to_itself_and_not_at_all_where_it_is_mixed() -> None:
    points = RNG.normal(size=(600, 2))
    codes = np.arange(600) % 3
    points[codes == 0] += [8, 0]
    points[:3] = 0.0  # a few of the first group amid the others
    colouring = plots.Colouring("c", ["apart", "mixed", "mixed too"], codes)
    labels = {name: np.flatnonzero(codes == code).tolist() for code, name in enumerate(colouring.categories)}
    (axes,) = plots.point_map([plots.MapPanel("t", points)], replace(colouring, categories=list("abc")), labels={
        "apart": labels["apart"], "mixed": [*labels["mixed"][::9], *labels["mixed too"][::9]]}).axes  # fmt: skip
    (label,) = [text for text in axes.texts if text.get_text()]
    assert (label.get_text(), label.get_fontweight()) == ("apart", "bold")
    assert np.linalg.norm(np.array(label.xy) - [8, 0]) < 1
    assert label.xy in {tuple(point) for point in points[codes == 0]}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_captions_titles_and_legend_are_literal_and_the_svg_is_well_formed(tmp_path: Path, count: int) -> None:
    hostile = "</script>$\\frac{1}{0}$\x00"
    panels, colouring, tree = parts(hostile)
    labels = {hostile: [3], "\x1b": [4]}
    figure = plots.point_map((panels * 2)[:count], colouring, tree, labels=labels, title=hostile, caption=hostile)
    shown = hostile.replace("\x00", "·")
    assert [axes.get_xlabel() for axes in figure.axes[:count]] == ["trust 0.9; shuffled 0.5", "c"] * (count // 2) + [
        "trust 0.9; shuffled 0.5"
    ] * (count % 2)
    assert [axes.get_title(loc="center") for axes in figure.axes[:count]] == (["causal", shown] * 2)[:count]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["bird", "cat", shown, "other"]
    _, svg = plots.save(figure, tmp_path / "figure")
    tags = {element.tag.split("}")[-1] for element in ET.parse(svg).iter()}  # noqa: S314 (our own file)
    assert "script" not in tags


def test_all_labels_of_a_figure_keep_apart() -> None:
    panels, colouring, tree = parts()
    labels = {f"label {n}": [n] for n in range(36)}
    with style():
        figure = plots.point_map(panels, colouring, tree, labels=labels, named=[0, 1, 2, 3])
        for axes in figure.axes:
            boxes = drawn_boxes(figure, [text for text in axes.texts if text.get_text()], 300)
            assert len(boxes) > 20
            assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


@pytest.mark.parametrize(
    ("labels", "named", "says"),
    [
        ({f"{n}": [n] for n in range(40)}, [0], "41 of them; give at most 40"),
        ({"a": [300]}, [], "label 'a': give indices of some of the 300 points"),
        ({"a": []}, [], "label 'a'"),
        ({}, [4], "outside the 4 concepts"),
    ],
)
def test_labels_of_nothing_are_refused(labels: dict, named: list, says: str) -> None:
    panels, colouring, tree = parts()
    with pytest.raises(ValueError, match=says):
        plots.point_map(panels, colouring, tree, labels=labels, named=named)


def test_an_empty_map_is_refused() -> None:
    none = np.empty(0, dtype=int)
    with pytest.raises(ValueError, match="is empty"):
        plots.point_map([plots.MapPanel("t", NONE)], plots.Colouring("c", ["a"], none))


def test_it_draws_into_given_axes_in_given_colours_and_sizes() -> None:
    panels, colouring, _ = parts()
    panels = [replace(panel, concepts=None) for panel in panels]
    colouring = replace(colouring, concepts=None)
    figure = Figure(figsize=(6, 3))
    axes = list(figure.subplots(1, 3))
    assert plots.point_map(panels, colouring, ax=axes[1:], colours={"cat": "#123456"}, title="t") is figure
    assert not axes[0].collections
    assert figure.get_label() == ""
    for item in axes[1:]:
        colours = {to_hex(c.get_facecolor()[0]) for c in item.collections if len(c.get_facecolor())}
        assert colours == {"#cfcfcf", looks("abc")[0][0].lower(), "#123456", looks("abc")[2][0].lower()}
    with pytest.raises(ValueError, match="2 panels need as many axes, not 1"):
        plots.point_map(panels, colouring, ax=axes[0])
    assert plots.point_map(panels, colouring, figsize=(5, 3)).get_size_inches().tolist() == [5, 3]


def test_the_same_map_has_the_same_bytes(tmp_path: Path) -> None:
    panels, colouring, tree = parts()
    labels = {f"label {n}": [n] for n in range(20)}
    written = []
    for name in "ab":
        paths = plots.save(plots.point_map(panels, colouring, tree, labels=labels, title="t"), tmp_path / name)
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
