"""What the attention and the MLP of a block put out, read beside the residual stream."""

from typing import Any

import pytest
import torch

import geometry as geo
from tests.steering import families, tiny

# Neither has a module: the MLP of OPT, BioGPT and XGLM is spread over the block; Mamba has neither.
_MIXTURES = ("qwen2_moe", "olmoe", "granitemoe", "phimoe", "jetmoe", "glm4_moe", "mixtral")


def parts(model: Any, block: int) -> dict[str, torch.nn.Module]:
    found = tiny.blocks(model)[block]
    attention = found.attn if hasattr(found, "attn") else found.self_attn
    return {f"attention.{block}": attention, f"mlp.{block}": found.mlp}


@pytest.mark.parametrize("kind", tiny.ALL)
def test_they_are_what_hooks_of_ones_own_record(kind: str) -> None:
    model, ids = tiny.build(kind), tiny.tokens(3, 7)
    seen: dict[str, torch.Tensor] = {}

    def keep(site: str) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            seen[site] = (output[0] if isinstance(output, tuple) else output).detach().clone()

        return hook

    hooks = [part.register_forward_hook(keep(site)) for site, part in (parts(model, 0) | parts(model, 2)).items()]
    model(input_ids=ids)
    for hook in hooks:
        hook.remove()
    with geo.record_activations(model, list(seen)) as recorded:
        model(input_ids=ids)
    assert {str(site) for site in recorded} == {"attention.0", "mlp.0", "attention.2", "mlp.2"}
    for site, rows in seen.items():
        assert torch.equal(recorded[site], rows)
        assert rows.shape == (3, 7, tiny.WIDTH)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_they_are_what_a_block_adds_to_the_residual_stream(kind: str) -> None:
    found = geo.read_phrases(
        tiny.build(kind),
        tiny.tokenizer(),
        ["w5", "w6 w7"],
        contexts=["w8 w9 {}", "{}"],
        sites=["input.2", "attention.2", "mlp.2", "output.2"],
        progress=False,
    )
    added = found["attention.2"] + found["mlp.2"]
    torch.testing.assert_close(found["input.2"] + added, found["output.2"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=() if name == "qwen2_moe" else pytest.mark.long) for name in _MIXTURES]
)
def test_of_a_mixture_of_experts_the_mlp_is_the_mixture(family: str) -> None:
    model, ids = families.build(family), tiny.tokens(1, 5)
    with geo.record_activations(model, ["input.1", "attention.1", "mlp.1", "output.1"]) as recorded:
        model(input_ids=ids)
    step = {place: recorded[f"{place}.1"] for place in ("input", "attention", "mlp", "output")}
    scale = getattr(model.config, "residual_multiplier", 1)
    added = scale * (step["attention"] + step["mlp"])
    torch.testing.assert_close(step["input"] + added, step["output"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["opt", "mamba2"])
def test_a_block_without_such_a_module_is_refused_with_what_it_has(family: str) -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"mlp\.1: .* has no one such part in a block, but "):
        geo.read_activations(families.build(family), tiny.tokenizer(), ["w5"], ["mlp.1"])


def test_a_block_that_is_not_there_is_refused() -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"attention\.4: .* has blocks 0 to 3"):
        geo.read_activations(tiny.build("llama"), tiny.tokenizer(), ["w5"], ["attention.4"])


@pytest.mark.parametrize("site", ["attention", "mlp"])
def test_they_need_a_block(site: str) -> None:
    with pytest.raises(geo.errors.SteeringError, match="needs a block, counted from 0"):
        geo.Site.parse(site)
