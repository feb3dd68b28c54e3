import json
from pathlib import Path

import pytest
import yaml

import geometry as geo

VOCABULARY = geo.Vocabulary([f"Ġ{w}" for w in "dog Dog dogs Dogs mouse mice bird birds oak elm animal no".split()])

GOOD = """
name: toy
forms: noun
concepts:
  animal: {words: [animal]}
  mammal: {parents: [animal], words: [dog, mouse, aardvark]}
  bird: {parents: [animal], words: [bird]}
"""


def read(tmp_path: Path, text: str) -> geo.ConceptHierarchy:
    path = tmp_path / "toy.yaml"
    path.write_text(text, encoding="utf-8")
    return geo.load_hierarchy(path, VOCABULARY)


def test_words_are_expanded_and_handed_up(tmp_path: Path) -> None:
    hierarchy = read(tmp_path, GOOD)
    assert hierarchy.name == "toy"
    assert hierarchy["mammal"].words == ("dog", "Dog", "dogs", "Dogs", "mouse", "mice")
    assert set(hierarchy["animal"].words) == {*hierarchy["mammal"].words, "bird", "birds", "animal"}


def test_words_as_written(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD.replace("noun", "none"))["mammal"].words == ("dog", "mouse")


def test_json_is_read_the_same_way(tmp_path: Path) -> None:
    document = yaml.safe_load(GOOD)
    path = tmp_path / "toy.json"
    path.write_text(json.dumps(document, indent="\t"))
    from_json, from_yaml = geo.load_hierarchy(path, VOCABULARY), read(tmp_path, GOOD)
    assert from_json.concepts == from_yaml.concepts
    assert from_json.parents == from_yaml.parents
    path.write_text(json.dumps(document)[:-1] + ', "name": "again"}')
    with pytest.raises(geo.errors.HierarchyError, match=r"toy\.json: duplicate entry 'name'"):
        geo.load_hierarchy(path, VOCABULARY)
    path.write_text("{")
    with pytest.raises(geo.errors.HierarchyError, match=r"toy\.json, line 1"):
        geo.load_hierarchy(path, VOCABULARY)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("concepts: [", r"toy\.yaml, line 1"),
        ("- a list", "entry 'concepts'"),
        ("", "entry 'concepts'"),
        (GOOD + "  bird: {words: [dog]}\n", r"line 8: duplicate entry 'bird'"),
        (GOOD + "colour: red\n", r"toy\.yaml, line 8: colour: unknown; known here: concepts, content"),
        (
            GOOD.replace("words: [bird]", "wrods: [bird]"),
            r"line 7: concepts\.bird\.wrods: unknown; known here: parents",
        ),
        (
            GOOD.replace("forms: noun", "forms: adverb"),
            "line 3: forms: must be one of noun, verb, case, none, not",
        ),
        (GOOD.replace("[bird]", "[no]"), "line 7: concepts.bird.words: must be a list of words"),
        (GOOD.replace("[bird]", "bird"), "list of words"),
        (GOOD.replace("[bird]", "[unicorn]"), "none of the words of 'bird'"),
        (GOOD.replace("{words: [animal]}", "{parents: [bird], words: [animal]}"), "cycle"),
        (
            GOOD.replace("parents: [animal], words: [bird]", "parents: [beast], words: [bird]"),
            "unknown concept 'beast'",
        ),
        (GOOD.replace("bird: {parents", "bird: {parents: [x], parents"), "duplicate entry 'parents'"),
        ("concepts: {a: {words: [dog]}, 1: {words: [bird]}}", "concepts.1: 1 must be a name"),
        (GOOD.replace("name: toy", "name: [toy]"), "line 2: name: must be a text"),
        (GOOD.replace("[bird]", "[2020-13-45]"), "not readable"),
        (GOOD.replace("[bird]", "[!!int x]"), "not readable"),
        (GOOD.replace("[bird]", '["|"]'), "none of the words of 'bird'"),
        ("concepts: !!python/object/apply:os.system [echo]", "could not determine a constructor"),
    ],
)
def test_malformed_files_are_refused_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        read(tmp_path, text)


def test_a_missing_file_lists_what_is_packaged(tmp_path: Path) -> None:
    with pytest.raises(geo.errors.HierarchyError, match="packaged: organisms"):
        geo.load_hierarchy(tmp_path / "nothing.yaml", VOCABULARY)
    with pytest.raises(geo.errors.HierarchyError, match="cannot be read"):
        geo.load_hierarchy(tmp_path, VOCABULARY)


def test_wordnet_goes_by_name_and_may_be_cut(smollm2: geo.Unembedding, smollm2_nouns: geo.ConceptHierarchy) -> None:
    loaded = geo.load_hierarchy("wordnet-noun", smollm2.vocabulary, only=["mammal.n.01", "bird.n.01", "animal.n.01"])
    assert loaded.names == tuple(name for name in smollm2_nouns.names if name in loaded)
    assert loaded.parents == {"animal.n.01": (), "mammal.n.01": (), "bird.n.01": ()}  # chordate.n.01 is left out
    assert loaded["bird.n.01"] == smollm2_nouns["bird.n.01"]
    with pytest.raises(geo.errors.HierarchyError, match=r"did you mean bird\.n\.01"):
        geo.load_hierarchy("wordnet-noun", smollm2.vocabulary, only=["bird.n.1"])


@pytest.mark.parametrize("name", geo.concepts.packaged_hierarchies())
def test_packaged_hierarchies_fit_the_default_model(name: str, smollm2: geo.Unembedding) -> None:
    hierarchy = geo.load_hierarchy(name, smollm2.vocabulary)
    assert {"mammal", "bird", "fish", "reptile", "insect", "amphibian", "plant"} <= set(hierarchy.names)
    classes = [concept for concept in hierarchy if not hierarchy.children[concept.name]]
    for concept in classes:
        others = [other for other in classes if other is not concept]
        assert not [word for other in others for word in set(concept.words) & set(other.words)]
