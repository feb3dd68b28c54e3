from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from sklearn.cluster import DBSCAN, AgglomerativeClustering

import geometry as geo
from tests.maps.clouds import circle, line, two_blobs, unlabelled

ACROSS = geo.maps.Cover(5, 0.3, balanced=False)


def test_a_circle_has_one_component_and_one_loop() -> None:
    points = circle()
    graph = geo.mapper(unlabelled(points), points[:, 1], cover=ACROSS, clusterer=DBSCAN(eps=0.2))
    # The lowest and the highest interval hold one arc each, the three between them two.
    assert (len(graph), len(graph.edges)) == (8, 8)
    assert (graph.components, graph.loops, graph.holes) == (1, 1, 1)
    assert graph.coverage == 1
    assert geo.mapper(unlabelled(points), points[:, 1]).loops == 1


def test_a_line_has_one_component_and_no_loop() -> None:
    points = line()
    for clusterer in (None, DBSCAN(eps=0.1), AgglomerativeClustering(None, linkage="single", distance_threshold=0.1)):
        graph = geo.mapper(unlabelled(points), points[:, 0], cover=ACROSS, clusterer=clusterer)
        assert graph.edges.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
        assert (graph.components, graph.loops, graph.holes) == (1, 0, 0)


def test_intervals_overlap_by_the_share_asked_for() -> None:
    lens, points = np.arange(1003), unlabelled(line(1003))
    graph = geo.mapper(points, lens, cover=geo.maps.Cover(4, 0.5, balanced=False))
    # Centres at 1/8, 3/8 … of 1002; half-width (1/8)/(1 − 0.5): [−1/8, 3/8], [1/8, 5/8], [3/8, 7/8], [5/8, 9/8].
    assert [(members[0], members[-1]) for members in graph.nodes] == [(0, 375), (126, 626), (376, 876), (627, 1002)]
    assert graph.edges.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert graph.shared.tolist() == [250, 251, 250]
    assert graph.centres.ravel().tolist() == [187.5, 376, 626, 814.5]
    wider = geo.mapper(points, lens, cover=geo.maps.Cover(4, 0.6, balanced=False))
    # Now every three neighbours meet: both loops of the graph are filled triangles.
    assert wider.edges.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert (wider.loops, wider.holes) == (2, 0)


def test_balanced_intervals_hold_equally_many() -> None:
    lens = np.exp(np.linspace(0, 12, 400))
    sizes = [len(members) for members in geo.mapper(unlabelled(line(400)), lens).nodes]
    assert max(sizes) < 1.6 * min(sizes)
    assert len(sizes) == 10


def test_two_far_blobs_have_two_components_and_no_loop() -> None:
    blobs = two_blobs()
    lens = blobs.points[:, 0]
    graph = geo.mapper(blobs, lens, cover=geo.maps.Cover(3, 0.4), clusterer=DBSCAN(eps=8))
    assert (len(graph), graph.components, graph.loops) == (6, 2, 0)
    concepts = geo.maps.node_concepts(graph, blobs)
    assert concepts.purity.tolist() == [1] * 6
    assert {concepts.dominant[node] for node in np.flatnonzero(graph.component_of == 0)} in ({"one"}, {"two"})
    default = geo.mapper(blobs, lens, clusterer=geo.maps.MutualNeighbours(3))
    assert geo.maps.node_concepts(default, blobs).mean_purity == 1


def test_no_interval_ends_short_of_its_points() -> None:
    rng = np.random.default_rng(0)
    for cubes in (1, 3, 7, 10):
        values = rng.standard_normal((300, 1)) * 1e4 + 0.1
        cover, one = geo.maps.Cover(cubes, 0.0, balanced=False), DBSCAN(eps=1e9, min_samples=1)
        assert geo.mapper(unlabelled(values), values, cover=cover, clusterer=one).coverage == 1


def test_graphml_holds_the_graph(tmp_path: Path) -> None:
    blobs = two_blobs()
    graph = geo.mapper(blobs, blobs.points[:, :2], cover=geo.maps.Cover(3, 0.4))
    concepts = geo.maps.node_concepts(graph, blobs)
    graph.write_graphml(tmp_path / "graph.graphml", concepts.attributes())
    expected = graph.to_networkx(concepts.attributes())
    found = nx.read_graphml(tmp_path / "graph.graphml", node_type=int)
    assert dict(found.nodes(data=True)) == dict(expected.nodes(data=True))
    assert {frozenset(edge[:2]): edge[2] for edge in found.edges(data=True)} == {
        frozenset(edge[:2]): edge[2] for edge in expected.edges(data=True)
    }
    assert expected.number_of_edges() == len(graph.edges)
    assert set(expected.nodes[0]) == {"size", "component", "lens_0", "lens_1", "concept", "purity", "words"}
    assert [expected.nodes[node]["size"] for node in expected] == [len(members) for members in graph.nodes]
    assert nx.number_connected_components(expected) == graph.components
    with pytest.raises(geo.errors.OutputError):
        graph.write_graphml(tmp_path / "nowhere" / "graph.graphml")


def test_layouts_are_seeded_and_keep_components_apart() -> None:
    rng = np.random.default_rng(0)
    edges = np.array([[0, 1], [1, 2], [0, 2], [3, 4]])
    nodes = tuple(rng.permutation(9)[:4] for _ in range(6))
    graph = geo.maps.MapperGraph(nodes, edges, np.ones(4, int), np.zeros((6, 1)), 9)
    assert graph.component_of.tolist() == [0, 0, 0, 1, 1, 2]
    assert (graph.components, graph.loops) == (3, 1)
    placed = graph.layout()
    assert placed.shape == (6, 2)
    np.testing.assert_array_equal(placed, graph.layout())
    apart = np.linalg.norm(placed[:, None] - placed, axis=2)
    assert apart[np.triu_indices(6, 1)].min() > 0.5
    large = geo.maps.MapperGraph(
        tuple(np.array([i, i + 1]) for i in range(200)),
        np.stack([np.arange(199), np.arange(1, 200)], axis=1),
        np.ones(199, int),
        np.zeros((200, 1)),
        201,
    )
    np.testing.assert_array_equal(large.layout(1), large.layout(1))
    assert not np.array_equal(large.layout(1), large.layout(2))


def test_mutual_neighbours_by_hand() -> None:
    points = np.array([0.0, 1, 2.5, 10, 11, 30])[:, None]
    # Nearest: 0 ↔ 1, 2 → 1, 3 ↔ 4, 5 → 4.
    assert geo.maps.MutualNeighbours(1, 2).fit_predict(points).tolist() == [0, 0, -1, 2, 2, -1]
    assert geo.maps.MutualNeighbours(1, 1).fit_predict(points).max() == 3
    assert geo.maps.MutualNeighbours(6, 3).fit_predict(points).tolist() == [0] * 6
    assert geo.maps.MutualNeighbours(6, 7).fit_predict(points).tolist() == [-1] * 6
    assert geo.maps.MutualNeighbours(2).fit_predict(np.ones((4, 2))).tolist() == [0] * 4
    with pytest.raises(geo.errors.EstimationError, match="positive"):
        geo.maps.MutualNeighbours(0).fit_predict(points)


@pytest.mark.parametrize(
    ("lens", "says"),
    [
        (np.ones(200), "lens 0 is the same at all points"),
        (np.stack([np.arange(200), np.ones(200)], axis=1), "lens 1 is the same"),
        (np.full(200, np.nan), "NaN"),
        (np.arange(199), "each of 200 points"),
        (np.zeros((200, 0)), "each of 200 points"),
    ],
)
def test_lenses_that_say_nothing_are_refused(lens: np.ndarray, says: str) -> None:
    for refuse in (geo.mapper, geo.maps.stability_sweep, geo.maps.compare_mapper):
        with pytest.raises(geo.errors.EstimationError, match=says):
            refuse(unlabelled(line()), lens)


def test_covers_that_hold_nothing_are_refused() -> None:
    points = unlabelled(line(20))
    nothing = {"cover": geo.maps.Cover(3, 0.1), "clusterer": DBSCAN(eps=1e-9)}
    with pytest.raises(geo.errors.EstimationError, match="no cluster among 20 points; take fewer cubes"):
        geo.mapper(points, geo.maps.pca_lens(1), **nothing)
    for cubes, overlap in ((0, 0.5), (3, 1.0), (3, -0.1)):
        with pytest.raises(geo.errors.EstimationError, match="overlap"):
            geo.maps.Cover(cubes, overlap)
