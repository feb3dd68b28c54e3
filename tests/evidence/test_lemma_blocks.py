from collections import Counter

import numpy as np
import pytest

import geometry as geo
from geometry.evidence.lemma_blocks import LemmaBlocks

FORMS = {1: 260, 2: 90, 3: 12, 4: 1}  # of so many lemmas


def shuffled(values: list, seed: int) -> list:
    return [values[index] for index in np.random.default_rng(seed).permutation(len(values))]


@pytest.fixture(scope="module")
def made() -> geo.ConceptHierarchy:
    """Words that no list of frequencies knows, and so as rare as their token ids are high; half of them "some"."""
    sizes = shuffled([size for size, number in FORMS.items() for _ in range(number)], 0)
    variants = {
        f"zq{number}y": tuple(f"zq{number}y{form}x" for form in range(size)) for number, size in enumerate(sizes)
    }
    words = [form for forms in variants.values() for form in forms]
    vocabulary = geo.Vocabulary([f"Ġ{word}" for word in words])
    named = {"all": words, "most": words[3:], "some": words[::2]}
    concepts = tuple(geo.concepts.Concept.from_words(name, own, vocabulary) for name, own in named.items())
    return geo.ConceptHierarchy("made", concepts, {"most": ("all",), "some": ("all",)}, variants)


def permuted(hierarchy: geo.ConceptHierarchy, seed: int = 0) -> np.ndarray:
    return LemmaBlocks.of(hierarchy).permutation(np.random.default_rng(seed))


@pytest.fixture(params=["made", "smollm2_nouns"])
def hierarchy(request: pytest.FixtureRequest) -> geo.ConceptHierarchy:
    return request.getfixturevalue(request.param)


def test_every_row_is_used_once(hierarchy: geo.ConceptHierarchy) -> None:
    assert np.array_equal(np.sort(permuted(hierarchy)), np.arange(len(hierarchy.tokens)))


def test_lemmas_change_places_with_all_their_forms_in_order(hierarchy: geo.ConceptHierarchy) -> None:
    rows = permuted(hierarchy)
    for lemma in range(int(hierarchy.lemmas.max()) + 1):
        own = np.flatnonzero(hierarchy.lemmas == lemma)
        assert np.array_equal(rows[own], np.flatnonzero(hierarchy.lemmas == hierarchy.lemmas[rows[own[0]]]))


def test_strata_divide_the_words_and_are_not_left(hierarchy: geo.ConceptHierarchy) -> None:
    blocks = LemmaBlocks.of(hierarchy)
    every = np.concatenate([stratum.ravel() for stratum in blocks.strata])
    assert np.array_equal(np.sort(every), np.arange(len(hierarchy.tokens)))
    rows = permuted(hierarchy)
    for stratum in blocks.strata:
        assert set(rows[stratum].ravel()) == set(stratum.ravel())
        assert (hierarchy.lemmas[stratum] == hierarchy.lemmas[stratum[:, :1]]).all()


def test_strata_have_twenty_lemmas_or_all_of_as_many_forms(hierarchy: geo.ConceptHierarchy) -> None:
    strata = LemmaBlocks.of(hierarchy).strata
    forms = Counter(Counter(hierarchy.lemmas.tolist()).values())
    for stratum in strata:
        assert len(stratum) >= 20 or len(stratum) == forms[stratum.shape[1]]
    assert max(sum(stratum.shape[1] == size for stratum in strata) for size in forms) > 5


def test_strata_of_made_words_are_as_counted_by_hand(made: geo.ConceptHierarchy) -> None:
    blocks = LemmaBlocks.of(made)
    sizes = Counter(stratum.shape[1] for stratum in blocks.strata)
    assert sizes[1] in range(8, 13)  # six or seven lemmas a band, so that three or four bands are joined
    assert sizes[2] in (3, 4)  # two a band
    assert (sizes[3], sizes[4]) == (1, 1)
    assert blocks.fixed == 1


def test_lemmas_change_places_with_lemmas_as_frequent(made: geo.ConceptHierarchy) -> None:
    ranks = geo.concepts.lemma_frequency_ranks(made)
    assert np.array_equal(np.argsort(ranks), np.unique(made.lemmas[np.argsort(made.tokens)], return_index=True)[0])
    quantiles = np.argsort(np.argsort(ranks)) / len(ranks)
    rows = permuted(made)
    forms = np.bincount(made.lemmas)[made.lemmas]
    moved = np.abs(quantiles[made.lemmas[rows]] - quantiles[made.lemmas])
    assert moved[forms == 1].max() <= 0.15
    assert moved[forms == 2].max() <= 0.4
    assert moved[forms == 1].mean() > 0.02


def test_frequency_of_real_nouns_survives(smollm2_nouns: geo.ConceptHierarchy) -> None:
    ranks = np.argsort(np.argsort(geo.concepts.lemma_frequency_ranks(smollm2_nouns)))[smollm2_nouns.lemmas]
    rows = permuted(smollm2_nouns)
    assert np.corrcoef(ranks, ranks[rows])[0, 1] > 0.95
    assert (rows != np.arange(len(rows))).mean() > 0.95


def test_concepts_keep_their_sizes_in_words_and_lemmas(hierarchy: geo.ConceptHierarchy) -> None:
    rows = permuted(hierarchy)
    for members in hierarchy.members:
        assert len(np.unique(rows[members])) == len(members)
        before, after = (len(np.unique(hierarchy.lemmas[own])) for own in (members, rows[members]))
        assert before == after


def test_generators_decide(made: geo.ConceptHierarchy) -> None:
    assert np.array_equal(permuted(made), permuted(made))
    assert not np.array_equal(permuted(made), permuted(made, seed=1))
