import numpy as np
import pytest

import geometry as geo
from geometry.evidence.splits import lemma_folds


def mask(hierarchy: geo.ConceptHierarchy, split: str, seed: int = 0, share: float = 0.7) -> np.ndarray:
    return geo.evidence.train_mask(hierarchy, split, np.random.default_rng(seed), share)


@pytest.mark.parametrize("split", ["token", "lemma"])
def test_every_concept_gives_up_close_to_its_share(smollm2_nouns: geo.ConceptHierarchy, split: str) -> None:
    train = mask(smollm2_nouns, split)
    assert train.mean() == pytest.approx(0.7, abs=0.01)
    shares = [train[members].mean() for members in smollm2_nouns.members]
    assert min(shares) > 0.4
    assert max(shares) < 0.95


def test_no_lemma_falls_on_both_sides(smollm2_nouns: geo.ConceptHierarchy) -> None:
    train = mask(smollm2_nouns, "lemma")
    assert not set(smollm2_nouns.lemmas[train]) & set(smollm2_nouns.lemmas[~train])
    token = mask(smollm2_nouns, "token")
    assert set(smollm2_nouns.lemmas[token]) & set(smollm2_nouns.lemmas[~token])


def test_halves_share_no_lemma(smollm2_nouns: geo.ConceptHierarchy) -> None:
    one, other = geo.evidence.training_parts("halves", mask(smollm2_nouns, "halves"))
    assert np.array_equal(other, ~one)
    assert not set(smollm2_nouns.lemmas[one]) & set(smollm2_nouns.lemmas[other])
    assert one.mean() == pytest.approx(0.5, abs=0.01)
    assert all(one[members].any() and other[members].any() for members in smollm2_nouns.members)


def test_seeds_decide(smollm2_nouns: geo.ConceptHierarchy) -> None:
    assert np.array_equal(mask(smollm2_nouns, "lemma"), mask(smollm2_nouns, "lemma"))
    assert not np.array_equal(mask(smollm2_nouns, "lemma"), mask(smollm2_nouns, "lemma", seed=1))
    assert mask(smollm2_nouns, "whole").all()


def test_bad_settings_are_refused(smollm2_nouns: geo.ConceptHierarchy) -> None:
    with pytest.raises(geo.errors.EstimationError, match="whole, token, lemma"):
        mask(smollm2_nouns, "word")
    for share in (0.0, 1.0, -1, float("nan")):
        with pytest.raises(geo.errors.EstimationError, match="between 0 and 1"):
            mask(smollm2_nouns, "token", share=share)


def folds(hierarchy: geo.ConceptHierarchy, n_folds: int, seed: int = 0) -> np.ndarray:
    return lemma_folds(hierarchy, n_folds, np.random.default_rng(seed))


@pytest.mark.parametrize("n_folds", [1, 2, 4, 5])
def test_folds_share_no_lemma(smollm2_nouns: geo.ConceptHierarchy, n_folds: int) -> None:
    fold = folds(smollm2_nouns, n_folds)
    assert np.array_equal(np.unique(fold), np.arange(n_folds))
    lemmas = [set(smollm2_nouns.lemmas[fold == number]) for number in range(n_folds)]
    assert sum(map(len, lemmas)) == len(set().union(*lemmas)) == smollm2_nouns.lemmas.max() + 1


@pytest.mark.parametrize("n_folds", [2, 4])
def test_every_concept_has_close_to_an_equal_share_in_each_fold(
    smollm2_nouns: geo.ConceptHierarchy, n_folds: int
) -> None:
    fold = folds(smollm2_nouns, n_folds)
    off = []
    for members in smollm2_nouns.members:
        lemmas, first = np.unique(smollm2_nouns.lemmas[members], return_index=True)
        shares = np.bincount(fold[members][first], minlength=n_folds) / len(lemmas)
        # A fair draw of each word by itself would be off by this much.
        off.append((shares - 1 / n_folds) / np.sqrt((1 - 1 / n_folds) / n_folds / len(lemmas)))
    assert np.sqrt(np.mean(np.square(off))) < 0.7
    assert np.abs(off).max() < 4


def test_every_fold_is_as_likely_to_be_the_larger(smollm2_nouns: geo.ConceptHierarchy) -> None:
    small = smollm2_nouns.members[int(np.argmin([len(own) for own in smollm2_nouns.members]))]
    counts = np.array([np.bincount(folds(smollm2_nouns, 4, seed)[small], minlength=4) for seed in range(60)])
    assert np.abs(counts.mean(axis=0) / counts.sum(axis=1).mean() - 0.25).max() < 0.06


def test_seeds_decide_folds(smollm2_nouns: geo.ConceptHierarchy) -> None:
    assert np.array_equal(folds(smollm2_nouns, 4), folds(smollm2_nouns, 4))
    assert not np.array_equal(folds(smollm2_nouns, 4), folds(smollm2_nouns, 4, seed=1))
