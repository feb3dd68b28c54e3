"""Models that carry padding on in their state: one length at a time, or refused; what heeds masks is run together."""

from contextlib import ExitStack
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.steering.padding import check_padding, heeds_padding
from tests.steering import families, tiny

PROMPTS = ["w3 w4", "w7 w8 w9 w10 w11 w12", "w20 w21", "w30 w31 w32"]
VECTOR = geo.SteeringVector({"output.0": torch.linspace(-2, 3, 32)})
RECURRENT = ["rwkv", "recurrent_gemma"]


def architecture(model: Any) -> geo.steering.Architecture:
    return geo.steering.Architecture.of(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "gemma3", "qwen3"])
def test_masks_are_heeded_by_transformers(name: str, dtype: torch.dtype) -> None:
    model = tiny.build(name, dtype)
    assert heeds_padding(architecture(model))
    check_padding(architecture(model))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", RECURRENT)
def test_masks_are_not_heeded_by_some_recurrent_models(name: str, dtype: torch.dtype) -> None:
    model = families.build(name).to(dtype)
    assert not heeds_padding(architecture(model))
    with pytest.raises(geo.errors.SteeringError, match="does not heed the attention mask"):
        check_padding(architecture(model))


@pytest.mark.parametrize("name", RECURRENT)
def test_a_prompt_in_a_batch_is_what_it_is_alone(name: str) -> None:
    model, tokenizer = families.build(name), tiny.tokenizer()
    sites: list[geo.Site | str] = ["output.1", "after_norm"]
    with geo.steer(model, VECTOR, positions="all"):
        together = geo.generate(model, tokenizer, PROMPTS, max_new_tokens=4)
        read = geo.read_activations(model, tokenizer, PROMPTS, sites, token="mean")
        for place, prompt in enumerate(PROMPTS):
            assert geo.generate(model, tokenizer, [prompt], max_new_tokens=4)[0] == together[place]
            alone = geo.read_activations(model, tokenizer, [prompt], sites, token="mean")
            for site, rows in alone.items():
                torch.testing.assert_close(read[site][place], rows[0], atol=1e-5, rtol=1e-5)
    assert [each.prompt for (each,) in together] == PROMPTS
    each = [VECTOR, None, None, 2 * VECTOR]
    many = geo.read_activations(model, tokenizer, PROMPTS, ["output.1"], vectors=each, positions="all")
    for place, vector in enumerate(each):
        how: Any = {"vectors": [vector], "positions": "all"}
        (one,) = geo.read_activations(model, tokenizer, [PROMPTS[place]], ["output.1"], **how).values()
        torch.testing.assert_close(many[geo.Site("output", 1)][place], one[0], atol=1e-5, rtol=1e-5)


def test_class_means_are_those_of_prompts_alone() -> None:
    model, tokenizer = families.build("rwkv"), tiny.tokenizer()
    means = geo.class_means(model, tokenizer, {"a": PROMPTS[:2], "b": PROMPTS[2:]}, ["output.1"])
    (rows,) = zip(*(geo.read_activations(model, tokenizer, [p], ["output.1"]).values() for p in PROMPTS), strict=True)
    torch.testing.assert_close(means["a"]["output.1"], torch.cat(rows[:2]).mean(dim=0), atol=1e-5, rtol=1e-5)


def test_a_padded_batch_of_ones_own_is_refused_before_a_block_is_steered() -> None:
    model, batch = families.build("rwkv"), geo.steering.encode(tiny.tokenizer(), PROMPTS)
    ids, mask = batch.input_ids, batch.attention_mask
    with geo.steer(model, VECTOR, positions="all"):
        for _ in range(2):
            with pytest.raises(geo.errors.SteeringError, match="does not heed the attention mask"):
                model(input_ids=ids, attention_mask=mask)
        model(input_ids=ids, attention_mask=torch.ones_like(mask))
    assert tiny.hook_count(model) == 0


def test_vectors_for_some_prompts_need_prompts_of_one_length() -> None:
    model, tokenizer = families.build("rwkv"), tiny.tokenizer()
    alike, each = ["w3 w4", "w5 w6"], [VECTOR, None]
    with geo.steer_each(model, each, positions="all"):
        together = geo.generate(model, tokenizer, alike, max_new_tokens=3)
        with pytest.raises(geo.errors.SteeringError, match="give it prompts of one length"):
            geo.generate(model, tokenizer, ["w3 w4", "w5"], max_new_tokens=3)
    for place, vector in enumerate(each):
        with geo.steer_each(model, [vector], positions="all"):
            assert geo.generate(model, tokenizer, [alike[place]], max_new_tokens=3)[0] == together[place]


def test_measuring_happens_once_and_disturbs_nothing() -> None:
    model = tiny.build("llama")
    batch = geo.steering.encode(tiny.tokenizer(), PROMPTS)
    with torch.no_grad():
        plain = tiny.run(model, batch.input_ids, attention_mask=batch.attention_mask)["output.1"]
    vector = tiny.vector("output.1", "after_norm")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with geo.steer(model, vector, positions="last"):
        for calls in (3, 1):
            with tiny.counting(model) as ran:
                seen = tiny.run(model, batch.input_ids, attention_mask=batch.attention_mask)["output.1"]
            assert len(ran) == calls * tiny.DEPTH
            wanted = tiny.moved(plain, vector["output.1"], tiny.pattern(*[".....0"] * 4))
            assert torch.equal(seen, wanted)
    assert torch.equal(torch.rand(1), expected)


def test_generations_of_a_prompt_do_not_mix() -> None:
    # Continued from its state in a batch, RWKV is not what it is alone, padded or not.
    model, tokenizer = families.build("rwkv"), tiny.tokenizer()
    alike = ["w3 w4", "w5 w6", "w9 w11"]
    together = geo.generate(model, tokenizer, alike, max_new_tokens=6)
    assert together == [geo.generate(model, tokenizer, [prompt], max_new_tokens=6)[0] for prompt in alike]
    options: dict[str, Any] = {"max_new_tokens": 6, "temperature": 1.0, "num_return_sequences": 3}
    cached, whole = (geo.generate(model, tokenizer, alike[:1], use_cache=use, **options) for use in (True, False))
    assert cached == whole


def test_sampling_is_seeded_for_every_length_alike() -> None:
    model, tokenizer = families.build("rwkv"), tiny.tokenizer()
    options: dict[str, Any] = {"max_new_tokens": 4, "temperature": 1.0, "num_return_sequences": 3, "seed": 4}
    found = geo.generate(model, tokenizer, PROMPTS, **options)
    assert [len(generations) for generations in found] == [3] * 4
    assert found == geo.generate(model, tokenizer, PROMPTS, **options)
    assert found[3] == geo.generate(model, tokenizer, PROMPTS[3:], **options)[0]


@pytest.mark.parametrize("order", ["steered first", "recorded first"])
def test_measuring_within_a_call_is_no_part_of_what_is_recorded(order: str) -> None:
    model, vector = tiny.build("llama"), tiny.vector("output.1", "after_norm")
    batch = geo.steering.encode(tiny.tokenizer(), PROMPTS)
    sites = ["output.1", "after_norm", "before_norm"]
    with ExitStack() as stack:
        if order == "steered first":
            stack.enter_context(geo.steer(model, vector, positions="last"))
        seen = stack.enter_context(geo.record_activations(model, sites))
        if order == "recorded first":
            stack.enter_context(geo.steer(model, vector, positions="last"))
        with torch.no_grad():
            model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        with geo.record_activations(model, sites) as again, torch.no_grad():
            model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
    assert all(torch.equal(seen[site], again[site]) for site in seen)
    assert len(seen) == 3


def test_shards_are_not_asked_alone() -> None:
    model = families.build("rwkv")
    model.rwkv.blocks[0].feed_forward.key.weight.device_mesh = "two processes"
    # Measured, it does not heed them; but then other processes would wait.
    assert heeds_padding(architecture(model))
