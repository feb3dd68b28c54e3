"""The packaged sets of prompts: large enough, of the length they promise, and no text in two of them."""

from collections import Counter

import pytest

import geometry as geo
from geometry.concepts.data_file import packaged_names

# Beginnings and texts at least, words of a text from and to.
SETS = {
    "aggression": (8, 40, 12, 30),
    "birds": (8, 40, 12, 30),
    "calm": (8, 40, 12, 30),
    "chemistry": (8, 60, 5, 15),
    "encyclopedia": (48, 120, 40, 70),
    "geese": (8, 40, 10, 20),
    "neutral": (48, 6, 30, 50),
    "plain": (24, 60, 7, 16),
    "questions": (8, 60, 5, 15),
    "shipping": (8, 40, 12, 30),
    "weddings": (8, 40, 12, 30),
}


def test_every_packaged_set_is_known_here() -> None:
    assert packaged_names("prompts") == tuple(SETS)


@pytest.mark.parametrize("name", SETS)
def test_a_set_holds_as_many_texts_and_as_long_ones_as_it_promises(name: str) -> None:
    beginnings, texts, shortest, longest = SETS[name]
    prompts = geo.steering.load_prompts(name)
    assert prompts.name == name
    assert len(prompts.beginnings) >= beginnings
    assert len(prompts.texts) >= texts
    assert not [text for text in prompts.texts if not shortest <= len(text.split()) <= longest]
    assert not [text for text in prompts.texts if not text.rstrip('"').endswith((".", "!", "?"))]
    assert not [text for text in prompts.beginnings if not text[-1].isalpha()]


def test_no_text_stands_twice_or_in_two_sets() -> None:
    sets = [geo.steering.load_prompts(name) for name in SETS]
    counts = Counter(text.casefold() for prompts in sets for text in (*prompts.beginnings, *prompts.texts))
    assert [text for text, count in counts.items() if count > 1] == []
