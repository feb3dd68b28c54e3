"""A site means one thing in a call: norms and blocks that run again, or too early, and streams of another shape."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig
from transformers.modeling_outputs import CausalLMOutputWithPast

import geometry as geo
from tests.steering import families, tiny

IDS = torch.tensor([[2, 9, 4, 7]])


class Toy(nn.Module):
    """Two blocks, a norm and a head, run in an order of one's choice."""

    def __init__(self, order: str, names: tuple[str, ...] = ("norm",)) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.order = order
        self.config = LlamaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
        self.embed = nn.Embedding(64, 16)
        self.blocks = nn.ModuleList([nn.Linear(16, 16), nn.Linear(16, 16)])
        for name in names:
            setattr(self, name, nn.LayerNorm(16))
            nn.init.normal_(getattr(self, name).weight, 1.0, 0.3)
        self.head = nn.Linear(16, 64, bias=False)
        self.device = torch.device("cpu")

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids: Any = None, past_key_values: Any = None) -> Any:  # noqa: ARG002
        """Blocks are 0 and 1, norms a, b … in the order of their names."""
        stream = self.embed(input_ids)
        norms = [child for child in self.children() if isinstance(child, nn.LayerNorm)]
        for step in self.order:
            part = self.blocks[int(step)] if step.isdecimal() else norms["abc".index(step)]
            stream = part(stream)
        return CausalLMOutputWithPast(logits=self.head(stream))


def at(*sites: str) -> geo.SteeringVector:
    return tiny.vector(*sites, size=1.0)


def steered(model: Any, *sites: str) -> torch.Tensor:
    with torch.no_grad(), geo.steer(model, at(*sites), positions="all"):
        return model(input_ids=IDS).logits


def test_a_norm_that_also_runs_before_the_blocks_is_steered_after_them_alone() -> None:
    for model in (Toy("a01a"), families.build("nanochat")):
        width = geo.steering.Architecture.of(model).width
        head, vector = model.get_output_embeddings(), geo.SteeringVector({"after_norm": torch.linspace(-1, 1, width)})
        with torch.no_grad(), geo.record_activations(model, ["output.1", "before_norm", "after_norm"]) as seen:
            model(input_ids=IDS)
        seen = {str(site): stream for site, stream in seen.items()}
        assert not torch.equal(seen["before_norm"], seen["after_norm"])
        handed: list[torch.Tensor] = []
        hook = head.register_forward_pre_hook(lambda _, args, handed=handed: handed.append(args[0]))
        with torch.no_grad(), geo.steer(model, vector, positions="all"):
            model(input_ids=IDS)
        hook.remove()
        assert torch.equal(handed[0], seen["after_norm"] + vector["after_norm"])
        assert tiny.hook_count(model) == 0


def test_a_norm_that_also_runs_before_the_blocks_is_read_after_them_alone() -> None:
    model = families.build("nanochat")
    for site in ("before_norm", "after_norm"):
        with torch.no_grad(), geo.record_activations(model, [site]) as seen:
            model(input_ids=torch.tensor([[3, 4]]))
        (read,) = geo.read_activations(model, tiny.tokenizer(), ["w3 w4"], [site]).values()
        assert torch.equal(read, seen[geo.Site(site)][:, -1])


def test_an_interrupted_call_leaves_the_next_one_right() -> None:
    model = families.build("nanochat")
    vector = geo.SteeringVector({"after_norm": torch.linspace(-1, 1, 32)})
    with torch.no_grad(), geo.steer(model, vector, positions="all"):
        plain = model(input_ids=IDS).logits
        # Ends after the last block, before the norm.
        geo.read_activations(model, tiny.tokenizer(), ["w3 w4 w5"], ["output.1"])
        assert torch.equal(model(input_ids=IDS).logits, plain)


@pytest.mark.parametrize(
    ("order", "site"), [("0101a", "output.0"), ("0101a", "input.1"), ("01a01a", "after_norm"), ("01aa", "before_norm")]
)
def test_what_runs_again_in_a_call_is_refused(order: str, site: str) -> None:
    model = Toy(order)
    plain = model(input_ids=IDS).logits
    for _ in range(2):
        with pytest.raises(geo.errors.SteeringError, match="more than once in a call"):
            steered(model, site)
        with pytest.raises(geo.errors.SteeringError, match="more than once"), geo.record_activations(model, [site]):
            model(input_ids=IDS)
    assert torch.equal(model(input_ids=IDS).logits, plain)
    assert tiny.hook_count(model) == 0


def test_a_training_step_that_runs_blocks_again_is_none_of_it() -> None:
    model = tiny.build("llama").train()
    model.gradient_checkpointing_enable()
    with geo.steer(model, tiny.vector("output.1"), positions="all"):
        model(input_ids=IDS, labels=IDS).loss.backward()
    assert model.model.layers[0].mlp.up_proj.weight.grad is not None


def test_a_norm_that_runs_before_the_blocks_alone_is_not_final() -> None:
    model = Toy("a01")
    for site in ("before_norm", "after_norm"):
        with pytest.raises(geo.errors.SteeringError, match="does not run after its last block"):
            steered(model, site)
        with pytest.raises(geo.errors.SteeringError, match="does not run"), geo.record_activations(model, [site]):
            model(input_ids=IDS)
    assert not torch.equal(steered(model, "output.1"), model(input_ids=IDS).logits)


@pytest.mark.parametrize("names", [("norm_first", "last"), ("embedding_norm", "last"), ("first", "embedding_norm")])
def test_of_several_norms_the_one_that_runs_last_is_final_whatever_its_name(names: tuple[str, ...]) -> None:
    for order, final in (("a01b", 1), ("b01a", 0)):
        model = Toy(order, names)
        assert geo.steering.Architecture.of(model).norm is getattr(model, names[final])
    lonely = Toy("01a", ("embedding_norm",))
    assert geo.steering.Architecture.of(lonely).norm is lonely.embedding_norm
    with pytest.raises(geo.errors.SteeringError, match="final norm"):
        geo.steering.Architecture.of(Toy("a01", ("embedding_norm",)))


def test_several_streams_are_refused_alike_wherever_they_are_met() -> None:
    model, tokenizer = families.build("hy_v4"), tiny.tokenizer()
    vector = geo.SteeringVector({"output.0": torch.ones(32)})
    for attempt in (
        lambda: geo.read_activations(model, tokenizer, ["w3 w4"], ["output.0"]),
        lambda: geo.read_activations(model, tokenizer, ["w3 w4"], ["input.1"], token="mean"),
        lambda: geo.class_means(model, tokenizer, {"a": ["w3 w4"], "b": ["w5"]}, ["output.0"]),
        lambda: geo.activation_addition(model, tokenizer, "w3", "w4", 1, bos=False),
    ):
        with pytest.raises(geo.errors.SteeringError, match=r"has shape .*, not \(batch, positions, 32\)"):
            attempt()
    for options in ({}, {"mode": "ablate"}, {"positions": "last"}):
        with (
            pytest.raises(geo.errors.SteeringError, match="of several streams"),
            geo.steer(model, vector, **options),
        ):
            model(input_ids=IDS)
    assert tiny.hook_count(model) == 0


def test_what_tells_nothing_of_its_tokens_is_asked_by_its_class() -> None:
    config = SimpleNamespace(vocab_size=6, image_token_id=1, pad_token_id=0, boi_token_index=3, eos_token_id=[2])
    config.get_text_config = lambda: config
    model = SimpleNamespace(config=config)
    assert geo.steering.architecture.plain_ids(model, 3).tolist() == [[4, 5, 4]]
