"""Largest concepts and samples of words: what is kept, in graphs too, and that it is the same each time."""

import contextlib
from itertools import pairwise

import numpy as np
import pytest

import geometry as geo
from geometry.concepts import AnyPhrase, Concept, largest_concepts, sample_words

# "pet" and "mammal" share "dog", and cats are both; words of no child: thing 3, animal 2, pet 2.
WORDS = {
    "cat": [f"cat {n}" for n in range(12)],
    "dog": [f"dog {n}" for n in range(9)],
    "bird": [f"bird {n}" for n in range(6)],
}
WORDS["mammal"] = [*WORDS["cat"], *WORDS["dog"], *(f"mammal {n}" for n in range(8))]
WORDS["pet"] = [*WORDS["cat"], *WORDS["dog"], "pet 0", "pet 1"]
WORDS["animal"] = [*WORDS["mammal"], *WORDS["bird"], "animal 0", "animal 1"]
WORDS["thing"] = [*WORDS["animal"], "pet 0", "pet 1", *(f"thing {n}" for n in range(3))]
PARENTS = {
    "animal": ("thing",),
    "pet": ("thing",),
    "mammal": ("animal",),
    "bird": ("animal",),
    "cat": ("mammal", "pet"),
    "dog": ("mammal", "pet"),
}


def made(words: dict[str, list[str]], parents: dict[str, tuple[str, ...]]) -> geo.ConceptHierarchy:
    vocabulary = AnyPhrase()
    concepts = tuple(Concept.from_words(name, own, vocabulary) for name, own in words.items())
    return geo.ConceptHierarchy("graph", concepts, parents)


@pytest.fixture
def graph() -> geo.ConceptHierarchy:
    return made(WORDS, PARENTS)


@pytest.fixture(scope="module")
def organisms() -> geo.ConceptHierarchy:
    return geo.load_hierarchy("organisms", AnyPhrase())


def own(hierarchy: geo.ConceptHierarchy, name: str) -> set[str]:
    below = (hierarchy[child].words for child in hierarchy.children[name])
    return set(hierarchy[name].words).difference(*below)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 100])
def test_the_largest_are_kept_with_all_their_words(graph: geo.ConceptHierarchy, count: int) -> None:
    found = largest_concepts(graph, count)
    order = ["thing", "animal", "mammal", "pet", "cat", "dog", "bird"]
    assert set(found.names) == set(order[:count])
    for concept in found:
        assert concept.words == graph[concept.name].words
        assert found.parents[concept.name] == tuple(
            parent for parent in graph.parents[concept.name] if parent in found.names
        )


def test_no_concept_that_is_left_out_is_larger(organisms: geo.ConceptHierarchy) -> None:
    for count in range(1, len(organisms)):
        found = largest_concepts(organisms, count)
        assert len(found) == count
        left = [len(concept) for concept in organisms if concept.name not in found]
        assert max(left) <= min(map(len, found))
        # Of a tree its upper part: nothing lost the parent that it had.
        assert all(found.parents[name] == organisms.parents[name] for name in found.names)


def test_of_equally_large_ones_the_first_count() -> None:
    words = {name: [f"{name} {n}" for n in range(3)] for name in "badc"}
    assert largest_concepts(made(words, {}), 2).names == ("b", "a")


@pytest.mark.parametrize("per_concept", [1, 2, 5, 8])
def test_a_sample_keeps_so_many_of_each_concepts_own_words(graph: geo.ConceptHierarchy, per_concept: int) -> None:
    found = sample_words(graph, per_concept)
    assert found.names == graph.names
    assert found.parents == graph.parents
    for name in graph.names:
        before, after = own(graph, name), own(found, name)
        assert after <= before
        if name not in ("thing", "pet"):  # which have two words in common
            assert len(after) == min(per_concept, len(before))
        for child in found.children[name]:
            assert set(found[child].words) < set(found[name].words)
    assert found.notes[-1].startswith(f"{len(found.words)} of {len(graph.words)} words, at most {per_concept} ")


def test_a_word_that_one_of_its_concepts_keeps_stays_in_all(graph: geo.ConceptHierarchy) -> None:
    for seed in range(5):
        found = sample_words(graph, 1, seed=seed)
        kept = set(found.words)
        for concept in graph:
            assert set(found[concept.name].words) == kept & set(concept.words)
        assert found["pet"].words != found["mammal"].words


def test_words_keep_their_tokens(graph: geo.ConceptHierarchy) -> None:
    found, token = sample_words(graph, 3), dict(zip(graph.words, graph.tokens.tolist(), strict=True))
    for concept in found:
        assert [token[word] for word in concept.words] == list(concept.tokens)


def test_a_sample_as_large_as_every_concept_is_the_whole(graph: geo.ConceptHierarchy) -> None:
    found = sample_words(graph, 1000)
    assert [concept.words for concept in found] == [concept.words for concept in graph]
    assert found.words == graph.words


def test_a_seed_gives_the_same_sample_and_another_another(organisms: geo.ConceptHierarchy) -> None:
    samples = [sample_words(organisms, 3, seed=seed).words for seed in (0, 0, 1, 2)]
    assert samples[0] == samples[1]
    assert all(one != other for one, other in pairwise(samples[1:]))


def test_every_word_is_as_likely() -> None:
    words = {"a": [f"a {n}" for n in range(10)], "all": [*(f"a {n}" for n in range(10)), "all 0"]}
    hierarchy = made(words, {"a": ("all",)})
    counts = dict.fromkeys(words["a"], 0)
    for seed in range(500):
        for word in sample_words(hierarchy, 2, seed=seed)["a"].words:
            counts[word] += 1
    assert sum(counts.values()) == 1000
    # Of 500 samples 100 ± 9.
    assert np.abs(np.array(list(counts.values())) - 100).max() < 4.5 * 9


def test_a_concept_that_is_left_with_all_words_of_its_parent_is_refused() -> None:
    overlapping = {"all": list("vwxyz"), "a": list("vwxy"), "b": list("xyz")}
    hierarchy = made(overlapping, {"a": ("all",), "b": ("all",)})
    kept = []
    for seed in range(40):
        with contextlib.suppress(geo.errors.HierarchyError):
            kept.append(sample_words(hierarchy, 1, seed=seed))
    assert 0 < len(kept) < 40
    for found in kept:
        assert set(found["a"].words) != set(found["all"].words) != set(found["b"].words)
    with pytest.raises(geo.errors.HierarchyError, match="has exactly the words of its parent 'all'"):
        for seed in range(40):
            sample_words(hierarchy, 1, seed=seed)


def test_a_sample_of_the_largest_is_read_and_tested_as_any_other(organisms: geo.ConceptHierarchy) -> None:
    found = sample_words(largest_concepts(organisms, 5), 4)
    assert len(found) == 5
    assert found.over(geo.layers.PhraseActivations(found.words, (), {}).vocabulary).words == found.words


@pytest.mark.parametrize("number", [0, -3])
def test_fewer_than_1_is_refused(organisms: geo.ConceptHierarchy, number: int) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=f"'organisms': at least 1 concept must be kept, not {number}"):
        largest_concepts(organisms, number)
    with pytest.raises(geo.errors.HierarchyError, match=f"'organisms': at least 1 word a concept .* not {number}"):
        sample_words(organisms, number)


@pytest.mark.parametrize("number", [True, 2.0, None], ids=repr)
def test_what_is_no_whole_number_is_refused(organisms: geo.ConceptHierarchy, number: object) -> None:
    with pytest.raises(geo.errors.ArgumentError, match="count must be a whole number"):
        largest_concepts(organisms, number)  # type: ignore[arg-type]
    with pytest.raises(geo.errors.ArgumentError, match="per_concept must be a whole number"):
        sample_words(organisms, number)  # type: ignore[arg-type]


def test_without_concepts_that_hold_every_word() -> None:
    tree = {"all": {"left": ["a", "b"], "right": ["c", "d"]}}
    hierarchy = geo.load_hierarchy(tree, geo.concepts.AnyPhrase())
    kept = geo.concepts.proper_concepts(hierarchy)
    assert kept.names == ("left", "right")
    assert geo.concepts.proper_concepts(kept) is kept
    one = geo.load_hierarchy({"all": ["a", "b"]}, geo.concepts.AnyPhrase())
    with pytest.raises(geo.errors.HierarchyError, match="every concept holds all words"):
        geo.concepts.proper_concepts(one)
