"""What a vector after the final norm does, worked out from the head, held to passes of the hooked model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.steering import Architecture, NextToken, TextCost
from geometry.steering.logit_shift import LogitShifts
from tests.steering import families, tiny

PROMPTS = ["w3 w9 w4", "w20 w41", "w5 w6 w7 w8"]
SETS = {"some": np.array([3, 9, 20]), "one": np.array([7])}


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3"])
@pytest.mark.parametrize("size", [0.1, 3.0, 30.0])
def test_effects_are_those_of_a_pass(name: str, size: float) -> None:
    model = tiny.build(name)
    vector = tiny.vector("after_norm", size=size)
    asked = NextToken(model, tiny.tokenizer(), PROMPTS)
    effect = asked.effect(vector, SETS)
    with geo.steer(model, vector, positions="all"):
        passed = asked.log_probabilities()
    for key, tokens in SETS.items():
        np.testing.assert_allclose(effect.probability[key], geo.steering.probability(passed, tokens), rtol=2e-4)
    kl = geo.steering.kl_divergence(passed, asked.unsteered)
    np.testing.assert_allclose(effect.kl, kl, rtol=1e-4, atol=1e-5)
    assert effect.top1.tolist() == passed.argmax(dim=1).tolist()


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_cost_is_that_of_passes(name: str) -> None:
    model, tokenizer = tiny.build(name), tiny.tokenizer()
    cost = TextCost(model, tokenizer, PROMPTS)
    positions = geo.steering.encode(tokenizer, PROMPTS).position_ids > 0
    vectors = [tiny.vector("after_norm", size=size, seed=seed) for seed, size in ((1, 0.3), (2, 1.0))]
    alone = []
    for vector in vectors:
        with geo.steer(model, vector, positions=positions):
            alone.append(geo.steering.perplexity(model, tokenizer, PROMPTS) / cost.unsteered)
        assert cost.ratio(vector) == pytest.approx(alone[-1], rel=1e-4)
    assert cost.ratio(*vectors) == pytest.approx((alone[0] * alone[1]) ** 0.5, rel=1e-4)
    assert cost.ratio(vectors[0], None) == pytest.approx(alone[0] ** 0.5, rel=1e-4)


def test_what_ruins_a_text_costs_any_number(llama: Any) -> None:
    assert TextCost(llama, tiny.tokenizer(), PROMPTS).ratio(tiny.vector("after_norm", size=1e6)) == float("inf")


def test_no_pass_is_made(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, cost = NextToken(llama, tiny.tokenizer(), PROMPTS), TextCost(llama, tiny.tokenizer(), PROMPTS)
    first = tiny.vector("after_norm")
    asked.effect(first, SETS)
    cost.ratio(first)
    monkeypatch.setattr(llama.model, "forward", None)
    asked.effect(2 * first, SETS)
    cost.ratio(2 * first)
    with pytest.raises(TypeError):
        asked.effect(tiny.vector("output.1"), SETS)


@pytest.mark.parametrize(
    "vector",
    [
        tiny.vector("output.3"),
        tiny.vector("before_norm"),
        tiny.vector("after_norm", "output.1"),
        tiny.vector("after_norm", rows=2),
        tiny.vector("after_norm").relative(0.5),
        replace(tiny.vector("after_norm"), bos=True),
    ],
    ids=["block", "before the norm", "two sites", "rows", "relative", "begun"],
)
def test_other_vectors_need_a_pass(llama: Any, vector: geo.SteeringVector) -> None:
    assert LogitShifts(Architecture.of(llama)).of(vector) is None


@pytest.mark.parametrize("name", ["gemma2", "cohere"])
def test_behind_a_cap_or_a_scale_there_is_a_pass(name: str) -> None:
    model = tiny.build(name) if name == "gemma2" else families.build(name)
    width = Architecture.of(model).width
    vector = geo.SteeringVector({"after_norm": torch.randn(width, generator=torch.Generator().manual_seed(0))})
    assert LogitShifts(Architecture.of(model)).of(vector) is None
    asked = NextToken(model, tiny.tokenizer(), PROMPTS)
    with geo.steer(model, vector, positions="all"):
        passed = asked.log_probabilities()
    np.testing.assert_array_equal(asked.effect(vector, SETS).top1, passed.argmax(dim=1).numpy())


def test_half_precision_needs_a_pass() -> None:
    assert LogitShifts(Architecture.of(tiny.build("llama", torch.bfloat16))).of(tiny.vector("after_norm")) is None


def test_costs_are_measured_without_others_at_work(llama: Any) -> None:
    cost = TextCost(llama, tiny.tokenizer(), PROMPTS)
    with geo.steer(llama, tiny.vector("output.1"), positions="all"):
        with pytest.raises(geo.errors.SteeringError, match="without others at work"):
            cost.ratio(tiny.vector("after_norm"))
        with pytest.raises(geo.errors.SteeringError, match="before steering"):
            TextCost(llama, tiny.tokenizer(), PROMPTS)
