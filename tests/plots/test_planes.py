"""Planes are drawn to scale; words and arrows are named beside their places, as text."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from geometry import plots
from tests.plots.test_labels import drawn_boxes

HOSTILE = ["$x^{", "</script><b>x", "\x00\x1b[31m", "a\nb", "日本", "$\\frac{1}{0}$"]


def plane(**words: np.ndarray) -> plots.Plane:
    rows = np.arange(-3.0, 3.0)
    words = words or {"one": np.stack([0 * rows + 3, rows], axis=1), "$two$": np.stack([0 * rows - 3, rows], axis=1)}
    vocabulary = np.random.default_rng(0).normal(size=(500, 2))
    return plots.Plane("x$", "y", vocabulary, words, dict.fromkeys(words, HOSTILE), {"<b>": np.array([2.0, 1.0])}, "t$")


def test_hostile_words_are_drawn_literally() -> None:
    figure = plots.planes([[plane(), plane()], [plane(), plane()]], labels=6, title="found $", caption="detail")
    drawn = [text for text in figure.axes[0].texts if text.get_text()]
    assert {"$x^{", "</script><b>x", "··[31m", "a·b", "$\\frac{1}{0}$", "<b>"} <= {text.get_text() for text in drawn}
    assert not any(text.get_parse_math() for text in drawn)
    below = [text.get_text() for text in figure.axes[2].texts if text.get_text()]
    assert below == ["<b>"]  # words are named in the first row alone
    assert figure.axes[0].get_title(loc="center") == "t$"


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_names_keep_apart_and_off_words_and_axes_have_one_scale(columns: int) -> None:
    crowd = np.random.default_rng(1).normal([2, 0], 0.8, (40, 2))
    part = plots.Plane(
        "x", "y", np.zeros((3, 2)), {"a": crowd, "b": -crowd}, {name: [f"word{n}" for n in range(40)] for name in "ab"},
        {"a vector": np.array([2.0, 0.3]), "another": np.array([2.0, -0.3])},
    )  # fmt: skip
    figure = plots.planes([[part] * columns])
    legend = figure.legends[0].get_window_extent()
    for axes in figure.axes:
        frame = axes.get_window_extent()
        assert frame.width / np.ptp(axes.get_xlim()) == pytest.approx(frame.height / np.ptp(axes.get_ylim()))
        assert not legend.overlaps(axes.get_tightbbox())
        labels = [text for text in axes.texts if text.get_text()]
        boxes = drawn_boxes(figure, labels, 100)
        assert 5 < len(boxes) <= 12
        assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
        words = axes.transData.transform(np.concatenate([crowd, -crowd]))
        assert not any(box.contains(*word) for box in boxes for word in words)


def test_spellings_of_one_word_are_named_once() -> None:
    words = np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0]])
    part = plots.Plane("x", "y", np.zeros((3, 2)), {"a": words}, {"a": ["Bird", "birds", "cat"]}, {})
    assert [text.get_text() for text in plots.planes([[part]]).axes[0].texts if text.get_text()] == ["Bird", "cat"]


def test_it_draws_into_given_axes_in_given_colours_and_sizes(tmp_path: Path) -> None:
    figure = Figure(figsize=(6, 3))
    left, right = figure.subplots(1, 2)
    assert plots.planes([[plane()]], ax=right, colours=["#123456"], title="t") is figure
    assert not left.collections
    assert figure.get_label() == ""
    assert [to_hex(layer.get_facecolor()[0]) for layer in right.collections] == ["#cfcfcf", "#123456", "#123456"]
    assert plots.planes([[plane()]], figsize=(4, 4)).get_size_inches().tolist() == [4, 4]
    written = [plots.save(plots.planes([[plane()]], title="t"), tmp_path / name) for name in "ab"]
    assert written[0][0].read_bytes() == written[1][0].read_bytes()
