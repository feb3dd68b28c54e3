from typing import Any

import numpy as np
import pytest
import torch

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


def test_a_mapping_is_ordered_by_id_and_its_gaps_are_rows_without_a_token() -> None:
    ids = {"Ġcat": 5, "<s>": 0, "Ġbird": 2, "Ġdog": np.int64(1)}
    vocabulary = geo.Vocabulary(ids, special=[0])
    assert vocabulary.tokens == ("<s>", "Ġdog", "Ġbird", None, None, "Ġcat")
    assert vocabulary.textual.tolist() == [False, True, True, False, False, True]
    assert {word: vocabulary.word_id(word) for word in ("cat", "bird", "dog")} == {"cat": 5, "bird": 2, "dog": 1}
    assert geo.Unembedding(torch.eye(6), vocabulary).rows.tolist() == [1, 2, 5]


@pytest.mark.parametrize(
    ("ids", "complaint"),
    [
        ({"Ġa": 0, "Ġb": 0}, "'Ġa' and 'Ġb' have one id, 0"),
        ({"Ġa": 0, "Ġb": -1}, "'Ġb' has the id -1"),
        ({"Ġa": 0, "Ġb": 10**12}, "at most 1000000 ids may be without one"),
        ({}, "empty"),
    ],
)
def test_ids_that_are_no_rows_are_refused(ids: dict, complaint: str) -> None:
    with pytest.raises(geo.errors.ModelError, match=complaint):
        geo.Vocabulary(ids)


@pytest.mark.parametrize(
    "tokens",
    ["Ġa", b"a", {"Ġa", "Ġb"}, 5, None, ["Ġa", 5], {5: 0}, iter(["Ġa"]), {"Ġa": "0"}, {"Ġa": 1.5}, {"Ġa": True}],
)
def test_what_is_no_list_of_tokens_is_named(tokens: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match=r"^Vocabulary: tokens "):
        geo.Vocabulary(tokens)


@pytest.mark.parametrize("index", [2, -1])
def test_a_special_id_without_a_token_is_refused(index: int) -> None:
    with pytest.raises(geo.errors.ModelError, match=f"special names the id {index}, but there are 2 tokens"):
        geo.Vocabulary(["Ġa", "Ġb"], special=[index])


def test_the_real_vocabulary(smollm2: geo.Unembedding) -> None:
    vocabulary = smollm2.vocabulary
    assert len(vocabulary) == 49152
    assert vocabulary.textual.sum() == 49135
    bird = vocabulary.word_id("bird")
    assert bird is not None
    assert vocabulary.text(bird) == " bird"
    assert vocabulary.word_id("animal") != vocabulary.word_id("Animal")
