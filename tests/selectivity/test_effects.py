"""Effects of directions on all concepts: against hand computations of a softmax of 30 tokens, and planted trees."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import geometry as geo
from geometry.errors import HierarchyError, SteeringError
from geometry.selectivity import ClosenessTest, ConceptOdds, OutputSelectivity, tilts_at_kl

Array = NDArray[np.float64]
# Two families of three concepts of four words, and six words of none.
WORDS = [f"w{index}" for index in range(30)]
VOCABULARY = geo.Vocabulary([f"Ġ{word}" for word in WORDS])
LEAVES = {name: (4 * place, 4 * place + 4) for place, name in enumerate(("a0", "a1", "a2", "b0", "b1", "b2"))}
SETS = {"root": WORDS, "a": WORDS[:12], "b": WORDS[12:24], **{name: WORDS[i:j] for name, (i, j) in LEAVES.items()}}
SETS["a2"] = [*SETS["a2"], WORDS[0]]  # a word that is a0's too
PARENTS = {"a": ("root",), "b": ("root",), **{name: (name[0],) for name in LEAVES}}
TREE = geo.ConceptHierarchy(
    "tree", tuple(geo.concepts.Concept.from_words(name, words, VOCABULARY) for name, words in SETS.items()), PARENTS
)
FAMILIES = TREE.only([name for name in SETS if name != "root"])  # so that they are unrelated
N = 5
RNG = np.random.default_rng(0)
LAW: Array = RNG.dirichlet(np.full(30, 0.7), size=N)
ODDS, FAMILY_ODDS = ConceptOdds.of(TREE), ConceptOdds.of(FAMILIES)


def moved(shift: Array, t: float) -> Array:
    law = LAW * np.exp(t * shift)
    return np.asarray(law / law.sum(axis=1, keepdims=True))


def kl(law: Array) -> Array:
    return np.asarray((law * np.log(law / LAW)).sum(axis=1))


def log_odds(law: Array, words: list[int]) -> Array:
    p = law[:, words].sum(axis=1)
    return np.asarray(np.log(p / (1 - p)))


def test_the_coefficient_is_that_of_the_divergence_asked_for() -> None:
    shifts = RNG.standard_normal((20, 30)) * np.geomspace(1e-3, 30, 20)[:, None]
    for nats in (0.05, 0.5):
        for shift, tilted in zip(shifts, tilts_at_kl(LAW, shifts, nats), strict=True):
            assert tilted.coefficient > 0
            assert kl(moved(shift, tilted.coefficient)).mean() == pytest.approx(nats, rel=1e-5)
            np.testing.assert_allclose(tilted.law(LAW), moved(shift, tilted.coefficient), rtol=1e-8)
            np.testing.assert_allclose(tilted.kl, kl(tilted.law(LAW)), rtol=1e-6, atol=1e-9)


def test_a_divergence_beyond_the_bound_is_said_and_left_out() -> None:
    """All mass on the likeliest token is the most that a direction towards it can do."""
    law = np.tile(np.r_[0.9, np.full(29, 0.1 / 29)], (3, 1))
    shift = np.zeros((1, 30))
    shift[0, 0] = 1.0
    (tilted,) = tilts_at_kl(law, shift, 0.5)
    assert tilted.why_not == f"at most {-np.log(0.9):.3g} nats"
    effects = OutputSelectivity(ODDS, ["a0"], law).tilted("addition", shift, 0.5)
    assert effects.why_not == {"a0": tilted.why_not}
    assert np.isnan(effects.raw).all()


def test_changes_are_those_counted_by_hand() -> None:
    shift = RNG.standard_normal(30)
    selectivity = OutputSelectivity(ODDS, ["a0"], LAW)
    effects = selectivity.tilted("addition", shift[None], 0.3)
    law = moved(shift, float(effects.coefficients[0]))
    own = list(range(4))
    column = effects.concepts.index
    # The target itself; a sibling without the word that they share; the rest of the parent; another family.
    for name, words in {"a0": own, "a2": [8, 9, 10, 11], "a": list(range(4, 12)), "b1": list(range(16, 20))}.items():
        raw = log_odds(law, words) - log_odds(LAW, words)
        assert effects.raw[0, column(name)] == pytest.approx(raw.mean(), abs=1e-9)
        if name != "a0":
            after, before = (np.delete(each, own, axis=1) for each in (law, LAW))
            after, before = (each / each.sum(axis=1, keepdims=True) for each in (after, before))
            rest = [index - 4 for index in words]
            change = log_odds(after, rest) - log_odds(before, rest)
            assert effects.off_target[0, column(name)] == pytest.approx(change.mean(), abs=1e-9)
    assert np.isnan(effects.off_target[0, column("a0")])
    sibling = effects.off_target[0, [column("a1"), column("a2")]].mean()
    assert effects.summary()["sibling"]["mean"] == pytest.approx(sibling)
    again = selectivity.measured("addition", [law])
    np.testing.assert_allclose(again.raw, effects.raw, atol=1e-9)
    np.testing.assert_allclose(again.kl, kl(law)[None], atol=1e-12)


def test_a_child_is_counted_whole_though_all_its_words_are_the_targets() -> None:
    effects = OutputSelectivity(ODDS, ["a"], LAW).measured("law", [moved(np.r_[np.ones(4), np.zeros(26)], 1.0)])
    law = moved(np.r_[np.ones(4), np.zeros(26)], 1.0)
    change = log_odds(law, [0, 1, 2, 3]) - log_odds(LAW, [0, 1, 2, 3])
    assert effects.raw[0, effects.concepts.index("a0")] == pytest.approx(change.mean(), abs=1e-9)


def test_taking_mass_for_the_target_alone_moves_no_other_concept_off_target() -> None:
    shift = np.zeros((1, 30))
    shift[0, :4] = 1.0
    effects = OutputSelectivity(ODDS, ["a0"], LAW).tilted("addition", shift, 0.3)
    np.testing.assert_allclose(effects.by_relation["off_target"][0, 2:5], 0, atol=1e-9)
    assert effects.change("sibling", "raw").max() < 0  # all others pay for it


def planted(tilt: float) -> tuple[Array, Array]:
    """γ of 30 words: orthogonal directions of the six leaves, siblings tilted towards each other by their family's."""
    gamma = np.zeros((30, 8))
    for row, (name, (start, stop)) in enumerate(LEAVES.items()):
        gamma[start:stop, row] = 1.0
        gamma[start:stop, 6 + "ab".index(name[0])] = tilt
    return gamma, np.stack([gamma[start] for start, _ in LEAVES.values()])


@pytest.mark.parametrize(("tilt", "moved_too"), [(0.0, False), (0.7, True)], ids=["orthogonal", "tilted"])
def test_siblings_move_where_the_tree_is_tilted_and_not_where_it_is_orthogonal(tilt: float, moved_too: bool) -> None:
    gamma, vectors = planted(tilt)
    shifts = vectors @ gamma.T
    kept = [name not in ("a0", "a2") for name in LEAVES]  # which share a word
    targets = [name for name, disjoint in zip(LEAVES, kept, strict=True) if disjoint]
    by_tree = {
        tree: OutputSelectivity(ConceptOdds.of(tree), targets, LAW).tilted("addition", shifts[kept], 0.3)
        for tree in (TREE, FAMILIES)
    }
    if moved_too:
        assert by_tree[FAMILIES].sibling_excess.mean() > 0.1
        assert np.nanmean(by_tree[TREE].closeness) > 0.5
    else:
        np.testing.assert_allclose(by_tree[FAMILIES].sibling_excess, 0, atol=1e-9)


def closeness_of(shifts: Array, seed: int) -> ClosenessTest:
    rng = np.random.default_rng(seed)
    found = []
    for draw in range(20):
        rows = rng.permutation(24) if draw else np.arange(24)
        odds = FAMILY_ODDS.permuted(rows)
        places = [odds.words(FAMILIES.index(name)) for name in LEAVES]
        means = np.stack([shifts[words].mean(axis=0) for words in places]) @ shifts.T
        found.append(OutputSelectivity(odds, list(LEAVES), LAW).tilted("addition", means, 0.2))
    return ClosenessTest.of("sibling_excess", found[0], found[1:])


def test_nulls_come_out_null_and_a_planted_tree_does_not() -> None:
    p_values = [closeness_of(np.random.default_rng(seed).standard_normal((30, 6)), seed).p for seed in range(10)]
    assert sum(p <= 0.05 for p in p_values) <= 3  # binomial(10, .05): more than 3 in 1 of 1,000
    assert np.mean(p_values) > 0.3
    planted_test = closeness_of(planted(0.7)[0] + 0.05 * np.random.default_rng(0).standard_normal((30, 8)), 0)
    assert planted_test.p == pytest.approx(1 / 20)
    assert planted_test.to_dict()["permutations"] == 19


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"targets": ["c"]}, HierarchyError, "no concept 'c'"),
        ({"targets": []}, SteeringError, "no targets"),
        ({"unsteered": np.log(LAW)}, SteeringError, "do not add up to 1"),
        ({"unsteered": LAW[:, :20]}, SteeringError, "the last token of the concepts"),
        ({"shifts": np.zeros((1, 30))}, SteeringError, "moves every logit alike"),
        ({"shifts": np.full((1, 30), np.nan)}, SteeringError, "NaN"),
        ({"shifts": np.ones((2, 30))}, SteeringError, "1 targets need as many directions"),
        ({"nats": -1.0}, SteeringError, "positive number"),
    ],
)
def test_refusals(change: dict[str, Any], error: type[Exception], says: str) -> None:
    given: dict[str, Any] = {"targets": ["a0"], "unsteered": LAW, "shifts": np.eye(30)[:1], "nats": 0.3} | change
    with pytest.raises(error, match=says):
        OutputSelectivity(ODDS, given["targets"], given["unsteered"]).tilted("x", given["shifts"], given["nats"])
