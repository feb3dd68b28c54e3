import numpy as np
import pytest

import geometry as geo

TOKENS = [f"Ġ{word}" for word in "dog dogs Dog cat cats bird birds oak elm rose x y z".split()]
VOCABULARY = geo.Vocabulary(TOKENS)


def concept(name: str, words: str) -> geo.concepts.Concept:
    return geo.concepts.Concept.from_words(name, words.split(), VOCABULARY)


MAMMAL, BIRD = concept("mammal", "cat dog dogs Dog cats"), concept("bird", "bird birds")
ANIMAL = concept("animal", "dog dogs Dog cat cats bird birds")
TREE, PLANT = concept("tree", "oak elm"), concept("plant", "oak elm rose")
PET = concept("pet", "dog dogs cat bird")
PARENTS = {"mammal": ("animal",), "bird": ("animal",), "tree": ("plant",)}


@pytest.fixture
def hierarchy() -> geo.ConceptHierarchy:
    return geo.ConceptHierarchy("test", (TREE, BIRD, MAMMAL, ANIMAL, PLANT), PARENTS)


def test_words_are_kept_with_their_tokens() -> None:
    assert concept("mixed", "cat unicorn dog") == geo.concepts.Concept("mixed", ("dog", "cat"), (0, 3))


def test_parents_come_before_children(hierarchy: geo.ConceptHierarchy) -> None:
    assert [hierarchy.names[i] for i in hierarchy.depth_first] == ["animal", "bird", "mammal", "plant", "tree"]
    for parent, child in hierarchy.edges:
        assert parent < child
    assert dict(zip(hierarchy.names, hierarchy.depths.tolist(), strict=True)) == {
        "animal": 0, "bird": 1, "mammal": 1, "plant": 0, "tree": 1
    }  # fmt: skip
    assert hierarchy.children["animal"] == ("bird", "mammal")
    assert hierarchy.descendants("plant") == {"tree"}


def test_distances_shared_tokens_and_members_by_hand(hierarchy: geo.ConceptHierarchy) -> None:
    at = hierarchy.index
    distance = hierarchy.tree_distance()
    assert distance[at("bird"), at("mammal")] == 2
    assert distance[at("bird"), at("animal")] == 1
    assert np.isinf(distance[at("bird"), at("tree")])
    shared = hierarchy.shared_tokens()
    assert shared[at("animal"), at("mammal")] == 5
    assert shared[at("mammal"), at("bird")] == 0
    assert shared[at("tree"), at("tree")] == 2
    members = hierarchy.members[at("tree")]
    assert [hierarchy.words[i] for i in members] == ["oak", "elm"]


def test_lemmas_join_case_and_plural(hierarchy: geo.ConceptHierarchy) -> None:
    numbers = dict(zip(hierarchy.words, hierarchy.lemmas.tolist(), strict=True))
    assert numbers["dog"] == numbers["dogs"] == numbers["Dog"]
    assert len(set(numbers.values())) == 6


def test_several_parents_are_kept() -> None:
    hierarchy = geo.ConceptHierarchy(
        "dag", (ANIMAL, MAMMAL, PET, concept("dog", "dog dogs")), {**{"dog": ("mammal", "pet")}, "mammal": ("animal",)}
    )
    edges = {(hierarchy.names[parent], hierarchy.names[child]) for parent, child in hierarchy.edges}
    assert edges == {("animal", "mammal"), ("mammal", "dog"), ("pet", "dog")}
    assert sorted(hierarchy.depth_first) == [0, 1, 2, 3]


def test_concepts_stand_by_their_first_parent_and_roots_by_themselves() -> None:
    own = {"dog": ("mammal", "pet"), "mammal": ("animal",)}
    hierarchy = geo.ConceptHierarchy("dag", (ANIMAL, MAMMAL, PET, concept("dog", "dog dogs")), own)
    above = {name: hierarchy.names[index] for name, index in zip(hierarchy.names, hierarchy.above, strict=True)}
    assert above == {"animal": "animal", "mammal": "animal", "pet": "pet", "dog": "mammal"}


def test_drawn_concepts_alone_are_reported_and_hang_anywhere() -> None:
    pet = concept("pet, not of animal", "dog dogs cat bird")
    parents = {**PARENTS, pet.name: ("plant",)}
    drawn = geo.ConceptHierarchy("null", (TREE, BIRD, MAMMAL, ANIMAL, PLANT, pet), parents, drawn={pet.name: "bird"})
    at = drawn.index
    assert drawn.reported == (at(pet.name),)
    assert drawn.reported_edges == ((at("plant"), at(pet.name)),)
    assert drawn.reported_families == {at("plant"): (at(pet.name),)}
    assert drawn.families[at("plant")] == (at("tree"),)
    # It is reported under the name of the real child that it stands for.
    assert drawn.labels[at(pet.name)] == "bird"
    assert [name for name, label in zip(drawn.names, drawn.labels, strict=True) if name != label] == [pet.name]
    assert drawn.above[at(pet.name)] == at("plant")
    with pytest.raises(geo.errors.HierarchyError, match="words that its parent 'plant' lacks"):
        geo.ConceptHierarchy("real", drawn.concepts, parents)


def test_a_real_hierarchy_reports_everything(hierarchy: geo.ConceptHierarchy) -> None:
    assert [hierarchy.names[index] for index in hierarchy.reported] == list(hierarchy.names)
    assert hierarchy.reported_edges == hierarchy.edges
    assert hierarchy.reported_families == hierarchy.families
    assert hierarchy.labels == hierarchy.names
    by_name = {hierarchy.names[parent]: {hierarchy.names[child] for child in some}
               for parent, some in hierarchy.families.items()}  # fmt: skip
    assert by_name == {"animal": {"bird", "mammal"}, "plant": {"tree"}}


def test_blocks_are_contiguous_subtrees(smollm2_nouns: geo.ConceptHierarchy) -> None:
    order = smollm2_nouns.depth_first
    assert sorted(order) == list(range(len(smollm2_nouns)))
    blocks = smollm2_nouns.blocks()
    assert len(blocks) > 5
    for name, start, stop in blocks:
        inside = {smollm2_nouns.names[i] for i in order[start:stop]}
        assert 7 <= len(inside) <= 60
        assert inside - {name} <= smollm2_nouns.descendants(name)


def test_every_concept_of_a_small_hierarchy_is_a_block(hierarchy: geo.ConceptHierarchy) -> None:
    names = ["animal", "bird", "mammal", "plant", "tree"]
    assert hierarchy.blocks() == [(name, place, place + 1) for place, name in enumerate(names)]


@pytest.mark.parametrize(
    ("concepts", "parents", "complaint"),
    [
        ((), {}, "no concepts"),
        ((BIRD, BIRD), {}, "duplicate concepts bird"),
        ((concept("unicorn", "unicorn pegasus"),), {}, "none of the words of 'unicorn'"),
        ((ANIMAL, BIRD), {"bird": ("beast",)}, "unknown concept 'beast'"),
        ((ANIMAL, BIRD), {"fish": ("animal",)}, "unknown concept 'fish'"),
        ((ANIMAL, concept("oak", "oak")), {"oak": ("animal",)}, r"words that its parent 'animal' lacks \('oak'\)"),
        ((ANIMAL, BIRD, PET), {"bird": ("pet",), "pet": ("animal",), "animal": ("bird",)}, "has a cycle: "),
        ((ANIMAL,), {"animal": ("animal",)}, "animal → animal"),
        ((BIRD, concept("fowl", "bird birds")), {"fowl": ("bird",)}, "exactly the words of its parent"),
    ],
)
def test_malformed_hierarchies_are_refused(concepts: tuple, parents: dict, complaint: str) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.ConceptHierarchy("bad", concepts, parents)


def test_numbers_of_every_two_concepts_are_bounded(
    hierarchy: geo.ConceptHierarchy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geometry.concepts.hierarchy._MOST_PAIRED", 4)
    for numbers in (hierarchy.tree_distance, hierarchy.shared_tokens):
        with pytest.raises(
            geo.errors.HierarchyError, match="5 concepts are too many for numbers of every two; 4 at most"
        ):
            numbers()


@pytest.mark.parametrize("name", [5, None, ["animal"], b"animal", "x" * 10**6])
def test_what_is_no_name_of_a_concept_is_refused(hierarchy: geo.ConceptHierarchy, name: object) -> None:
    for ask in (hierarchy.index, hierarchy.descendants, hierarchy.__getitem__):
        with pytest.raises(geo.errors.HierarchyError, match=r"has no concept|a text for a name, not") as refusal:
            ask(name)
        assert len(str(refusal.value)) < 300


def test_concepts_are_chosen_by_several_names(hierarchy: geo.ConceptHierarchy) -> None:
    assert hierarchy.only(["animal", "bird"]).names == ("animal", "bird")
    for wrong in ("animal", None, [5], 5):
        with pytest.raises(geo.GeometryError, match="only: names must be several of a text, not"):
            hierarchy.only(wrong)
    with pytest.raises(geo.GeometryError, match="over: vocabulary must be Vocabulary, not 'x'"):
        hierarchy.over("x")
