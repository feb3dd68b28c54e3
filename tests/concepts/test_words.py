from typing import Any

import pytest

from geometry.concepts.words import capitalised, lemma, lemma_groups, noun_forms, spelled, verb_forms
from geometry.errors import HierarchyError


def test_noun_forms() -> None:
    assert noun_forms("dog") == ("dog", "Dog", "dogs", "Dogs")
    assert noun_forms("Mouse") == ("mouse", "Mouse", "mice", "Mice")
    assert noun_forms("sheep") == ("sheep", "Sheep")


@pytest.mark.parametrize("word", ["church", "mouse", "city", "wolf", "bird", "bus", "virus", "analysis", "lens"])
def test_all_forms_of_a_word_share_a_lemma(word: str) -> None:
    assert len({lemma(form) for form in noun_forms(word)}) == 1


def test_different_words_have_different_lemmas() -> None:
    words = ["church", "mouse", "city", "wolf", "bird", "bus", "virus", "glass", "grass", "dog", "do"]
    assert len({lemma(word) for word in words}) == len(words)


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("walk", "walk walks walked walking"),
        ("bake", "bake bakes baked baking"),
        ("Watch", "watch watches watched watching"),
        ("play", "play plays played playing"),
        ("carry", "carry carries carryed carrying"),
        ("go", "go goes goed going"),
    ],
)
def test_verb_forms(verb: str, forms: str) -> None:
    lower = forms.split()
    assert list(verb_forms(verb)) == [*lower, *(form.capitalize() for form in lower)]


def test_case_alone() -> None:
    assert spelled(["Chat", "chien"], "case") == {"Chat": ("chat", "Chat"), "chien": ("chien", "Chien")}


@pytest.mark.parametrize("forms", ["noun", "verb", "case", "none"])
@pytest.mark.parametrize("word", ["US", "NASA", "iPhone", "AIDS", "McDonald", "eBay", "KO", "is", "O'Brien", "x", "ß"])
def test_a_word_keeps_its_own_spelling(word: str, forms: Any) -> None:
    with_it, without = spelled([word], forms, as_written=True)[word], spelled([word], forms)[word]
    assert word in with_it
    assert len(set(with_it)) == len(with_it)
    assert set(with_it) == {*without, word}
    # The published recipe of WordNet has none of its own.
    assert spelled(["US"], "noun")["US"] == noun_forms("US")


def test_unknown_forms_are_refused() -> None:
    with pytest.raises(HierarchyError, match="unknown forms 'plural'; choose from noun, verb, case, none"):
        spelled(["dog"], "plural")  # type: ignore[arg-type]


def test_a_capital_at_the_beginning_leaves_the_rest() -> None:
    assert [capitalised(word) for word in ("dog", "US", "iPhone", "", "élan")] == ["Dog", "US", "IPhone", "", "Élan"]


def test_abbreviations_are_not_verbs() -> None:
    assert verb_forms("KO") == ()


def test_lemma_groups_join_all_spellings_of_a_word() -> None:
    words = ["leaf", "leave", "leaves", "oak", "Oaks", "running", "run", "runs"]
    groups = lemma_groups(words, spelled(["leaf", "leave"], "noun") | spelled(["run"], "verb") | {"run": ("running",)})
    assert groups.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
