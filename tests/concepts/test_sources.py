"""Hierarchies from what one has: nested words, natural files, graphs, tables, WordNet below a synset; and back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pandas as pd
import pytest
import yaml

import geometry as geo

WORDS = "animal creature dog Dog dogs cat cats crow crows pet oak elm plant thing no walk walks walking"
VOCABULARY = geo.Vocabulary([f"Ġ{word}" for word in WORDS.split()])
NESTED: dict[str, Any] = {"animal": {"mammal": ["dog", "cat"], "bird": ["crow"]}}
MIXED: dict[str, Any] = {
    "animal": ["animal", "creature", {"mammal": ["dog", "cat"]}, {"bird": ["crow"]}],
    "plant": ["oak", "elm", "plant"],
    "pet": {"mammal": []},
}
EDGES = [("animal", "mammal"), ("animal", "bird"), ("mammal", "dog"), ("mammal", "cat"), ("bird", "crow")]


def content(hierarchy: geo.ConceptHierarchy) -> dict[str, Any]:
    return {c.name: (c.words, c.tokens, set(hierarchy.parents[c.name])) for c in hierarchy}


def natural(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_nested_words_are_a_hierarchy() -> None:
    hierarchy = geo.load_hierarchy(NESTED, VOCABULARY)
    assert (hierarchy.name, hierarchy.names) == ("animal", ("animal", "mammal", "bird"))
    assert hierarchy.parents == {"animal": (), "mammal": ("animal",), "bird": ("animal",)}
    assert hierarchy["mammal"].words == ("dog", "Dog", "dogs", "cat", "cats")
    assert hierarchy["animal"].words == (*hierarchy["mammal"].words, "crow", "crows")
    explicit = geo.concepts.hierarchy_from_words(
        "animal", {"animal": [], "mammal": ["dog", "cat"], "bird": ["crow"]}, hierarchy.parents, VOCABULARY
    )
    assert content(hierarchy) == content(explicit)


def test_a_list_holds_words_and_concepts_and_a_concept_may_stand_twice() -> None:
    hierarchy = geo.load_hierarchy(MIXED, VOCABULARY, forms="none", name="mine")
    assert hierarchy.name == "mine"
    assert set(hierarchy.names) == {"animal", "plant", "bird", "pet"}  # the mammals are exactly the pets
    hierarchy = geo.load_hierarchy({**MIXED, "pet": ["pet", {"mammal": ("dog", "cat")}]}, VOCABULARY, forms="none")
    assert hierarchy.parents["mammal"] == ("animal", "pet")
    assert hierarchy["animal"].words == ("animal", "creature", "dog", "cat", "crow")
    assert hierarchy["pet"].words == ("dog", "cat", "pet")


def test_options_are_those_of_files() -> None:
    assert geo.load_hierarchy(NESTED, VOCABULARY, only=["animal", "bird"]).names == ("animal", "bird")
    verbs = geo.load_hierarchy({"move": ["walk"]}, VOCABULARY, forms="verb")
    assert verbs["move"].words == ("walk", "walks", "walking")
    assert geo.load_hierarchy({"a": ["dog"], "b": ["cat"]}, VOCABULARY).name == "hierarchy"


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_natural_file_is_the_same_mapping(ending: str, tmp_path: Path) -> None:
    write = yaml.safe_dump if ending == "yaml" else json.dumps
    for document in (NESTED, {**MIXED, "pet": ["pet", {"mammal": []}]}):
        path = natural(tmp_path, write(document), f"mine.{ending}")
        read = geo.load_hierarchy(path, VOCABULARY)
        assert read.name == "mine"
        assert content(read) == content(geo.load_hierarchy(document, VOCABULARY))
        told = {"name": "toy", "forms": "none", "source": "me", "licence": "CC0", **document}
        read = geo.load_hierarchy(natural(tmp_path, write(told), f"mine.{ending}"), VOCABULARY)
        assert read.name == "toy"
        assert content(read) == content(geo.load_hierarchy(document, VOCABULARY, forms="none"))
        assert "cats" in geo.load_hierarchy(path, VOCABULARY, forms="noun")["mammal"].words


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("animal:\n  bird: crow\n", r"mine\.yaml, line 2: animal\.bird: must be a list of words or a mapping"),
        ("animal:\n  bird: [crow, no]\n", r"line 2: animal\.bird\.1: must be a word, or a mapping .*not False"),
        ("animal:\n  1: [crow]\n", r"line 2: animal\.1: 1 must be a name"),
        ("animal:\n  bird: [crow]\n  bird: [dog]\n", r"line 3: duplicate entry 'bird'"),
        ("a: {bird: [crow]}\nb: {bird: [dog]}\n", r"line 2: b\.bird: 'bird' stands elsewhere with other words"),
        ("a: {b: {c: {a: [crow]}}}\n", "has a cycle"),
        ("a: {b: []}\n", "none of the words of 'a'"),
        ("forms: adverb\nanimal: {bird: [crow]}\n", "line 1: forms: must be one of noun"),
        ("name: x\nforms: noun\n", "expected a mapping with an entry 'concepts'"),
        ("animal: dog\n", "expected a mapping with an entry 'concepts'"),
        ("animal: {bird: [[crow]]}\n", r"animal\.bird\.0: must be a word"),
        (f"a: {{b: [{'x' * 201}]}}\n", r"a\.b\.0: must be a word"),
        ("? [a]\n: {b: [crow]}\n", "mine.yaml"),
    ],
)
def test_natural_files_are_refused_with_the_place(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.load_hierarchy(natural(tmp_path, text), VOCABULARY)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"animal": "dog"}, r"^hierarchy 'given': animal: must be a list of words"),
        ({"animal": {"bird": [3]}}, r"^hierarchy 'given': animal\.bird\.0: must be a word"),
        ({3: ["dog"]}, "3 must be a name"),
        ({"a": {"": ["dog"]}}, "must be a name"),
        ({"x" * 201: ["dog"]}, "a name of 201 characters"),
        ({}, "no concepts"),
        ({"a": []}, "none of the words of 'a'"),
        ({"a": None}, "none of the words of 'a'"),
        ({"a": [["dog"]]}, "must be a word"),
    ],
)
def test_mappings_are_refused_with_the_place(source: Any, complaint: str) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.load_hierarchy(source, VOCABULARY)


def test_what_holds_itself_or_repeats_without_end_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    with pytest.raises(geo.errors.HierarchyError, match="levels, or it holds itself"):
        geo.load_hierarchy(loop, VOCABULARY)
    below: Any = ["dog"]
    for _ in range(40):
        below = {f"c{index}": below for index in range(4)}
    with pytest.raises(geo.errors.HierarchyError, match=r"counted where they are repeated|stands elsewhere|cycle"):
        geo.load_hierarchy(below, VOCABULARY)


def test_a_deep_chain_is_read_without_recursion() -> None:
    below: Any = ["dog"]
    for level in range(900):
        below = [f"w{level}", {f"c{level}": below}]
    vocabulary = geo.Vocabulary([f"Ġ{word}" for word in ("dog", *(f"w{level}" for level in range(900)))])
    assert len(geo.load_hierarchy({"top": below}, vocabulary, forms="none")) == 901


@pytest.mark.parametrize("source", [None, 3, [("animal", "dog")], nx, object(), {"a"}])
def test_what_is_no_source_is_named(source: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match=r"^load_hierarchy: source must be"):
        geo.load_hierarchy(source, VOCABULARY)


def test_the_leaves_of_a_graph_are_words() -> None:
    expected = content(geo.load_hierarchy(NESTED, VOCABULARY))
    tree = nx.DiGraph(EDGES)
    assert content(geo.load_hierarchy(tree, VOCABULARY)) == expected
    assert content(geo.concepts.hierarchy_from_graph(tree, VOCABULARY)) == expected
    assert geo.load_hierarchy(tree, VOCABULARY).name == "animal"
    with_words = nx.DiGraph(EDGES[:2])
    nx.set_node_attributes(with_words, {"mammal": ["dog", "cat"], "bird": ["crow"]}, "words")
    assert content(geo.load_hierarchy(with_words, VOCABULARY)) == expected


@pytest.mark.parametrize(
    ("edges", "nodes", "complaint"),
    [
        (EDGES, ["lonely"], "node 'lonely' has no links and no attribute 'words'"),
        ([*EDGES, ("mammal", 3)], [], "3 in the link"),
        ([*EDGES, ("bird", "animal")], [], "cycle"),
        ([], [], "no concepts"),
    ],
)
def test_graphs_that_are_no_hierarchy_are_refused(edges: Any, nodes: Any, complaint: str) -> None:
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(nodes)
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.load_hierarchy(graph, VOCABULARY)
    with pytest.raises(geo.errors.HierarchyError, match="a directed graph is needed"):
        geo.load_hierarchy(nx.Graph(EDGES), VOCABULARY)  # type: ignore[arg-type]


@pytest.mark.parametrize("columns", [["parent", "child"], ["hypernym", "hyponym"]])
def test_a_table_of_links_is_a_hierarchy(columns: list[str]) -> None:
    frame = pd.DataFrame(EDGES, columns=columns)
    assert content(geo.load_hierarchy(frame, VOCABULARY)) == content(geo.load_hierarchy(NESTED, VOCABULARY))
    wider = pd.DataFrame(EDGES, columns=["parent", "child"]).assign(note="x")
    assert len(geo.load_hierarchy(wider, VOCABULARY)) == 3
    own = pd.DataFrame([*EDGES, ("animal", "animal")], columns=columns)
    assert "animal" in geo.load_hierarchy(own, VOCABULARY)["animal"].words


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (pd.DataFrame(EDGES, columns=["parent", "child"]).assign(parent=None), "must be a text"),
        (pd.DataFrame([("animal", float("nan"))], columns=["parent", "child"]), "nan in the link .* must be a text"),
        (pd.DataFrame(columns=["parent", "child"]), "no rows"),
        (pd.DataFrame({"a": ["x"], "b": ["y"], "c": ["z"]}), "needs the columns 'parent' and 'child'"),
        (pd.DataFrame({"parent": ["a"], "child": ["dog"], "kind": ["verb"]}), "kind of 'dog' must be"),
    ],
)
def test_tables_that_are_no_hierarchy_are_refused(frame: Any, complaint: str) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.load_hierarchy(frame, VOCABULARY)


@pytest.mark.parametrize("way", [lambda h: h.to_dict(), lambda h: h.to_networkx(), lambda h: h.to_frame()])
def test_what_is_handed_out_is_read_back(way: Callable[[geo.ConceptHierarchy], Any]) -> None:
    for document in (NESTED, {**MIXED, "pet": ["pet", {"mammal": []}]}):
        hierarchy = geo.load_hierarchy(document, VOCABULARY)
        back = geo.load_hierarchy(way(hierarchy), VOCABULARY, forms="none")
        assert content(back) == content(hierarchy)


@pytest.mark.parametrize("name", ["organisms", "wordnet-noun", "wordnet-verb"])
def test_packaged_hierarchies_come_back_whole(name: str, smollm2: geo.Unembedding, tmp_path: Path) -> None:
    hierarchy = geo.load_hierarchy(name, smollm2.vocabulary)
    handed = [hierarchy.to_dict(), hierarchy.to_networkx(), hierarchy.to_frame()]
    for source in [*handed, natural(tmp_path, json.dumps(handed[0]), "whole.json")]:
        back = geo.load_hierarchy(source, smollm2.vocabulary, forms="none")
        assert content(back) == content(hierarchy)
        assert back.words == hierarchy.words


def test_a_graph_and_a_table_are_what_others_make_of_them() -> None:
    hierarchy = geo.load_hierarchy(NESTED, VOCABULARY, forms="none")
    assert hierarchy.to_dict() == {"animal": [{"mammal": ["dog", "cat"], "bird": ["crow"]}]}
    graph = hierarchy.to_networkx()
    assert nx.is_arborescence(graph)
    assert graph.nodes["mammal"]["words"] == ["dog", "cat"]
    frame = hierarchy.to_frame()
    assert list(map(tuple, frame[["parent", "child"]].to_numpy())) == EDGES
    assert frame["kind"].tolist() == ["concept", "concept", "word", "word", "word"]


def test_below_a_synset(smollm2: geo.Unembedding) -> None:
    animals = geo.load_hierarchy("wordnet:animal.n.01", smollm2.vocabulary)
    assert animals.names[0] == animals.name.removeprefix("wordnet:") == "animal.n.01"
    assert [name for name in animals.names if not animals.parents[name]] == ["animal.n.01"]
    assert {"bird.n.01", "mammal.n.01", "deer.n.01", "arthropod.n.01"} <= set(animals.names)
    whole = geo.load_hierarchy("wordnet-noun", smollm2.vocabulary)
    assert animals["animal.n.01"].words == whole["animal.n.01"].words
    assert animals["bird.n.01"].words == whole["bird.n.01"].words
    assert geo.load_hierarchy("wordnet:animal.n.01", smollm2.vocabulary, only=["bird.n.01"]).names == ("bird.n.01",)
    assert geo.load_hierarchy("wordnet:move.v.02", smollm2.vocabulary, name="moves").name == "moves"
    few = geo.concepts.wordnet_hierarchy("noun", smollm2.vocabulary, below="animal.n.01", min_words=51)
    assert 1 < len(few) < len(animals)
    assert min(map(len, few)) > 50
    for synset, complaint in {
        "animal": r"no noun synset 'animal'; did you mean animal\.n\.01\?",
        "anmal.n.01": r"did you mean animal\.n\.01",
        "run.v.99": r"no verb synset 'run\.v\.99'; did you mean run\.v\.01 or",
        "": "no noun synset ''",
        "dog.n.01": "WordNet from dog.n.01 down: no synset has 6 words",
    }.items():
        with pytest.raises(geo.errors.HierarchyError, match=complaint):
            geo.load_hierarchy(f"wordnet:{synset}", geo.Vocabulary(["Ġdog", "Ġpuppy"]))
    with pytest.raises(geo.errors.HierarchyError, match="forms are for words of one's own"):
        geo.load_hierarchy("wordnet:animal.n.01", smollm2.vocabulary, forms="noun")
