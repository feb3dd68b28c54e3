"""The token that is read is the last of the phrase, whatever the tokenizer makes of it and of what stands beside it."""

from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

import geometry as geo
from geometry.layers.contexts import Passage
from geometry.layers.phrase_tokens import phrase_tokens
from tests.layers import real_tokenizers
from tests.layers.real_tokenizers import needs_gpt2, tokenizer
from tests.steering import tiny
from tests.word_pieces import needs_bert

PHRASES = {
    "one word": "oak",
    "two words": "polar bear",
    "rare": "gyrfalcon",
    "accents": "crème brûlée",
    "decomposed": "cre\u0300me",
    "ends decomposed": "cafe\u0301",
    "emoji": "🐻",
    "joined emoji": "👩‍👩‍👧",
    "emoji variant": "❤\ufe0f",
    "Chinese": "北极熊",
    "Japanese": "東京タワー",
    "Devanagari": "नमस्ते",
    "ligature": "ﬁsh",
    "apostrophe": "O'Brien",
    "hyphens": "jack-o'-lantern",
    "capitals": "McDonald NASA",
    "capital that grows": "İstanbul",
    "digits": "3D printer",
    "signs": "C++",
    "full stop": "U.S.",
    "tab": "a\tb",
    "no-break space": "a\u00a0b",
    "beyond the plane": "\U0001d54f",
}
CONTEXTS = {
    "in the middle": "I saw a {} and left",
    "at the end": "I saw a {}",
    "at the start": "{} is here",
    "alone": "{}",
    "before a space": "I saw a {} ",
    "on a line": "I saw\n{}\n",
    "after two spaces": "I saw  {}",
}
every_tokenizer = pytest.mark.parametrize("name", real_tokenizers.ALL)


def whole(given: Any, text: str) -> list[int]:
    return geo.steering.encode(given, [text]).input_ids[0].tolist()


@every_tokenizer
@pytest.mark.parametrize("context", CONTEXTS)
def test_they_are_those_of_the_text_up_to_the_end_of_the_phrase(name: str, context: str) -> None:
    given, template = tokenizer(name), CONTEXTS[context]
    passages = [Passage.of(template, phrase) for phrase in PHRASES.values()]
    rows = phrase_tokens(given, passages)
    expected = [whole(given, passage.text[: passage.end]) for passage in passages]
    assert dict(zip(PHRASES, rows, strict=True)) == dict(zip(PHRASES, expected, strict=True))


@every_tokenizer
def test_the_last_token_writes_the_end_of_the_phrase_and_nothing_after_it(name: str) -> None:
    given = tokenizer(name)
    for phrase in ("oak", "polar bear", "gyrfalcon", "jack-o'-lantern", "3D printer"):
        for template in ("I saw a {}, as ever", '"{}"', "({})", "the {}'s tail", "a/{}/b", "one:{}?"):
            (ids,) = phrase_tokens(given, [Passage.of(template, phrase)])
            written = given.decode(ids, clean_up_tokenization_spaces=False).replace(" ", "").lower()
            assert written.endswith(phrase.replace(" ", "").lower()), (template, phrase, written)
            assert phrase.lower().endswith(given.decode(ids[-1:]).strip().lower().removeprefix("##"))


@every_tokenizer
@pytest.mark.parametrize(
    ("template", "phrase"),
    [("{}s", "oak"), ("pre{}", "tend"), ("I saw a {}s", "polar bear")],
    ids=["a letter after it", "letters before it", "a letter after two words"],
)
def test_a_token_that_is_not_the_phrases_alone_is_refused(name: str, template: str, phrase: str) -> None:
    with pytest.raises(
        geo.errors.SteeringError, match=r"shares the token '.*' with what stands beside it in '.*'; put"
    ):
        phrase_tokens(tokenizer(name), [Passage.of(template, phrase)])


@needs_gpt2
def test_punctuation_that_joins_the_phrases_own_is_refused() -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"'U\.S\.' shares the token '\.\)'"):
        phrase_tokens(tokenizer("gpt2"), [Passage.of("({})", "U.S.")])


@needs_bert
def test_what_a_tokenizer_drops_altogether_is_refused() -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"no token of .* covers"):
        phrase_tokens(tokenizer("bert"), [Passage.of("I saw a {}", "\u200b")])


@needs_bert
def test_lowered_and_stripped_letters_are_found_where_they_stood() -> None:
    given = tokenizer("bert")
    (ids,) = phrase_tokens(given, [Passage.of("ÉÉÉ İ {} É", "CAFÉ")])
    assert given.convert_ids_to_tokens(ids)[-1] == "cafe"


@pytest.mark.parametrize("name", real_tokenizers.ALL)
@pytest.mark.parametrize("bos", [None, True, False], ids=["as the tokenizer", "with", "without"])
@pytest.mark.parametrize("order", [1, -1], ids=["first", "last"])
def test_a_text_that_begins_with_a_special_token_changes_no_other(name: str, bos: bool | None, order: int) -> None:
    given = tokenizer(name)
    start = given.bos_token or given.cls_token
    if bos and given.bos_token is None:
        pytest.skip("has no beginning-of-text token")
    texts = [f"{start}I saw a bat", "He swung the bat", f"{start}{start}bat", f"the {start} bat"][::order]
    rows = phrase_tokens(given, [Passage.found(text, "bat") for text in texts], bos=bos)
    ends = [text[: text.index("bat") + 3] for text in texts]
    assert rows == [geo.steering.encode(given, [text], bos=bos).input_ids[0].tolist() for text in ends]


@pytest.mark.parametrize("name", real_tokenizers.ALL)
def test_a_special_token_within_a_phrase_is_one_of_its_tokens(name: str) -> None:
    given = tokenizer(name)
    mark = given.bos_token or given.cls_token
    for phrase in (f"polar {mark} bear", f"oak{mark}", mark):
        passage = Passage.of("I saw a {} there", phrase)
        assert phrase_tokens(given, [passage]) == [whole(given, passage.text[: passage.end])]


def test_more_passages_than_are_tokenised_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    passages = [Passage.of("w3 {} w4", f"w{number}") for number in range(5, 25)]
    expected = phrase_tokens(tiny.tokenizer(), passages)
    monkeypatch.setattr("geometry.layers.phrase_tokens._BATCH", 7)
    assert phrase_tokens(tiny.tokenizer(), passages) == expected == [[3, number] for number in range(5, 25)]


def test_a_tokenizer_that_does_not_tell_is_refused() -> None:
    slow = type("Slow", (), {"is_fast": False})()
    with pytest.raises(geo.errors.SteeringError, match=r"Slow does not tell which characters .* load the fast"):
        phrase_tokens(slow, [Passage.of("{}", "oak")])


def test_no_passages_are_refused() -> None:
    assert isinstance(tiny.tokenizer(), PreTrainedTokenizerFast)
    with pytest.raises(geo.errors.SteeringError, match="no phrases"):
        phrase_tokens(tiny.tokenizer(), [])
