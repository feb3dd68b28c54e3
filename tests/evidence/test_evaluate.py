"""Claims where the answer is known: noise, in which nothing is, and a planted model, in which everything is."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom

import geometry as geo
from tests.planted import nested_words, planted_tree, synthetic

ORTHOGONALITY = {f"orthogonality-{letter}" for letter in "abcd"}


@pytest.fixture(scope="module")
def planted() -> tuple[geo.CausalSpace, geo.ConceptHierarchy, geo.results.Results]:
    unembedding, hierarchy = planted_tree((3, 3, 3), per_leaf=24, width=256, rows=6000)
    space = geo.CausalSpace.fit(unembedding)
    also = [geo.evidence.simplex_angles(), geo.evidence.projection("token")]
    return (
        space,
        hierarchy,
        geo.evaluate_claims(space, hierarchy, also=also, n_permutations=39, n_others=10, max_tokens=128),
    )


def test_every_planted_claim_is_found(planted: tuple) -> None:
    verdicts = {result.name: result.verdict for result in planted[2] if result.rule}
    assert verdicts == dict.fromkeys((claim.name for claim in geo.CLAIMS), "supported")


def test_planted_angles_are_right_angles_within_the_noise(planted: tuple) -> None:
    _, hierarchy, results = planted
    # A mean over n words errs by 1/√n along any direction, against contrasts of length 8√(2/3) and parents
    # at least as long: the cosine of two such vectors is off by √(1/n + 1/n) / (8√(2/3)), n the words of half a leaf.
    words = min(len(concept) for concept in hierarchy) / 2
    bound = np.sqrt(2 / words) / (8 * np.sqrt(2 / 3))
    for name in ORTHOGONALITY:
        assert results[name].value < bound
    assert results["simplex_angles"].values.max() < np.degrees(2 * bound)


def test_results_say_all_that_a_report_needs(planted: tuple) -> None:
    entries = [result.to_dict() for result in planted[2] if result.rule]
    assert [entry["claim"] for entry in entries] == [claim.name for claim in geo.CLAIMS]
    for entry in entries:
        assert entry["hierarchy"] == "synthetic"
        low, high = entry["interval"]
        assert low <= entry["value"] <= high
        assert entry["p_floor"] == 1 / 40
        assert entry["p_floor"] <= entry["p_value"] <= entry["p_adjusted"] <= 1
        assert {"shuffled", "gaussian", "frequency_matched", "random_metric"} <= set(entry["nulls"])
        assert ("published" in entry) == (entry["claim"] in ORTHOGONALITY)


def test_further_statistics_are_measured_in_the_same_pass_and_judged_by_nobody(planted: tuple) -> None:
    space, hierarchy, results = planted
    also = results["projection_token"]
    assert len(results) == len(geo.CLAIMS) + 2
    assert also.verdict == ""
    statistic = geo.evidence.projection("token")
    alone = geo.test_against_nulls(space, hierarchy, [statistic], nulls=["shuffled"], n_permutations=2, max_tokens=128)
    np.testing.assert_array_equal(also.values, alone["projection_token"].values)
    np.testing.assert_array_equal(also.nulls["shuffled"].values[:2], alone[0].nulls["shuffled"].values)


def test_a_claim_and_a_null_of_ones_own(planted: tuple) -> None:
    space, hierarchy, _ = planted

    def lengths(directions: geo.ConceptDirections) -> np.ndarray:
        return directions.vectors.norm(dim=1).numpy()

    def mirrored(_: object, cloud: geo.directions.TokenCloud, __: object) -> geo.directions.TokenCloud:
        return cloud.moved(-cloud.points)

    statistic = geo.Statistic("lengths", "whole", 0.0, lengths, lambda directions: directions.hierarchy.names)
    claim = geo.Claim("long", "Concept vectors are long", "length", 8.0, statistic)
    nulls = {name: geo.NULLS[name] for name in ("shuffled", "random_subset")}
    nulls["mirrored"] = geo.NullModel(mirrored, label="mirrored rows", marker="*", random=False)
    results = geo.evaluate_claims(space, hierarchy, claims=[claim], nulls=nulls, n_permutations=19)
    assert results["long"].verdict == "supported"
    assert results["long"].nulls["mirrored"].mean == pytest.approx(results["long"].value)
    assert (results["long"].nulls["mirrored"].label, results["long"].nulls["mirrored"].marker) == ("mirrored rows", "*")
    assert "mirrored rows" in results.to_frame().columns
    figure = results.plot()
    written = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "mirrored rows" in written


@pytest.mark.parametrize("models", [50, pytest.param(200, marks=pytest.mark.long)])
def test_on_noise_no_claim_is_found(models: int) -> None:
    words, parents = nested_words((3, 2), per_leaf=11)
    significant, supported = Counter(), []
    for seed in range(models):
        rows = np.random.default_rng(seed).standard_normal((150, 20))
        unembedding, hierarchy = synthetic(rows, words, parents)
        results = geo.evaluate_claims(
            geo.CausalSpace.fit(unembedding),
            hierarchy,
            nulls=("shuffled", "random_subset"),
            n_permutations=29,
            n_others=3,
            max_tokens=10,
            seed=seed,
            progress=False,
        )
        significant.update(result.name for result in results if result.p_value < 0.05)
        supported += [r for r in results if r.name in ORTHOGONALITY and r.verdict == "supported"]
    # The upper 99% bound at a level of 5%.
    assert max(significant.values()) <= binom.ppf(0.99, models, 0.05), significant
    # A test that never rejects would pass as well; each rejects sometimes, of few models at least most of them.
    assert len(significant) >= (len(geo.CLAIMS) if models == 200 else 10)
    assert not supported


def test_a_hierarchy_too_shallow_for_some_claims_leaves_them_unmeasured() -> None:
    unembedding, hierarchy = planted_tree((3,), per_leaf=12, width=32, rows=300)
    nulls = ("shuffled", "random_subset")
    space = geo.CausalSpace.fit(unembedding)
    results = geo.evaluate_claims(space, hierarchy, nulls=nulls, n_permutations=2, max_tokens=16, progress=False)
    unmeasured = {result.name for result in results if result.verdict == "not measurable"}
    assert unmeasured == {
        "orthogonality-c", "orthogonality-d", "logits", "quartets", "four-points", "tree-correlation-disjoint"
    }  # fmt: skip
    entry = results["logits"].to_dict()
    assert entry["interval"] is None
    assert np.isnan([entry["value"], entry["p_value"], entry["p_adjusted"]]).all()


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
    assert "held out by a lemma split" in skipped["plant"]
    assert "all" not in skipped


def test_the_nulls_that_verdicts_need_must_be_there() -> None:
    unembedding, hierarchy = planted_tree((3,), per_leaf=8, width=32, rows=300)
    with pytest.raises(geo.errors.EstimationError, match="need the null model 'random_subset'"):
        geo.evaluate_claims(geo.CausalSpace.fit(unembedding), hierarchy, nulls=("shuffled",), n_permutations=1)


def test_statistics_besides_the_claims_neither_hide_nor_double_them(planted: tuple) -> None:
    space, hierarchy, _ = planted
    options = {"n_permutations": 3, "max_tokens": 128, "nulls": ("shuffled", "random_subset")}
    results = geo.evaluate_claims(space, hierarchy, also=[geo.evidence.parent_orthogonality()], **options)
    assert [test.name for test in results].count("parent_orthogonality") == 1
    with pytest.raises(geo.errors.EstimationError, match="'separation' is the name of a claim"):
        geo.evaluate_claims(space, hierarchy, also=[geo.evidence.separation()], **options)
