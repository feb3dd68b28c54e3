"""Vectors that steer where they were found: what is added, by hand; and the algebra."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import HierarchyError, SteeringError
from geometry.layers import Metric, PhraseActivations
from geometry.layers.block_vectors import BlockSteering, mean_difference
from tests.steering import tiny

SITE = "output.1"
WORDS = {"thing": range(2, 32), "animal": range(2, 22), "bird": range(2, 10), "fish": range(10, 18)}
PARENTS = {"animal": ("thing",), "bird": ("animal",), "fish": ("animal",)}


def hierarchy(vocabulary: geo.Vocabulary) -> geo.ConceptHierarchy:
    made = (geo.concepts.Concept.from_words(n, [f"w{i}" for i in w], vocabulary) for n, w in WORDS.items())
    return geo.ConceptHierarchy("words", tuple(made), PARENTS)


@pytest.fixture(scope="module")
def llama() -> Any:
    return tiny.build("llama")


@pytest.fixture(scope="module")
def activations(llama: Any) -> PhraseActivations:
    phrases = [f"w{number}" for number in range(2, 50)]
    return geo.read_phrases(llama, tiny.tokenizer(), phrases, contexts=["w60 {}", "w61 w62 {}"], sites=[SITE, "mlp.1"])


@pytest.fixture(scope="module")
def metric() -> Metric:
    root = torch.randn((tiny.WIDTH, tiny.WIDTH), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return Metric("given", root @ root.T + torch.eye(tiny.WIDTH), geo.Site("output", 1))


def fitted(activations: PhraseActivations, metric: Any = "euclidean", **options: Any) -> BlockSteering:
    space = activations.space(SITE, metric, dtype=torch.float64)
    own = {key: options.pop(key) for key in ("estimator",) if key in options}
    directions = geo.ConceptDirections.fit(space, hierarchy(activations.vocabulary), **own)
    return BlockSteering(space, directions, SITE, **options)


def test_the_residual_stream_moves_by_the_vector_to_the_bit(llama: Any, activations: PhraseActivations) -> None:
    ids = tiny.tokens(3, 5)
    before = tiny.run(llama, ids)
    steering = fitted(activations)
    vector = 2 * (steering["animal"] + steering.child("bird", of="animal"))
    with geo.steer(llama, vector, positions="last"):
        after = tiny.run(llama, ids)
    moved = before[SITE].clone()
    moved[:, -1] += vector[SITE]
    assert torch.equal(after[SITE], moved)
    assert torch.equal(after["output.0"], before["output.0"])
    assert not torch.equal(after["logits"][:, -1], before["logits"][:, -1])


def test_the_displacement_moves_points_of_the_space_by_the_concept_vector(
    activations: PhraseActivations, metric: Metric
) -> None:
    steering = fitted(activations, metric)
    values, axes = np.linalg.eigh(metric.matrix.numpy())
    root = (axes * values**0.5) @ axes.T
    for name in WORDS:
        moved = root @ steering[name][SITE].double().numpy()
        np.testing.assert_allclose(moved, steering.directions[name].numpy(), rtol=1e-4, atol=1e-5)
    assert steering.norm(steering["bird"]) == pytest.approx(float(steering.directions["bird"].norm()), rel=1e-5)


def test_of_means_it_is_the_mean_of_the_concept_less_that_of_all_in_any_metric(
    activations: PhraseActivations, metric: Metric
) -> None:
    rows = activations.mean(SITE).double().numpy()
    for chosen in ("euclidean", metric):
        steering = fitted(activations, chosen, estimator="mean")
        wanted = rows[:8].mean(axis=0) - rows.mean(axis=0)
        np.testing.assert_allclose(steering["bird"][SITE].numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_parent_and_child_compose_as_at_the_output(activations: PhraseActivations, metric: Metric) -> None:
    steering = fitted(activations, metric)
    composed = steering["animal"] + steering.child("bird", of="animal")
    torch.testing.assert_close(composed[SITE], steering["bird"][SITE], rtol=1e-4, atol=1e-5)
    assert composed.provenance == "animal at output.1 + (bird − animal) at output.1"
    assert composed.notes == ("fitted where it is added, in the given metric",)
    assert composed.model == "llama"
    unit = fitted(activations, metric, unit=True)
    assert unit.norm(unit.child("fish")) == pytest.approx(1, rel=1e-5)
    path = unit.path({"animal": 6, "bird": 4})
    assert torch.equal(path[SITE], (6 * unit["animal"] + 4 * unit.child("bird"))[SITE])
    assert unit.chain("bird") == ("thing", "animal", "bird")


def test_a_random_control_is_as_long_in_the_space(activations: PhraseActivations, metric: Metric) -> None:
    steering = fitted(activations, metric)
    drawn = steering.random(steering["bird"], 0)
    assert steering.norm(drawn) == pytest.approx(steering.norm(steering["bird"]), rel=1e-5)
    assert drawn.sites == (geo.Site("output", 1),)
    assert abs(drawn.cosine(steering["bird"])) < 0.99
    assert torch.equal(drawn[SITE], steering.random(steering["bird"], 0)[SITE])


def test_mean_differences_by_hand(activations: PhraseActivations) -> None:
    rows, words = activations.mean(SITE).double().numpy(), hierarchy(activations.vocabulary)
    against_all = mean_difference(activations, words, "bird", SITE)
    wanted = rows[:8].mean(axis=0) - rows[8:].mean(axis=0)
    np.testing.assert_allclose(against_all[SITE].numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert against_all.provenance == "mean of bird − mean of other phrases at output.1"
    within = mean_difference(activations, words, "bird", SITE, of="animal")
    wanted = rows[:8].mean(axis=0) - rows[8:20].mean(axis=0)
    np.testing.assert_allclose(within[SITE].numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert within.provenance == "mean of bird − mean of the rest of animal at output.1"
    assert within.model == "llama"


def test_another_architecture_is_refused_the_vector(activations: PhraseActivations) -> None:
    for vector in (
        fitted(activations)["bird"],
        mean_difference(activations, hierarchy(activations.vocabulary), "bird", SITE),
    ):
        with pytest.raises(SteeringError, match="is for a llama, this is a gpt2"):
            geo.steer(tiny.build("gpt2"), vector)


def test_what_was_not_found_there_is_refused(activations: PhraseActivations, llama: Any, metric: Metric) -> None:
    steering, words = fitted(activations), hierarchy(activations.vocabulary)
    space, directions = steering.space, steering.directions
    spelled = geo.Vocabulary(["<s>", "</s>", *(f"Ġw{number}" for number in range(2, tiny.VOCABULARY))])
    own = geo.Unembedding(llama.lm_head.weight.detach(), spelled, "tiny", "llama")
    elsewhere = geo.ConceptDirections.fit(activations.space(SITE, metric), words)
    others = geo.layers.PhraseVectors(activations.mean(SITE), activations.vocabulary, "mine")
    mine = geo.CausalSpace.with_metric(others, torch.eye(tiny.WIDTH))
    for refused, complaint in (
        (lambda: BlockSteering(space, directions, "output.2"), "at output.1, not of phrases read at output.2"),
        (lambda: BlockSteering(space, directions, "mlp.1"), "mlp.1 can be read, not steered; steer at output.1"),
        (lambda: BlockSteering(space, directions, "output.1.relative"), "activations lie at output.1; write that"),
        (lambda: BlockSteering(geo.CausalSpace.fit(own), directions, SITE), "not of phrases read at output.1"),
        (lambda: BlockSteering(mine, directions, SITE), "the space is of 'mine', not of phrases read at output.1"),
        (lambda: BlockSteering(space, elsewhere, SITE), "fitted to other points than the space's"),
        (lambda: mean_difference(activations, words, "bird", "output.2"), "output.2"),
        (lambda: mean_difference(activations, words, "bird", SITE, of="fish"), "'fish' is no ancestor of 'bird'"),
        (lambda: mean_difference(activations, hierarchy(own.vocabulary), "bird", SITE), "use hierarchy.over"),
        (lambda: steering.child("thing"), "'thing' has no parent"),
    ):
        with pytest.raises(SteeringError, match=complaint.replace("(", r"\(")):
            refused()
    for unknown in (lambda: steering["cat"], lambda: mean_difference(activations, words, "cat", SITE)):
        with pytest.raises(HierarchyError, match="no concept 'cat'"):
            unknown()
