import numpy as np
import pytest

import geometry as geo


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
