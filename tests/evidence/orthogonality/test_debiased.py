"""Products over folds against slow loops that know no inner products, and against vectors without noise."""

from itertools import permutations

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.directions import TokenCloud, thinned
from geometry.estimators import Estimator, concept_vector
from geometry.evidence.orthogonality import debiased
from geometry.evidence.orthogonality.comparisons import CLAIMED
from geometry.evidence.orthogonality.debiased import DebiasedDesign, Products
from geometry.evidence.splits import lemma_folds
from geometry.gram import RowGram
from geometry.randomness import generator
from tests.planted import nested_words, planted_tree, synthetic

WIDTH = 10


@pytest.fixture(scope="module")
def cloud() -> TokenCloud:
    unembedding, hierarchy = planted_tree((3, 3), 20, 40, 600)
    return TokenCloud.of(geo.CausalSpace.fit(unembedding), hierarchy)


@pytest.fixture(scope="module")
def design(cloud: TokenCloud) -> DebiasedDesign:
    return DebiasedDesign.of(cloud.hierarchy)


def slow_products(
    points: torch.Tensor, design: DebiasedDesign, claim: str, estimator: Estimator, pairs: str
) -> Products:
    """One comparison, one division and one pair of folds at a time."""
    comparisons = design.comparisons[claim]
    n_folds, sets = comparisons.n_folds, design.sets[comparisons.n_folds]
    squared, lengths = (np.zeros((design.n_splits, len(comparisons))) for _ in range(2))
    for split in range(design.n_splits):
        fold = lemma_folds(design.hierarchy, n_folds, generator(design.seed, f"{n_folds} folds", split))

        def vector(number: int, part: int, fold: np.ndarray = fold) -> np.ndarray:
            if number == -1:
                return np.zeros(points.shape[1])
            tokens = thinned(sets[number][fold[sets[number]] == part], debiased.FOLD_TOKENS)
            return concept_vector(points[torch.from_numpy(tokens)], estimator).vector.numpy()

        for index, (upper, lower, reference, base) in enumerate(comparisons.contrasts):
            if pairs == "unrelated":
                reference, base = comparisons.unrelated[index]
                if reference == -2:
                    squared[split, index] = lengths[split, index] = np.nan
                    continue
            c = [vector(upper, part) - vector(lower, part) for part in range(n_folds)]
            p = [vector(reference, part) - vector(base, part) for part in range(n_folds)]
            if n_folds == 2:
                squared[split, index] = ((c[0] @ p[0]) * (c[1] @ p[1]) + (c[0] @ p[1]) * (c[1] @ p[0])) / 2
                lengths[split, index] = (c[0] @ c[1]) * (p[0] @ p[1])
                continue
            roles = list(permutations(range(4)))
            for one, two, three, four in roles:
                squared[split, index] += (c[one] @ p[two]) * (c[three] @ p[four]) / len(roles)
                lengths[split, index] += (c[one] @ c[three]) * (p[two] @ p[four]) / len(roles)
    return Products(squared.mean(axis=0), lengths.mean(axis=0))


@pytest.mark.parametrize("estimator", ["lda", "mean"])
@pytest.mark.parametrize("claim", CLAIMED)
def test_products_are_those_of_slow_loops(
    claim: str, estimator: Estimator, cloud: TokenCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debiased, "FOLD_TOKENS", 12)
    design = DebiasedDesign.of(cloud.hierarchy)  # which keeps what it has thinned
    measured = design.measure(RowGram(cloud.points), estimator)[claim]
    for found, pairs in zip(measured, ("own", "unrelated"), strict=True):
        expected = slow_products(cloud.points, design, claim, estimator, pairs)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.nanmax(np.abs(other), initial=1))
    assert np.isfinite(measured[0].squared).all()
    assert np.isfinite(measured[1].squared).any() == (claim[-1] != "d")


def test_inner_products_that_are_not_kept_measure_alike(cloud: TokenCloud, design: DebiasedDesign) -> None:
    kept, formed = (design.measure(RowGram(cloud.points, kept=kept)) for kept in (True, False))
    for claim in CLAIMED:
        np.testing.assert_allclose(kept[claim][0].squared, formed[claim][0].squared, rtol=1e-9, atol=1e-12)


def test_claims_are_measured_alike_alone_and_together(cloud: TokenCloud, design: DebiasedDesign) -> None:
    for claim in CLAIMED:
        alone = DebiasedDesign.of(cloud.hierarchy, [claim]).measure(RowGram(cloud.points))
        assert list(alone) == [claim]
        np.testing.assert_allclose(alone[claim][0].squared, design.measure(RowGram(cloud.points))[claim][0].squared)


def test_seeds_decide(cloud: TokenCloud) -> None:
    gram = RowGram(cloud.points)
    one, same, other = (
        DebiasedDesign.of(cloud.hierarchy, ["orthogonality-b"], seed=seed).measure(gram)["orthogonality-b"][0].squared
        for seed in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_divisions_without_a_word_in_a_fold_do_not_count() -> None:
    full, empty = Products(np.array([1.0, 2.0]), np.array([3.0, 4.0])), np.array([np.nan, 6.0])
    found = debiased._mean([full, Products(empty, empty)])
    assert found.squared.tolist() == [1, 4]
    assert found.lengths.tolist() == [3, 5]
    assert np.isnan(debiased._mean([Products(empty, empty)]).squared).tolist() == [True, False]


def test_a_hierarchy_without_edges_is_measured_empty() -> None:
    words, parents = nested_words((), 20)
    unembedding, hierarchy = synthetic(np.random.default_rng(0).standard_normal((60, 8)), words, parents)
    cloud = TokenCloud.of(geo.CausalSpace.fit(unembedding), hierarchy)
    for own, unrelated in DebiasedDesign.of(hierarchy).measure(RowGram(cloud.points)).values():
        assert own.squared.shape == unrelated.lengths.shape == (0,)


@pytest.fixture(scope="module")
def noisy() -> tuple[geo.ConceptHierarchy, np.ndarray]:
    """A tree whose every concept has a centre of its own, none orthogonal to another, and its words' centres."""
    words, parents = nested_words((3, 3), 17)
    rng = np.random.default_rng(2)
    added = {name: rng.standard_normal(WIDTH) / 2 for name in words}
    _, hierarchy = synthetic(rng.standard_normal((400, WIDTH)), words, parents)
    centres = np.stack([
        sum(added[name] for name, own in words.items() if word in own) for word in hierarchy.words
    ])  # fmt: skip
    return hierarchy, centres


@pytest.mark.parametrize("claim", CLAIMED)
def test_noise_has_no_part_in_the_expectation(claim: str, noisy: tuple[geo.ConceptHierarchy, np.ndarray]) -> None:
    hierarchy, centres = noisy
    design = DebiasedDesign.of(hierarchy, [claim], n_splits=1)

    def sums(points: np.ndarray) -> np.ndarray:
        own = design.measure(RowGram(torch.from_numpy(points), kept=False), "mean")[claim][0]
        return np.array([own.squared.sum(), own.lengths.sum()])

    rng = np.random.default_rng(3)
    noise = 2 * rng.standard_normal((250, *centres.shape))
    drawn = np.array([sums(centres + one) for one in noise])
    error = drawn.std(axis=0, ddof=1) / np.sqrt(len(drawn))
    truth = sums(centres)
    assert (np.abs(drawn.mean(axis=0) - truth) < 3.5 * error).all()

    # The same from all words at once, whose noise is squared, is far off: the draws could have told.
    contrasts = design.comparisons[claim].contrasts
    sets = design.sets[CLAIMED[claim][1]]

    def plain(points: np.ndarray) -> np.ndarray:
        means = np.stack([*(points[tokens].mean(axis=0) for tokens in sets), np.zeros(WIDTH)])
        c, p = means[contrasts[:, 0]] - means[contrasts[:, 1]], means[contrasts[:, 2]] - means[contrasts[:, 3]]
        squared = np.square(np.einsum("md,md->m", c, p))
        return np.array([squared.sum(), (np.square(c).sum(axis=1) * np.square(p).sum(axis=1)).sum()])

    biased = np.array([plain(centres + one) for one in noise])
    off = biased.mean(axis=0) - plain(centres)
    assert (np.abs(off) > 5 * biased.std(axis=0, ddof=1) / np.sqrt(len(biased))).all()
