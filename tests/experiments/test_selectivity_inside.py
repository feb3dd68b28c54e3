"""What happens inside the model and mixtures of siblings: numbers by hand, pictures and tables of them."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.experiments.selectivity.inside import Downstream
from geometry.experiments.selectivity.mixtures import SHARES, measure_mixtures, sibling_pairs
from geometry.selectivity import DownstreamEffects

SITES = tuple(map(geo.Site.parse, ("output.4", "output.5", "output.6")))
NAMES = ("animal", "bird", "fish", "rock", "cloud")
RELATIONS: Any = ("parent", "self", "sibling", "unrelated", "unrelated")
CHANGES = np.array([[1.0, 2.0, 0.5, 0.0, -0.3], [0.8, 1.0, 0.5, 0.0, -0.3], [0.5, 0.5, 0.4, 0.0, -0.3]])
RANDOM = np.array([[[0.2, 0.1, 0.1, 0.1, 0.1]] * 3, [[-0.2, -0.1, -0.1, -0.1, -0.1]] * 3])


def effects(target: str, size: float) -> DownstreamEffects:
    prompts = np.stack([size * CHANGES, size * CHANGES + 0.01, size * CHANGES - 0.01])
    return DownstreamEffects(
        f"vector of {target}", target, NAMES, RELATIONS, SITES, prompts, RANDOM, np.array([0.5, 0.4, 0.3])
    )


def found() -> Downstream:
    return Downstream(SITES[0], 0.5, {"fish": effects("fish", 0.5), "bird": effects("bird", 1.0)})


def test_changes_are_means_over_a_relations_concepts_and_beyond_is_counted_beside_all_random_vectors() -> None:
    measured = found()
    np.testing.assert_allclose(measured.changes("unrelated"), [[-0.075] * 3, [-0.15] * 3], atol=1e-12)
    np.testing.assert_allclose(measured.kept(), [0.25, 0.25])
    # Of two unrelated concepts one moves, and of the weaker vector as well: 0.15 > 0.1.
    np.testing.assert_allclose(measured.beyond("unrelated"), 0.5)
    np.testing.assert_allclose(measured.beyond("sibling"), 1.0)
    np.testing.assert_allclose(measured.random_changes("parent"), [[0.2] * 3, [-0.2] * 3])
    assert measured.chance == pytest.approx(1 / 3)
    assert measured.relations == ["self", "parent", "sibling", "unrelated"]
    given = measured.to_dict()
    assert given["change"]["self"]["site"]["mean"] == pytest.approx(1.5)
    assert given["largest"]["bird"][0]["concept"] in ("animal", "bird")


def test_pictures_and_table_say_what_was_found() -> None:
    measured = found()
    curves, cells = measured.figures()
    assert "25% [" in measured.summary()[0]
    assert "unrelated concepts have moved" in measured.summary()[-1]
    assert "keeps 25%" in curves.title
    assert "50% of unrelated" in curves.title
    assert "up by 0.50" in cells.title
    for spec in (curves, cells):
        assert spec.figure().axes
    rows = {row[0]: row for row in measured.tables()[0].rows}
    assert rows["bird"][-1] == "follows"
    assert rows["cloud"][-1] == "side effect"
    assert rows["rock"][-1] == "as at random"


@pytest.fixture(scope="module")
def planted() -> tuple[geo.ConceptSteering, torch.Tensor]:
    """Two families of two siblings each whose words lie along directions of their own."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.eye(4, 48).repeat_interleave(12, dim=0) * 3
    matrix = torch.cat([kinds, torch.zeros(80, 48)]) + torch.randn(128, 48, generator=generator)
    vocabulary = geo.Vocabulary([f" {word}" for word in (f"w{number}" for number in range(128))])
    unembedding = geo.Unembedding(matrix, vocabulary)
    spans = {"a": range(24), "a1": range(12), "a2": range(12, 24), "b": range(24, 48), "b1": range(24, 36)}
    spans |= {"b2": range(36, 48)}
    parents = {"a1": ("a",), "a2": ("a",), "b1": ("b",), "b2": ("b",)}
    made = tuple(
        geo.concepts.Concept.from_words(name, [f"w{i}" for i in ids], vocabulary) for name, ids in spans.items()
    )
    space = geo.CausalSpace.fit(unembedding)
    hierarchy = geo.ConceptHierarchy("planted", made, parents)
    states = torch.randn(16, 48, generator=generator) * 0.15
    return geo.ConceptSteering(space, geo.ConceptDirections.fit(space, hierarchy)), states


def test_planted_siblings_are_mixed_as_asked_and_random_directions_do_not_mix_them(planted: Any) -> None:
    concepts, states = planted
    pairs = sibling_pairs(concepts.directions.hierarchy, 5)
    assert pairs == [("a", ("a1", "a2")), ("b", ("b1", "b2"))]
    measured = measure_mixtures(concepts, pairs, states[::2], states[1::2], n_random=2, seed=0)
    assert measured.pairs[0].one_vector.shape == (len(SHARES), 8)
    assert measured.pairs[0].random.shape == (2, len(SHARES), 8)
    for mixture in measured.pairs:
        misses = {name: values.mean() for name, values in mixture.misses.items()}
        assert misses["a shift for each prompt"] < 0.01
        assert misses["one vector"] < 0.7 * misses["unsteered"]
        assert misses["one vector"] < misses["random directions"]
        np.testing.assert_allclose(mixture.total.mean(axis=1), mixture.total_unsteered.mean(), rtol=0.25)
    (spec,) = measured.figures()
    assert f"{measured.missed('one vector'):.2f}" in spec.title
    assert spec.figure().axes
    assert len(measured.tables()[0].rows) == 2
    assert measured.pairs[0].to_dict()["one_vector"][0]["asked"] == SHARES[0]
