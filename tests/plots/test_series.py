"""Series: every value is named beside its own point, and bars stay in their panel."""

import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from geometry import plots
from tests.plots.test_labels import drawn_boxes

RNG = np.random.default_rng(0)
HOSTILE = ["$x^{", "</script><b>x", "\x00\x1b[31m", "a\nb", "日本", "$\\frac{1}{0}$"]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def panel(labels: list[str] = DAYS, ordered: bool = True, closed: bool = True) -> plots.SeriesPanel:
    scores, errors = {"line": 0.1, "circle": -0.2}, {"line": 0.05, "circle": 9.0}
    points = RNG.normal(size=(len(labels), 2))
    return plots.SeriesPanel("$t$", labels, points, scores, errors, dict.fromkeys(scores, (-0.1, 0.1)), ordered, closed)


def parts(axes: Axes) -> tuple[Axes, Axes]:
    plane, bars = axes.child_axes
    return plane, bars


def test_every_value_is_named_and_names_keep_apart_off_points_and_inside() -> None:
    heap = panel()
    heap = plots.SeriesPanel(**(vars(heap) | {"points": np.array([[9.0, 0.0], *RNG.normal(0, 0.5, (6, 2))])}))
    figure = plots.series([panel(), heap, panel(ordered=False)], ncols=3, title="f", caption="d")
    for axes in figure.axes:
        plane, _ = parts(axes)
        labels = [text for text in plane.texts if text.get_text()]
        assert sorted(text.get_text() for text in labels) == sorted(DAYS)
        boxes = drawn_boxes(figure, labels, 100)
        assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
        points = plane.transData.transform(plane.collections[0].get_offsets())
        assert not any(box.contains(*point) for box in boxes for point in points)
        frame = plane.get_window_extent()
        assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
        assert frame.width / np.ptp(plane.get_xlim()) == pytest.approx(frame.height / np.ptp(plane.get_ylim()))


def test_values_are_joined_in_order_and_closed_where_they_are() -> None:
    for ordered, closed, count in ((True, True, 8), (True, False, 7), (False, False, None)):
        given = panel(ordered=ordered, closed=closed)
        plane, _ = parts(plots.series([given]).axes[0])
        assert [len(line.get_xdata()) for line in plane.lines] == ([count] if count else [])
        np.testing.assert_allclose(plane.collections[0].get_offsets(), given.points)


def test_bars_measure_scores_and_errors_end_at_their_own_panel() -> None:
    figure = plots.series([panel(), panel()], ncols=2)
    for axes in figure.axes:
        _, bars = parts(axes)
        widths = [patch.get_width() for patch in bars.patches]
        assert widths == pytest.approx([0.2, 0.1, 0.2, -0.2])
        assert [text.get_text() for text in bars.texts] == ["0.10", "\N{MINUS SIGN}0.20"]
        low, high = bars.get_xlim()
        assert -1 < low < -0.2 < 0.1 < high < 1  # though an error reaches to 9
        assert all(line.get_clip_on() for line in bars.lines)
        assert bars.get_tightbbox().x1 < axes.get_window_extent().x1 + 5


def test_hostile_labels_and_titles_stay_text(tmp_path: Path) -> None:
    figure = plots.series([panel(HOSTILE)], title="</svg>", caption="$c$")
    plane, _ = parts(figure.axes[0])
    shown = {"$x^{", "</script><b>x", "··[31m", "a·b", "日本", "$\\frac{1}{0}$"}
    assert {text.get_text() for text in plane.texts if text.get_text()} == shown
    _, svg = plots.save(figure, tmp_path / "figure")
    assert not {item.tag.split("}")[-1] for item in ET.parse(svg).iter()} & {"b", "script"}  # noqa: S314 (our own file)


def test_it_draws_into_given_axes_in_given_colours_and_sizes() -> None:
    figure, (first, second) = plots.grid(1, 2, title="t")
    assert plots.series([panel()], ax=second, colours={"line": "#123456"}) is figure
    assert not first.child_axes
    _, bars = parts(second)
    assert to_hex(bars.patches[1].get_facecolor()) == "#123456"
    assert plots.series([panel()], figsize=(3, 3)).get_size_inches().tolist() == [3, 3]
    given = Figure().subplots()
    assert plots.series([panel()], ax=given, title="t").get_label() == ""
