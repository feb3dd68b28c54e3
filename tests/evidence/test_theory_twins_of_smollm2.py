"""Verdicts on SmolLM2's theory twins, taken for models: where the theory is true, and where contrasts are tilted."""

from collections import Counter

import pytest

import geometry as geo
from geometry.directions import TokenCloud
from geometry.evidence import TILT, TheoryTwin

SEEDS = range(101, 106)  # not those of the twins that a run draws beside them
STRUCTURE = ("existence", "separation", "membership", "tree-correlation-disjoint")


@pytest.fixture(scope="module")
def nouns(smollm2_space: geo.CausalSpace, smollm2_nouns: geo.ConceptHierarchy) -> tuple[geo.CausalSpace, TheoryTwin]:
    return smollm2_space, TheoryTwin.of(TokenCloud.of(smollm2_space, smollm2_nouns))


def judged(space: geo.CausalSpace, cloud: TokenCloud, names: tuple[str, ...], seed: int) -> geo.results.Results:
    claims = [claim for claim in geo.CLAIMS if claim.name in names]
    options = {"nulls": ("permuted", "random_subset"), "n_permutations": 39, "n_others": 1, "progress": False}
    return geo.evaluate_claims(space, cloud, claims=claims, seed=seed, **options)


@pytest.mark.long
def test_where_the_theory_is_true_it_is_not_contradicted_and_structure_is_supported(nouns: tuple) -> None:
    space, twin = nouns
    names = (*STRUCTURE, *(f"orthogonality-{letter}" for letter in "abcd"))
    verdicts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for seed in SEEDS:
        for result in judged(space, twin.cloud(seed), names, seed):
            verdicts[result.name][geo.evidence.verdict_word(result.verdict)] += 1
    assert sum(verdicts[name]["contradicted"] for name in names) <= 1, verdicts
    assert not any(verdicts[name]["explained by nesting"] for name in names), verdicts
    assert all(verdicts[name]["supported"] == len(SEEDS) for name in STRUCTURE), verdicts


@pytest.mark.long
def test_where_contrasts_are_tilted_orthogonality_of_siblings_is_contradicted(nouns: tuple) -> None:
    space, twin = nouns
    tilted = [judged(space, twin.cloud(seed, tilt=TILT), ("orthogonality-b",), seed)[0] for seed in SEEDS]
    assert sum(result.verdict == "contradicted" for result in tilted) >= 4, tilted
