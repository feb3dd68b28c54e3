"""What is not generated: from weights of NaN, or from prompts that begin otherwise than a vector counts."""

import dataclasses

import pytest
import torch

import geometry as geo
from tests.steering import tiny


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("where", ["all", "one block", "head row"])
def test_weights_of_nan_generate_nothing(where: str, temperature: float) -> None:
    model = tiny.build("llama")
    with torch.no_grad():
        damaged = {
            "all": list(model.parameters()),
            "one block": [model.model.layers[2].mlp.up_proj.weight],
            "head row": [model.lm_head.weight[3]],
        }[where]
        for parameter in damaged:
            parameter.fill_(torch.nan)
    settings = model.generation_config
    with pytest.raises(geo.errors.SteeringError, match="the logits are NaN: the weights are damaged") as refusal:
        geo.generate(model, tiny.tokenizer(), ["w3 w4", "w5"], temperature=temperature)
    assert "\n" not in str(refusal.value)
    assert model.generation_config is settings
    assert tiny.hook_count(model) == 0


def test_prompts_begin_as_the_vectors_at_work_count_or_are_refused() -> None:
    model, tokenizer, prompts = tiny.build("llama"), tiny.tokenizer(), ["w3 w4 w5"]
    first, second = (dataclasses.replace(tiny.vector("input.1", rows=2), bos=bos) for bos in (True, False))
    for vector, bos in ((first, True), (second, False)):
        with geo.steer(model, vector):
            wanted = geo.generate(model, tokenizer, prompts, bos=bos)
            assert geo.generate(model, tokenizer, prompts) == wanted
            with pytest.raises(geo.errors.SteeringError, match="leave bos out"):
                geo.generate(model, tokenizer, prompts, bos=not bos)
    with (
        geo.steer(model, first),
        geo.steer(model, second),
        pytest.raises(geo.errors.SteeringError, match="steer by vectors that begin alike"),
    ):
        geo.generate(model, tokenizer, prompts)
    with geo.steer(model, tiny.vector("output.1"), positions="all"):
        assert geo.generate(model, tokenizer, prompts, bos=True) != geo.generate(model, tokenizer, prompts, bos=False)


def test_a_prompt_that_brings_the_token_is_refused_where_rows_count_without_it() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    without, with_it = (dataclasses.replace(tiny.vector("input.1", rows=2), bos=bos) for bos in (False, True))
    for attempt in (
        lambda prompt: geo.generate(model, tokenizer, ["w5 w6 w7", prompt], max_new_tokens=2),
        lambda prompt: geo.read_activations(model, tokenizer, [prompt], ["output.2"]),
        lambda prompt: geo.steering.perplexity(model, tokenizer, [prompt]),
    ):
        with geo.steer(model, without):
            attempt("w3 w4 w5")
            with pytest.raises(geo.errors.SteeringError, match="rows of a vector at work count without one"):
                attempt("<s> w3 w4")
        with geo.steer(model, with_it):
            attempt("<s> w3 w4")
