"""Claims of orthogonality on a cloud against the parts that they are made of."""

import numpy as np
import pytest

import geometry as geo
from geometry.directions import TokenCloud
from geometry.evidence import DebiasedDesign, PooledCosine, TheoryTwin
from geometry.evidence.orthogonality.evaluate import evaluate_orthogonality
from geometry.gram import RowGram
from tests.planted import planted_tree

CLAIMS = [claim for claim in geo.CLAIMS if claim.orthogonality]


@pytest.fixture(scope="module")
def space_and_cloud() -> tuple[geo.CausalSpace, TokenCloud]:
    unembedding, hierarchy = planted_tree((3, 3), per_leaf=17, width=40, rows=600, scattered=True)
    space = geo.CausalSpace.fit(unembedding)
    return space, TokenCloud.of(space, hierarchy)


def evaluated(
    space: geo.CausalSpace, cloud: TokenCloud, **options: object
) -> dict[str, geo.evidence.OrthogonalityResult]:
    published = geo.test_against_nulls(space, cloud, [claim.statistic for claim in CLAIMS], n_permutations=1)
    options = {"twin": TheoryTwin.of(cloud), "n_twins": 2, "products": {}, **options}
    return evaluate_orthogonality(space, cloud, CLAIMS, published, **options)


def by_hand(cloud: TokenCloud, claim: str, estimator: str) -> float:
    design = DebiasedDesign.of(cloud.hierarchy, [claim.name for claim in CLAIMS], seed=5)
    own, _ = design.measure(RowGram(cloud.points), estimator)[claim]
    return PooledCosine(own, design.comparisons[claim].family).value


def test_model_twins_and_products_are_measured_on_the_same_comparisons(
    space_and_cloud: tuple[geo.CausalSpace, TokenCloud],
) -> None:
    space, cloud = space_and_cloud
    twin = TheoryTwin.of(cloud)
    results = evaluated(space, cloud, twin=twin, products={"euclidean": geo.NULLS["euclidean"]}, seed=5)
    assert list(results) == [claim.name for claim in CLAIMS]
    euclidean = geo.NULLS["euclidean"].draw(space, cloud, np.random.default_rng(0))
    for name, result in results.items():
        assert result.value == pytest.approx(by_hand(cloud, name, "lda"))
        assert result.by_estimator["mean"].value == pytest.approx(by_hand(cloud, name, "mean"))
        for number in (0, 1):
            exact, tilted = (by_hand(twin.cloud(5000 + number, tilt=tilt), name, "lda") for tilt in (0.0, 0.3))
            assert result.twin["exact"][number] == result.exact[number].value == pytest.approx(exact, abs=1e-4)
            assert result.twin["tilted"][number] == result.tilted[number].value == pytest.approx(tilted, abs=1e-4)
        assert result.products["euclidean"].value == pytest.approx(by_hand(euclidean, name, "lda"), abs=1e-4)
        assert result.cosine.n == result.exact[0].n == result.products["euclidean"].n


def test_claims_whose_contrasts_share_words_are_calibrated(
    space_and_cloud: tuple[geo.CausalSpace, TokenCloud],
) -> None:
    results = evaluated(*space_and_cloud)
    assert {name for name, result in results.items() if result.calibrated} == {"orthogonality-a", "orthogonality-d"}
    # There the theory itself is far from 0.
    assert results["orthogonality-a"].ends[1] > 0.2
    assert abs(results["orthogonality-b"].ends[1]) < 0.1


def test_results_carry_the_claim_and_the_cosine_as_published(
    space_and_cloud: tuple[geo.CausalSpace, TokenCloud],
) -> None:
    for claim, result in zip(CLAIMS, evaluated(*space_and_cloud).values(), strict=True):
        assert (result.name, result.title, result.measure) == (claim.name, claim.title, claim.measure)
        assert result.subject == "synthetic"
        assert result.related["published"].name == claim.statistic.name
        assert result.rule is claim.rule
        assert set(result.labels) <= set(space_and_cloud[1].hierarchy.names)


def test_without_twins_the_cosine_is_measured_all_the_same(
    space_and_cloud: tuple[geo.CausalSpace, TokenCloud],
) -> None:
    for result in evaluated(*space_and_cloud, twin=None, n_twins=0).values():
        assert np.isfinite(result.value)
        assert result.twin == {}
        assert result.power == {}
        assert np.isnan(result.ends).all()
        assert result.verdict.startswith(("inconclusive", "not measurable"))
