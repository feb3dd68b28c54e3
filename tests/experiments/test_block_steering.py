"""Steering at a block: planted models whose truth is known must give it as their verdict."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import geometry as geo
from geometry.experiments.layers.block_steering import measure_block_steering
from geometry.experiments.layers.block_steering_figures import block_steering_figures
from geometry.experiments.layers.block_steering_result import BlockSteeringResult
from tests.experiments import block_steering_worlds as worlds
from tests.experiments.block_steering_worlds import PAIRS, PROMPTS, SITE, TEXTS


def measure(world: worlds.World, **options: Any) -> BlockSteeringResult:
    given = {"nats": 0.5, "prompts": PROMPTS, "texts": TEXTS, "progress": False, **options}
    return measure_block_steering(*world.arguments(), PAIRS, **given)


@pytest.fixture(scope="module")
def turned() -> BlockSteeringResult:
    return measure(worlds.world(turned=True))


@pytest.fixture(scope="module")
def straight() -> BlockSteeringResult:
    return measure(worlds.world())


def test_where_blocks_turn_the_stream_the_vector_found_there_is_better(turned: BlockSteeringResult) -> None:
    assert turned.overall["pulled_back"].verdict == "found at the block"
    assert turned.overall["pulled_back"].in_favour == 4
    assert turned.overall["random"].verdict == "found at the block"
    assert turned.where_better("pulled_back") == ("after 1 block", "")
    assert turned.values("found").mean() > 2 * turned.values("pulled_back").mean()
    assert "steer better than those of the kind “pulled back”" in turned.summary()[0]
    assert turned.summary()[-1].startswith("The highest P(child) at that cost is ")


def test_where_blocks_do_nothing_both_are_one_vector(straight: BlockSteeringResult) -> None:
    found, pulled_back = straight.values("found"), straight.values("pulled_back")
    np.testing.assert_allclose(found, pulled_back, rtol=1e-4)
    assert straight.overall["pulled_back"].verdict == "no difference"
    assert straight.where_better("pulled_back") == ("", "")
    assert straight.overall["random"].verdict == "found at the block"
    assert "no better" in straight.summary()[0]


def test_where_the_phrases_are_shuffled_the_vector_pulled_back_is_better() -> None:
    result = measure(worlds.world(shuffled=True))
    assert result.overall["pulled_back"].verdict == "pulled back"
    assert result.overall["pulled_back"].in_favour == 0
    assert result.overall["random"].verdict != "found at the block"
    assert result.where_better("pulled_back") == ("", "after 1 block")


def test_every_vector_costs_the_same_and_numbers_are_those_of_its_law(turned: BlockSteeringResult) -> None:
    kl = turned.steered["kl"]
    assert kl.shape == (4, 1, 4, len(PROMPTS))
    assert np.abs(kl.mean(axis=-1) / 0.5 - 1).max() <= turned.tolerance
    # Beyond the target set hardly anything moves for a vector of the concept, and all that moves for another.
    found, random = (turned.values(name, "off_target_kl").mean() for name in ("found", "random"))
    assert 0 < found < random
    assert (turned.steered["parent"] >= turned.steered["child"]).all()
    assert (turned.perplexities > 0.5).all()
    assert (turned.coefficients > 0).all()


def test_a_divergence_that_is_not_reached_is_said(straight: BlockSteeringResult) -> None:
    result = measure(worlds.world(), nats=300.0)
    assert len(result.not_reached) == 17
    assert "nats at 64 times the vector" in result.not_reached[f"bird {SITE} found"]
    assert np.isnan(result.coefficients).all()
    assert result.overall["pulled_back"].verdict == "not measurable"
    assert "17 of 17 vectors do not reach 300 nats" in result.summary()[-1]
    assert not any("highest" in sentence for sentence in result.summary())
    assert list(result.generations) == ["unsteered"]
    assert result.generations["unsteered"] == straight.generations["unsteered"]
    assert [spec.figure() for spec in block_steering_figures(result)]


def test_verdicts_draw_prompts_of_few_concepts_and_concepts_of_many(turned: BlockSteeringResult) -> None:
    """A difference that one concept alone makes is none of the others', however many prompts agree on it."""
    assert turned.sampled == "prompts, of these 4 concepts alone"
    child = np.full((8, 1, 4, 10), 0.1) + np.linspace(0, 0.01, 10)
    child[0, 0, 0] += 0.5
    steered = dict.fromkeys(turned.steered, child)
    many = replace(
        turned,
        concepts=tuple(("all", f"c{number}") for number in range(8)),
        steered=steered,
        unsteered={"child": np.full((8, 10), 0.1)},
    )
    assert many.sampled == "concepts with all of their prompts"
    assert many.comparison("pulled_back").difference == pytest.approx(0.5 / 8)
    assert many.comparison("pulled_back").verdict == "no difference"
    few = replace(many, concepts=many.concepts[:3], unsteered={"child": np.full((3, 10), 0.1)})
    few = replace(few, steered={"child": child[:3]})
    assert few.comparison("pulled_back").verdict == "found at the block"
    assert few.comparison("pulled_back").in_favour == 1
    two = replace(few, steered={"child": child[:3, ..., :2]}, unsteered={"child": np.zeros((3, 2))})
    assert two.comparison("pulled_back").verdict == "not measurable"


def test_a_difference_that_the_tolerance_can_make_is_none(turned: BlockSteeringResult) -> None:
    child = np.full((4, 1, 4, 10), 0.1)
    child[:, :, 0] *= 1.015
    result = replace(turned, steered={"child": child}, unsteered={"child": np.zeros((4, 10))})
    assert result.comparison("pulled_back").low == pytest.approx(0.0015)
    assert result.comparison("pulled_back").verdict == "no difference"
    child[:, :, 0] *= 1.1
    assert result.comparison("pulled_back").verdict == "found at the block"


def test_the_document_and_the_figures(turned: BlockSteeringResult) -> None:
    document = turned.to_dict()
    assert document["by_block"]["pulled_back"][0]["site"] == SITE
    assert document["overall"]["pulled_back"]["verdict"] == "found at the block"
    assert document["means"][SITE]["found"]["child"] == pytest.approx(turned.values("found").mean())
    assert len(document["provenances"]) == 17
    assert len(document["generations"]) == 15
    assert document["provenances"][f"bird {SITE} found"].startswith("(1 × animal at output.0 + 1 × ((bird − animal) at")
    assert turned.arrays()["steered_child"].shape == (4, 1, 4, 10)
    probabilities, differences = block_steering_figures(turned)
    assert probabilities.title.startswith("Vectors found at the block steer better than those pulled back")
    assert "found at the block" in differences.title
    (axes,) = probabilities.figure().axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert len(lines) >= 5
    assert len(differences.figure().axes) == 3


def refused(world: worlds.World, **changed: Any) -> str:
    names = ("model", "tokenizer", "activations", "spaces", "hierarchy", "causal_space", "directions_at_output")
    arguments = dict(zip(names, world.arguments(), strict=True)) | {"concepts": PAIRS, "prompts": PROMPTS} | changed
    with pytest.raises(geo.errors.GeometryError) as refusal:
        measure_block_steering(**arguments)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_bad_input_is_refused_in_a_line() -> None:
    world = worlds.world()
    space = world.activations.space(SITE)
    for changed, complaint in (
        ({"concepts": []}, "there are no concepts"),
        ({"concepts": [("animal", "cat")]}, "concept 'cat': not in hierarchy 'planted' over the phrases"),
        ({"concepts": [("plant", "bird")]}, "'plant' is no ancestor of 'bird'"),
        ({"concepts": [PAIRS[0], PAIRS[0]]}, "the same child stands there twice"),
        ({"prompts": []}, "there are no prompts"),
        ({"nats": 0.0}, "nats: the KL divergence to be reached is a positive number, not 0.0"),
        ({"spaces": {}}, "there are no spaces"),
        ({"spaces": {"output.1": space}}, "at output.0, not of phrases read at output.1"),
        ({"spaces": {"mlp.0": space}}, "mlp.0 can be read, not steered; steer at output.0"),
        ({"spaces": {"before_norm": space}}, "before_norm: vectors are compared at blocks"),
        ({"spaces": {SITE: world.causal}}, "output.0: the space is of 'tiny', not of phrases"),
        ({"hierarchy": world.directions.hierarchy}, "use hierarchy.over(activations.vocabulary)"),
    ):
        assert complaint in refused(world, **changed)
