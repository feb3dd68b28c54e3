"""Conditions while text is generated: with a cache as without, several generations, what cannot be decided refused."""

from typing import Any

import pytest
import torch

import geometry as geo
from geometry.errors import SteeringError
from tests.steering import tiny
from tests.steering.test_condition import IDS, VECTOR, between, condition, scores_of


def split(model: Any) -> tuple[torch.Tensor, geo.steering.Condition]:
    """Which prompts of IDS a condition on them holds for, and that condition."""
    pooled = scores_of(model, "output.0").amax(1)
    return pooled > between(pooled), condition("output.0", between(pooled), scope="prompt")


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_prompts_generations_are_steered_or_left_wholly(model: Any, use_cache: bool) -> None:
    holds, when = split(model)
    unsteered = tiny.generated(model, IDS, use_cache=use_cache)
    with geo.steer(model, VECTOR, positions="all"):
        everywhere = tiny.generated(model, IDS, use_cache=use_cache)
    with geo.steer(model, VECTOR, positions="all", when=when) as handle:
        steered = tiny.generated(model, IDS, use_cache=use_cache)
    assert torch.equal(steered[holds], everywhere[holds])
    assert torch.equal(steered[~holds], unsteered[~holds])
    # The prompts alone are asked, once.
    assert (handle.fired, handle.asked) == (2, 4)
    assert not torch.equal(everywhere, unsteered)


def test_tokens_are_decided_with_a_cache_as_without(model: Any) -> None:
    scores = scores_of(model, "output.1")
    when = condition("output.1", between(scores, 0.7))
    texts = []
    for use_cache in (True, False):
        with geo.steer(model, VECTOR, positions="all", when=when):
            texts.append(tiny.generated(model, IDS, use_cache=use_cache))
    assert torch.equal(*texts)
    with geo.steer(model, VECTOR, positions="all"):
        assert not torch.equal(texts[0], tiny.generated(model, IDS))
    assert not torch.equal(texts[0], tiny.generated(model, IDS))
    # By hand, over whole texts: what was generated is steered where its own state says so.
    with geo.steer(model, VECTOR, positions="all", when=when) as handle:
        tiny.run(model, torch.cat([IDS, texts[0]], dim=1))
    whole, fired = torch.cat([IDS, texts[0]], dim=1), handle.decisions
    assert fired is not None
    predicted = tiny.run(model, whole)["output.1"]
    by_hand = tiny.moved(predicted, VECTOR["output.1"], torch.where(fired, 0, -1))
    with geo.steer(model, VECTOR, positions="all", when=when):
        assert torch.equal(tiny.run(model, whole)["output.1"], by_hand)


def test_only_what_is_generated(llama: Any) -> None:
    holds, when = split(llama)
    with geo.steer(llama, VECTOR, positions="generated"):
        everywhere = tiny.generated(llama, IDS)
    with geo.steer(llama, VECTOR, positions="generated", when=when):
        steered = tiny.generated(llama, IDS)
    assert torch.equal(steered[holds], everywhere[holds])
    assert torch.equal(steered[~holds], tiny.generated(llama, IDS)[~holds])


def test_several_generations_and_beams_of_a_prompt(llama: Any) -> None:
    holds, when = split(llama)
    for options in ({"do_sample": True}, {"num_beams": 3}):
        many = {"num_return_sequences": 3, **options}
        torch.manual_seed(0)
        unsteered = tiny.generated(llama, IDS, **many)
        torch.manual_seed(0)
        with geo.steer(llama, VECTOR, positions="all", when=when):
            steered = tiny.generated(llama, IDS, **many)
        kept = ~holds.repeat_interleave(3)
        assert torch.equal(steered[kept], unsteered[kept])
        with geo.steer(llama, VECTOR, positions="all"):
            torch.manual_seed(0)
            assert torch.equal(steered[~kept], tiny.generated(llama, IDS, **many)[~kept])


def test_texts_of_any_length_by_our_own_generate(model: Any) -> None:
    prompts = [tiny.text(row[: 3 + index]) for index, row in enumerate(IDS)]
    alone = condition("output.0", 0.0, scope="prompt")
    scores = torch.from_numpy(alone.prompt_scores(model, tiny.tokenizer(), prompts))
    when = condition("output.0", between(scores), scope="prompt")

    def generations(**options: Any) -> list[Any]:
        with geo.steer(model, VECTOR, positions="all", **options):
            return geo.generate(model, tiny.tokenizer(), prompts, max_new_tokens=5)

    unsteered = geo.generate(model, tiny.tokenizer(), prompts, max_new_tokens=5)
    steered, everywhere = generations(when=when), generations()
    for index, held in enumerate((scores > between(scores)).tolist()):
        assert steered[index] == (everywhere if held else unsteered)[index]


def test_what_cannot_be_decided_is_refused(llama: Any) -> None:
    _, when = split(llama)
    with torch.no_grad():
        cache = llama(input_ids=IDS, use_cache=True).past_key_values
    other_mask = {"attention_mask": torch.ones(4, 1, 7, 7, dtype=torch.bool)}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("run the whole prompt at once", {"input_ids": IDS[:, :1], "past_key_values": cache}),
        ("run the whole prompt at once", {"input_ids": IDS[:, :2], "past_key_values": cache}),
        ("attention mask must have the shape", {"input_ids": IDS, **other_mask}),
    ]
    for said, arguments in calls:
        refused = pytest.raises(SteeringError, match=said)
        with refused, torch.no_grad(), geo.steer(llama, VECTOR, positions="all", when=when):
            llama(**arguments)
    refused = pytest.raises(SteeringError, match="part of the model was called by itself")
    with refused, geo.steer(llama, tiny.vector("input.1"), positions="all", when=when):
        llama.model.layers[1](torch.zeros(1, 2, tiny.WIDTH))
    assert tiny.hook_count(llama) == 0


def test_tokens_of_a_prompt_in_pieces_decide_for_themselves(llama: Any) -> None:
    scores = scores_of(llama, "output.1")
    when = condition("output.1", between(scores))
    with torch.no_grad(), geo.steer(llama, VECTOR, positions="all", when=when):
        whole = llama(input_ids=IDS).logits
        begun = llama(input_ids=IDS[:, :4], use_cache=True)
        rest = llama(input_ids=IDS[:, 4:], past_key_values=begun.past_key_values).logits
    assert torch.allclose(rest, whole[:, 4:], atol=1e-4)


def test_a_batch_that_goes_on_in_part_is_refused(llama: Any) -> None:
    _, when = split(llama)
    with torch.no_grad(), geo.steer(llama, VECTOR, positions="all", when=when):
        cache = llama(input_ids=IDS, use_cache=True).past_key_values
        cache.batch_select_indices(torch.tensor([0, 1]))
        with pytest.raises(SteeringError, match="decided for a batch of 4 prompts, which goes on with 2"):
            llama(input_ids=IDS[:2, :1], past_key_values=cache)
