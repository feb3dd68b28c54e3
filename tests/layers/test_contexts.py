"""Contexts: templates with one gap, texts of each phrase's own, packaged sets."""

import json
from pathlib import Path
from typing import Any

import pytest

import geometry as geo
from geometry.layers.contexts import Contexts, OwnContexts, Passage, load_contexts, packaged_contexts

BATS = {"bat": ["A bat flew", "He swung the bat"], "polar bear": ["One polar bear", "polar bear!"]}


def test_a_passage_says_where_the_phrase_stands() -> None:
    for template in ("{}", "I saw a {} there", "{}s"):
        for phrase in ("oak", "polar bear", "{}", "ö"):
            passage = Passage.of(template, phrase)
            assert passage.text == template.replace("{}", phrase)
            assert passage.text[passage.start : passage.end] == phrase


def test_packaged_contexts_end_with_the_gap_and_differ() -> None:
    assert "neutral" in packaged_contexts()
    for name in packaged_contexts():
        found = load_contexts(name)
        assert found.name == name
        assert len(found) >= 8
        assert all(template.endswith(" {}") for template in found.templates)


def test_a_count_takes_the_first_of_whatever_source(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"contexts": {"templates": ["a {}", "b {}", "c {}"]}}))
    sources: list[Any] = [path, str(path), ["a {}", "b {}", "c {}"], Contexts("mine", ("a {}", "b {}", "c {}"))]
    for source in sources:
        assert load_contexts(source).labels == ("a {}", "b {}", "c {}")
        assert load_contexts(source, count=2).labels == ("a {}", "b {}")
    for own in (BATS, OwnContexts(BATS)):
        found = load_contexts(own, count=1)
        assert found.labels == ("text 1",)
        assert [[passage.text for passage in passages] for passages in found.passages(["polar bear", "bat"])] == [
            ["One polar bear", "A bat flew"]
        ]


def test_a_phrase_is_found_in_its_own_text_as_words_of_their_own() -> None:
    assert Passage.found("batman or a bat.", "bat").start == 12
    assert Passage.found("combat, bat", "bat").start == 8
    assert Passage.found("bat", "bat").end == 3
    for text in ("batman", "combat", "", "Bat", "bats"):
        with pytest.raises(geo.errors.SteeringError, match=r"'bat' is not in its context .* as words of its own"):
            Passage.found(text, "bat")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param([], "there are none", id="none"),
        pytest.param(["I saw"], "write the place of the phrase", id="no gap"),
        pytest.param(["{} and {}"], "write the place of the phrase", id="two gaps"),
        pytest.param(["a {}", "a {}"], "the same one stands there twice", id="twice"),
        pytest.param({}, "there are {}", id="no phrases"),
        pytest.param({"bat": []}, "of one length", id="no texts"),
        pytest.param({"bat": ["a bat"], "oak": ["oak", "an oak"]}, "of one length", id="of other lengths"),
        pytest.param("nowhere", "no such file or packaged name", id="no such name"),
    ],
)
def test_bad_contexts_are_refused(source: Any, message: str) -> None:
    with pytest.raises(geo.errors.SteeringError, match=message):
        load_contexts(source)


@pytest.mark.parametrize("count", [0, -1, 4])
@pytest.mark.parametrize("source", [["a {}", "b {}", "c {}"], OwnContexts({"b": ["b", "b", "b"]})], ids=["gap", "own"])
def test_more_than_there_are_or_none_is_refused(source: Any, count: int) -> None:
    with pytest.raises(geo.errors.SteeringError, match=f"there are 3, {count} are asked for"):
        load_contexts(source, count=count)


def test_a_text_in_the_place_of_texts_is_refused() -> None:
    with pytest.raises(geo.errors.ArgumentError, match=r"contexts|source"):
        load_contexts({"bat": "a bat"})


def test_a_phrase_without_texts_is_refused() -> None:
    with pytest.raises(geo.errors.SteeringError, match="'oak' has no contexts"):
        load_contexts(BATS).passages(["bat", "oak"])
