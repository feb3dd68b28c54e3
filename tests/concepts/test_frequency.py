"""Ranks of words against GloVe's own list, and what ranks lemmas of hierarchies get."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

import geometry as geo
from geometry.concepts.wordnet_table import packaged_rows, wordnet_table


@pytest.fixture(scope="module")
def glove_words() -> list[str]:
    path = geo.models.cached_path(geo.models.CATALOGUE["glove-6b-100d"])
    if not path.exists():
        pytest.skip("GloVe's words are not there: run concept-geometry fetch glove-6b-100d to compare ranks with them")
    with path.open(encoding="utf-8") as file:
        start = file.read(8_000_000)  # the words come before 290 MB of vectors
    return json.JSONDecoder().raw_decode(start, start.index('"words":') + len('"words":'))[0]


def test_ranks_are_places_in_gloves_vocabulary(glove_words: list[str]) -> None:
    place = {word: rank for rank, word in enumerate(glove_words, start=1)}
    lemmas = {lemma.lower() for synset in wordnet_table().values() for lemma in synset.lemmas}
    assert len(glove_words) == 341479
    ranks = geo.concepts.word_ranks()
    single = {word: rank for word, rank in ranks.items() if " " not in word}
    assert single == {lemma: place[lemma] for lemma in lemmas & place.keys()}
    phrases = {lemma.replace("_", " "): lemma.split("_") for lemma in lemmas if "_" in lemma}
    rarest = {phrase: max(place[w] for w in words) for phrase, words in phrases.items() if set(words) <= place.keys()}
    assert {phrase: rank for phrase, rank in ranks.items() if " " in phrase} == rarest


def test_the_table_has_each_rank_once_in_an_entry_of_its_lemma() -> None:
    rows = list(packaged_rows())
    assert all(len(row) == 5 and len(row[3].split()) == len(row[4].split()) for row in rows)
    pairs = [pair for row in rows for pair in zip(row[3].lower().split(), row[4].split(), strict=True)]
    listed = [(lemma, rank) for lemma, rank in pairs if rank != "-"]
    single = [rank for lemma, rank in listed if "_" not in lemma]
    assert len(single) == len(set(single)) == 41816
    assert len(listed) == len(dict(listed)) == len(geo.concepts.word_ranks())
    ranks = geo.concepts.word_ranks()
    assert ranks["time"] < ranks["dog"] < ranks["wolf"] < ranks["aardvark"]
    assert all(word == word.lower() and "_" not in word for word in ranks)
    assert ranks["polar bear"] > ranks["bear"]


def ranks_of(hierarchy: geo.ConceptHierarchy) -> dict[str, float]:
    ranks = geo.concepts.lemma_frequency_ranks(hierarchy)
    assert ranks.shape == (hierarchy.lemmas.max() + 1,)
    assert ranks.dtype == np.float64
    return dict(zip(hierarchy.words, ranks[hierarchy.lemmas].tolist(), strict=True))


def built(tokens: str, words: str, forms: str = "noun") -> geo.ConceptHierarchy:
    vocabulary = geo.Vocabulary([f"Ġ{token}" for token in tokens.split()])
    return geo.concepts.hierarchy_from_words("toy", {"thing": words.split()}, {}, vocabulary, forms=forms)


def test_variants_share_the_rank_of_the_most_frequent_of_their_words() -> None:
    known = geo.concepts.word_ranks()
    nouns = ranks_of(built("Wolves dog Dogs leaves", "wolf dog leaf leave"))
    assert nouns["Wolves"] == known["wolf"]
    assert nouns["dog"] == nouns["Dogs"] == known["dog"]
    assert nouns["leaves"] == min(known["leaf"], known["leave"])
    assert ranks_of(built("walked walking", "walk", "verb")) == {"walked": known["walk"], "walking": known["walk"]}


def test_unknown_lemmas_are_placed_among_the_known_by_token_id() -> None:
    known = geo.concepts.word_ranks()
    ranks = ranks_of(built("dog qqa wolf qqb aardvark", "dog wolf aardvark qqa qqb"))
    assert (ranks["dog"], ranks["aardvark"]) == (known["dog"], known["aardvark"])
    assert ranks["qqa"] == (known["dog"] + known["wolf"]) / 2
    assert ranks["qqb"] == (known["wolf"] + known["aardvark"]) / 2
    # The smallest token id of a lemma counts.
    both = ranks_of(built("Qqa dog wolf qqa", "qqa dog wolf"))
    assert both["qqa"] == both["Qqa"] == known["dog"]
    assert ranks_of(built("qqa dog", "dog qqa"))["qqa"] == known["dog"]


def test_where_no_lemma_is_known_token_ids_rank() -> None:
    french = built("Chouette moineau hibou Moineau", "moineau hibou chouette", "case")
    assert ranks_of(french) == {"Chouette": 1, "moineau": 2, "hibou": 3, "Moineau": 2}
    assert ranks_of(built("qqa", "qqa")) == {"qqa": 1}


def test_sentences_rank_by_the_first_number_of_their_template() -> None:
    family = geo.concepts.load_behaviour(geo.concepts.packaged_behaviours()[0])
    prompts = geo.concepts.behaviour_prompts([family])
    ranks = geo.concepts.lemma_frequency_ranks(prompts)
    templates = list(dict.fromkeys(prompts.lemmas.tolist()))
    assert ranks[templates].tolist() == list(range(1, len(templates) + 1))


def test_smollm2s_nouns_are_nearly_all_known_in_rough_agreement_with_token_ids(
    smollm2_nouns: geo.ConceptHierarchy,
) -> None:
    known = geo.concepts.word_ranks()
    bases = {form.lower() for base, forms in smollm2_nouns.variants.items() if base.lower() in known for form in forms}
    found = np.unique([
        lemma for word, lemma in zip(smollm2_nouns.words, smollm2_nouns.lemmas, strict=True)
        if word.lower() in known or word.lower() in bases
    ])  # fmt: skip
    ranks = geo.concepts.lemma_frequency_ranks(smollm2_nouns)
    assert len(found) > 0.99 * len(ranks)
    smallest = smollm2_nouns.tokens[np.unique(smollm2_nouns.lemmas, return_index=True)[1]]
    assert 0.6 < spearmanr(ranks[found], smallest[found])[0] < 0.75
    assert (ranks == geo.concepts.lemma_frequency_ranks(smollm2_nouns)).all()
