"""A dendrogram names and marks every leaf where the linkage puts it."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage

from geometry import plots

COUNT = 24
NAMES = ["$x^{", "</b>", "a\nb", *(f"leaf {n}" for n in range(COUNT - 3))]
GROUPS = [f"group {n % 11}" for n in range(COUNT)]
MERGES = linkage(np.random.default_rng(0).normal(size=(COUNT, 3)), "average")


def test_leaves_are_named_in_order_and_the_largest_groups_have_colours(tmp_path: Path) -> None:
    figure = plots.dendrogram(MERGES, NAMES, GROUPS, title="f", caption="d")
    (axes,) = figure.axes
    shown = [name.replace("\n", "·") for name in NAMES]
    assert [text.get_text() for text in axes.texts] == [shown[leaf] for leaf in leaves_list(MERGES)]
    assert [text.xy[1] for text in axes.texts] == [10 * place + 5 for place in range(COUNT)]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(legend) == 9
    assert legend[0] == "group 0"
    assert legend[-1] == "other"
    colours = [line.get_color() for line in axes.lines]
    assert [colour == "#999999" for colour in colours] == [GROUPS[leaf] not in legend for leaf in leaves_list(MERGES)]
    _, svg = plots.save(figure, tmp_path / "figure")
    assert not {item.tag.split("}")[-1] for item in ET.parse(svg).iter()} & {"b", "script"}  # noqa: S314 (our own file)


def test_names_neither_overlap_nor_leave_the_figure() -> None:
    figure = plots.dendrogram(MERGES, NAMES, GROUPS)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
    assert figure.legends[0].get_window_extent().y1 < boxes[0].y0


def test_it_draws_into_given_axes_in_given_colours_and_sizes() -> None:
    figure = Figure(figsize=(6, 3))
    left, right = figure.subplots(1, 2)
    assert plots.dendrogram(MERGES, NAMES, GROUPS, ax=left, colours={"group 0": "#123456"}, title="t") is figure
    assert not right.collections
    assert sum(line.get_color() == "#123456" for line in left.lines) == 3
    assert plots.dendrogram(MERGES, NAMES, GROUPS, figsize=(4, 4)).get_size_inches().tolist() == [4, 4]
