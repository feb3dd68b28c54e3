import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

import geometry as geo
from tests.maps.clouds import two_blobs, unlabelled
from tests.planted import Planted


def test_projections_are_on_vectors_fitted_to_the_labels() -> None:
    blobs = two_blobs(width=4)
    found = geo.maps.projection_lens(estimator="mean")(blobs)
    for column, name in enumerate(("one", "two")):
        vector = blobs.points[blobs.members[name]].mean(axis=0, dtype=float)
        np.testing.assert_allclose(found[:, column], blobs.points @ vector / np.linalg.norm(vector), rtol=1e-5)
    np.testing.assert_allclose(geo.maps.projection_lens(["two"], estimator="mean")(blobs)[:, 0], found[:, 1])
    with pytest.raises(geo.errors.EstimationError, match="no points are labelled 'three'"):
        geo.maps.projection_lens(["three"])(blobs)


def test_principal_components_are_sklearns_up_to_sign() -> None:
    points = np.random.default_rng(0).standard_normal((50, 4)) * [1, 4, 2, 3] + 7
    found = geo.maps.pca_lens(3)(unlabelled(points))
    np.testing.assert_allclose(np.abs(found), np.abs(PCA(3).fit_transform(points)), atol=1e-4)
    with pytest.raises(geo.errors.EstimationError, match="no 5 principal"):
        geo.maps.pca_lens(5)(unlabelled(points))


def test_eccentricity_grows_outwards() -> None:
    points = np.random.default_rng(0).standard_normal((200, 3))
    found = geo.maps.eccentricity_lens(sample=200)(unlabelled(points)).ravel()
    expected = np.linalg.norm(points[:, None] - points, axis=2).mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    sampled = geo.maps.eccentricity_lens(sample=60)(unlabelled(points)).ravel()
    assert np.corrcoef(sampled, expected)[0, 1] > 0.95
    with pytest.raises(geo.errors.EstimationError, match="at least one point"):
        geo.maps.eccentricity_lens(sample=0)(unlabelled(points))


def test_depth_is_that_of_the_deepest_concept(planted: Planted) -> None:
    cloud = geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    labelled = geo.maps.LabelledPoints.of_concept(cloud, "thing")
    depths = geo.maps.lens_values(geo.maps.depth_lens(planted.hierarchy, "thing"), labelled).ravel()
    expected = {"mammal": 2, "bird": 2, "tree": 1}
    assert depths.tolist() == [expected[word.split("x")[0]] for word in labelled.names]


@pytest.mark.parametrize(
    "values",
    [np.arange(6.0), list(range(6)), torch.arange(6.0, requires_grad=True), [[n] for n in range(6)]],
    ids=["array", "list", "tensor", "rows"],
)
def test_a_lens_may_be_its_values(values: object) -> None:
    points = unlabelled(np.random.default_rng(0).normal(size=(6, 2)))
    np.testing.assert_array_equal(geo.maps.lens_values(values, points), np.arange(6.0)[:, None])


@pytest.mark.parametrize(
    ("lens", "says"),
    [
        ("pca", "lens must be a function or"),
        (None, "lens must be a function or"),
        ({"a": 1}, "must be numbers, not object"),
        (["a"] * 6, "must be numbers, not <U1"),
        ([[1], [1, 2]], "must be numbers, one or a row a point"),
        (lambda points: None, r"each of 6 points a number or a row, not \(\)"),  # noqa: ARG005
        (lambda points: [[1], [1, 2]], "each of 6 points a number or a row: "),  # noqa: ARG005
    ],
    ids=["text", "none", "mapping", "texts", "ragged", "nothing", "ragged function"],
)
def test_what_is_no_lens_is_one_line(lens: object, says: str) -> None:
    points = unlabelled(np.random.default_rng(0).normal(size=(6, 2)))
    with pytest.raises(geo.GeometryError, match=says):
        geo.mapper(points, lens)
