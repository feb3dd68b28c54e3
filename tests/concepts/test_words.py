import pytest

from geometry.concepts.words import lemma, noun_forms


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
