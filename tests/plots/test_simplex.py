"""Simplices of three or four vertices keep lengths and angles as they are seen, to one scale."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from geometry import plots

RNG = np.random.default_rng(0)
NAMES = ["mammal", "bird", "<fish>", "$insect$"]


def panel(count: int = 4, size: float = 4.0) -> plots.SimplexPanel:
    corners = dict(zip(NAMES[:count], np.eye(4)[:, :3] * size - 1, strict=False))
    return plots.SimplexPanel("t$", corners, {name: RNG.normal(size=(5, 3)) for name in corners})


def test_a_triangle_lies_in_its_own_plane_and_a_tetrahedron_is_seen_from_a_side() -> None:
    for count, edges in ((3, 3), (4, 6)):
        (axes,) = plots.simplex([panel(count)]).axes
        lengths = [np.hypot(*np.ptp(line.get_xydata(), axis=0)) for line in axes.lines]
        assert len(lengths) == edges
        true = [
            np.linalg.norm(a - b) for n, a in enumerate(np.eye(4)[:count, :3]) for b in np.eye(4)[n + 1 : count, :3]
        ]
        if count == 3:
            np.testing.assert_allclose(sorted(lengths), sorted(4 * np.array(true)))
        else:
            assert all(seen <= 4 * length + 1e-9 for seen, length in zip(sorted(lengths), sorted(true), strict=True))
        frame = axes.get_window_extent()
        assert frame.width / np.ptp(axes.get_xlim()) == pytest.approx(frame.height / np.ptp(axes.get_ylim()))


def test_panels_share_their_scale_and_name_every_vertex_beside_it() -> None:
    figure = plots.simplex([panel(), panel(size=1.0)], title="f", caption="d")
    widths = [np.ptp(axes.get_xlim()) for axes in figure.axes]
    assert widths[0] == pytest.approx(widths[1])
    for axes in figure.axes:
        labels = [text for text in axes.texts if text.get_text()]
        assert [text.get_text() for text in labels] == NAMES
        boxes = [text.get_window_extent() for text in labels]
        corners = [axes.transData.transform(text.xy) for text in labels]
        assert not any(box.contains(*corner) for box in boxes for corner in corners)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["concept vectors", *(f"{name} words" for name in NAMES)]


def test_a_triangle_looks_the_same_each_time_and_from_two_dimensions() -> None:
    flat = plots.SimplexPanel("t", {"a": np.array([1.0, 0]), "b": np.array([0, 1.0]), "c": np.zeros(2)}, {})
    deep = plots.SimplexPanel("t", {name: np.append(vertex, 0.0) for name, vertex in flat.vertices.items()}, {})
    first, second = (plots.simplex([given]).axes[0] for given in (flat, deep))
    for one, other in zip(first.lines, second.lines, strict=True):
        np.testing.assert_allclose(one.get_xydata(), other.get_xydata(), atol=1e-12)


def test_it_draws_into_given_axes_in_given_colours_and_sizes() -> None:
    figure = Figure(figsize=(6, 3))
    left, right = figure.subplots(1, 2)
    assert plots.simplex([panel(3)], ax=right, colours={"bird": "#123456"}, title="t") is figure
    assert not left.lines
    assert "#123456" in {to_hex(layer.get_facecolor()[0][:3]) for layer in right.collections}
    assert plots.simplex([panel()], figsize=(4, 4)).get_size_inches().tolist() == [4, 4]


@pytest.mark.parametrize("change", [{"vertices": {"a": np.zeros(3)}}, {"words": {"other": np.zeros((1, 3))}}])
def test_what_is_no_simplex_is_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="give 3 or 4 vertices, and words of these only"):
        plots.simplex([plots.SimplexPanel(**(vars(panel()) | change))])
