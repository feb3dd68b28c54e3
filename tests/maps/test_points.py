import numpy as np
import pytest
import torch

import geometry as geo
from tests.planted import Planted


def test_a_concepts_tokens_are_labelled_by_its_children(planted: Planted) -> None:
    cloud = geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    found = geo.maps.LabelledPoints.of_concept(cloud, "animal")
    assert list(found.members) == ["mammal", "bird"]
    for name, positions in found.members.items():
        assert {found.names[point] for point in positions} == set(planted.hierarchy[name].words)
    rows = cloud.points[torch.from_numpy(planted.hierarchy.members[planted.hierarchy.index("animal")])]
    np.testing.assert_array_equal(found.points, rows.float().numpy())
    assert set(geo.maps.LabelledPoints.of_concept(cloud, "thing", ["bird"]).members) == {"bird"}


def test_classes_of_plain_arrays() -> None:
    found = geo.maps.LabelledPoints.of_classes(np.arange(8).reshape(4, 2), ["b", "a", "", "b"])
    assert {name: positions.tolist() for name, positions in found.members.items()} == {"b": [0, 3], "a": [1]}
    assert found.incidence.toarray().tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]
    assert found.names == ("0", "1", "2", "3")


def test_a_word_can_be_taken_once() -> None:
    members = {"a": np.array([0, 2]), "b": np.array([1]), "c": np.array([1, 3])}
    labelled = geo.maps.LabelledPoints(np.eye(4), members, ("cat", "Cat", "dog", "Dog"), np.array([5, 5, 2, 2]))
    found = labelled.one_per_group()
    assert found.names == ("cat", "dog")
    assert {name: positions.tolist() for name, positions in found.members.items()} == {"a": [0, 1]}
    np.testing.assert_array_equal(found.points, np.eye(4)[[0, 2]])
    assert found.groups.tolist() == [5, 2]
    for rows in ([], [1, 0], [0, 0, 1], [0, 4], [-1, 2], [0.5, 1]):
        with pytest.raises(geo.errors.EstimationError, match="ascending positions in 0 … 3"):
            labelled.select(np.array(rows))


GOOD = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (np.array([[1.0, np.nan], [1, 2]]), "1 of 2 rows hold NaN"),
        (np.array([[1e300, 0], [1, 2]]), "infinite"),
        (np.ones((4, 3)), "all 4 rows are equal"),
        (np.ones(4), "must be a matrix"),
        (np.ones((1, 3)), "too few"),
        (np.array([["a", "b"], ["c", "d"]]), "must be a matrix of numbers"),
    ],
)
def test_points_that_cannot_be_mapped_are_refused(points: np.ndarray, says: str) -> None:
    for refuse in (
        lambda: geo.maps.LabelledPoints(points, {"a": np.array([0])}),
        lambda: geo.maps.nearest_neighbours(points, 1),
        lambda: geo.umap_embedding(points),
        lambda: geo.maps.trustworthiness(points, GOOD),
    ):
        with pytest.raises(geo.errors.EstimationError, match=says):
            refuse()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"members": {}}, "at least one concept"),
        ({"members": {"a": np.array([], dtype=int)}}, "'a' has no points"),
        ({"members": {"a": np.array([0, 3])}}, "must lie in 0 … 2"),
        ({"members": {"a": np.array([1, 1])}}, "not repeat"),
        ({"members": {"a": np.array([-1])}}, "must lie in"),
        ({"members": {"a": np.array([1])}, "names": ("x",)}, "as many names"),
        ({"members": {"a": np.array([1])}, "groups": np.array([1, 2])}, "as many names and groups"),
    ],
)
def test_labels_that_do_not_fit_are_refused(arguments: dict, says: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=says):
        geo.maps.LabelledPoints(GOOD, **arguments)
    with pytest.raises(geo.errors.EstimationError, match="as many labels"):
        geo.maps.LabelledPoints.of_classes(GOOD, ["a"])
    with pytest.raises(geo.errors.EstimationError, match="cannot be moved"):
        geo.maps.LabelledPoints(GOOD, {"a": np.array([0])}).moved(np.eye(2))


def test_a_concept_without_children_needs_labels(planted: Planted) -> None:
    cloud = geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    with pytest.raises(geo.errors.EstimationError, match="has no children"):
        geo.maps.LabelledPoints.of_concept(cloud, "bird")
    with pytest.raises(geo.errors.HierarchyError, match="did you mean"):
        geo.maps.LabelledPoints.of_concept(cloud, "birds")
    with pytest.raises(geo.errors.EstimationError, match="'tree' has no points"):
        geo.maps.LabelledPoints.of_concept(cloud, "animal", ["tree"])
