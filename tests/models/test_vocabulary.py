import numpy as np
import pytest

import geometry as geo

FILL = [f"x{i}" for i in range(50)]


@pytest.mark.parametrize(("marker", "cafe"), [("Ġ", "ĠcafÃ©"), ("▁", "▁café"), (" ", " café")])
def test_knows_each_way_to_mark_a_word_start(marker: str, cafe: str) -> None:
    vocabulary = geo.Vocabulary([*FILL, marker + "bird", marker + "Bird", "bird", cafe])
    assert vocabulary.word_start == marker
    assert vocabulary.word_id("bird") == 50
    assert vocabulary.word_id("Bird") == 51
    assert vocabulary.word_id("café") == 53
    assert vocabulary.word_id("cat") is None
    assert vocabulary.word_id("") is None
    assert [vocabulary.text(i) for i in (50, 52, 53)] == [" bird", "bird", " café"]


def test_a_vocabulary_without_a_marker_is_refused_when_words_are_asked_for() -> None:
    with pytest.raises(geo.errors.ModelError, match="start of a word"):
        geo.Vocabulary([*FILL * 4, "##s", "Ġone"]).word_id("one")


def test_rows_that_no_text_can_produce_are_not_textual() -> None:
    tokens = ["Ġa", "<unused7>", "[PAD12]", "<|reserved_special_token_3|>", "</s>", None, "<0x0A>", "<div>"]
    vocabulary = geo.Vocabulary(tokens, special=[4])
    assert np.flatnonzero(vocabulary.textual).tolist() == [0, 6, 7]


@pytest.mark.parametrize(
    "token",
    ["<|placeholder1|>", "<SPECIAL_20>", "[control_8]", "<reserved-0>", ">>UNUSED_0<<", "<|extra_12|>", "<extra_id_3>"],
)
def test_placeholders_of_many_tokenizers(token: str) -> None:
    assert geo.Vocabulary(["Ġa", token]).textual.tolist() == [True, False]


@pytest.mark.parametrize("token", ["<0x0A>", "<div>", "[0]", "Ġunused7", "<h1>", "reserved_1", "->0]"])
def test_texts_that_only_look_like_placeholders(token: str) -> None:
    assert geo.Vocabulary([token]).textual.all()


def test_a_special_token_is_not_a_word() -> None:
    assert geo.Vocabulary([*FILL, "Ġa", "Ġb"], special=[51]).word_id("b") is None


def test_an_empty_vocabulary_is_refused() -> None:
    with pytest.raises(geo.errors.ModelError, match="empty"):
        geo.Vocabulary([])


def test_the_real_vocabulary(smollm2: geo.Unembedding) -> None:
    vocabulary = smollm2.vocabulary
    assert len(vocabulary) == 49152
    assert vocabulary.textual.sum() == 49135
    bird = vocabulary.word_id("bird")
    assert bird is not None
    assert vocabulary.text(bird) == " bird"
    assert vocabulary.word_id("animal") != vocabulary.word_id("Animal")
