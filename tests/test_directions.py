import pickle
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.directions import held_out_columns
from tests.planted import Planted


@pytest.fixture(scope="module")
def directions(smollm2_space: geo.CausalSpace, smollm2_nouns: geo.ConceptHierarchy) -> geo.ConceptDirections:
    return geo.ConceptDirections.fit(smollm2_space, smollm2_nouns)


def test_every_vector_is_the_one_fitted_alone(directions: geo.ConceptDirections) -> None:
    # Large concepts share sums with the concepts inside them; that must not show.
    cloud, hierarchy = directions.cloud, directions.hierarchy
    largest_first = sorted(range(len(hierarchy)), key=lambda index: -len(hierarchy.concepts[index]))
    for index in [*largest_first[:40:3], *largest_first[40::25]]:
        alone = geo.estimators.concept_vector(cloud.points[torch.from_numpy(hierarchy.members[index])])
        torch.testing.assert_close(directions.vectors[index], alone.vector, rtol=1e-8, atol=1e-9)
        assert directions.shrinkage[index] == pytest.approx(alone.shrinkage, rel=1e-8)


def test_names_reach_vectors(directions: geo.ConceptDirections) -> None:
    hierarchy = directions.hierarchy
    assert torch.equal(directions["animal.n.01"], directions.vectors[hierarchy.index("animal.n.01")])
    with pytest.raises(geo.errors.HierarchyError, match=r"did you mean animal\.n\.01"):
        directions["animal"]


def test_directions_are_a_mapping_of_names(planted: Planted) -> None:
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    names = ["thing", "animal", "tree", "mammal", "bird"]
    assert isinstance(directions, Mapping)
    assert sorted(directions) == sorted(names)
    assert tuple(directions) == tuple(directions.keys()) == directions.names == planted.hierarchy.names
    assert len(directions) == len(list(directions.items())) == 5
    for (name, vector), value, row in zip(directions.items(), directions.values(), directions.vectors, strict=True):
        assert torch.equal(vector, row)
        assert torch.equal(value, directions[name])
    assert torch.equal(torch.stack([*dict(directions).values()]), directions.vectors)
    assert "bird" in directions
    assert not any(stranger in directions for stranger in ("dog", 0, None, torch.ones(2), []))
    assert directions.get("dog") is None
    assert directions.get("dog", 3) == 3
    assert torch.equal(directions.get("bird"), directions["bird"])


def test_directions_are_compared_and_kept_as_objects(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    one, other = (geo.ConceptDirections.fit(space, planted.hierarchy) for _ in range(2))
    assert one == one
    assert one != other
    assert {one: 1}[one] == 1
    again = pickle.loads(pickle.dumps(one))  # noqa: S301 (our own bytes)
    assert again.names == one.names
    assert torch.equal(again.vectors, one.vectors)


def test_vectors_as_an_array_and_as_a_table(planted: Planted) -> None:
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    np.testing.assert_array_equal(directions.numpy(), directions.vectors.numpy())
    frame = directions.to_frame()
    assert frame.shape == (5, 48)
    assert list(frame.index) == list(directions)
    np.testing.assert_array_equal(frame.loc["bird"], directions["bird"].numpy())
    needing_gradients = replace(directions, vectors=directions.vectors.clone().requires_grad_())
    np.testing.assert_array_equal(needing_gradients.numpy(), directions.numpy())


def test_cosines_agree_with_sklearn(directions: geo.ConceptDirections) -> None:
    from sklearn.metrics.pairwise import cosine_similarity

    np.testing.assert_allclose(directions.cosines(), cosine_similarity(directions.vectors.numpy()), atol=1e-12)


def test_inner_products_are_those_of_vectors(directions: geo.ConceptDirections) -> None:
    vectors = directions.vectors.clone()
    vectors[3] = 0
    vectors[5] = torch.nan
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12), (torch.bfloat16, 0.02)):
        some = replace(directions, vectors=vectors.to(dtype))
        expected = some.vectors.double().numpy() @ some.vectors.double().numpy().T
        np.testing.assert_allclose(some.inner_products, expected, rtol=tolerance, atol=tolerance * expected[0, 0])
        cosines, others = some.cosines(), np.delete(np.arange(len(vectors)), [3, 5])
        assert np.all(cosines[3, others] == 0)
        assert np.isnan(cosines[5]).all()
        np.testing.assert_allclose(cosines.diagonal()[others], 1, atol=1e-12)


def test_scores_are_products_with_held_out_points(planted: Planted) -> None:
    train = np.arange(len(planted.hierarchy.tokens)) % 3 > 0
    space = geo.CausalSpace.fit(planted.unembedding)
    directions = geo.ConceptDirections.fit(space, planted.hierarchy, train=train)
    points = directions.cloud.points
    assert directions.scores.shape == (len(directions), (~train).sum())
    for index, columns in enumerate(held_out_columns(planted.hierarchy, train.tobytes())):
        expected = points[torch.from_numpy(directions.held_out(index))] @ directions.vectors[index]
        np.testing.assert_allclose(directions.scores[index, columns], expected.numpy(), atol=1e-12)


def test_earlier_directions_are_reused_and_checked(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    cloud = geo.directions.TokenCloud.of(space, planted.hierarchy)
    first = geo.ConceptDirections.fit_cloud(cloud)
    again = geo.ConceptDirections.fit_cloud(cloud, reuse=first)
    assert torch.equal(first.vectors, again.vectors)
    with pytest.raises(geo.errors.EstimationError, match="same points"):
        geo.ConceptDirections.fit_cloud(cloud, estimator="mean", reuse=first)
    with pytest.raises(geo.errors.EstimationError, match="training tokens"):
        some = np.arange(len(cloud.points)) % 2 == 0
        geo.ConceptDirections.fit_cloud(cloud, train=some, reuse=first)


@pytest.mark.parametrize("max_tokens", [1, 7, 29, 31])
def test_the_largest_concepts_are_thinned_evenly(planted: Planted, max_tokens: int) -> None:
    cloud = geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    train = np.arange(len(cloud.points)) % 10 != 3
    thinned = geo.ConceptDirections.fit_cloud(cloud, train=train, max_tokens=max_tokens)
    for index, members in enumerate(planted.hierarchy.members):
        usable = [token for token in members if train[token]]
        n = min(len(usable), max_tokens)
        if n < len(usable):
            usable = [usable[round(step * (len(usable) - 1) / (n - 1)) if n > 1 else 0] for step in range(n)]
        gaps = np.diff(np.searchsorted(members[train[members]], usable))
        assert len(set(usable)) == n
        assert n < 2 or gaps.max() - gaps.min() <= 1
        alone = geo.estimators.concept_vector(cloud.points[torch.tensor(usable)])
        torch.testing.assert_close(thinned.vectors[index], alone.vector, rtol=1e-8, atol=1e-9)
    assert thinned.max_tokens == max_tokens


def test_thinned_directions_are_reused_at_their_size_alone(planted: Planted) -> None:
    cloud = geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    ten = geo.ConceptDirections.fit_cloud(cloud, max_tokens=10)
    assert torch.equal(geo.ConceptDirections.fit_cloud(cloud, max_tokens=10, reuse=ten).vectors, ten.vectors)
    for other in (11, None):
        with pytest.raises(geo.errors.EstimationError, match="the same training tokens"):
            geo.ConceptDirections.fit_cloud(cloud, max_tokens=other, reuse=ten)
    with pytest.raises(geo.errors.EstimationError, match="at least one token, not 0"):
        geo.ConceptDirections.fit_cloud(cloud, max_tokens=0)


def test_concepts_without_training_words_may_be_missing(planted: Planted) -> None:
    cloud = geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    bird = planted.hierarchy.index("bird")
    train = np.ones(len(cloud.points), dtype=bool)
    train[planted.hierarchy.members[bird]] = False
    with pytest.raises(geo.errors.EstimationError, match="'bird' has no token in the training part"):
        geo.ConceptDirections.fit_cloud(cloud, train=train)
    directions = geo.ConceptDirections.fit_cloud(cloud, train=train, missing="nan")
    assert directions.vectors.isnan().all(dim=1).tolist() == [index == bird for index in range(5)]
    assert np.isnan(directions.shrinkage[bird])
    assert directions.degenerate[bird]


def test_planted_directions_are_found(planted: Planted) -> None:
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    cosine = torch.nn.functional.cosine_similarity
    mammal, bird, tree = (directions[name] for name in ("mammal", "bird", "tree"))
    animal = directions["animal"]
    # Orthogonal up to the noise of 30 words in 48 dimensions.
    assert abs(float(cosine(bird - mammal, animal, dim=0))) < 0.15
    assert float(cosine(mammal, animal, dim=0)) > 0.5
    assert abs(float(cosine(tree, animal, dim=0))) < 0.3


def test_misfits_are_refused(planted: Planted, smollm2_nouns: geo.ConceptHierarchy) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    with pytest.raises(geo.errors.EstimationError, match="build the hierarchy with this model's vocabulary"):
        geo.ConceptDirections.fit(space, smollm2_nouns)
    cloud = geo.directions.TokenCloud.of(space, planted.hierarchy)
    with pytest.raises(geo.errors.EstimationError, match="one bool per token"):
        geo.ConceptDirections.fit_cloud(cloud, train=np.ones(3, dtype=bool))
    with pytest.raises(geo.errors.EstimationError, match="one bool per token"):
        geo.ConceptDirections.fit_cloud(cloud, train=np.ones(len(cloud.points), dtype=int))
    with pytest.raises(geo.errors.EstimationError, match="finite points"):
        geo.ConceptDirections.fit_cloud(cloud.moved(cloud.points * torch.nan))
    with pytest.raises(geo.errors.EstimationError, match=r"'\w+' has no token in the training part"):
        geo.ConceptDirections.fit_cloud(cloud, train=np.zeros(len(cloud.points), dtype=bool))
    with pytest.raises(geo.errors.EstimationError, match="points have shape"):
        cloud.moved(cloud.points[:-1])


def test_large_concepts_of_identical_rows_are_flagged(planted: Planted) -> None:
    cloud = geo.directions.TokenCloud.of(geo.CausalSpace.fit(planted.unembedding), planted.hierarchy)
    flat = cloud.moved(cloud.points[:1].expand_as(cloud.points).clone())
    directions = geo.ConceptDirections.fit_cloud(flat)
    assert directions.degenerate.all()
    torch.testing.assert_close(directions.vectors, flat.points[: len(directions)])


def test_parameters_of_a_model_can_be_passed_as_they_are(planted: Planted) -> None:
    head = torch.nn.Parameter(planted.unembedding.matrix.clone())
    space = geo.CausalSpace.fit(geo.Unembedding(head, planted.unembedding.vocabulary))
    assert geo.ConceptDirections.fit(space, planted.hierarchy).cosines().shape == (5, 5)
