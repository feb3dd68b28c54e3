"""What cannot be measured is known from the hierarchy alone, and the verdict says the same with the number needed."""

from collections.abc import Mapping
from typing import Any

import pytest

import geometry as geo
from geometry.errors import EstimationError, HierarchyError
from geometry.evidence import Requirement, require_measurable, unmeasurable, without_model
from geometry.models.vocabulary import AnyWord
from tests.planted import nested_words, planted_tree


def words(letter: str, count: int = 8) -> list[str]:
    return [f"{letter}{number}x" for number in range(count)]


SMALL: dict[str, Mapping[str, Any]] = {
    "two flat": {"a": words("a"), "b": words("b")},
    "three": {"top": {"a": words("a"), "b": words("b")}},
    "four flat": {name: words(name) for name in "abcd"},
    "one family": {"top": {name: words(name) for name in "abc"}},
    "chain": {"top": [{"a": [{"b": words("b")}, *words("a")]}, *words("t")]},
    "three levels": {"top": {"a": {"c": words("c"), "d": words("d")}, "b": {"e": words("e"), "f": words("f")}}},
    "two words": {"top": {name: words(name, 2) for name in "abc"}},
}
NOTHING: dict[str, Mapping[str, Any]] = {
    "one": {"a": words("a")},
    "one word each": {name: words(name, 1) for name in "abc"},
    "the same words": {name: words("a") for name in "abc"},
}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_what_is_lacking_is_announced_and_is_the_verdict(name: str) -> None:
    hierarchy = geo.load_hierarchy(SMALL[name], AnyWord(), forms="case")
    lacking = unmeasurable(SMALL[name]).keys()
    unembedding = geo.Unembedding(_rows(hierarchy), _vocabulary(hierarchy), "noise")
    own = geo.load_hierarchy(SMALL[name], unembedding.vocabulary, forms="case")
    results = geo.evaluate_claims(
        geo.CausalSpace.fit(unembedding), own, n_permutations=3, n_others=1, n_twins=2, progress=False
    )
    assert {"orthogonality-a", "orthogonality-b", "orthogonality-c", "orthogonality-d"} <= lacking
    assert any(result.measured for result in results)
    for claim in geo.CLAIMS:
        result = results[claim.name]
        if reason := claim.lacking(own):
            assert result.verdict == f"not measurable ({reason})"
            assert not result.measured or claim.orthogonality
        assert "not measurable" in result.verdict or claim.name not in unmeasurable(own), claim.name


def test_a_tree_of_three_levels_lacks_nothing_but_families() -> None:
    assert set(unmeasurable(SMALL["three levels"])) - {"span", "angles"} == {
        f"orthogonality-{letter}" for letter in "abcd"
    }


def test_reasons_name_the_number_and_what_there_is() -> None:
    reasons = unmeasurable(SMALL["one family"])
    assert reasons["orthogonality-b"] == (
        "needs at least 8 families with 16 lemmas on every side of a comparison, has 0"
    )
    assert reasons["tree-correlation"].endswith("tree distances between concepts without a common word, has 1")
    assert "membership" not in reasons
    assert "membership" in unmeasurable(SMALL["four flat"])
    assert unmeasurable(SMALL["two words"], claims=[claim for claim in geo.CLAIMS if claim.name == "span"]) == {}


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_a_hierarchy_that_shows_nothing_is_refused(name: str) -> None:
    hierarchy = without_model(NOTHING[name])
    assert set(unmeasurable(hierarchy)) == {claim.name for claim in geo.CLAIMS}
    unembedding = geo.Unembedding(_rows(hierarchy), _vocabulary(hierarchy), "noise")
    own = geo.load_hierarchy(NOTHING[name], unembedding.vocabulary)
    with pytest.raises(
        EstimationError, match="no claim can be measured on it; existence needs at least 1 concept of 4"
    ):
        geo.evaluate_claims(geo.CausalSpace.fit(unembedding), own, n_permutations=3)


def test_a_large_hierarchy_lacks_nothing(smollm2_nouns: geo.ConceptHierarchy) -> None:
    assert unmeasurable(smollm2_nouns) == {}
    require_measurable(smollm2_nouns)


def test_wordnet_depends_on_the_model() -> None:
    with pytest.raises(HierarchyError, match="depend on a model's words; load it with a vocabulary"):
        unmeasurable("wordnet-noun")


def test_families_are_those_that_are_compared() -> None:
    unembedding, hierarchy = planted_tree((8, 2), per_leaf=16, width=32, rows=600)
    claim = next(claim for claim in geo.CLAIMS if claim.name == "orthogonality-a")
    assert claim.lacking(hierarchy) == ""
    own, parents = nested_words((7, 2), 16)
    fewer = geo.concepts.hierarchy_from_words("fewer", own, parents, unembedding.vocabulary, forms="none")
    (requirement,) = claim.requires
    assert requirement.count(fewer) == 8  # the seven, and the root of them all
    assert Requirement("families", 9, requirement.count).lacking(fewer) == "needs at least 9 families, has 8"


def test_statistics_of_ones_own_need_not_say_what_they_require() -> None:
    norms = geo.Statistic("norms", "whole", 0.0, lambda d: d.vectors.norm(dim=1).numpy(), lambda d: d.names)
    claim = geo.Claim("mine", "Vectors are long", "norm", 1.0, norms)
    assert unmeasurable(NOTHING["one"], claims=[claim]) == {}


def _vocabulary(hierarchy: geo.ConceptHierarchy) -> geo.Vocabulary:
    return geo.Vocabulary([*(f"Ġ{word}" for word in hierarchy.words), *(f"Ġfiller{number}" for number in range(300))])


def _rows(hierarchy: geo.ConceptHierarchy) -> Any:
    import torch

    rows = len(hierarchy.words) + 300
    return torch.randn((rows, 24), generator=torch.Generator().manual_seed(0))
