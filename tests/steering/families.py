"""Every kind of causal language model that transformers knows and that fits, tiny and with random weights."""

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf
from torch import nn

from tests.steering import tiny

_TOKENS: dict[str, Any] = {"vocab_size": tiny.VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
_PLAIN: dict[str, Any] = {**_TOKENS, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 32}
_PLAIN |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
_DEEP: dict[str, Any] = {**_PLAIN, "num_hidden_layers": 4}
_EXPERTS: dict[str, Any] = {"num_experts": 2, "num_local_experts": 2, "n_routed_experts": 2, "num_experts_per_tok": 1}
_EXPERTS |= {"n_group": 1, "topk_group": 1, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16}
_LATENT: dict[str, Any] = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4}
_PARTS: dict[str, Any] = {**_PLAIN, **_EXPERTS, **_LATENT, "head_dim": 8, "v_head_dim": 8}
_EQUAL: dict[str, Any] = {**_PARTS, "num_key_value_heads": 4}
_GPT: dict[str, Any] = {**_TOKENS, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
_STATE: dict[str, Any] = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 4}
_LINEAR: dict[str, Any] = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8}
_LINEAR |= {"linear_value_head_dim": 8, "layer_types": ["linear_attention", "full_attention"] * 2}
_ZAMBA: dict[str, Any] = {**_DEEP, "layers_block_type": ["mamba", "hybrid"] * 2, "mamba_d_state": 4}

_AS_THEY_ARE = (
    "apertus arcee aria_text biogpt bitnet bloom cohere cohere2 diffllama doge exaone4 falcon falcon_mamba gpt-sw3 gpt2"
    " gpt_bigcode gpt_neox gpt_neox_japanese granite granite_swa hyperclovax jais2 lfm2 llama mamba mistral mpt"
    " nanochat nemotron olmo olmo2 olmo3 olmo_hybrid persimmon phi phi3 qwen2 rwkv smollm3 stablelm starcoder2"
    " modernbert-decoder openai-gpt"
).split()
_WITH_PARTS = (
    "afmoe beam cohere2_moe cwm ernie4_5 ernie4_5_moe exaone_moe flex_olmo flint gemma gemma2 gemma3_text"
    " glm glm4 glm4_moe gpt_oss granitemoe granitemoe_swa granitemoeshared helium hrm_text hunyuan_v1_dense"
    " hunyuan_v1_moe hy_v3 hy_v4 internlm3 iquestcoder jetmoe kolibri1 laguna llama4_text mellum mimo_v2_flash"
    " minimax minimax_m2 ministral ministral3 mixtral olmoe phimoe qwen2_moe qwen3 qwen3_moe seed_oss solar_open"
    " vaultgemma"
).split()
_WITH_EQUAL_HEADS = "axk2 deepseek_v32 glm4_moe_lite glm_moe_dsa minicpm3".split()
_LATENT_ATTENTION = "axk1 deepseek_v2 youtu".split()
_SPECIAL: dict[str, dict[str, Any]] = {
    "bert": {**_PLAIN, "is_decoder": True},
    "bamba": {**_PLAIN, **_STATE, "attn_layer_indices": [1]},
    "codegen": {**_GPT, "rotary_dim": 4},
    "ctrl": {**_GPT, "dff": 32},
    "deepseek_v3": {**_EQUAL, "first_k_dense_replace": 1, "head_dim": 4},
    "deepseek_v4": {**_PARTS, "num_key_value_heads": 1, "o_groups": 1, "o_lora_rank": 8, "index_n_heads": 2}
    | {"index_head_dim": 8},
    "dots1": {**_EQUAL, "first_k_dense_replace": 1, "n_shared_experts": 1, "routed_scaling_factor": 1.0}
    | {"sliding_window": 8},
    "falcon_h1": {**_PLAIN, **_STATE, "head_dim": 8, "mamba_d_ssm": 32, "mamba_d_head": 8, "mamba_n_groups": 1}
    | {"lm_head_multiplier": 0.25},
    "gemma3n_text": {**_PARTS, "vocab_size_per_layer_input": 64, "hidden_size_per_layer_input": 8, "laurel_rank": 4}
    | {"num_kv_shared_layers": 0, "layer_types": ["full_attention"] * 2, "activation_sparsity_pattern": [0.0, 0.0]},
    "gemma4_text": {**_PARTS, "global_head_dim": 8, "vocab_size_per_layer_input": 64, "hidden_size_per_layer_input": 8}
    | {"num_kv_shared_layers": 0, "layer_types": ["full_attention"] * 2},
    "gpt_neo": {**_TOKENS, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_position_embeddings": 64}
    | {"attention_types": [[["global", "local"], 1]]},
    "gptj": {**_GPT, "rotary_dim": 4},
    "granitemoehybrid": {**_PLAIN, **_STATE, **_EXPERTS, "layer_types": ["mamba", "attention"], "mamba_n_groups": 1},
    "jamba": {**_PLAIN, **_EXPERTS, "mamba_d_state": 4, "use_mamba_kernels": False, "attn_layer_period": 2}
    | {"attn_layer_offset": 1},
    "lfm2_moe": {**_PLAIN, **_EXPERTS, "layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "lfm3": {**_PLAIN, "layer_types": ["conv", "full_attention"]},
    "mamba2": {**_PLAIN, "state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1},
    "nemotron_h": {**_PLAIN, "layers_block_type": ["mamba", "attention"], "mamba_num_heads": 4, "mamba_head_dim": 16}
    | {"ssm_state_size": 4, "n_groups": 1, "head_dim": 8},
    "opt": {**_PLAIN, "ffn_dim": 32, "word_embed_proj_dim": 32},
    "qwen3_5_text": {**_DEEP, **_LINEAR, "head_dim": 8},
    "qwen3_next": {**_DEEP, **_LINEAR, **_EXPERTS, "head_dim": 8},
    "recurrent_gemma": {**_DEEP, "num_hidden_layers": 3, "lru_width": 32, "head_dim": 8},
    "xglm": {**_TOKENS, "d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 32}
    | {"max_position_embeddings": 64},
    "xlstm": {**_TOKENS, "hidden_size": 64, "num_hidden_layers": 2, "num_heads": 2}
    | {"qk_dim_factor": 1.0, "v_dim_factor": 1.0},
    "zamba": {**_ZAMBA, "n_mamba_heads": 2, "mamba_dt_rank": 4, "num_key_value_heads": 4, "use_mamba_kernels": False},
    "zamba2": {**_ZAMBA, "n_mamba_heads": 4, "mamba_headdim": 16, "hybrid_layer_ids": [1, 3], "num_mem_blocks": 1}
    | {"adapter_rank": 4, "mamba_ngroups": 1, "num_key_value_heads": 4},
}
FAMILIES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(_AS_THEY_ARE, _PLAIN),
    **dict.fromkeys(_WITH_PARTS, _PARTS),
    **dict.fromkeys(_WITH_EQUAL_HEADS, _EQUAL),
    **{name: {**_EQUAL, "head_dim": 4} for name in _LATENT_ATTENTION},
    **dict.fromkeys(("gpt2", "gpt_bigcode", "gpt-sw3"), _GPT),
    **_SPECIAL,
}

_TEXT: dict[str, Any] = {**_PLAIN, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
_VISION: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1} | {
    "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
}  # fmt: skip
_ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
_SOUND = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
WRAPPERS: dict[str, Callable[[], Any]] = {
    "llava": lambda: hf.LlavaConfig(
        text_config=hf.LlamaConfig(**_TEXT), vision_config=hf.CLIPVisionConfig(**_VISION), image_token_id=5
    ),
    "qwen2_5_vl": lambda: hf.Qwen2_5_VLConfig(
        text_config={**_TEXT, "model_type": "qwen2_5_vl_text", "rope_parameters": _ROPE},
        vision_config={"depth": 1, **_VISION, "num_heads": 2, "out_hidden_size": 32},
    ),
    "mistral3": lambda: hf.Mistral3Config(
        text_config=hf.MistralConfig(**_TEXT), vision_config=hf.PixtralVisionConfig(**_VISION), image_token_index=5
    ),
    "gemma3": lambda: hf.Gemma3Config(
        text_config=hf.Gemma3TextConfig(**_TEXT),
        vision_config=hf.SiglipVisionConfig(**_VISION),
        image_token_index=5,
        mm_tokens_per_image=4,
    ),
    "paligemma": lambda: hf.PaliGemmaConfig(
        text_config=hf.GemmaConfig(**_TEXT),
        vision_config=hf.SiglipVisionConfig(**_VISION, projection_dim=32),
        image_token_index=5,
        projection_dim=32,
    ),
    "idefics3": lambda: hf.Idefics3Config(text_config=hf.LlamaConfig(**_TEXT), vision_config=_VISION, image_token_id=5),
    "qwen2_audio": lambda: hf.Qwen2AudioConfig(
        text_config=hf.Qwen2Config(**_TEXT), audio_config=_SOUND, audio_token_index=5
    ),
}


def build(name: str) -> Any:
    """A model of a family or a wrapper, whose norms and biases are not what they start as."""
    torch.manual_seed(0)
    config: Any
    if name in WRAPPERS:
        config = WRAPPERS[name]()
        model: Any = hf.AutoModelForMultimodalLM.from_config(config)
    else:
        config = hf.AutoConfig.for_model(name, **FAMILIES[name])
        model = hf.AutoModelForCausalLM.from_config(config)
    for module_name, module in model.named_modules():
        for parameter_name, parameter in module.named_parameters(recurse=False):
            if "norm" in type(module).__name__.lower() and parameter.ndim == 1:
                nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=0.2)
            elif "head" in module_name and parameter_name == "bias":
                nn.init.normal_(parameter, std=0.1)
    if model.generation_config is not None:
        # Generation is to reach its full length.
        model.generation_config.eos_token_id = None
    return model.eval()
