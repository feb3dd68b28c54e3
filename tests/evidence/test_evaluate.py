"""The battery where the answer is known: noise, in which nothing is, and a planted model, in which everything is."""

from collections import Counter

import numpy as np
import pytest
import torch

import geometry as geo

ORTHOGONALITY = {f"orthogonality-{letter}" for letter in "abcd"}


def nested_words(levels: tuple[int, ...], per_leaf: int) -> tuple[dict[str, list[str]], dict[str, tuple[str, ...]]]:
    """Words of every concept of a regular tree, and its parents; the root is "r", its children "ra", "rb" …"""
    words, parents, current = {"r": []}, {}, ["r"]
    for width in levels:
        for name in (current := [parent + "abcdefgh"[i] for parent in current for i in range(width)]):
            words[name], parents[name] = [], (name[:-1],)
    for leaf in current:
        own = [f"{leaf}w{number}" for number in range(per_leaf)]
        for length in range(1, len(leaf) + 1):
            words[leaf[:length]] += own
    return words, parents


def model(rows: np.ndarray, words: dict, parents: dict) -> tuple[geo.Unembedding, geo.ConceptHierarchy]:
    named = words["r"]
    tokens = [f"Ġ{word}" for word in named] + [f"Ġfiller{number}" for number in range(len(rows) - len(named))]
    vocabulary = geo.Vocabulary(tokens)
    concepts = tuple(geo.concepts.Concept.from_words(name, own, vocabulary) for name, own in words.items())
    unembedding = geo.Unembedding(torch.from_numpy(rows.astype(np.float32)), vocabulary, "synthetic")
    return unembedding, geo.ConceptHierarchy("synthetic", concepts, parents)


def planted_model(
    levels: tuple[int, ...], per_leaf: int, width: int, rows: int
) -> tuple[geo.Unembedding, geo.ConceptHierarchy]:
    """Every family a regular simplex, every level orthogonal to the others, and unit noise on each row."""
    rng = np.random.default_rng(0)
    words, parents = nested_words(levels, per_leaf)
    axes = iter(np.linalg.qr(rng.standard_normal((width, width)))[0].T)
    centre = {"r": 8 * next(axes)}
    for parent in [name for name in words if any(above == (name,) for above in parents.values())]:
        children = [name for name, above in parents.items() if above == (parent,)]
        vertices = np.stack([next(axes) for _ in children])
        for child, vertex in zip(children, 8 * (vertices - vertices.mean(axis=0)), strict=True):
            centre[child] = centre[parent] + vertex
    means = np.stack([centre[word.split("w")[0]] for word in words["r"]])
    noise = rng.standard_normal((rows, width))
    noise[: len(means)] += means
    return model(noise, words, parents)


@pytest.fixture(scope="module")
def planted() -> tuple[geo.CausalSpace, geo.ConceptHierarchy, list[geo.evidence.ClaimResult]]:
    unembedding, hierarchy = planted_model((3, 3, 3), per_leaf=24, width=256, rows=6000)
    space = geo.CausalSpace.fit(unembedding)
    return space, hierarchy, geo.evaluate_claims(space, [hierarchy], draws=39, other_draws=10)


def test_every_planted_claim_is_found(planted: tuple) -> None:
    verdicts = {result.claim.name: result.verdict for result in planted[2]}
    assert verdicts == dict.fromkeys((claim.name for claim in geo.CLAIMS), "supported")


def test_planted_angles_are_right_angles_within_the_noise(planted: tuple) -> None:
    space, hierarchy, results = planted
    # A mean over n words errs by 1/√n along any direction, against contrasts of length 8√(2/3) and parents
    # at least as long: the cosine of two such vectors is off by √(1/n + 1/n) / (8√(2/3)), n the words of half a leaf.
    words = min(len(concept) for concept in hierarchy) / 2
    bound = np.sqrt(2 / words) / (8 * np.sqrt(2 / 3))
    for result in results:
        if result.claim.name in ORTHOGONALITY:
            assert result.test.mean < bound
    angles = geo.test_against_nulls(
        space, hierarchy, [geo.evidence.simplex_angles()], nulls=("shuffled",), draws=1, missing="nan"
    )
    assert angles["angles/halves"].values.max() < np.degrees(2 * bound)


def test_results_say_all_that_a_report_needs(planted: tuple) -> None:
    entries = [result.to_dict() for result in planted[2]]
    assert [entry["claim"] for entry in entries] == [claim.name for claim in geo.CLAIMS]
    for entry in entries:
        assert entry["hierarchy"] == "synthetic"
        low, high = entry["interval"]
        assert low <= entry["value"] <= high
        assert entry["p_floor"] == 1 / 40
        assert entry["p_floor"] <= entry["p_value"] <= entry["q_value"] <= 1
        assert {"shuffled", "gaussian", "frequency_matched", "random_metric"} <= set(entry["nulls"])
        assert ("all_words" in entry) == (entry["claim"] in ORTHOGONALITY)


def test_on_noise_the_battery_finds_nothing() -> None:
    words, parents = nested_words((3, 2), per_leaf=11)
    found, supported = Counter(), []
    draws = 200
    for seed in range(draws):
        rows = np.random.default_rng(seed).standard_normal((150, 20))
        unembedding, hierarchy = model(rows, words, parents)
        results = geo.evaluate_claims(
            geo.CausalSpace.fit(unembedding),
            [hierarchy],
            nulls=("shuffled", "random_subset"),
            draws=29,
            other_draws=3,
            seed=seed,
            progress=False,
        )
        found.update(result.claim.name for result in results if result.p_value < 0.05)
        orthogonal = [result for result in results if result.claim.name in ORTHOGONALITY]
        supported += [result for result in orthogonal if result.verdict == "supported"]
    # 9% is the upper 99% bound of a binomial with 200 draws at a level of 5%.
    assert max(found.values()) <= 0.09 * draws, found
    # A test that never rejects would pass as well; each rejects sometimes.
    assert set(found) == {claim.name for claim in geo.CLAIMS}
    assert not supported


def test_a_hierarchy_too_shallow_for_some_claims_leaves_them_unmeasured() -> None:
    unembedding, hierarchy = planted_model((3,), per_leaf=12, width=32, rows=300)
    results = geo.evaluate_claims(
        geo.CausalSpace.fit(unembedding), [hierarchy], nulls=("shuffled", "random_subset"), draws=2, progress=False
    )
    verdicts = {result.claim.name: result.verdict for result in results}
    unmeasured = {name for name, verdict in verdicts.items() if verdict == "not measured"}
    assert unmeasured == {
        "orthogonality-c", "orthogonality-d", "logits", "quartets", "four-points", "tree-correlation-disjoint"
    }  # fmt: skip
    entry = next(result.to_dict() for result in results if result.claim.name == "logits")
    assert entry["interval"] is None
    assert np.isnan([entry["value"], entry["p_value"], entry["q_value"]]).all()


def test_concepts_that_are_passed_over_are_listed_with_the_reason() -> None:
    vocabulary = geo.Vocabulary([f"Ġ{word}" for word in "ox oxen Ox cat dog cow hen duck goose crow oak pine".split()])
    hierarchy = geo.concepts.hierarchy_from_words(
        "odd",
        {
            "all": [],
            "animal": ["cat", "dog", "cow", "hen", "duck", "goose", "crow"],
            "ox": ["ox"],
            "plant": ["oak", "pine"],
        },
        {"animal": ["all"], "ox": ["animal"], "plant": ["all"]},
        vocabulary,
    )
    skipped = geo.evidence.skipped_concepts(hierarchy)
    assert "a single value, ox: no simplex" in skipped["animal"]
    assert "forms of one lemma" in skipped["ox"]
    assert "unseen after a lemma split" in skipped["plant"]
    assert "all" not in skipped


def test_the_nulls_that_verdicts_need_must_be_there() -> None:
    unembedding, hierarchy = planted_model((3,), per_leaf=8, width=32, rows=300)
    with pytest.raises(geo.errors.EstimationError, match="needs the null model 'random_subset'"):
        geo.evaluate_claims(geo.CausalSpace.fit(unembedding), [hierarchy], nulls=("shuffled",), draws=1)
