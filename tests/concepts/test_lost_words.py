"""Words that are no single token are counted and named, by what holds them and by every result on it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geometry as geo
from tests.planted import planted_classes
from tests.steering import tiny
from tests.steering.test_source import unembedding

VOCABULARY = geo.Vocabulary([f"Ġ{word}" for word in "animal cat cats crow pet US low Low may".split()])
WORDS = {"animal": ["animal", "gnu"], "mammal": ["cat", "okapi", "US"], "bird": ["crow", "xyzzy", "gnu"]}
PARENTS = {"mammal": ["animal"], "bird": ["animal"]}


def hierarchy(**options: Any) -> geo.ConceptHierarchy:
    return geo.concepts.hierarchy_from_words("some", WORDS, PARENTS, VOCABULARY, **options)


def test_every_concept_names_what_it_and_those_below_lost() -> None:
    some = hierarchy()
    assert {concept.name: set(concept.lost) for concept in some} == {
        "animal": {"gnu", "okapi", "xyzzy"}, "mammal": {"okapi"}, "bird": {"gnu", "xyzzy"},
    }  # fmt: skip
    assert sorted(some.lost) == ["gnu", "okapi", "xyzzy"]
    assert hierarchy(only=["mammal"]).lost == some.only(["mammal"]).lost == ("okapi",)
    assert sorted(some.over(VOCABULARY).lost) == ["gnu", "okapi", "xyzzy"]


@pytest.mark.parametrize("forms", ["noun", "verb", "case", "none"])
def test_a_word_with_one_form_is_not_lost(forms: Any) -> None:
    lost = hierarchy(forms=forms).lost
    assert "US" not in lost
    assert "cat" not in lost
    assert {"gnu", "okapi", "xyzzy"} <= set(lost)


def test_nothing_is_lost_where_all_is_known() -> None:
    words = {"animal": ["animal"], "mammal": ["cat"]}
    full = geo.concepts.hierarchy_from_words("full", words, {"mammal": ["animal"]}, VOCABULARY)
    assert full.lost == ()


def test_behaviours_name_words_that_they_have_in_neither_case() -> None:
    vocabulary = geo.Vocabulary(["Ġcalm", "ĠFirm", "ĠUS", "Ġx"])
    prompts = tuple(geo.concepts.Prompt(f"{t} {d}", t, d) for t in "ab" for d in "cd")
    kinds = dict.fromkeys("ab", "t"), dict.fromkeys("cd", "d")
    classes = (
        geo.concepts.BehaviourClass("low", ("calm", "serene", "US"), prompts),
        geo.concepts.BehaviourClass("high", ("firm", "iRate"), prompts),
    )
    words = geo.concepts.behaviour_words([geo.concepts.Behaviour("mood", "", False, *kinds, classes)], vocabulary)
    assert {concept.name: set(concept.lost) for concept in words} == {
        "mood": {"serene", "iRate"}, "mood: low": {"serene"}, "mood: high": {"iRate"},
    }  # fmt: skip


def test_results_count_and_name_what_was_lost() -> None:
    planted = planted_classes()
    words = {c.name: [*c.words, f"lost {c.name}"] for c in planted.hierarchy}
    parents = planted.hierarchy.parents
    own = geo.concepts.hierarchy_from_words("own", words, parents, planted.unembedding.vocabulary, forms="none")
    assert len(own.lost) == len(words)
    results = geo.evaluate_claims(geo.CausalSpace.fit(planted.unembedding), own, n_permutations=1, n_twins=0)
    for result in results:
        assert result.lost == own.lost
        assert result.to_dict()["lost"] == {"count": len(words), "words": list(own.lost)}
        assert f"{len(words)} lost: lost " in repr(result)
        assert result.row()["lost"] == len(words)
    plain = geo.TestResult(name="x", labels=("a",), values=np.ones(1))
    assert "lost" not in plain.to_dict()
    assert "lost" not in plain.row()
    assert "lost" not in repr(plain)


def test_vectors_of_a_concept_say_what_it_lost() -> None:
    source = unembedding(tiny.build("llama"))
    words = {"all": ["w2", "gnu"], "low": [f"w{i}" for i in range(3, 30)], "high": [f"w{i}" for i in range(30, 60)]}
    words["high"] += [f"gone{i}" for i in range(30)]
    parents = {"low": ["all"], "high": ["all"]}
    halves = geo.concepts.hierarchy_from_words("halves", words, parents, source.vocabulary, forms="none")
    space = geo.CausalSpace.fit(source)
    concepts = geo.ConceptSteering(space, geo.ConceptDirections.fit(space, halves))
    assert concepts["low"].notes == ()
    (note,) = concepts["high"].notes
    assert note.startswith("30 words of high are no single token of this vocabulary: gone0, gone1")
    assert note.endswith(", …")
    assert "31 words of all" in " ".join(concepts.child("high").notes)


SERIES = """
sets:
  brands: {values: {iphone: [iPhone], us: [US], cat: [cat, zzzz], crow: [crow], may: [May], none: [qqq]}}
"""


def test_series_and_pairs_name_what_they_lost(tmp_path: Path) -> None:
    vocabulary = geo.Vocabulary(["ĠiPhone", "ĠUS", "Ġcat", "Ġcrow", "Ġmay", "Ġus", "Ġiphone"])
    (tmp_path / "s.yaml").write_text(SERIES)
    series = geo.concepts.load_series(vocabulary, tmp_path / "s.yaml")["brands"]
    assert series.values == ("iphone", "us", "cat", "crow")
    assert series.tokens.tolist() == [0, 1, 2, 3]
    assert series.lost == ("zzzz", "May", "qqq")
    (tmp_path / "p.yaml").write_text("pairs: {size: [[cat, crow], [cat, elk], [gnu, elk]], full: [[cat, crow]]}")
    lost: dict[str, tuple[str, ...]] = {}
    pairs = geo.concepts.load_pairs(vocabulary, tmp_path / "p.yaml", lost=lost)
    assert pairs["size"][0] == (("cat", "crow"),)
    assert lost == {"size": ("elk", "gnu")}


def test_wordnet_says_how_many_of_its_lemmas_are_lost(smollm2: geo.Unembedding) -> None:
    first = geo.load_hierarchy("wordnet:bird.n.01", smollm2.vocabulary).notes[0]
    match = re.fullmatch(r"(\d[\d,]*) of (\d[\d,]*) lemmas are no single token of this vocabulary, such as (.*)", first)
    assert match is not None
    lost, every = (int(match[place].replace(",", "")) for place in (1, 2))
    assert 0 < lost < every
    assert not any(word in smollm2.vocabulary.words for word in match[3].split(", "))
