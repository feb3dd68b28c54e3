from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    CohereConfig,
    CohereForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

import geometry as geo
from geometry import SteeringVector
from geometry.steering import FinalNorm
from tests.steering import tiny

# The parameter of the final norm, and what the architecture makes of it.
WEIGHTS: dict[str, Callable[[Any], torch.Tensor]] = {
    "gpt2": lambda model: model.transformer.ln_f.weight,
    "llama": lambda model: model.model.norm.weight,
    "gemma2": lambda model: 1 + model.model.norm.weight,
    "gemma3": lambda model: 1 + model.model.norm.weight,
    "qwen2": lambda model: model.model.norm.weight,
    "qwen3": lambda model: model.model.norm.weight,
}
SMALL: dict[str, Any] = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 4, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1}


def delta(size: float = 1.0, seed: int = 5) -> SteeringVector:
    drawn = torch.randn(tiny.WIDTH, generator=torch.Generator().manual_seed(seed))
    return SteeringVector({"after_norm": size * drawn}, "δ")


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.bfloat16, 2**-7), (torch.float16, 1e-3)])
def test_weights_are_those_the_norm_multiplies_with(name: str, dtype: torch.dtype, rtol: float) -> None:
    model = tiny.build(name, dtype)
    final_norm = FinalNorm.of(model)
    torch.testing.assert_close(final_norm.weight, WEIGHTS[name](model.double()).detach(), rtol=rtol, atol=rtol / 10)
    assert final_norm.weight.dtype == torch.float64
    assert final_norm.removes_mean is (name == "gpt2")


def test_a_layer_norm_of_odd_width() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=32, n_embd=15, n_layer=2, n_head=3))
    nn.init.normal_(model.transformer.ln_f.weight, 1.0, 0.3)
    nn.init.normal_(model.transformer.ln_f.bias)
    final_norm = FinalNorm.of(model.eval())
    torch.testing.assert_close(final_norm.weight, model.transformer.ln_f.weight.double().detach(), rtol=1e-4, atol=1e-5)
    assert final_norm.removes_mean


@pytest.mark.parametrize("size", [1e-4, 1e-2, 100.0])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_kind_of_norm_does_not_depend_on_the_size_of_its_weights(name: str, size: float) -> None:
    model = tiny.build(name)
    norm = model.transformer.ln_f if name == "gpt2" else model.model.norm
    with torch.no_grad():
        norm.weight.mul_(size)
    final_norm = FinalNorm.of(model)
    assert final_norm.removes_mean is (name == "gpt2")
    torch.testing.assert_close(final_norm.weight, WEIGHTS[name](model).double().detach(), rtol=1e-3, atol=1e-3 * size)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("place", ["before_norm", "after_norm", "output.3"])
@pytest.mark.parametrize("positions", ["all", "last"])
def test_the_final_norm_read_is_the_models_own_while_a_vector_is_at_work(name: str, place: str, positions: Any) -> None:
    model = tiny.build(name)
    plain = FinalNorm.of(model)
    with geo.steer(model, tiny.vector(place), positions=positions):
        steered = FinalNorm.of(model)
        pulled_back = geo.pull_back(delta(), model, "before_norm")
    assert torch.equal(steered.weight, plain.weight)
    assert steered.removes_mean is plain.removes_mean
    assert torch.equal(
        pulled_back["before_norm.relative"], geo.pull_back(delta(), model, "before_norm")["before_norm.relative"]
    )


def residual_streams(model: Any, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad(), geo.record_activations(model, ["before_norm", "after_norm"]) as seen:
        model(ids)
    before, after = seen.values()
    return before.double(), after.double()


@pytest.mark.parametrize("name", tiny.ALL)
def test_the_logit_lens_is_the_final_norm_of_a_residual_stream(name: str) -> None:
    model, ids = tiny.build(name), tiny.tokens(2, 5)
    seen = tiny.run(model, ids)
    assert torch.equal(geo.steering.logit_lens(model, seen["before_norm"]), seen["after_norm"])
    wanted = tiny.final_norm(model)(seen["output.1"]).detach()
    with geo.steer(model, tiny.vector("after_norm"), positions="all"):
        assert torch.equal(geo.steering.logit_lens(model, seen["output.1"]), wanted)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("size", [0.1, 3.0, -20.0])
def test_a_vector_pulled_back_shifts_the_final_state_up_to_the_shrinking(name: str, size: float) -> None:
    model, ids = tiny.build(name, torch.float64), tiny.tokens(2, 5)
    weight = WEIGHTS[name](model).detach().double()
    bias = model.transformer.ln_f.bias.detach() if name == "gpt2" else torch.zeros(())
    shift = delta(size)["after_norm"].double()
    h, plain = residual_streams(model, ids)
    with geo.steer(model, geo.pull_back(delta(size), model, "before_norm"), positions="all"):
        # The record of before_norm was attached later, and so shows what the norm was given.
        given, steered = residual_streams(model, ids)

    def centred(x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=-1, keepdim=True) if name == "gpt2" else x

    def r(x: torch.Tensor) -> torch.Tensor:
        return centred(x).square().mean(dim=-1, keepdim=True).sqrt()

    expected = h + r(h) * centred(shift / weight)
    close = {"rtol": 1e-4, "atol": 1e-4 * max(1, abs(size))}
    torch.testing.assert_close(given, expected, **close)
    reached = weight * centred(shift / weight)
    torch.testing.assert_close(steered, bias + r(h) / r(expected) * (plain - bias + reached), **close)
    if name != "gpt2":
        torch.testing.assert_close(reached, shift)
    assert (steered - plain).norm() > 0.01


def test_small_shifts_move_logits_by_themselves() -> None:
    # To first order only what is along λ is lost to the shrinking; a shift across it arrives whole.
    model, ids = tiny.build("llama", torch.float64), tiny.tokens(1, 4)
    _, plain = residual_streams(model, ids)
    weight = WEIGHTS["llama"](model).detach().double()
    direction = plain[0, -1] / weight
    across = delta(1e-3)["after_norm"].double() / weight
    across = weight * (across - (across @ direction) / (direction @ direction) * direction)
    with torch.no_grad():
        before = model(ids).logits[0, -1]
        with geo.steer(
            model, geo.pull_back(SteeringVector({"after_norm": across}), model, "before_norm"), positions="last"
        ):
            after = model(ids).logits[0, -1]
    torch.testing.assert_close(after - before, model.lm_head.weight.detach() @ across, rtol=1e-2, atol=2e-5)


def test_what_a_layer_norm_takes_is_noted() -> None:
    model = tiny.build("gpt2")
    weight = WEIGHTS["gpt2"](model).detach().double()
    for shift in (delta()["after_norm"], weight.float(), (weight * torch.linspace(-1, 1, tiny.WIDTH)).float()):
        divided = shift.double() / weight
        share = float((weight * (divided - divided.mean())).norm() / shift.double().norm())
        pulled_back = geo.pull_back(SteeringVector({"after_norm": shift}), model, "before_norm")
        noted = [note for note in pulled_back.notes if "lets" in note]
        assert bool(noted) is (share < 0.999)
        if noted:
            assert noted == [f"the final norm lets {share:.1%} of the shift through"]


def test_dimensions_that_the_norm_shuts_are_left_out_and_noted() -> None:
    model, ids = tiny.build("llama"), tiny.tokens(1, 4)
    with torch.no_grad():
        model.model.norm.weight[3:7] = 0
    pulled_back = geo.pull_back(delta(), model, "before_norm")
    assert not pulled_back["before_norm.relative"][3:7].any()
    left = delta()["after_norm"].clone()
    left[3:7] = 0
    assert pulled_back.notes == (f"the final norm lets {float(left.norm() / delta().norm()):.1%} of the shift through",)
    with geo.steer(model, pulled_back, positions="all"):
        assert bool(model(ids).logits.isfinite().all())


def test_a_guess_for_a_block_has_the_same_numbers() -> None:
    model = tiny.build("gemma2")
    vector = SteeringVector(delta().parts, "δ", "gemma2", ("mine",))
    last = geo.pull_back(vector, model, "before_norm")
    for site in ("output.1", "input.0.relative"):
        guess = geo.pull_back(vector, model, site)
        assert [str(place) for place in guess.sites] == [site.removesuffix(".relative") + ".relative"]
        assert torch.equal(guess[guess.sites[0]], last["before_norm.relative"])
        assert guess.model == "gemma2"
        assert guess.notes == ("mine", "logits are soft-capped at ±8: large shifts saturate")


def biased() -> Any:
    model = PhiForCausalLM(PhiConfig(**SMALL)).eval()
    nn.init.normal_(model.lm_head.bias)
    return model


@pytest.mark.parametrize(
    ("model", "note"),
    [
        (lambda: tiny.build("gemma2"), "soft-capped at ±8"),
        (lambda: CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.0625)), "scaled by 0.0625"),
        (lambda: GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=8.0)), "scaled by 0.125"),
        (biased, "the head has a bias"),
        (lambda: tiny.build("llama"), ""),
        (lambda: GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=1.0)), ""),
    ],
    ids=["cap", "scale", "scaling", "bias", "llama", "scaling of 1"],
)
def test_what_bends_the_way_to_logits_is_noted(model: Callable[[], Any], note: str) -> None:
    notes = FinalNorm.of(model()).notes
    assert len(notes) == bool(note)
    assert note in "".join(notes)


def test_what_cannot_be_pulled_back_is_refused() -> None:
    llama = tiny.build("llama")
    ones, after = torch.ones(tiny.WIDTH), delta()
    for vector, site in (
        (after, "after_norm"),
        (after, "after_norm.relative"),
        (after, f"output.{tiny.DEPTH}"),
        (after, "nowhere"),
        (after.at("before_norm"), "before_norm"),
        (after.relative(1), "before_norm"),
        (after + after.at("output.1"), "before_norm"),
        (SteeringVector({"after_norm": torch.ones(tiny.WIDTH + 1)}), "before_norm"),
        (SteeringVector({"after_norm": ones}, model="gpt2"), "before_norm"),
    ):
        with pytest.raises(geo.errors.SteeringError):
            geo.pull_back(vector, llama, site)
    with torch.no_grad():
        llama.model.norm.weight[2] = torch.nan
    with pytest.raises(geo.errors.SteeringError, match="NaN"):
        FinalNorm.of(llama)
    small = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    for other in (nn.Linear(2, 2), BertModel(BertConfig(**small, intermediate_size=8)), None):
        with pytest.raises(geo.errors.SteeringError):
            FinalNorm.of(other)
