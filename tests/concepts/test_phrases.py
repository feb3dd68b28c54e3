"""Every phrase one entry, by its words' frequency or of whatever words; WordNet and files over it."""

import pickle
from pathlib import Path
from typing import Any

import pytest

import geometry as geo
from geometry.concepts import AnyPhrase, Concept, word_ranks

OWN = {"bear": {"white": ["polar bear"], "brown": ["Kodiak", "jack-o'-lantern"]}, "tree": ["oak", "Straße"]}


@pytest.fixture(scope="module")
def frequent() -> AnyPhrase:
    return AnyPhrase(20_000)


@pytest.fixture(scope="module")
def animals(frequent: AnyPhrase) -> geo.ConceptHierarchy:
    return geo.concepts.wordnet_hierarchy("noun", frequent, below="animal.n.01", min_words=3)


def test_every_phrase_has_one_number_and_is_written_as_it_was_asked_for() -> None:
    phrases = AnyPhrase()
    asked = ["polar bear", "oak", "Oak", "jack-o'-lantern", "crème brûlée", "北极熊", "one two three four", "🐻"]
    numbers = [phrases.word_id(phrase) for phrase in asked]
    assert numbers == list(range(1, len(asked) + 1))
    assert [phrases.word_id(phrase) for phrase in reversed(asked)] == numbers[::-1]
    assert [phrases.text(number) for number in numbers if number] == [f" {phrase}" for phrase in asked]
    assert len(phrases) == 1 + len(asked)
    assert list(phrases.words) == asked


@pytest.mark.parametrize("wrong", ["", " ", "a  b", " a", "a ", "a\tb", "a\u00a0b", "\n"], ids=repr)
def test_spaces_that_are_not_single_ones_between_words_make_no_phrase(wrong: str) -> None:
    assert AnyPhrase().word_id(wrong) is None


def test_a_phrase_is_as_frequent_as_wordnet_has_it_or_as_its_rarest_word() -> None:
    ranks = word_ranks()
    assert "bear ice" not in ranks
    rarest = max(ranks["bear"], ranks["ice"])
    for phrase, rank in [("bear", ranks["bear"]), ("polar bear", ranks["polar bear"]), ("bear ice", rarest)]:
        assert AnyPhrase(rank).word_id(phrase) == 1
        assert AnyPhrase(rank - 1).word_id(phrase) is None
        assert AnyPhrase(rank).word_id(phrase.upper()) == 1
    assert AnyPhrase(20_000).word_id("bear qqqq") is None
    assert AnyPhrase(None).word_id("bear qqqq") == 1


@pytest.mark.parametrize("most", [0, -1])
def test_a_limit_below_1_is_refused(most: int) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=f"most_frequent must be at least 1, or None.*, not {most}"):
        AnyPhrase(most)


@pytest.mark.parametrize("most", [True, 1.5, "many"], ids=repr)
def test_a_limit_that_is_no_number_is_refused(most: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match="most_frequent must be a whole number or None"):
        AnyPhrase(most)


def test_it_is_pickled_with_its_numbers() -> None:
    phrases = AnyPhrase(20_000)
    phrases.word_id("polar bear")
    again = pickle.loads(pickle.dumps(phrases))  # noqa: S301 (our own)
    assert again.word_id("ice cream") == 2
    assert again.text(1) == " polar bear"
    assert phrases.word_id("oak") == 2


def test_wordnet_over_it_has_phrases(animals: geo.ConceptHierarchy) -> None:
    for name in ("bear.n.01", "carnivore.n.01", "mammal.n.01", "animal.n.01"):
        assert {"polar bear", "brown bear"} <= set(animals[name].words)
    assert "polar bear" not in animals["dog.n.01"].words
    assert len([word for word in animals.words if " " in word]) > 500
    assert "gyrfalcon" not in animals.words


def test_words_of_wordnet_are_frequent_and_their_tokens_are_its_own(
    animals: geo.ConceptHierarchy, frequent: AnyPhrase
) -> None:
    for token, word in zip(animals.tokens[::20].tolist(), animals.words[::20], strict=True):
        assert frequent.word_id(word) == token
        assert AnyPhrase(20_000).word_id(word) == 1


@pytest.mark.long
def test_all_nouns_of_wordnet_over_it_are_many_more(frequent: AnyPhrase) -> None:
    nouns, every = (geo.load_hierarchy("wordnet-noun", phrases) for phrases in (frequent, AnyPhrase()))
    assert "polar bear" in nouns["carnivore.n.01"].words
    assert 25_000 < len(nouns.words) < len(every.words)
    assert set(nouns.words) < set(every.words)
    assert "gyrfalcon" in every.words


@pytest.mark.parametrize("kind", ["mapping", "YAML"])
def test_words_of_ones_own_are_phrases_as_they_are_written(kind: str, tmp_path: Path) -> None:
    source: Any = OWN
    if kind == "YAML":
        source = tmp_path / "own.yaml"
        source.write_text(
            "bear:\n  white: [polar bear]\n  brown: [Kodiak, jack-o'-lantern]\ntree: [oak, Straße]\n", encoding="utf-8"
        )
    hierarchy = geo.load_hierarchy(source, AnyPhrase(), name="own")
    assert set(hierarchy.names) == {"bear", "white", "brown", "tree"}
    assert hierarchy["white"].words == ("polar bear",)
    assert set(hierarchy["bear"].words) == {"polar bear", "Kodiak", "jack-o'-lantern"}
    assert set(hierarchy["tree"].words) == {"oak", "Straße"}
    assert hierarchy.lost == ()


def test_a_hierarchy_goes_over_to_what_was_read_whatever_its_order() -> None:
    hierarchy = geo.load_hierarchy(OWN, AnyPhrase(), name="own")
    vocabulary = geo.layers.PhraseActivations(hierarchy.words[::-1], (), {}).vocabulary
    moved = hierarchy.over(vocabulary)
    assert {concept.name: set(concept.words) for concept in moved} == {
        concept.name: set(concept.words) for concept in hierarchy
    }
    for token, word in zip(moved.tokens.tolist(), moved.words, strict=True):
        assert vocabulary.text(token) == f" {word}"
    fewer = geo.layers.PhraseActivations(hierarchy.words[1:], (), {}).vocabulary
    with pytest.raises(geo.errors.HierarchyError, match="is no single token of that vocabulary"):
        hierarchy.over(fewer)


def test_concepts_are_made_of_phrases() -> None:
    phrases = AnyPhrase()
    concept = Concept.from_words("bear", ["polar bear", "brown bear", "polar bear"], phrases)
    assert (concept.words, concept.tokens) == (("polar bear", "brown bear"), (1, 2))
