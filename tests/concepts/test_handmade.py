from typing import Any

import networkx as nx
import pytest

import geometry as geo

VOCABULARY = geo.Vocabulary([f"Ġ{word}" for word in "animal cat cats crow pet walk walks walking x y".split()])


def graph() -> "nx.DiGraph[str]":
    graph = nx.DiGraph([("animal", "mammal"), ("animal", "bird"), ("pet", "mammal")])
    nx.set_node_attributes(graph, {"animal": ["animal"], "mammal": ["cat"], "bird": ["crow"], "pet": ["pet"]}, "words")
    return graph


def test_a_graph_becomes_a_hierarchy_with_all_its_parents() -> None:
    hierarchy = geo.concepts.hierarchy_from_graph(graph(), VOCABULARY, name="pets")
    assert set(hierarchy.parents["mammal"]) == {"animal", "pet"}
    assert hierarchy["pet"].words == ("cat", "cats", "pet")
    assert hierarchy["animal"].words == ("animal", "cat", "cats", "crow")


def test_verbs_are_conjugated() -> None:
    hierarchy = geo.concepts.hierarchy_from_words("moving", {"walk": ["walk"]}, {}, VOCABULARY, forms="verb")
    assert hierarchy["walk"].words == ("walk", "walks", "walking")
    assert len(set(hierarchy.lemmas)) == 1


@pytest.mark.parametrize("forms", ["noun", "verb", "case", "none"])
@pytest.mark.parametrize("word", ["US", "NASA", "iPhone", "AIDS", "McDonald", "is"])
def test_a_word_is_found_as_it_was_spelled(forms: Any, word: str) -> None:
    vocabulary = geo.Vocabulary([f"Ġ{each}" for each in (word, "cat", "thing")])
    graph = nx.DiGraph([("all", "some")])
    nx.set_node_attributes(graph, {"all": ["cat", "thing"], "some": [word, "CAT"]}, "words")
    hierarchy = geo.concepts.hierarchy_from_graph(graph, vocabulary, forms=forms)
    assert word in hierarchy["some"].words
    assert word in hierarchy["all"].words


def test_both_spellings_of_a_word_are_one_lemma() -> None:
    vocabulary = geo.Vocabulary([f"Ġ{word}" for word in ("iPhone", "iphone", "NASA", "Nasa", "cat")])
    words = {"thing": ["iPhone", "NASA", "cat"]}
    hierarchy = geo.concepts.hierarchy_from_words("things", words, {}, vocabulary)
    assert hierarchy["thing"].words == ("iPhone", "iphone", "NASA", "Nasa", "cat")
    assert len(set(hierarchy.lemmas)) == 3


def test_graphs_that_are_no_hierarchy_are_refused() -> None:
    with pytest.raises(geo.errors.HierarchyError, match="directed graph"):
        geo.concepts.hierarchy_from_graph(graph().to_undirected(), VOCABULARY)
    broken = graph()
    broken.nodes["bird"]["words"] = "crow"
    with pytest.raises(geo.errors.HierarchyError, match="node 'bird' needs 'words'"):
        geo.concepts.hierarchy_from_graph(broken, VOCABULARY)
    cyclic = graph()
    cyclic.add_edge("bird", "animal")
    with pytest.raises(geo.errors.HierarchyError, match="cycle"):
        geo.concepts.hierarchy_from_graph(cyclic, VOCABULARY)
    with pytest.raises(geo.errors.HierarchyError, match="unknown concept 'ghost'"):
        geo.concepts.hierarchy_from_words("x", {"a": ["cat"]}, {"ghost": ["a"]}, VOCABULARY)


def test_only_some_concepts_are_kept_with_all_their_words() -> None:
    words = {"animal": ["animal"], "mammal": ["cat"], "bird": ["crow"], "dragon": ["wyvern"]}
    parents = {"mammal": ["animal"], "bird": ["animal"], "dragon": ["animal"]}
    kept = geo.concepts.hierarchy_from_words("some", words, parents, VOCABULARY, only=("animal", "mammal"))
    assert kept.names == ("animal", "mammal")
    assert "crow" in kept["animal"].words
    with pytest.raises(geo.errors.HierarchyError, match="none of the words of 'dragon'"):
        geo.concepts.hierarchy_from_words("all", words, parents, VOCABULARY)
    with pytest.raises(geo.errors.HierarchyError, match="no concept 'fish'"):
        geo.concepts.hierarchy_from_words("some", words, parents, VOCABULARY, only=("fish",))


def test_a_concept_without_words_of_its_own_is_skipped_and_its_children_move_up() -> None:
    vocabulary = geo.Vocabulary(["Ġcat", "Ġcats", "Ġcrow"])
    own = {"animal": [], "mammal": ["unknown"], "feline": ["cat"], "kitten": ["cats"], "bird": ["crow"]}
    parents = {"mammal": ["animal"], "feline": ["mammal"], "kitten": ["feline"], "bird": ["animal"]}
    hierarchy = geo.concepts.hierarchy_from_words("toy", own, parents, vocabulary, forms="none")
    assert hierarchy.notes == ("skipped 'feline': in this vocabulary it has exactly the words of its parent 'mammal'",)
    assert hierarchy.parents == {"animal": (), "mammal": ("animal",), "bird": ("animal",), "kitten": ("mammal",)}
