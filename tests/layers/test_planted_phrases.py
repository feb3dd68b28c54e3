"""Activations in which the claims hold, or do not: the battery finds which, as it does on an unembedding."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.layers import PhraseActivations
from geometry.layers.metrics import Metric
from tests.planted import planted_tree

SITE = geo.Site("output", 1)
CONTEXTS = 3
FOUND = ("existence", "separation", "tree-correlation", "quartets", "span")
SIGNIFICANT = ("supported", "significant, small effect")


@cache
def planted(
    levels: tuple[int, ...] = (3, 3), per_leaf: int = 10, width: int = 24, tilt: float = 0, shuffled: bool = False
) -> tuple[PhraseActivations, geo.ConceptHierarchy]:
    """Phrases of two words each in three contexts, every context with noise and a shift of its own."""
    count = int(np.prod(levels)) * per_leaf
    unembedding, hierarchy = planted_tree(levels, per_leaf, width, count, tilt=tilt, scattered=True)
    generator = torch.Generator().manual_seed(0)
    rows = unembedding.matrix[torch.randperm(count, generator=generator)] if shuffled else unembedding.matrix
    phrases = tuple(f"a {unembedding.vocabulary.text(number).strip()}" for number in range(count))
    vocabulary = PhraseActivations(phrases, (), {}).vocabulary
    concepts = tuple(
        geo.concepts.Concept.from_words(concept.name, [f"a {word}" for word in concept.words], vocabulary)
        for concept in hierarchy
    )
    shape = (CONTEXTS, 1, width)
    shifts = 20 * torch.randn(shape, generator=generator) + 0.5 * torch.randn(
        (CONTEXTS, count, width), generator=generator
    )
    found = PhraseActivations(phrases, ("a {}", "b {}", "c {}"), {SITE: rows + shifts}, "planted")
    return found, geo.ConceptHierarchy("planted", concepts, hierarchy.parents)


def verdicts(space: geo.CausalSpace, hierarchy: geo.ConceptHierarchy) -> dict[str, Any]:
    options: dict[str, Any] = {"n_permutations": 99, "n_others": 3, "n_twins": 3, "progress": False}
    return {result.name: result for result in geo.evaluate_claims(space, hierarchy, **options)}


def mixed(width: int) -> torch.Tensor:
    root = torch.randn(width, width, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return root / width**0.5 + 2 * torch.eye(width, dtype=torch.float64)


def test_the_planted_hierarchy_is_found() -> None:
    found, hierarchy = planted()
    assert hierarchy.over(found.vocabulary).words == hierarchy.words
    results = verdicts(found.space(SITE), hierarchy)
    assert {name: results[name].verdict for name in FOUND} == dict.fromkeys(FOUND, "supported")
    assert all(results[name].p_value == pytest.approx(0.01) for name in FOUND)


@pytest.mark.parametrize("contexts", [[0], [1, 2]])
def test_it_is_found_in_some_of_the_contexts(contexts: list[int]) -> None:
    found, hierarchy = planted()
    results = verdicts(found.space(SITE, contexts=contexts), hierarchy)
    assert all(results[name].verdict in SIGNIFICANT for name in FOUND)


def test_under_a_metric_that_undoes_what_mixed_the_activations_the_numbers_are_the_same() -> None:
    found, hierarchy = planted()
    # About the mean of all phrases the vector of the concept that holds them all is rounding error.
    hierarchy, mixer = hierarchy.only(hierarchy.names[1:]), mixed(24)
    away = PhraseActivations(
        found.phrases, found.contexts, {SITE: (found[SITE].double() @ mixer).float()}, found.model, found.family
    )
    inverse = torch.linalg.inv(mixer)
    undone = away.space(SITE, Metric("undone", inverse @ inverse.T, SITE), dtype=torch.float64)
    plain = verdicts(found.space(SITE, dtype=torch.float64), hierarchy)
    results = verdicts(undone, hierarchy)
    for name in ("existence", "tree-correlation"):
        np.testing.assert_allclose(results[name].values, plain[name].values, rtol=1e-3, atol=1e-4)


def test_of_shuffled_phrases_nothing_is_significant() -> None:
    found, hierarchy = planted(shuffled=True)
    results = verdicts(found.space(SITE), hierarchy)
    assert not {name: result.verdict for name, result in results.items() if result.verdict in SIGNIFICANT}
    assert all(result.p_value > 0.05 for result in results.values() if np.isfinite(result.p_value))


@pytest.mark.parametrize(
    ("tilt", "expected"),
    [(0.0, ("orthogonal within 0.15", "near-orthogonal: deviates, within 0.15")), (0.6, ("contradicted",))],
    ids=["orthogonal", "tilted by 0.6"],
)
def test_orthogonality_is_told_from_a_tilt(tilt: float, expected: tuple[str, ...]) -> None:
    found, hierarchy = planted((3, 3, 3), 24, 64, tilt)
    results = verdicts(found.space(SITE), hierarchy)
    assert results["orthogonality-b"].verdict in expected
    assert results["existence"].verdict == "supported"
