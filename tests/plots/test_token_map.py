"""Token map: every token once, in reading order, within the axes, on the colour of its number."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from geometry import plots
from geometry.plots import TokenPanel, token_map

TOKENS = ["The", " bride", " walked", "\n", "<script>", *[f" word{number}" for number in range(40)]]


def test_tokens_stand_in_lines_that_fit() -> None:
    values = np.linspace(-2, 2, len(TOKENS))
    figure = token_map([TokenPanel(TOKENS, values, "on topic"), TokenPanel(["a"], [0.5])], colourbar="nats", title="T")
    axes = figure.axes[0]
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [text.get_text() for text in axes.texts] == [plots.literal(token) or "·" for token in TOKENS]
    assert len(boxes) == len(TOKENS)
    places = [(round(box.get_y()), box.get_x()) for box in boxes]
    assert places == sorted(places)
    assert len({line for line, _ in places}) > 1
    assert all(box.get_x() + box.get_width() <= axes.get_xlim()[1] + 1e-9 for box in boxes)
    ends = [box.get_x() + box.get_width() for box in boxes]
    for (line, _), (next_line, start), end in zip(places, places[1:], ends, strict=False):
        assert next_line > line or start >= end - 1e-9


def test_colours_follow_the_numbers_and_nan_is_grey() -> None:
    axes = token_map([TokenPanel(["a", "b", "c", "d"], [-5.0, -1.0, 0.0, np.nan])], limits=(-1, 1)).axes[0]
    low, same, middle, none = (to_rgba(patch.get_facecolor()) for patch in axes.patches)
    assert low == same
    assert low[2] > low[0]
    assert np.ptp(middle[:3]) < 0.05
    assert none[:3] == pytest.approx((0.93, 0.93, 0.93))


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match="'x': 1 values for 2 tokens"):
        token_map([TokenPanel(["a", "b"], [1.0], "x")])
