from pathlib import Path

import numpy as np
import pytest

import geometry as geo

VOCABULARY = geo.Vocabulary([f"Ġ{w}" for w in "one One three four May may fast faster slow slower A a B C no".split()])

GOOD = """
sets:
  numbers:
    expected: line
    values:
      one: [one]
      two: [two]
      three: [three]
      four: [four]
    groups: [[one, two], [three, four]]
"""
PAIRS = """
pairs:
  comparative: [[fast, faster], [slow, slower], [big, bigger]]
  nothing: [[big, bigger]]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def words(vocabulary: geo.Vocabulary, ids: np.ndarray) -> list[str]:
    return [vocabulary.text(int(token)).strip() for token in ids]


def test_values_without_a_token_leave_a_gap(tmp_path: Path) -> None:
    numbers = geo.concepts.load_series(VOCABULARY, write(tmp_path, GOOD))["numbers"]
    assert numbers.values == ("one", "three", "four")
    assert numbers.positions.tolist() == [0, 2, 3]
    assert numbers.period == 4
    assert words(VOCABULARY, numbers.tokens) == ["one", "One", "three", "four"]
    assert numbers.owners.tolist() == [0, 0, 2, 3]
    assert numbers.groups.tolist() == [0, 1, 1]
    assert numbers.expected == "line"
    assert numbers.skipped == {"two": "none of its words is a single token of this vocabulary"}


def test_capitals_are_kept_where_they_are_written(tmp_path: Path) -> None:
    text = "sets: {letters: {values: {a: [A], b: [B], c: [C], may: [May]}}}"
    letters = geo.concepts.load_series(VOCABULARY, write(tmp_path, text))["letters"]
    assert words(VOCABULARY, letters.tokens) == ["A", "B", "C", "May"]
    assert letters.groups.tolist() == [0, 1, 2, 3]
    assert letters.expected == ""


def test_a_word_of_several_values_counts_for_the_first(tmp_path: Path) -> None:
    text = "sets: {numbers: {values: {one: [one], single: [one, four], three: [three]}, forms: none}}"
    numbers = geo.concepts.load_series(VOCABULARY, write(tmp_path, text))["numbers"]
    assert words(VOCABULARY, numbers.tokens) == ["one", "four", "three"]
    assert numbers.owners.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sets: [", r"mine\.yaml, line 1"),
        ("- a list", r"mine\.yaml: expected a mapping with an entry 'sets'"),
        (GOOD + "colour: red\n", r"mine\.yaml, line 11: colour: unknown; known here"),
        (GOOD.replace("expected", "shape"), r"mine\.yaml, line 4: sets\.numbers\.shape: unknown; known here: expected"),
        (
            GOOD + "    forms: adverb\n",
            r"line 11: sets\.numbers\.forms: must be one of noun, verb, case",
        ),
        ("sets: {numbers: [one, two]}", r"mine\.yaml, line 1: sets\.numbers: expected a mapping with expected, forms"),
        ("sets: {numbers: {values: [one]}}", r"mine\.yaml, line 1: sets\.numbers\.values: expected a mapping"),
        ("sets: {numbers: {forms: none}}", r"mine\.yaml, line 1: sets\.numbers\.values: expected a mapping"),
        (GOOD.replace("one: [one]", "one: one"), r"line 6: sets\.numbers\.values\.one: must be a list of words"),
        (GOOD.replace("one: [one]", "one: [no]"), r"line 6: sets\.numbers\.values\.one: must be a list of words"),
        (GOOD.replace("two: [two]", "one: [two]"), r"mine\.yaml, line 7: duplicate entry 'one'"),
        (GOOD.replace("[[one, two]", "[[one, zwei]"), r"line 10: sets\.numbers\.groups\.0: 'zwei' is unknown"),
        (GOOD.replace("[[one, two]", "[[one, two, four]"), r"groups\.1: 'four' stands in a group already"),
        (GOOD.replace("[[one, two]", "[[one]"), r"line 10: sets\.numbers\.groups: 'two' is in no group"),
        (GOOD.replace("[[one, two], [three, four]]", "one"), r"sets\.numbers\.groups: expected groups, each a list"),
        (GOOD.replace("[[one, two]", "[1"), r"sets\.numbers\.groups\.0: must be a list, and not empty"),
        (
            GOOD.replace("[three]", "[drei]"),
            r"line 3: sets\.numbers: 2 of its values have a token.*; 3 are needed",
        ),
    ],
)
def test_malformed_series_are_refused_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.concepts.load_series(VOCABULARY, write(tmp_path, text))


def test_series_with_too_few_values_may_be_passed_over(tmp_path: Path) -> None:
    skipped: dict[str, str] = {}
    text = GOOD + "  letters: {values: {a: [A], b: [Bee], c: [Sea]}}\n"
    assert list(geo.concepts.load_series(VOCABULARY, write(tmp_path, text), skipped=skipped)) == ["numbers"]
    assert skipped == {"letters": "1 of its values have a token in this vocabulary; 3 are needed"}


def test_packaged_series_on_the_real_vocabulary(smollm2: geo.Unembedding) -> None:
    found = geo.concepts.load_series(smollm2.vocabulary)
    assert {"weekdays", "months", "number words", "letters"} <= set(found)
    for series in found.values():
        assert series.expected in {"line", "circle", "tree", "simplex"}
        assert len(series.values) == len(series.positions) == len(series.groups)
        assert np.array_equal(np.unique(series.owners), series.positions)
        assert series.positions.max() < series.period
        assert len(set(series.tokens.tolist())) == len(series.tokens)
    months = dict(zip(found["months"].values, range(12), strict=True))
    own = found["months"].tokens[found["months"].owners == months["may"]]
    assert words(smollm2.vocabulary, own) == ["May"]
    monday = found["weekdays"].tokens[found["weekdays"].owners == 0]
    assert {word.lower() for word in words(smollm2.vocabulary, monday)} <= {"monday", "mondays"}


def test_concepts_of_a_hierarchy_as_values(smollm2: geo.Unembedding) -> None:
    organisms = geo.load_hierarchy("organisms", smollm2.vocabulary)
    series = geo.concepts.Series.from_hierarchy("kinds", organisms, [["bird", "fish"], ["tree", "plant"]], "tree")
    assert series.values == ("bird", "fish", "tree", "plant")
    assert series.groups.tolist() == [0, 0, 1, 1]
    assert series.period == 4
    assert series.expected == "tree"
    own = {value: series.tokens[series.owners == place].tolist() for place, value in enumerate(series.values)}
    assert own["bird"] == list(organisms["bird"].tokens)
    assert own["plant"] == sorted(set(organisms["plant"].tokens) - set(organisms["tree"].tokens))


def test_pairs_are_kept_where_both_words_are_tokens(tmp_path: Path) -> None:
    found = geo.concepts.load_pairs(VOCABULARY, write(tmp_path, PAIRS))
    pairs, ids = found["comparative"]
    assert pairs == (("fast", "faster"), ("slow", "slower"))
    assert [words(VOCABULARY, row) for row in ids] == [["fast", "faster"], ["slow", "slower"]]
    assert found["nothing"][0] == ()
    assert found["nothing"][1].shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("families: {}", r"mine\.yaml: expected a mapping with an entry 'pairs'"),
        (PAIRS + "colour: red\n", r"mine\.yaml, line 5: colour: unknown; known here"),
        ("pairs: {comparative: fast}", r"mine\.yaml, line 1: pairs\.comparative: expected a list of pairs"),
        ("pairs: {comparative: [fast, faster]}", r"pairs\.comparative\.0: must be two different texts, not 'fast'"),
        ("pairs: {comparative: [[fast]]}", r"pairs\.comparative\.0: must be two different texts, not \['fast'\]"),
        ("pairs: {comparative: [[fast, fast]]}", r"pairs\.comparative\.0: must be two different texts"),
        ("pairs: {comparative: [[yes, no]]}", r"pairs\.comparative\.0: must be two different texts, not \[True"),
    ],
)
def test_malformed_pairs_are_refused_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.concepts.load_pairs(VOCABULARY, write(tmp_path, text))


def test_packaged_pairs_on_the_real_vocabulary(smollm2: geo.Unembedding) -> None:
    found = geo.concepts.load_pairs(smollm2.vocabulary)
    assert ("king", "queen") in found["male – female"][0]
    for pairs, ids in found.values():
        assert len(pairs) > 15
        assert [tuple(words(smollm2.vocabulary, row)) for row in ids] == list(pairs)


def test_missing_files_list_what_is_packaged(tmp_path: Path) -> None:
    with pytest.raises(geo.errors.HierarchyError, match="packaged: series"):
        geo.concepts.load_series(VOCABULARY, tmp_path / "nothing.yaml")
    with pytest.raises(geo.errors.HierarchyError, match="packaged: contrasts"):
        geo.concepts.load_pairs(VOCABULARY, tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "sets: {a: {expected: helix, values: {x: [dog], y: [cat], z: [cow]}}}",
            "must be one of simplex, line",
        ),
        (
            "sets: {a: {expected: tree, values: {x: [dog], y: [cat], z: [cow]}}}",
            "a tree needs 'groups'",
        ),
        ("sets: {1: {values: {x: [dog]}}}", "1 must be a name"),
        ("sets: {a: {values: {~: [dog]}}}", "None must be a name"),
    ],
)
def test_ambiguous_series_are_refused(tmp_path: Path, smollm2: geo.Unembedding, text: str, complaint: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.concepts.load_series(smollm2.vocabulary, tmp_path / "own.yaml")


def test_a_pair_counts_once(tmp_path: Path, smollm2: geo.Unembedding) -> None:
    (tmp_path / "own.yaml").write_text("pairs: {sex: [[king, queen], [queen, king]]}")
    with pytest.raises(geo.errors.HierarchyError, match="is there twice"):
        geo.concepts.load_pairs(smollm2.vocabulary, tmp_path / "own.yaml")
