"""What `load_model` refuses of weights: those that transformers would read in part, or leave at random values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BartConfig, BartForCausalLM, WhisperConfig, WhisperForConditionalGeneration

import geometry as geo
from tests.models.test_kinds_of_models import rewritten, saved
from tests.steering import tiny

UP = "model.layers.0.mlp.up_proj"
QUERY = "model.layers.0.self_attn.q_proj"
Tensors = dict[str, torch.Tensor]


def changed(folder: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """A saved model with other tensors."""
    path = saved(folder, tiny.build("llama")) / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


def beside(**more: torch.Tensor) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, **{name: tensor.clone() for name, tensor in more.items()}}


ONE = torch.ones(1)
IN_PART: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "scaled": (beside(**{f"{UP}.weight_scale": ONE}), f"{UP}.weight_scale"),
    "fp8": (
        lambda tensors: {
            **tensors,
            f"{UP}.weight": tensors[f"{UP}.weight"].to(torch.float8_e4m3fn),
            f"{UP}.weight_scale_inv": ONE,
        },
        f"{UP}.weight_scale_inv",
    ),
    "EETQ": (beside(**{"lm_head.weight_scales": ONE}), "lm_head.weight_scales"),
    "int8": (beside(**{f"{UP}.SCB": ONE}), f"{UP}.SCB"),
    "nf4": (beside(**{f"{UP}.weight.absmax": ONE}), f"{UP}.weight.absmax"),
    "GPTQ": (beside(**{f"{UP}.qweight": ONE, f"{UP}.scales": ONE}), f"{UP}.qweight"),
    "packed": (beside(**{"lm_head.weight_packed": ONE}), "lm_head.weight_packed"),
    "adapter": (beside(**{f"{QUERY}.lora_A.weight": ONE, f"{QUERY}.lora_B.weight": ONE}), f"{QUERY}.lora_A.weight"),
    "saved module": (beside(**{"lm_head.modules_to_save.default.weight": ONE}), "lm_head.modules_to_save"),
}


@pytest.mark.parametrize("kind", IN_PART)
def test_weights_that_would_be_read_in_part_are_refused(tmp_path: Path, kind: str) -> None:
    change, named = IN_PART[kind]
    with pytest.raises(geo.errors.ModelError, match=f"read without them, first '{named}") as refusal:
        geo.load_model(changed(tmp_path, change))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        f"{QUERY}.k_scale",
        "draft.scales",
        "model.embed_positions.weight",
    ],
)
def test_what_changes_no_weight_may_be_left_out(tmp_path: Path, name: str) -> None:
    original, ids = tiny.build("llama"), tiny.tokens(1, 5)
    model, _ = geo.load_model(changed(tmp_path, beside(**{name: ONE})))
    assert torch.equal(model(ids).logits, original(ids).logits)


@pytest.mark.parametrize("shape", [(80, 16), (60, 16), (16, 64), (1024,)])
def test_a_tensor_of_another_shape_is_named_with_both(tmp_path: Path, shape: tuple[int, ...]) -> None:
    folder = changed(tmp_path, lambda tensors: {**tensors, "lm_head.weight": torch.ones(shape)})
    with pytest.raises(geo.errors.ModelError) as refusal:
        geo.load_model(folder)
    assert f"first lm_head.weight of shape {shape}, where (64, 16) is needed" in str(refusal.value)


def test_an_architecture_need_not_be_a_list(tmp_path: Path) -> None:
    folder: Any = rewritten(saved(tmp_path, tiny.build("llama")), architectures="LlamaForCausalLM")
    model, _ = geo.load_model(folder)
    assert type(model).__name__ == "LlamaForCausalLM"


BOTH: dict[str, Any] = {"vocab_size": 64, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1}
BOTH |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "pad_token_id": 1, "bos_token_id": 0}


def test_the_decoder_of_an_encoder_is_not_loaded_alone(tmp_path: Path) -> None:
    speech = WhisperForConditionalGeneration(WhisperConfig(**BOTH, eos_token_id=1, decoder_start_token_id=0))
    with pytest.raises(geo.errors.ModelError, match="a whisper encoder-decoder; a decoder-only language model"):
        geo.load_model(saved(tmp_path / "speech", speech))
    alone = BartForCausalLM(BartConfig(**BOTH)).eval()
    model, _ = geo.load_model(saved(tmp_path / "alone", alone))
    assert torch.equal(model(tiny.tokens(1, 5)).logits, alone(tiny.tokens(1, 5)).logits)
