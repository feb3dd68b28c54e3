"""The algebra at the output layer against passes of a small random model."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import geometry as geo
from geometry.errors import SteeringError
from geometry.experiments.selectivity.setup import check_readout
from geometry.selectivity import tilts_at_kl
from geometry.steering import Site, SteeringVector

IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


def llama() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, vocab_size=40
    )
    model: Any = LlamaForCausalLM(config).double()
    return model.eval()


def law(model: Any, vector: SteeringVector | None = None, **how: Any) -> np.ndarray:
    with torch.no_grad():
        if vector is None:
            return model(IDS).logits[:, -1].double().softmax(-1).numpy()
        with geo.steer(model, vector, positions="last", **how):
            return model(IDS).logits[:, -1].double().softmax(-1).numpy()


def test_tilted_laws_are_those_of_a_steered_pass() -> None:
    model = llama()
    direction = torch.randn(16, generator=torch.Generator().manual_seed(1))
    shift = (model.lm_head.weight.detach() @ direction.double()).numpy()
    before = law(model)
    (tilted,) = tilts_at_kl(before, shift[None], 0.2)
    after = law(model, SteeringVector({Site("after_norm"): tilted.coefficient * direction}))
    np.testing.assert_allclose(tilted.law(before), after, atol=1e-6)


def test_ablation_by_algebra_is_that_of_a_steered_pass() -> None:
    model = llama()
    direction = torch.randn(16, generator=torch.Generator().manual_seed(2)).double()
    states = []
    hook = model.model.norm.register_forward_hook(lambda *args: states.append(args[2][:, -1]))
    before = law(model)
    hook.remove()
    part = (states[0] @ direction / (direction @ direction)).numpy()
    shift = (model.lm_head.weight.detach() @ direction).numpy()
    expected = before * np.exp(-part[:, None] * shift)
    expected /= expected.sum(axis=1, keepdims=True)
    after = law(model, SteeringVector({Site("after_norm"): direction.float()}), mode="ablate")
    np.testing.assert_allclose(after, expected, atol=1e-6)
    assert np.abs(after - before).max() > 1e-4


def test_models_whose_logits_are_no_products_are_refused() -> None:
    check_readout(llama().float())
    config = GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=40, eos_token_id=0)
    capped: Any = GPT2LMHeadModel(config)
    capped.eval()
    check_readout(capped)
    capped.lm_head.register_forward_hook(lambda *args: 30 * torch.tanh(100 * args[2] / 30))
    with pytest.raises(SteeringError, match="the study computes laws as p ∝ exp"):
        check_readout(capped)
