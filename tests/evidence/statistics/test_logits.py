"""Changes of log-odds against logits computed before and after a step in the residual stream."""

from itertools import combinations, product

import numpy as np
import pytest
import torch

import geometry as geo
from tests.planted import Planted


def log_odds_changes(
    space: geo.CausalSpace, directions: geo.ConceptDirections, step: tuple[str, str], words: tuple[str, str], seed: int
) -> tuple[float, float]:
    """Mean and sd over word pairs of the change of log P(y1)/P(y0), by two forward passes of the output layer."""
    hierarchy = directions.hierarchy
    contrast = directions[step[0]] - directions[step[1]]
    hidden = torch.from_numpy(np.random.default_rng(seed).standard_normal(space.width))
    moved = hidden + space.whitener @ (contrast / contrast.norm())
    gamma = space.unembedding.matrix.double()
    before, after = (torch.log_softmax(gamma @ some, dim=0).numpy() for some in (hidden, moved))
    unseen = set(hierarchy.tokens[~directions.train].tolist())
    sets = [set(hierarchy[word].tokens) for word in words]
    one, other = sorted((sets[0] - sets[1]) & unseen), sorted((sets[1] - sets[0]) & unseen)
    if min(len(one), len(other)) < 3:
        return np.nan, np.nan
    changes = [(after[y1] - after[y0]) - (before[y1] - before[y0]) for y1, y0 in product(one, other)]
    return float(np.mean(changes)), float(np.std(changes))


def check(space: geo.CausalSpace, directions: geo.ConceptDirections) -> geo.evidence.LogitChanges:
    changes, children = geo.evidence.logit_changes(directions), directions.hierarchy.children
    rows = {label: row for row, label in enumerate(changes.labels)}
    checked = 0
    for siblings in children.values():
        for w1, w0 in ((a, b) for a in siblings for b in siblings if a != b):
            for number, (z0, z1) in enumerate(combinations(children[w1], 2)):
                row = rows[f"{w0} → {w1}: {z0}, {z1}"]
                for found, words in ((changes.parent, (w1, w0)), (changes.child, (z1, z0))):
                    expected = log_odds_changes(space, directions, (w1, w0), words, number)
                    assert found[row] == pytest.approx(expected, rel=1e-7, abs=1e-9, nan_ok=True)
                checked += 1
    assert checked == len(changes.labels)
    return changes


def test_changes_are_those_of_logits(smollm2: geo.Unembedding, smollm2_space: geo.CausalSpace) -> None:
    own = {"thing": ["stone"], "animal": ["worm"], "plant": ["moss"], "mammal": ["dog", "cow", "horse", "cat", "pig"]}
    own |= {"bird": ["duck", "hen", "crow", "eagle", "owl"], "tree": ["oak", "pine", "maple", "cedar", "elm"]}
    own |= {"fruit": ["apple", "pear", "plum", "grape", "lemon"]}
    parents = {"animal": ["thing"], "plant": ["thing"], "mammal": ["animal"], "bird": ["animal"]}
    parents |= {"tree": ["plant"], "fruit": ["plant"]}
    hierarchy = geo.concepts.hierarchy_from_words("toy", own, parents, smollm2.vocabulary)
    train = geo.evidence.train_mask(hierarchy, "lemma", np.random.default_rng(0), train_fraction=0.5)
    changes = check(smollm2_space, geo.ConceptDirections.fit(smollm2_space, hierarchy, train=train))
    assert changes.labels == ("plant → animal: mammal, bird", "animal → plant: tree, fruit")
    assert np.isfinite([*changes.parent, *changes.child]).all()
    assert (changes.parent[:, 0] > 2 * np.abs(changes.child[:, 0])).all()


def test_shared_words_are_in_no_pair(planted: Planted, overlapping: geo.ConceptDirections) -> None:
    changes = check(geo.CausalSpace.fit(planted.unembedding), overlapping)
    gone = [label for label, child in zip(changes.labels, changes.child, strict=True) if np.isnan(child).any()]
    assert gone == [label for label in changes.labels if "rare" in label]
    assert len(gone) == 1
    assert len(changes.labels) > 3


def test_selectivity_compares_parents_with_children(overlapping: geo.ConceptDirections) -> None:
    changes = geo.evidence.logit_changes(overlapping)
    by_hand = [(p - abs(c)) / (abs(p) + abs(c)) for p, c in zip(changes.parent[:, 0], changes.child[:, 0], strict=True)]
    np.testing.assert_allclose(changes.selectivity, by_hand)
    statistic = geo.evidence.logit_selectivity()
    np.testing.assert_allclose(statistic.evaluate(overlapping), by_hand)
    assert statistic.labels(overlapping) == changes.labels
    known = geo.evidence.LogitChanges(
        ("a", "b", "c", "d"),
        np.array([[2.0, 0], [2, 0], [-1, 0], [1, 0]]),
        np.array([[0.0, 0], [-2, 0], [0, 0], [3, 0]]),
    )
    assert known.selectivity.tolist() == [1, 0, -1, -0.5]


def test_a_planted_hierarchy_is_selective_and_noise_is_not(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    tests = geo.test_against_nulls(
        space, planted.hierarchy, [geo.evidence.logit_selectivity()], nulls=("shuffled", "gaussian"), n_permutations=100
    )
    test = tests["logit_selectivity"]
    assert test.value > 0.8
    # Of two changes of the same size and any sign (p − |c|)/(|p| + |c|) is −½ on average.
    assert test.nulls["shuffled"].mean == pytest.approx(-0.5, abs=0.2)
    assert test.nulls["gaussian"].mean == pytest.approx(-0.5, abs=0.2)


def test_hierarchies_without_quadruples_have_nothing_to_measure(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    flat = geo.ConceptHierarchy("flat", (planted.hierarchy["mammal"], planted.hierarchy["tree"]), {})
    assert geo.evidence.logit_changes(geo.ConceptDirections.fit(space, flat)).labels == ()
    with pytest.raises(geo.errors.EstimationError, match="logit_selectivity: nothing to measure"):
        geo.test_against_nulls(space, flat, [geo.evidence.logit_selectivity()])
