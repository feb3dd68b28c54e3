"""Behaviour files: what is read, and what is refused with its line and field."""

import re
from pathlib import Path

import pytest

import geometry as geo

FAMILY = """\
name: haste
kind: manner
ordered: true
content: Nothing that offends.
templates:
  speech: said
  thought: thought
domains:
  work: offices
  home: families
classes:
  slow:
    words: [slow, lazy]
    prompts:
      work:
        speech: [Take your time with it.]
        thought: [The report can wait a week.]
      home:
        speech: [Dinner can wait., Sit down first.]
        thought: [The dishes can wait.]
  quick:
    words: [quick, fast]
    prompts:
      home:
        speech: [Run home now.]
        thought: [I must wash up at once.]
      work:
        speech: [Send it within the minute.]
        thought: [Not a second to lose.]
"""


def written(folder: Path, text: str, name: str = "haste.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_family_is_read_as_it_stands(tmp_path: Path) -> None:
    family = geo.load_behaviour(written(tmp_path, FAMILY))
    assert (family.name, family.kind, family.ordered) == ("haste", "manner", True)
    assert [one.name for one in family.classes] == ["slow", "quick"]
    assert family.classes[0].words == ("slow", "lazy")
    assert family.classes[0].prompts[2] == geo.concepts.Prompt("Dinner can wait.", "speech", "home")
    assert len(family.classes[0].prompts) == 5


def test_prompts_of_all_classes_come_in_one_order_of_cells(tmp_path: Path) -> None:
    slow, quick = geo.load_behaviour(written(tmp_path, FAMILY)).classes
    cells = [(prompt.domain, prompt.template) for prompt in quick.prompts]
    assert cells == [("work", "speech"), ("work", "thought"), ("home", "speech"), ("home", "thought")]
    assert list(dict.fromkeys((prompt.domain, prompt.template) for prompt in slow.prompts)) == cells


def test_a_template_and_a_domain_can_be_held_out(tmp_path: Path) -> None:
    family = geo.load_behaviour(written(tmp_path, FAMILY))
    assert family.texts(templates=["speech"], domains=["home"]) == {
        "slow": ("Dinner can wait.", "Sit down first."),
        "quick": ("Run home now.",),
    }
    for name, texts in family.texts().items():
        train, held_out = (family.texts(templates=[template])[name] for template in ("speech", "thought"))
        assert sorted(train + held_out) == sorted(texts)
        assert not set(train) & set(held_out)
    with pytest.raises(geo.errors.HierarchyError, match="no domain 'school'; it has work, home"):
        family.texts(domains=["school"])


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("ordered: true", "ordered: often", "line 3: ordered: true or false, not 'often'"),
        ("kind: manner", "sort: manner", "line 2: sort: unknown; known here: classes, content"),
        ("  thought: thought\n", "", "line 5: templates: must be a mapping of at least 2"),
        ("[slow, lazy]", "[slow, no]", "line 13: classes.slow.words.1: must be a text .* not False"),
        ("[slow, lazy]", "[slow, too lazy]", "line 13: classes.slow.words: 'too lazy' is not a single word"),
        ("[slow, lazy]", "[slow, quick]", "line 22: classes.quick.words: 'quick' stands in slow already"),
        ("[slow, lazy]", "[]", "line 13: classes.slow.words: must be a list, and not empty"),
        (
            "        thought: [The dishes can wait.]\n",
            "",
            "line 18: classes.slow.prompts.home: nothing under 'thought'; every class needs every template",
        ),
        ("[Run home now.]", "[Dinner can wait.]", "line 23: classes.quick.prompts: 'Dinner can wait.' stands in slow"),
        ("[Run home now.]", "Run home now.", "line 25: classes.quick.prompts.home.speech: must be a list"),
        ("[Run home now.]", '["  "]', "line 25: classes.quick.prompts.home.speech.0: must be a text"),
        (
            "      home:\n        speech: [Run",
            "      school:\n        speech: [Run",
            "line 24: classes.quick.prompts.school",
        ),
        ("  quick:\n", "  haste:\n", "line 21: classes.haste: a class cannot be called like its family"),
        ("  quick:\n", "  slow:\n", "line 21: duplicate entry 'slow'"),
        ("classes:\n", "groups: [slow]\nclasses:\n", "line 11: groups.0: must be a list"),
        ("classes:\n", "groups: {a: slow}\nclasses:\n", "line 11: groups.a: must be a list"),
        ("classes:\n", "groups: slow\nclasses:\n", "line 11: groups: expected groups, each a list of names"),
        ("classes:\n", "groups: {a: [slow, fast]}\nclasses:\n", "line 11: groups.a: 'fast' is unknown; there are slow"),
        (
            "classes:\n",
            "groups: {a: [slow], b: [slow]}\nclasses:\n",
            "line 11: groups.b: 'slow' stands in a group already",
        ),
        ("classes:\n", "groups: {a: [slow]}\nclasses:\n", "line 11: groups: 'quick' is in no group"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_field(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert FAMILY.count(old) == 1
    with pytest.raises(geo.errors.HierarchyError, match=f"^haste.yaml, {complaint}"):
        geo.load_behaviour(written(tmp_path, FAMILY.replace(old, new)))


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(geo.errors.HierarchyError, match="packaged: aggression, "):
        geo.load_behaviour("boredom")
    with pytest.raises(geo.errors.HierarchyError, match="expected a mapping with an entry 'classes'"):
        geo.load_behaviour(written(tmp_path, "name: haste\n"))


FAMILIES = {name: geo.load_behaviour(name) for name in geo.concepts.packaged_behaviours()}


def test_the_families_that_come_with_the_package() -> None:
    sizes = {name: (len(family.classes), family.ordered) for name, family in FAMILIES.items()}
    assert sizes == {
        "aggression": (5, True),
        "emotion": (6, False),
        "formality": (3, True),
        "sentiment": (5, True),
        "style": (4, False),
    }


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_packaged_families_leave_room_for_held_out_parts(family: geo.concepts.Behaviour) -> None:
    assert family.content
    assert len(family.templates) >= 4
    assert len(family.domains) >= 2
    for one in family.classes:
        assert len(one.prompts) >= 30
        assert len(one.words) >= 8


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_no_prompt_holds_a_word_that_names_a_class(family: geo.concepts.Behaviour) -> None:
    """Or the two routes to a class would meet in the word itself."""
    words = {word for one in family.classes for word in one.words}
    for one in family.classes:
        for prompt in one.prompts:
            assert not words & set(re.findall(r"[a-z]+", prompt.text.lower())), prompt.text


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_length_does_not_give_a_class_away(family: geo.concepts.Behaviour) -> None:
    means = [sum(len(p.text.split()) for p in one.prompts) / len(one.prompts) for one in family.classes]
    assert max(means) - min(means) < 2


def test_opposites_are_pairs_of_different_texts(tmp_path: Path) -> None:
    opposites = geo.concepts.load_opposites()
    assert set(opposites) == {"love-hate", "anger-calm", "weddings-other", "praise-hurt"}
    assert all(len(contrast.pairs) >= 8 for contrast in opposites.values())
    text = "contrasts:\n  up-down:\n    single: [Up, Down]\n    pairs:\n      - [Go up., Go up.]\n"
    with pytest.raises(geo.errors.HierarchyError, match=r"^one.yaml, line 5: contrasts.up-down.pairs.0: must be two"):
        geo.concepts.load_opposites(written(tmp_path, text, "one.yaml"))
    with pytest.raises(
        geo.errors.HierarchyError, match=r"line 3: contrasts.up-down.single: must be two different texts"
    ):
        geo.concepts.load_opposites(
            written(tmp_path, text.replace("Down", "7").replace("Go up.]", "Go down.]"), "one.yaml")
        )
