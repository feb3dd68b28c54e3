"""Families of behaviour as one hierarchy, by words and by prompts: the same concepts on both routes."""

from dataclasses import replace

import pytest

import geometry as geo


def family(name: str, kind: str = "", classes: tuple[str, ...] = ("low", "high")) -> geo.concepts.Behaviour:
    cells = [(template, domain) for template in ("speech", "tale") for domain in ("work", "home")]
    return geo.concepts.Behaviour(
        name,
        kind,
        False,
        {"speech": "said", "tale": "told"},
        {"work": "offices", "home": "families"},
        tuple(
            geo.concepts.BehaviourClass(
                one, (f"{one}{name}", one), tuple(geo.concepts.Prompt(f"{name} {one} {t} {d}.", t, d) for t, d in cells)
            )
            for one in classes
        ),
    )


HASTE, CARE, ANGER = family("haste", "manner"), family("care", "manner"), family("anger", "feeling")
VOCABULARY = geo.Vocabulary(
    ["Ġlow", "Ġhigh", "ĠHigh", "Ġlowhaste", "Ġlowcare", "Ġlowanger", "Ġhighhaste", "Ġhighcare", "Ġhighanger", "Ġother"]
)


def test_levels_stand_where_they_hold_several_things() -> None:
    for hierarchy in (
        geo.concepts.behaviour_prompts([HASTE, CARE, ANGER]),
        geo.concepts.behaviour_words([HASTE, CARE, ANGER], VOCABULARY),
    ):
        assert hierarchy.parents["haste: low"] == ("haste",)
        assert hierarchy.parents["haste"] == hierarchy.parents["care"] == ("manner",)
        # "feeling" would hold anger alone.
        assert hierarchy.parents["anger"] == hierarchy.parents["manner"] == ("behaviour",)
        assert len(hierarchy) == 6 + 3 + 1 + 1
    for alone in (geo.concepts.behaviour_prompts([HASTE]), geo.concepts.behaviour_words([HASTE], VOCABULARY)):
        assert set(alone.names) == {"haste", "haste: low", "haste: high"}


def test_words_are_taken_as_written_and_capitalised() -> None:
    hierarchy = geo.concepts.behaviour_words([HASTE], VOCABULARY)
    assert set(hierarchy["haste: high"].words) == {"high", "High", "highhaste"}
    assert set(hierarchy["haste"].words) == {"high", "High", "highhaste", "low", "lowhaste"}
    with pytest.raises(geo.errors.HierarchyError, match="none of the words of 'haste: low'"):
        geo.concepts.behaviour_words([HASTE], geo.Vocabulary(["Ġhigh"]))


def test_prompts_are_numbered_and_their_templates_held_out_whole() -> None:
    hierarchy = geo.concepts.behaviour_prompts([HASTE, ANGER])
    assert hierarchy["haste: high"].tokens == (4, 5, 6, 7)
    assert hierarchy["anger: low"].tokens == (8, 9, 10, 11)
    assert hierarchy["behaviour"].tokens == tuple(range(16))
    speech = [number for number in range(16) if number % 4 < 2]
    assert len(set(hierarchy.lemmas[speech])) == 1
    assert len(set(hierarchy.lemmas)) == 2


def test_one_sentence_in_two_families_is_two_prompts() -> None:
    twin = replace(HASTE, name="twin")
    assert len(geo.concepts.behaviour_prompts([HASTE, twin]).tokens) == 16


@pytest.mark.parametrize(
    ("families", "complaint"),
    [
        ([], "there are no families"),
        ([HASTE, HASTE], "two families are called 'haste'"),
        ([HASTE, CARE, family("manner")], "'manner' names a family and what stands above"),
        ([HASTE, family("behaviour")], "'behaviour' names a family"),
    ],
)
def test_what_makes_no_hierarchy_is_refused(families: list[geo.concepts.Behaviour], complaint: str) -> None:
    for route in (geo.concepts.behaviour_prompts, lambda some: geo.concepts.behaviour_words(some, VOCABULARY)):
        with pytest.raises(geo.errors.HierarchyError, match=complaint):
            route(families)


def test_a_capital_inside_a_word_stays() -> None:
    vocabulary = geo.Vocabulary(["Ġlowhaste", "ĠhighMinded", "ĠHighMinded", "ĠHighminded", "Ġx"])
    classes = [replace(one, words=(*one.words, "highMinded")) if one.name == "high" else one for one in HASTE.classes]
    hierarchy = geo.concepts.behaviour_words([replace(HASTE, classes=tuple(classes))], vocabulary)
    assert hierarchy["haste: high"].words == ("highMinded", "HighMinded")
