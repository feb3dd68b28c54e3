import numpy as np
import pytest

import geometry as geo
from geometry.maps.points import group_exchange

# On a line, two nearest each: 0 → 1, 2; 1 → 0, 2; 2 → 1, 0; 3 → 4, 5; 4 → 3, 5; 5 → 4, 3.
POINTS = np.array([0.0, 1, 2.1, 10, 11, 12.1])[:, None]


def test_purity_by_hand() -> None:
    labelled = geo.maps.LabelledPoints(POINTS, {"low": np.array([0, 1, 2]), "odd": np.array([1, 3, 4]), "lone": [5]})
    result = geo.maps.neighbourhood_purity(labelled, geo.maps.nearest_neighbours(POINTS, 2))
    # odd: 1 → none of 0, 2; 3 → 4 of 4, 5; 4 → 3 of 3, 5.
    np.testing.assert_allclose(result.values, [1, (0 + 1 / 2 + 1 / 2) / 3, 0])
    assert result.labels == ("low", "odd", "lone")
    # A permutation's chance that a neighbour belongs is (size − 1)/(n − 1).
    np.testing.assert_allclose(result.nulls["shuffled"].values.mean(axis=0), [0.4, 0.4, 0], atol=0.08)


def test_neighbours_of_the_same_word_do_not_count() -> None:
    members = {"a": np.array([0, 1]), "b": np.array([2, 3, 4])}
    groups = np.array([7, 7, 8, 9, 9, 10])
    nearest = geo.maps.nearest_neighbours(POINTS, 2)
    result = geo.maps.neighbourhood_purity(geo.maps.LabelledPoints(POINTS, members, groups=groups), nearest)
    # a: 0 → 2 alone counts, 1 → 2 alone; b: 2 → 0, 1; 3 → 5 alone, 4 → 5 alone.
    assert result.values.tolist() == [0, 0]
    alone = geo.maps.LabelledPoints(POINTS, members, groups=np.array([0, 0, 0, 1, 1, 1]))
    assert np.isnan(geo.maps.neighbourhood_purity(alone, nearest).values).all()


def test_groups_are_exchanged_whole_among_their_like() -> None:
    groups, strata = np.array([4, 2, 4, 2, 1, 5, 6, 6]), np.array([0, 0, 0, 0, 0, 1, 1, 1])
    seen = set()
    for seed in range(50):
        order = group_exchange(groups)(np.random.default_rng(seed))
        assert sorted(order) == list(range(8))
        assert len({(a, b) for a, b in zip(groups, groups[order], strict=True)}) == 5
        seen.add(int(groups[order][0]))
        bound = group_exchange(groups, strata)(np.random.default_rng(seed))
        assert np.array_equal(strata[bound], strata)
        assert bound[[6, 7]].tolist() == [6, 7]
    assert seen == {2, 4, 6}


def test_planted_concepts_are_pure_and_arbitrary_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((300, 10))
    points[:40, 0] += 6
    members = {"planted": np.arange(40), "arbitrary": rng.permutation(300)[:40]}
    labelled = geo.maps.LabelledPoints(points, members)
    result = geo.maps.neighbourhood_purity(labelled, geo.maps.nearest_neighbours(points, 10))
    planted, arbitrary = result.values
    assert planted > 0.9
    assert arbitrary == pytest.approx(39 / 299, abs=0.06)
    shuffled = result.nulls["shuffled"].values
    assert planted > shuffled[:, 0].max()
    assert shuffled[:, 1].min() <= arbitrary <= shuffled[:, 1].max()
    assert result.p_value == 0.01


def test_purity_refuses_what_does_not_fit() -> None:
    labelled = geo.maps.LabelledPoints(POINTS, {"a": np.array([0])})
    with pytest.raises(geo.errors.EstimationError, match="neighbours of as many, not of 5"):
        geo.maps.neighbourhood_purity(labelled, geo.maps.nearest_neighbours(POINTS[1:], 2))
    with pytest.raises(geo.errors.EstimationError, match="strata"):
        geo.maps.neighbourhood_purity(labelled, geo.maps.nearest_neighbours(POINTS, 2), strata=np.zeros(3, int))
