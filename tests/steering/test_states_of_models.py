"""Models as users hold them: in training mode, compiled, without weights, changed since; and what does not fit them."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

import geometry as geo
from geometry.steering.belonging import RowSample
from tests.steering import tiny

PROMPTS = ["w3 w4 w5", "w6 w7"]
SITES = ["input.0", "output.1", "after_norm"]


def dropping(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "gpt2":
        dropout = {"resid_pdrop": 0.3, "embd_pdrop": 0.3, "attn_pdrop": 0.3}
        return GPT2LMHeadModel(GPT2Config(**tiny._GPT2, **dropout)).eval()
    return LlamaForCausalLM(LlamaConfig(**tiny._COMMON, attention_dropout=0.5)).eval()


def read(model: Any) -> Any:
    return torch.cat(list(geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES).values()))


def vector_of_rows(model: Any) -> geo.SteeringVector:
    return dataclasses.replace(tiny.vector("after_norm"), sample=RowSample.of(unembedding(model)))


def unembedding(model: Any) -> geo.Unembedding:
    vocabulary = geo.Vocabulary([f"Ġw{number}" for number in range(tiny.VOCABULARY)])
    return geo.Unembedding(model.get_output_embeddings().weight.detach(), vocabulary)


DONE: dict[str, Callable[[Any], Any]] = {
    "read": read,
    "class means": lambda model: geo.class_means(model, tiny.tokenizer(), {"a": PROMPTS}, SITES)["a"]["output.1"],
    "activation addition": lambda model: geo.activation_addition(model, tiny.tokenizer(), "w3", "w4", 2)["input.2"],
    "generated": lambda model: torch.tensor(
        [row[0].token_ids for row in geo.generate(model, tiny.tokenizer(), PROMPTS, max_new_tokens=6)]
    ),
    "perplexity": lambda model: torch.tensor(geo.steering.perplexity(model, tiny.tokenizer(), ["w3 w4 w5"])),
    "next token": lambda model: geo.steering.NextToken(model, tiny.tokenizer(), PROMPTS).unsteered,
    "weight of the norm": lambda model: geo.pull_back(tiny.vector("after_norm"), model, "before_norm")[
        geo.Site("before_norm", relative=True)
    ],
}


@pytest.mark.parametrize("what", DONE)
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_dropout_drops_nothing_and_training_goes_on(kind: str, what: str) -> None:
    model = dropping(kind)
    model.generation_config.eos_token_id = None
    wanted = DONE[what](model)
    model.train()
    frozen = next(iter(tiny.blocks(model)))
    frozen.eval()
    before = [module.training for module in model.modules()]
    assert torch.equal(DONE[what](model), wanted)
    assert [module.training for module in model.modules()] == before


def test_what_belongs_is_told_in_training_mode_too() -> None:
    model = dropping("gpt2").train()
    with geo.steer(model, vector_of_rows(model), positions="all"):
        assert model.training
    batch = geo.steering.encode(tiny.tokenizer(), PROMPTS)
    with geo.steer(model, tiny.vector("output.1"), positions="last"):
        # Padding is heeded, which dropout would hide.
        model(**batch.arguments)


def test_a_compiled_wrapper_is_read_as_the_model_inside_and_not_steered() -> None:
    plain = tiny.build("llama")
    compiled = torch.compile(copy.deepcopy(plain), backend="eager")
    assert torch.equal(read(compiled), read(plain))
    wanted = geo.generate(plain, tiny.tokenizer(), PROMPTS, max_new_tokens=3)
    assert geo.generate(compiled, tiny.tokenizer(), PROMPTS, max_new_tokens=3) == wanted
    with pytest.raises(geo.errors.SteeringError, match="is compiled and would not heed"):
        geo.steer(compiled, tiny.vector("output.1"), positions="all")


META: dict[str, Callable[[Any], Any]] = {
    **{name: done for name, done in DONE.items() if name != "perplexity"},
    "belongs": lambda model: geo.steering.check_belongs(model, unembedding(tiny.build("llama"))),
}


@pytest.mark.parametrize("what", META)
def test_a_model_without_weights_is_refused(what: str) -> None:
    with pytest.raises(geo.errors.SteeringError, match="is on the meta device, without weights"):
        META[what](tiny.build("llama").to("meta"))


def test_what_predicts_no_tokens_generates_none() -> None:
    classifier = LlamaForSequenceClassification(LlamaConfig(**tiny._COMMON)).eval()
    for model in (classifier, tiny.build("llama").model):
        with pytest.raises(geo.errors.SteeringError, match="predicts no tokens; a causal language model is needed"):
            geo.generate(model, tiny.tokenizer(), PROMPTS)


def foreign() -> Any:
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(["w99"])
    return tokenizer


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_tokens_beyond_the_embedding_are_refused(kind: str) -> None:
    model, tokenizer = tiny.build(kind), foreign()
    for attempt in (
        lambda: geo.read_activations(model, tokenizer, ["w3 w99"], SITES),
        lambda: geo.generate(model, tokenizer, ["w3 w99"]),
        lambda: geo.activation_addition(model, tokenizer, "w99", "w3", 1),
        lambda: geo.steering.perplexity(model, tokenizer, ["w3 w99"]),
    ):
        with pytest.raises(geo.errors.SteeringError, match=r"token 64, .* an embedding of 64 rows"):
            attempt()


def test_more_tokens_than_learned_positions_are_refused_and_computed_ones_go_on() -> None:
    model, tokenizer, long = tiny.build("gpt2"), tiny.tokenizer(), " ".join(["w3"] * 129)
    for attempt in (
        lambda: geo.read_activations(model, tokenizer, [long], SITES),
        lambda: geo.generate(model, tokenizer, [long], max_new_tokens=1),
        lambda: geo.generate(model, tokenizer, [" ".join(["w3"] * 125)], max_new_tokens=5),
        lambda: geo.activation_addition(model, tokenizer, long, long, 1, bos=False),
    ):
        with pytest.raises(geo.errors.SteeringError, match=r"has 128 positions, 129 are asked for"):
            attempt()
    ((last,),) = geo.generate(model, tokenizer, [" ".join(["w3"] * 125)], max_new_tokens=4)
    assert len(last.token_ids) == 4
    ((beyond,),) = geo.generate(tiny.build("llama"), tokenizer, [long], max_new_tokens=2)
    assert len(beyond.token_ids) == 2


@pytest.mark.parametrize("how", ["loaded", "trained", "replaced"])
def test_a_head_that_changed_is_asked_again(how: str) -> None:
    model, other = tiny.build("llama"), tiny.build("llama", seed=4)
    vector = vector_of_rows(model)
    geo.steer(model, vector, positions="all").remove()
    if how == "loaded":
        model.load_state_dict(other.state_dict())
    elif how == "trained":
        with torch.no_grad():
            model.lm_head.weight.copy_(other.lm_head.weight)
    else:
        model.lm_head = other.lm_head
    with pytest.raises(geo.errors.SteeringError, match="is not the unembedding of this"):
        geo.steer(model, vector, positions="all")
