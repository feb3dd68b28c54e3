"""Families of behaviour that are classes of sentences alone, in memory or in a file."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import geometry as geo

CLASSES = {"calm": ["All is well.", "Take  your time."], "angry": ["Get out!"], "not at all": ("Who cares?",)}


def test_classes_of_sentences_are_a_family() -> None:
    family = geo.load_behaviour(CLASSES)
    assert (family.name, family.kind, family.ordered, family.groups) == ("classes", "", False, {})
    assert family.texts() == {
        "calm": ("All is well.", "Take your time."),
        "angry": ("Get out!",),
        "not at all": ("Who cares?",),
    }
    assert [item.words for item in family.classes] == [("calm",), ("angry",), ()]
    named = geo.load_behaviour(CLASSES, name="mood", ordered=True)
    assert (named.name, named.ordered, named.classes) == ("mood", True, family.classes)


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_file_holds_the_same(ending: str, tmp_path: Path) -> None:
    write = yaml.safe_dump if ending == "yaml" else json.dumps
    listed = {name: list(sentences) for name, sentences in CLASSES.items()}
    path = tmp_path / f"mood.{ending}"
    path.write_text(write(listed), "utf-8")
    family = geo.load_behaviour(path)
    assert (family.name, family.texts()) == ("mood", geo.load_behaviour(CLASSES).texts())
    path.write_text(write({"name": "temper", "kind": "mood", "ordered": True, **listed}), "utf-8")
    family = geo.load_behaviour(path)
    assert (family.name, family.kind, family.ordered) == ("temper", "mood", True)
    assert geo.load_behaviour(path, ordered=False).ordered is False


def test_a_packaged_family_may_be_renamed() -> None:
    family = geo.load_behaviour("aggression")
    assert geo.load_behaviour("aggression", name="mine", ordered=False).classes == family.classes
    assert geo.load_behaviour("aggression", name="mine").ordered


def test_every_sentence_is_a_lemma_of_its_own_where_there_are_no_templates() -> None:
    mood = geo.load_behaviour(CLASSES, name="mood")
    prompts = geo.concepts.behaviour_prompts([mood])
    assert len(set(prompts.lemmas.tolist())) == len(prompts.tokens) == 4
    assert [len(prompts[f"mood: {name}"]) for name in CLASSES] == [2, 1, 1]
    vocabulary = geo.Vocabulary(["Ġcalm", "ĠCalm", "Ġangry"])
    two = geo.load_behaviour({name: CLASSES[name] for name in ("calm", "angry")}, name="mood")
    words = geo.concepts.behaviour_words([two], vocabulary)
    assert words["mood: calm"].words == ("calm", "Calm")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"calm": ["All is well."]}, "^classes: a family has at least 2 classes, not 1"),
        ({}, "at least 2 classes, not 0"),
        ({**CLASSES, "calm": []}, "^classes: calm: must be a list of sentences, and not empty"),
        ({**CLASSES, "calm": "All is well."}, "calm: must be a list of sentences"),
        ({**CLASSES, "calm": {"a": "b"}}, "calm: must be a list of sentences"),
        ({**CLASSES, "calm": None}, "calm: must be a list of sentences"),
        ({**CLASSES, "calm": ["x", 3]}, r"calm\.1: must be a text"),
        ({**CLASSES, "calm": [" "]}, r"calm\.0: must be a text"),
        ({**CLASSES, "calm": ["Get out!"]}, r"angry\.0: 'Get out!' stands in calm already"),
        ({**CLASSES, "calm": ["x", " x"]}, r"calm\.1: 'x' stands in calm already"),
        ({**CLASSES, 3: ["x"]}, "source must be .* a mapping of a text to"),
        ({**CLASSES, " ": ["x"]}, "must be a name"),
    ],
)
def test_what_is_no_family_is_refused(source: Any, complaint: str) -> None:
    with pytest.raises(geo.GeometryError, match=complaint):
        geo.load_behaviour(source)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("calm: [All is well.]\nangry: []\n", r"mood\.yaml, line 2: angry: must be a list of sentences"),
        ("calm: [All is well.]\nangry:\n- Out!\n- no\n", r"line 4: angry\.1: must be a text"),
        ("calm: [All is well.]\n", "at least 2 classes, not 1"),
        ("ordered: maybe\ncalm: [a]\nangry: [b]\n", "line 1: ordered: true or false"),
        ("calm: [a]\nangry: b\n", r"line 2: angry: must be a list"),
        ("calm: a\nangry: b\n", "expected a mapping with an entry 'classes'"),
        ("calm: [a]\nangry: [b]\nmood: [a]\n", r"line 3: mood\.0: 'a' stands in calm already"),
    ],
)
def test_files_are_refused_with_the_place(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "mood.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.load_behaviour(path)
