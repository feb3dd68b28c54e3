"""Statistics of the tree that are no claims: beside nulls and twins, with the claims, and refused with a reason."""

import numpy as np
import pytest

import geometry as geo
from geometry.errors import EstimationError
from tests.evidence.statistics.known import fitted, planted_cloud, regular
from tests.planted import nested_words, synthetic

STATISTICS = [
    geo.evidence.spectral_splitting(),
    geo.evidence.spectral_order(),
    geo.evidence.depth_probe(),
    geo.evidence.distance_probe(),
    geo.evidence.hyperbolicity(),
]
DRAWN = ("random_subset", "random_parent")


def planted(levels: tuple[int, ...], per_leaf: int = 8) -> tuple[geo.CausalSpace, geo.ConceptHierarchy]:
    """The tree of `planted_cloud` among so many other rows that the causal inner product hardly changes it."""
    words, parents = nested_words(levels, per_leaf)
    cloud = planted_cloud(regular(levels, per_leaf), (1.0,) * len(levels), noise=0.15)
    rng = np.random.default_rng(1)
    # Permutations stay within bands of frequency, so that this must not follow the tree.
    order = rng.permutation(len(words["r"]))
    words["r"], own = [words["r"][index] for index in order], cloud.points.numpy()[order]
    fillers = rng.standard_normal((5000, own.shape[1]))
    unembedding, hierarchy = synthetic(np.concatenate([own, fillers]), words, parents)
    return geo.CausalSpace.fit(unembedding), hierarchy


@pytest.fixture(scope="module")
def tree() -> tuple[geo.CausalSpace, geo.ConceptHierarchy]:
    return planted((3, 4, 3))


def test_a_planted_tree_stands_out_from_all_permutations(tree: tuple[geo.CausalSpace, geo.ConceptHierarchy]) -> None:
    space, hierarchy = tree
    options = {"nulls": list(geo.NULLS), "n_permutations": 5, "seed": 3, "progress": False}
    results = geo.test_against_nulls(space, hierarchy, STATISTICS, **options)
    for name in ("spectral_splitting", "spectral_order", "distance_probe"):
        result = results[name]
        for null in ("permuted", "shuffled", "gaussian"):
            assert result.value > np.nanmean(result.nulls[null].values, axis=1).max(), (name, null)
    assert results["hyperbolicity"].value < results["hyperbolicity"].nulls["permuted"].values.min()
    for result in results:
        assert not set(result.nulls) & set(DRAWN)
        assert {"permuted", "shuffled", "gaussian", "random_metric", "euclidean"} <= set(result.nulls)
        assert all(null.values.shape[1] == len(result.labels) for null in result.nulls.values())
    again = geo.test_against_nulls(space, hierarchy, STATISTICS, **options)
    for one, other in zip(results, again, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        for null in one.nulls:
            np.testing.assert_array_equal(one.nulls[null].values, other.nulls[null].values)


def test_they_go_with_the_claims_and_change_none(tree: tuple[geo.CausalSpace, geo.ConceptHierarchy]) -> None:
    space, hierarchy = tree
    claims = [claim for claim in geo.CLAIMS if claim.name in ("existence", "tree-correlation", "quartets")]
    options = {"claims": claims, "n_permutations": 3, "n_others": 1, "n_twins": 2, "progress": False}
    alone = geo.evaluate_claims(space, hierarchy, **options)
    together = geo.evaluate_claims(space, hierarchy, also=STATISTICS, **options)
    assert [result.name for result in together] == [
        *(result.name for result in alone), *(statistic.name for statistic in STATISTICS)
    ]  # fmt: skip
    for result in alone:
        np.testing.assert_array_equal(result.values, together[result.name].values)
        assert result.p_value == together[result.name].p_value
    for statistic in STATISTICS:
        twins = together[statistic.name].twin
        assert all(np.isfinite(means).all() and len(means) == 2 for means in twins.values())
    assert not {statistic.name for statistic in STATISTICS} & {claim.statistic.name for claim in geo.CLAIMS}


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda statistic: statistic.name)
def test_too_small_hierarchies_say_what_they_lack(statistic: geo.Statistic) -> None:
    space, flat = planted((3,))
    with pytest.raises(EstimationError, match=rf"{statistic.name}: nothing to measure it on .* needs at least \d+ "):
        geo.test_against_nulls(space, flat, [statistic], nulls=["permuted"], n_permutations=1, progress=False)
    results = geo.test_against_nulls(
        space, flat, [statistic], nulls=["permuted"], n_permutations=1, missing="nan", progress=False
    )
    assert np.isnan(results[statistic.name].value)
    assert results[statistic.name].lacking == geo.evidence.lacking(statistic.requires, flat)


def test_points_in_single_precision_give_the_same() -> None:
    cloud = planted_cloud(regular((3, 4, 3)), (1.0, 1.0, 1.0), noise=0.4)
    single = cloud.moved(cloud.points.float())
    for statistic in (STATISTICS[0], STATISTICS[1], STATISTICS[4]):
        own, other = statistic.evaluate(fitted(cloud)), statistic.evaluate(fitted(single))
        np.testing.assert_allclose(own, other, atol=1e-4)
