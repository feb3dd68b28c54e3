"""Models that are wrapped, traced or spread over processes: steered as the plain one, or refused."""

import copy
import functools
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Model
from transformers.distributed import pipeline_parallel

import geometry as geo
from geometry.steering.hook_manager import HookManager
from tests.steering import tiny

IDS = tiny.tokens(2, 6)
VECTOR = tiny.vector("output.1")


class Tuner(nn.Module):
    """As PEFT builds it: calls the forward of the model inside, past its hooks."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def forward(self, *arguments: Any, **options: Any) -> Any:
        return self.model.forward(*arguments, **options)


class Tuned(nn.Module):
    """As PEFT's wrapper: with arguments in an order of its own, and without the cache's name."""

    def __init__(self, model: Any, *, through_hooks: bool = False) -> None:
        super().__init__()
        self.base_model = model if through_hooks else Tuner(model)
        self._inner = [model]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base_model"), name)

    def get_base_model(self) -> Any:
        return self._inner[0]

    def forward(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        **more: Any,
    ) -> Any:
        return self.base_model(
            input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, labels=labels, **more
        )

    def generate(self, *arguments: Any, **options: Any) -> Any:
        return self.base_model.generate(*arguments, **options)


@pytest.mark.parametrize("through_hooks", [False, True])
@pytest.mark.parametrize("positions", ["all", "last", "generated", [0, -1]])
def test_a_model_within_peft_is_steered_as_itself(positions: Any, through_hooks: bool) -> None:
    plain = tiny.build("llama")
    tuned = Tuned(copy.deepcopy(plain), through_hooks=through_hooks)
    prompts = ["w3 w4 w5", "w6 w7"]
    for given in (tuned, tuned.get_base_model()):
        with geo.steer(plain, VECTOR, positions=positions), geo.steer(given, VECTOR, positions=positions):
            assert HookManager.at_work(tuned) is HookManager.at_work(tuned.get_base_model())
            # Of a call past the hooks of the model inside, that one knows nothing.
            if positions != "generated" and (given is tuned or through_hooks):
                assert torch.equal(tuned(IDS).logits, plain(IDS).logits)
            assert torch.equal(tiny.generated(tuned, IDS), tiny.generated(plain, IDS))
            wanted = geo.generate(plain, tiny.tokenizer(), prompts, max_new_tokens=4)
            assert geo.generate(tuned, tiny.tokenizer(), prompts, max_new_tokens=4) == wanted
        assert tiny.hook_count(tuned) == tiny.hook_count(plain) == 0
    assert torch.equal(tuned(IDS).logits, plain(IDS).logits)
    assert tuned.generation_config is tuned.get_base_model().generation_config


def test_a_cache_goes_on_through_a_wrapper() -> None:
    plain = tiny.build("llama")
    tuned, found = Tuned(copy.deepcopy(plain)), []
    for model in (plain, tuned):
        with torch.no_grad(), geo.steer(model, VECTOR, positions="last"):
            first = model(input_ids=IDS, use_cache=True)
            found.append(model(input_ids=IDS[:, :1], past_key_values=first.past_key_values).logits)
    assert torch.equal(*found)


def test_a_model_within_peft_is_read_as_itself() -> None:
    plain = tiny.build("llama")
    tuned = Tuned(copy.deepcopy(plain))
    sites = ["output.1", "after_norm"]
    read = [geo.read_activations(model, tiny.tokenizer(), ["w3 w4", "w5 w6 w7"], sites) for model in (plain, tuned)]
    assert all(torch.equal(read[0][site], read[1][site]) for site in read[0])
    with geo.record_activations(tuned, sites) as seen:
        tuned(IDS)
    assert torch.equal(seen[geo.Site("output", 1)], tiny.run(plain, IDS)["output.1"])


def test_a_tuned_prompt_is_refused() -> None:
    tuned = Tuned(tiny.build("llama"))
    tuned.active_peft_config = type("PromptTuningConfig", (), {"is_prompt_learning": True})()
    with pytest.raises(geo.errors.SteeringError, match="puts tokens of its own before every prompt"):
        geo.steer(tuned, VECTOR, positions="all")


@pytest.mark.parametrize("kind", ["self", "anything"])
def test_a_forward_put_in_the_place_of_the_method_takes_ids_by_place(kind: str) -> None:
    model, traced = tiny.build("llama"), tiny.build("llama")
    inside = traced.forward
    if kind == "self":

        def forward(self: Any, input_ids: Any = None, attention_mask: Any = None, **more: Any) -> Any:
            return inside(input_ids, attention_mask=attention_mask, **more)

        # Bound by hand, so that the signature that is seen still begins with self.
        traced.forward = functools.partial(forward, traced)
        traced.forward.__signature__ = __import__("inspect").signature(forward)
    else:
        traced.forward = lambda *arguments, **options: inside(*arguments, **options)
    with geo.steer(model, VECTOR, positions="last"), geo.steer(traced, VECTOR, positions="last"):
        assert torch.equal(traced(IDS).logits, model(IDS).logits)


class Mesh:
    """A device mesh of one process, as the others' would tell it."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.ranks = rank, size

    def get_local_rank(self) -> int:
        return self.rank

    def size(self) -> int:
        return self.ranks

    def get_group(self) -> None:
        return None


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("rank", "size"), [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)])
def test_a_pipeline_is_refused_on_every_rank(rank: int, size: int, tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_parallel.dist, "get_backend", lambda _: "gloo")
    model = tiny.build("llama")
    model.config.tie_word_embeddings = tied
    pipeline_parallel.apply_pipeline_parallelism(model, Mesh(rank, size))
    tokenizer = tiny.tokenizer()
    for attempt in (
        lambda: geo.steer(model, VECTOR, positions="all"),
        lambda: geo.steer(model.base_model, VECTOR, positions="all"),
        lambda: geo.read_activations(model, tokenizer, ["w3"], ["output.1"]),
        lambda: geo.generate(model, tokenizer, ["w3"]),
        lambda: geo.class_means(model, tokenizer, {"a": ["w3"]}, ["output.1"]),
        lambda: geo.pull_back(tiny.vector("after_norm"), model, "before_norm"),
        lambda: geo.steering.perplexity(model, tokenizer, ["w3 w4"]),
    ):
        with pytest.raises(geo.errors.SteeringError, match="pipeline parallel"):
            attempt()
    assert tiny.hook_count(model) == 0


def test_a_backbone_alone_is_steered_and_read() -> None:
    whole = tiny.build("gpt2")
    backbone: GPT2Model = whole.transformer
    with geo.steer(backbone, VECTOR, positions="last"):
        alone = backbone(IDS).last_hidden_state
        within = tiny.run(whole, IDS)["after_norm"]
    assert torch.equal(alone, within)
    with geo.record_activations(backbone, ["after_norm"]) as seen:
        whole(IDS)
    assert torch.equal(seen[geo.Site("after_norm")], tiny.run(whole, IDS)["after_norm"])
