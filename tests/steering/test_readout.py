"""What stands between the final norm and the logits, measured on models whose heads do it under many names."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM, OPTConfig, OPTForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

import geometry as geo
from geometry.steering.readout import Readout, logits_at
from tests.steering import families, tiny

DELTA = geo.SteeringVector({"after_norm": torch.linspace(-1, 2, tiny.WIDTH)})


class Bent(LlamaForCausalLM):
    """What it does to the final hidden state and to the logits, nowhere in its configuration."""

    before: Any = staticmethod(lambda state: state)
    after: Any = staticmethod(lambda logits: logits)

    def forward(self, input_ids: Any = None, past_key_values: Any = None, **more: Any) -> Any:
        output = self.model(input_ids=input_ids, past_key_values=past_key_values, **more)
        logits = self.after(self.lm_head(self.before(output.last_hidden_state)))
        return CausalLMOutputWithPast(logits=logits, past_key_values=output.past_key_values)


def bent(before: Any = None, after: Any = None, dtype: torch.dtype = torch.float32) -> Any:
    plain = tiny.build("llama", dtype)
    torch.manual_seed(0)
    model = Bent(plain.config).to(dtype).eval()
    model.load_state_dict(plain.state_dict())
    model.before = before or model.before
    model.after = after or model.after
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize(
    ("before", "after", "scale", "cap", "biased"),
    [
        (None, None, 1, None, False),
        (lambda state: state / 24, None, 1 / 24, None, False),
        (lambda state: 24 * state, None, 24, None, False),
        (None, lambda logits: -3 * logits, -3, None, False),
        (lambda state: 12 * state, lambda logits: logits / 4, 3, None, False),
        (None, lambda logits: 5 * torch.tanh(logits / 5), 1, 5, False),
        (lambda state: state * 0.5, lambda logits: 50 * torch.tanh(logits / 50), 0.5, 50, False),
        (None, lambda logits: logits.clamp(-30, 30), 1, 30, False),
        (None, lambda logits: logits + torch.arange(64).to(logits), 1, None, True),
    ],
    ids=["plain", "divided", "multiplied", "turned", "twice", "cap", "scale and cap", "clamp", "bias"],
)
def test_scale_cap_and_bias_are_measured(
    before: Any, after: Any, scale: float, cap: float | None, biased: bool, dtype: torch.dtype
) -> None:
    model = bent(before, after, dtype)
    readout = Readout.of(geo.steering.Architecture.of(model))
    assert readout is not None
    exact = dtype in (torch.float32, torch.float64)
    assert readout.follows
    assert readout.scale == pytest.approx(scale, rel=1e-4 if exact else 0.03)
    assert (readout.cap is None) == (cap is None)
    assert cap is None or readout.cap == pytest.approx(cap, rel=0.01)
    assert readout.biased is biased
    # To the word: a note for each thing, and none for nothing.
    assert len(readout.notes) == (readout.scale != 1) + (cap is not None) + biased
    assert (readout.scale == 1) == (scale == 1)
    assert geo.steering.FinalNorm.of(model).notes == readout.notes


@pytest.mark.parametrize("before", [torch.tanh, lambda state: state.flip(-1), lambda state: state.roll(1, -1)])
def test_a_layer_between_norm_and_matrix_is_refused_by_name(before: Any) -> None:
    model = bent(lambda state: before(30 * state))
    readout = Readout.of(geo.steering.Architecture.of(model))
    if before is torch.tanh:
        # Of an odd function of each coordinate nothing but the scale shows where it is straight.
        assert readout is not None
        assert readout.scale == pytest.approx(30, rel=1e-2)
        return
    assert readout is not None
    assert not readout.follows
    with pytest.raises(geo.errors.SteeringError, match="Bent: a layer stands between its final norm and the unembed"):
        geo.pull_back(DELTA, model, "before_norm")


def test_a_head_of_another_width_is_refused_by_name() -> None:
    config = OPTConfig(
        vocab_size=64, hidden_size=32, ffn_dim=32, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=16
    )
    model = OPTForCausalLM(config).eval()
    vector = geo.SteeringVector({"after_norm": torch.ones(32)})
    with pytest.raises(geo.errors.SteeringError, match="OPTForCausalLM: a layer stands between"):
        geo.pull_back(vector, model, "before_norm")


def test_a_model_without_a_head_has_no_readout() -> None:
    model = tiny.build("llama")
    assert Readout.of(geo.steering.Architecture.of(model.model)) is None
    assert geo.pull_back(DELTA, model.model, "before_norm").notes == ()


def test_measuring_sees_no_vector_at_work_and_leaves_it_there() -> None:
    model, ids = tiny.build("gemma2"), tiny.tokens(2, 6)
    architecture = geo.steering.Architecture.of(model)
    states = torch.randn(3, tiny.WIDTH, generator=torch.Generator().manual_seed(0))
    plain, readout = logits_at(architecture, states), Readout.of(architecture)
    vectors = tiny.vector("input.0", "output.1", "before_norm", "after_norm")
    for positions, prompts in (("all", None), ("last", None), ([0, -1], [True, False])):
        with geo.steer(model, vectors, positions=positions, prompts=prompts):
            wanted = tiny.run(model, ids)["logits"]
            assert torch.equal(logits_at(architecture, states), plain)
            assert Readout.of(architecture) == readout
            assert torch.equal(tiny.run(model, ids)["logits"], wanted)
    assert tiny.hook_count(model) == 0
    torch.testing.assert_close(plain.float(), _by_hand(model, states), atol=1e-5, rtol=1e-5)


def _by_hand(model: Any, states: torch.Tensor) -> torch.Tensor:
    cap = model.config.final_logit_softcapping
    return (cap * torch.tanh(states @ model.lm_head.weight.T / cap)).detach()


def test_a_head_of_zeros_or_nan_is_refused() -> None:
    for value in (0.0, float("nan")):
        model = tiny.build("llama")
        nn.init.constant_(model.lm_head.weight, value)
        with pytest.raises(geo.errors.SteeringError, match="head gives NaN, or nothing but zeros"):
            geo.pull_back(DELTA, model, "before_norm")


def test_a_multimodal_model_is_measured_without_an_image() -> None:
    readout = Readout.of(geo.steering.Architecture.of(families.build("llava")))
    assert readout is not None
    assert (readout.scale, readout.cap, readout.biased, readout.follows) == (1.0, None, False, True)
