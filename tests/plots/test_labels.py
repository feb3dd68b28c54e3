"""Labels keep off each other, off points and inside their axes; the first ones win."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from geometry.plots.labels import Label, equal_scale, place_labels
from geometry.plots.style import style

RNG = np.random.default_rng(0)


def drawn_boxes(figure: Figure, labels: list[Annotation], dpi: int) -> list[Bbox]:
    """What the real renderer makes of labels, at another resolution than they were placed at."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return [label.get_window_extent(canvas.get_renderer()) for label in labels]


def empty_axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4, 4))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return figure, axes


@pytest.mark.parametrize("dpi", [100, 300])
def test_crowded_labels_never_overlap_nor_leave_the_axes(dpi: int) -> None:
    with style():
        figure, axes = empty_axes()
        places = RNG.uniform(0.3, 0.6, (40, 2))
        wanted = [Label(f"word {n} gyÅ" * (1 + n % 2), (x, y), bold=n % 5 == 0) for n, (x, y) in enumerate(places)]
        labels = place_labels(axes, wanted, avoid=places)
        assert 12 <= len(labels) < 40
        boxes = drawn_boxes(figure, labels, dpi)
    frame = axes.get_window_extent()
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_the_first_labels_win_and_the_hopeless_are_left_out() -> None:
    _, axes = empty_axes()
    labels = place_labels(axes, [Label(f"number {n}", (0.5, 0.5)) for n in range(200)])
    assert labels[0].get_text() == "number 0"
    assert 3 < len(labels) < 40
    assert place_labels(axes, [Label("outside", (2, 2)), Label("  ", (0.5, 0.5))]) == []


def test_a_label_with_room_stands_beside_its_place_without_a_line() -> None:
    figure, axes = empty_axes()
    (label,) = place_labels(axes, [Label("alone", (0.5, 0.5))])
    assert len(axes.texts) == 1
    (box,) = drawn_boxes(figure, [label], 100)
    x, y = axes.transData.transform((0.5, 0.5))
    assert 0 < box.x0 - x < 10
    assert box.y0 < y < box.y1


def test_labels_keep_off_points_where_they_can_and_out_of_a_crowd() -> None:
    figure, axes = empty_axes()
    right = np.stack([RNG.uniform(0.52, 0.8, 500), RNG.uniform(0.35, 0.65, 500)], axis=1)
    (label,) = place_labels(axes, [Label("alone", (0.5, 0.5))], avoid=right)
    (box,) = drawn_boxes(figure, [label], 100)
    assert box.x1 < axes.transData.transform((0.51, 0.5))[0]
    crowd = RNG.uniform(0, 1, (20000, 2))
    assert place_labels(axes, [Label("lost", (0.5, 0.5))], avoid=crowd) == []
    assert len(place_labels(axes, [Label("region", (0.5, 0.5), region=True)], avoid=crowd)) == 1


def test_labels_stand_outside_their_own_and_all_other_discs() -> None:
    figure, axes = empty_axes()
    places = np.array([[0.3, 0.5], [0.45, 0.5], [0.6, 0.5]])
    discs = np.column_stack([places, [11.0, 13.0, 11.0]])
    labels = place_labels(axes, [Label("a node", (x, y), radius=r) for x, y, r in discs], discs=discs)
    assert len(labels) == 3
    for box in drawn_boxes(figure, labels, 72):
        for (x, y), radius in zip(axes.transData.transform(places), discs[:, 2], strict=True):
            inner = Bbox([[x - 0.8 * radius, y - 0.8 * radius], [x + 0.8 * radius, y + 0.8 * radius]])
            assert not box.overlaps(inner)


def test_a_label_stands_nearer_to_its_own_place_than_to_another_or_has_a_line() -> None:
    figure, axes = empty_axes()
    places = np.column_stack([np.full(8, 0.5), np.linspace(0.4, 0.6, 8), np.full(8, 2.0)])
    labels = place_labels(
        axes, [Label(f"word {n}", (x, y), radius=2) for n, (x, y, _) in enumerate(places)], discs=places
    )
    assert len(labels) == 8
    led = {text.xy for text in axes.texts if text.arrow_patch is not None}
    pixels = axes.transData.transform(places[:, :2])
    for number, (label, box) in enumerate(zip(labels, drawn_boxes(figure, labels, 100), strict=True)):
        away = np.linalg.norm(np.clip(pixels, box.p0, box.p1) - pixels, axis=1)
        assert label.xy in led or away.argmin() == number


def test_a_distant_label_has_a_line_to_its_place_and_it_crosses_no_earlier_label() -> None:
    figure, axes = empty_axes()
    heap = RNG.normal(0.5, 0.01, (14, 2))
    placed = place_labels(axes, [Label(f"word {n}", (x, y)) for n, (x, y) in enumerate(heap)])
    boxes = drawn_boxes(figure, placed, 100)
    lines = {text.xy: np.array(text.xyann) * 100 / 72 for text in axes.texts if text.arrow_patch is not None}
    assert 0 < len(lines) < len(placed)
    assert set(lines) < {label.xy for label in placed}
    for number, label in enumerate(placed):
        start = axes.transData.transform(label.xy)
        steps = start + np.linspace(0, 1, 50)[:, None] * lines.get(label.xy, np.zeros(2))
        earlier = [box for box in boxes[:number] if not box.padded(3).contains(*start)]
        assert not any(box.contains(*step) for box in earlier for step in steps)


def test_spares_are_written_only_in_place_of_others() -> None:
    _, axes = empty_axes()
    wanted = [Label(f"{n}", (0.1 + 0.2 * (n % 5), 0.2 + 0.1 * (n // 5)), group="ab"[n % 2]) for n in range(10)]
    labels = place_labels(axes, [Label("outside", (2, 2), group="a"), *wanted], most=3)
    assert [label.get_text() for label in labels] == ["0", "1", "2", "3", "4", "5"]


def test_one_scale_for_both_axes_with_room_around_the_points() -> None:
    _, axes = empty_axes()
    scale = equal_scale(axes, np.array([[0.0, 0.0], [10.0, 1.0]]), (20, 10))
    box = axes.get_window_extent()
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    assert box.width / (x1 - x0) == pytest.approx(box.height / (y1 - y0))
    assert -x0 * scale == pytest.approx(20)
    assert (x1 - 10) * scale == pytest.approx(20)
    assert y0 < -1
    assert equal_scale(axes, np.zeros((1, 2)), (0, 0)) > 0
