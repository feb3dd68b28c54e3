import numpy as np
import pytest
from scipy.stats import hypergeom

import geometry as geo

NAMES = ("ant", "bee", "cat", "dog", "eel", "fly", "gnu")
LABELLED = geo.maps.LabelledPoints(
    np.eye(7), {"insect": np.array([0, 1, 5]), "mammal": np.array([2, 3, 6]), "flying": np.array([1, 2, 5])}, NAMES
)
# Node 0: ant, bee, cat; node 1: bee, cat, dog, gnu; node 2: eel alone.
GRAPH = geo.maps.MapperGraph(
    (np.array([0, 1, 2]), np.array([1, 2, 3, 6]), np.array([4])),
    np.array([[0, 1]]),
    np.array([2]),
    np.zeros((3, 1)),
    7,
)


def test_node_concepts_by_hand() -> None:
    found = geo.maps.node_concepts(GRAPH, LABELLED)
    np.testing.assert_allclose(found.shares, [[2 / 3, 1 / 3, 2 / 3], [1 / 4, 3 / 4, 1 / 2], [0, 0, 0]])
    assert found.dominant == ("insect", "mammal", "")
    np.testing.assert_allclose(found.purity, [2 / 3, 3 / 4, 0])
    assert found.mean_purity == pytest.approx((2 + 3 + 0) / 8)
    assert found.words[1] == ("bee", "cat", "dog", "gnu")
    assert found.attributes(words=2)["words"] == ["ant, bee", "bee, cat", "eel"]
    assert GRAPH.home.tolist() == [0, 0, 0, 1, 2, -1, 1]
    assert GRAPH.coverage == 6 / 7


def test_bridges_by_hand() -> None:
    (bridge,) = geo.maps.bridges(GRAPH, LABELLED)
    assert bridge.nodes == (0, 1)
    assert bridge.concepts == ("insect", "mammal")
    assert bridge.between
    assert bridge.words == ("bee", "cat")
    # Both shared words fly, 2 of the 5 in either node; insects and mammals are rarer here than in their own node.
    ((name, share, of_both, p),) = bridge.enriched
    assert (name, share, of_both) == ("flying", 1.0, 0.4)
    assert p == pytest.approx(hypergeom.sf(1, 5, 2, 2))
    assert bridge.to_dict()["enriched"][0]["share_of_both"] == 0.4


def test_graphs_of_other_points_are_refused() -> None:
    other = geo.maps.LabelledPoints(np.eye(6), {"a": np.array([0])})
    for refuse in (geo.maps.node_concepts, geo.maps.bridges):
        with pytest.raises(geo.errors.EstimationError, match="7 points does not belong to 6"):
            refuse(GRAPH, other)
