"""Maps on paper: labels keep off each other, every part is drawn where it belongs, bad input is named."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from geometry import plots
from geometry.plots.labels import Label, place_labels
from geometry.plots.maps import looks
from geometry.plots.style import style

RNG = np.random.default_rng(0)
NONE = np.empty((0, 2))


def drawn_boxes(figure: Figure, labels: list[Annotation], dpi: int) -> list[Bbox]:
    """What the real renderer makes of labels, at another resolution than they were placed at."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return [label.get_window_extent(canvas.get_renderer()) for label in labels]


def empty_axes() -> tuple[Figure, object]:
    figure = Figure(figsize=(4, 4))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return figure, axes


@pytest.mark.parametrize("dpi", [100, 300])
def test_crowded_labels_never_overlap_nor_leave_the_axes(dpi: int) -> None:
    with style():
        figure, axes = empty_axes()
        places = RNG.uniform(0.3, 0.6, (40, 2))
        wanted = [Label(f"word {n} gyÅ" * (1 + n % 2), x, y, region=n % 5 == 0) for n, (x, y) in enumerate(places)]
        labels = place_labels(axes, wanted, places)
        assert 12 <= len(labels) < 40
        boxes = drawn_boxes(figure, labels, dpi)
    frame = axes.get_window_extent()
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_the_first_labels_win_and_the_hopeless_are_left_out() -> None:
    _, axes = empty_axes()
    labels = place_labels(axes, [Label(f"number {n}", 0.5, 0.5) for n in range(200)], NONE)
    assert labels[0].get_text() == "number 0"
    assert 5 < len(labels) < 40
    assert place_labels(axes, [Label("outside", 2, 2), Label("  ", 0.5, 0.5)], NONE) == []


def test_a_label_with_room_stands_beside_its_place_without_a_line() -> None:
    figure, axes = empty_axes()
    (label,) = place_labels(axes, [Label("alone", 0.5, 0.5)], NONE)
    assert len(axes.texts) == 1
    (box,) = drawn_boxes(figure, [label], 100)
    x, y = axes.transData.transform((0.5, 0.5))
    assert 0 < box.x0 - x < 10
    assert box.y0 < y < box.y1


def test_labels_keep_off_points_where_they_can() -> None:
    figure, axes = empty_axes()
    right = np.stack([RNG.uniform(0.52, 0.8, 500), RNG.uniform(0.35, 0.65, 500)], axis=1)
    (label,) = place_labels(axes, [Label("alone", 0.5, 0.5)], right)
    (box,) = drawn_boxes(figure, [label], 100)
    assert box.x1 < axes.transData.transform((0.51, 0.5))[0]


def test_labels_stand_outside_their_own_and_all_other_discs() -> None:
    figure, axes = empty_axes()
    places = np.array([[0.3, 0.5], [0.45, 0.5], [0.6, 0.5]])
    discs = np.column_stack([places, [0.05, 0.06, 0.05]])
    labels = place_labels(axes, [Label("a node", x, y, radius=r) for x, y, r in discs], NONE, discs=discs)
    assert len(labels) == 3
    unit = axes.get_window_extent().width
    for box in drawn_boxes(figure, labels, 100):
        for (x, y), radius in zip(axes.transData.transform(places), unit * discs[:, 2], strict=True):
            inner = Bbox([[x - 0.8 * radius, y - 0.8 * radius], [x + 0.8 * radius, y + 0.8 * radius]])
            assert not box.overlaps(inner)


def test_a_distant_label_has_a_line_to_its_place() -> None:
    _, axes = empty_axes()
    wanted = [Label("the same place", 0.5, 0.5) for _ in range(12)]
    placed = place_labels(axes, wanted, NONE)
    lines = [text for text in axes.texts if text.arrow_patch is not None]
    assert 0 < len(lines) < len(placed)
    assert all(line.xy == (0.5, 0.5) for line in lines)


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
    figure = plots.plot_vocabulary_map(
        [replace(panel, concepts=None) for panel in panels], replace(colouring, concepts=None), finding="f"
    )
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
    figure = plots.plot_vocabulary_map(panels, colouring, tree, named=[1], finding="f")
    for axes, panel in zip(figure.axes, panels, strict=True):
        (lines,) = [c for c in axes.collections if isinstance(c, LineCollection)]
        np.testing.assert_allclose(lines.get_segments(), panel.concepts[np.array(tree.edges)])
        (label,) = [text for text in axes.texts if text.get_text() == "bird.n"]
        np.testing.assert_allclose(label.xy, panel.concepts[1])


def test_a_label_of_many_points_is_bold_at_one_amid_them_and_of_one_point_ringed() -> None:
    panels, colouring, tree = parts()
    points = panels[0].points.copy()
    points[:3] = [[0.0, 0.0], [0.1, 0.0], [0.9, 0.0]]
    labels = {" birds": [0, 1, 2], " penguin": [7]}
    figure = plots.plot_vocabulary_map([replace(panels[0], points=points)], colouring, tree, labels=labels, finding="f")
    drawn = {text.get_text(): text for text in figure.axes[0].texts}
    assert drawn["birds"].xy == (0.1, 0.0)
    assert drawn["birds"].get_fontweight() == "bold"
    assert drawn["penguin"].xy == tuple(points[7])
    rings = [c for c in figure.axes[0].collections if isinstance(c, PathCollection) and not len(c.get_facecolor())]
    np.testing.assert_allclose(rings[0].get_offsets(), points[[7]])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_captions_titles_and_legend_are_literal_and_the_svg_is_well_formed(tmp_path: Path, count: int) -> None:
    hostile = "</script>$\\frac{1}{0}$\x00"
    panels, colouring, tree = parts(hostile)
    labels = {hostile: [3], "\x1b": [4]}
    figure = plots.plot_vocabulary_map(
        (panels * 2)[:count], colouring, tree, labels=labels, finding=hostile, detail=hostile
    )
    shown = hostile.replace("\x00", "·")
    assert [axes.get_xlabel() for axes in figure.axes[:count]] == ["trust 0.9; shuffled 0.5", "c"] * (count // 2) + [
        "trust 0.9; shuffled 0.5"
    ] * (count % 2)
    assert [axes.get_title(loc="left") for axes in figure.axes[:count]] == (["causal", shown] * 2)[:count]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["bird", "cat", shown, "other"]
    _, svg = plots.save(figure, tmp_path / "figure")
    tags = {element.tag.split("}")[-1] for element in ET.parse(svg).iter()}  # noqa: S314 (our own file)
    assert "script" not in tags


def test_all_labels_of_a_figure_keep_apart() -> None:
    panels, colouring, tree = parts()
    labels = {f"label {n}": [n] for n in range(36)}
    with style():
        figure = plots.plot_vocabulary_map(panels, colouring, tree, labels=labels, named=[0, 1, 2, 3], finding="f")
        for axes in figure.axes:
            boxes = drawn_boxes(figure, [text for text in axes.texts if len(text.get_text()) > 1], 300)
            assert len(boxes) > 20
            assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


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
        plots.plot_vocabulary_map(panels, colouring, tree, labels=labels, named=named, finding="f")


def test_an_empty_map_is_refused() -> None:
    none = np.empty(0, dtype=int)
    with pytest.raises(ValueError, match="is empty"):
        plots.plot_vocabulary_map([plots.MapPanel("t", NONE)], plots.Colouring("c", ["a"], none), finding="f")
