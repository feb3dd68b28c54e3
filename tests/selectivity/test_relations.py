"""Relations of concepts, on a graph small enough to be read off."""

import numpy as np
import pytest

import geometry as geo
from geometry.errors import HierarchyError
from geometry.selectivity import RELATIONS, TreeRelations, spread_over_depths

WORDS = ["oak", "rose", "cat", "dog", "crow", "hawk", "bat", "stone"]
VOCABULARY = geo.Vocabulary([f"Ġ{word}" for word in WORDS])
SETS = {
    "thing": WORDS,
    "living": WORDS[:7],
    "plant": ["oak", "rose"],
    "tree": ["oak"],
    "animal": ["cat", "dog", "crow", "hawk", "bat"],
    "mammal": ["cat", "dog", "bat"],
    "bird": ["crow", "hawk"],
    "flier": ["crow", "hawk", "bat"],  # of two parents below
    "raptor": ["hawk"],
}
PARENTS = {
    "living": ("thing",),
    "plant": ("living",),
    "tree": ("plant",),
    "animal": ("living",),
    "mammal": ("animal",),
    "flier": ("animal",),
    "bird": ("flier",),
    "raptor": ("bird", "flier"),
}
TREE = geo.ConceptHierarchy(
    "tree", tuple(geo.concepts.Concept.from_words(name, words, VOCABULARY) for name, words in SETS.items()), PARENTS
)


@pytest.mark.parametrize(
    ("concept", "other", "relation"),
    [
        ("bird", "bird", "self"),
        ("animal", "raptor", "child"),
        ("raptor", "thing", "parent"),
        ("mammal", "flier", "sibling"),
        ("plant", "animal", "sibling"),
        ("mammal", "bird", "cousin"),  # an uncle's child
        ("mammal", "plant", "cousin"),  # an uncle
        ("tree", "mammal", "cousin"),
        ("tree", "bird", "unrelated"),
        ("raptor", "mammal", "cousin"),  # by its second parent, flier; by bird alone it were unrelated
        ("raptor", "plant", "unrelated"),
    ],
)
def test_relations_are_those_of_all_paths(concept: str, other: str, relation: str) -> None:
    assert TreeRelations.of(TREE).between(concept, other) == relation


def test_a_line_is_child_one_way_and_parent_the_other_and_the_rest_is_symmetric() -> None:
    relations = TreeRelations.of(TREE)
    codes, child, parent = relations.codes, RELATIONS.index("child"), RELATIONS.index("parent")
    np.testing.assert_array_equal(codes == child, (codes == parent).T)
    rest = ~np.isin(codes, [child, parent])
    np.testing.assert_array_equal(np.where(rest, codes, 0), np.where(rest, codes, 0).T)
    frame = relations.to_frame().set_index(["concept", "other"])
    assert frame.loc[("raptor", "mammal"), "distance"] == 3
    with pytest.raises(HierarchyError, match="no concept is called 'fish'"):
        relations.between("bird", "fish")


def test_targets_are_spread_over_all_depths() -> None:
    assert spread_over_depths(TREE, 100) == tuple(
        sorted(TREE.names, key=lambda name: (TREE.depths[TREE.index(name)], -len(TREE[name]), TREE.index(name)))
    )
    depths = TREE.depths
    assert len({int(depths[TREE.index(name)]) for name in spread_over_depths(TREE, 5)}) >= 4
    with pytest.raises(HierarchyError, match="at least 1 concept"):
        spread_over_depths(TREE, 0)
