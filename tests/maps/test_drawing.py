"""From a Mapper graph to what is drawn: typical words first, categories, shares, what edges mean."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import geometry as geo

# Two arms from a middle; the farther out, the more typical.
POINTS = np.array([[4, 0], [1, 0.9], [2, 0.2], [0, 4], [0.9, 1], [0.1, 2], [-7, -7]], dtype=np.float32)
NAMES = (" ant", " bee", " cat", " dog", " eel", " fly", " gnu")
LABELLED = geo.maps.LabelledPoints(
    POINTS, {"east.n.01": np.array([0, 1, 2]), "north.n.01": np.array([1, 3, 4, 5])}, NAMES
)
GRAPH = geo.maps.MapperGraph(
    (np.array([0, 1, 2]), np.array([1, 3, 4, 5]), np.array([6])), np.array([[0, 1]]), np.array([1]), np.zeros((3, 1)), 7
)  # fmt: skip


def test_words_of_a_node_are_in_the_order_of_the_cosine_with_its_mean() -> None:
    drawing = geo.maps.drawing(GRAPH, LABELLED)
    centred = POINTS - POINTS.mean(axis=0)
    for words, members in zip(drawing.members, GRAPH.nodes, strict=True):
        mean = centred[members].mean(axis=0)
        cosines = {NAMES[point].strip(): centred[point] @ mean / np.linalg.norm(centred[point]) for point in members}
        assert list(words) == sorted(cosines, key=lambda word: -cosines[word])
    assert {word for words in drawing.members for word in words} == {name.strip() for name in NAMES}


def test_categories_shares_and_edges_by_hand() -> None:
    drawing = geo.maps.drawing(GRAPH, LABELLED)
    assert list(drawing.categories) == ["north", "east"]
    assert list(drawing.labels) == ["east", "north", "other"]
    # The word of both arms counts half for each.
    np.testing.assert_allclose(drawing.shares, [[1 / 4, 3 / 4], [1 / 1.25, 0.25 / 1.25], [0, 0]])
    np.testing.assert_allclose(drawing.purity, [1, 1, 0])
    assert list(drawing.edges) == [(0, 1)]
    assert drawing.shared.tolist() == [1]
    assert list(drawing.meanings) == ["east and north meet in bee"]
    assert drawing.positions.shape == (3, 2)


def test_a_lens_of_ones_own_is_drawn_in_one_call() -> None:
    rng = np.random.default_rng(0)
    labelled = geo.maps.LabelledPoints.of_classes(rng.normal(size=(80, 3)), ["a", "b"] * 40)
    graph = geo.mapper(labelled, labelled.points[:, 0], cover=geo.maps.Cover(4, 0.3))
    figure = geo.plots.graph(geo.maps.drawing(graph, labelled), title="My lens")
    assert isinstance(figure, Figure)


def test_a_graph_of_other_points_is_refused() -> None:
    other = geo.maps.LabelledPoints(np.eye(6), {"a": np.array([0])})
    with pytest.raises(geo.errors.EstimationError, match="7 points does not belong to 6"):
        geo.maps.drawing(GRAPH, other)
