"""Every family that a small configuration builds: what is read of its saved file is what the model multiplies by."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

import geometry as geo
from tests.steering import tiny

ENDS: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
SHORT: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, **ENDS}
FULL: dict[str, Any] = {**SHORT, "intermediate_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2}
OLD: dict[str, Any] = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, **ENDS}
EXPERTS: dict[str, Any] = {"num_experts": 2, "num_experts_per_tok": 1}
TEXT: dict[str, Any] = {**FULL, "head_dim": 8}
PICTURES: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
PICTURES |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
TURNS = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}

CONFIGS: dict[str, Callable[[], Any]] = {
    "mamba": lambda: hf.MambaConfig(**SHORT, state_size=4),
    "mamba2": lambda: hf.Mamba2Config(**SHORT, state_size=8, num_heads=4, head_dim=16, n_groups=1),
    "falcon_mamba": lambda: hf.FalconMambaConfig(**SHORT, state_size=4),
    "rwkv": lambda: hf.RwkvConfig(**SHORT, attention_hidden_size=32, context_length=64),
    "xlstm": lambda: hf.xLSTMConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_heads=2, **ENDS),
    "jamba": lambda: hf.JambaConfig(
        **FULL, mamba_d_state=4, num_experts=2, use_mamba_kernels=False, attn_layer_period=2, attn_layer_offset=1
    ),
    "recurrent_gemma": lambda: hf.RecurrentGemmaConfig(**FULL, lru_width=32, head_dim=8),
    "openai-gpt": lambda: hf.OpenAIGPTConfig(vocab_size=64, n_embd=32, n_layer=2, n_head=4),
    "ctrl": lambda: hf.CTRLConfig(vocab_size=64, n_embd=32, dff=32, n_layer=2, n_head=4),
    "gptj": lambda: hf.GPTJConfig(**OLD, rotary_dim=4),
    "gpt_neo": lambda: hf.GPTNeoConfig(
        vocab_size=64, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], **ENDS
    ),
    "codegen": lambda: hf.CodeGenConfig(**OLD, rotary_dim=4),
    "bloom": lambda: hf.BloomConfig(vocab_size=64, hidden_size=32, n_layer=2, n_head=4, **ENDS),
    "mpt": lambda: hf.MptConfig(vocab_size=64, d_model=32, n_layers=2, n_heads=4),
    "falcon": lambda: hf.FalconConfig(**SHORT, num_attention_heads=4),
    "phi": lambda: hf.PhiConfig(**FULL),
    "phi3": lambda: hf.Phi3Config(**FULL),
    "stablelm": lambda: hf.StableLmConfig(**FULL),
    "olmo": lambda: hf.OlmoConfig(**FULL),
    "olmo2": lambda: hf.Olmo2Config(**FULL),
    "gpt_oss": lambda: hf.GptOssConfig(
        **TEXT, num_local_experts=2, num_experts_per_tok=1, layer_types=["full_attention"] * 2
    ),
    "mixtral": lambda: hf.MixtralConfig(**FULL, num_local_experts=2, num_experts_per_tok=1),
    "qwen3_moe": lambda: hf.Qwen3MoeConfig(**TEXT, **EXPERTS, moe_intermediate_size=16),
    "cohere": lambda: hf.CohereConfig(**FULL, logit_scale=0.0625),
    "granite": lambda: hf.GraniteConfig(**FULL, logits_scaling=8.0),
    "persimmon": lambda: hf.PersimmonConfig(**SHORT, intermediate_size=32, num_attention_heads=4),
    "xglm": lambda: hf.XGLMConfig(vocab_size=64, d_model=32, num_layers=2, attention_heads=4, ffn_dim=32, **ENDS),
    "biogpt": lambda: hf.BioGptConfig(**SHORT, intermediate_size=32, num_attention_heads=4),
    "gpt_bigcode": lambda: hf.GPTBigCodeConfig(**OLD),
    "starcoder2": lambda: hf.Starcoder2Config(**FULL),
    "nemotron": lambda: hf.NemotronConfig(**FULL),
    "glm4": lambda: hf.Glm4Config(**TEXT),
    "falcon_h1": lambda: hf.FalconH1Config(
        **TEXT, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=4, mamba_n_groups=1
    ),
    "bamba": lambda: hf.BambaConfig(
        **FULL, attn_layer_indices=[1], mamba_n_heads=4, mamba_d_head=16, mamba_d_state=4
    ),
    "qwen3_next": lambda: hf.Qwen3NextConfig(
        **TEXT, **EXPERTS, moe_intermediate_size=16, shared_expert_intermediate_size=16, linear_num_key_heads=2,
        linear_num_value_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
    ),
    "lfm2": lambda: hf.Lfm2Config(**FULL, full_attn_idxs=[1]),
    "gemma3n": lambda: hf.Gemma3nTextConfig(
        **TEXT, vocab_size_per_layer_input=64, hidden_size_per_layer_input=8, laurel_rank=4, num_kv_shared_layers=0,
        layer_types=["full_attention"] * 2, activation_sparsity_pattern=[0.0, 0.0],
    ),
    "apertus": lambda: hf.ApertusConfig(**FULL),
    "smollm3": lambda: hf.SmolLM3Config(**FULL),
    "deepseek_v3": lambda: hf.DeepseekV3Config(
        **{**FULL, "num_key_value_heads": 4}, kv_lora_rank=8, q_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=4,
        v_head_dim=8, n_routed_experts=2, n_group=1, topk_group=1, num_experts_per_tok=1, first_k_dense_replace=1,
        moe_intermediate_size=16,
    ),
    "opt": lambda: hf.OPTConfig(**SHORT, ffn_dim=24, num_attention_heads=4, word_embed_proj_dim=32),
    "gpt_neox": lambda: hf.GPTNeoXConfig(**SHORT, intermediate_size=24, num_attention_heads=4),
    "gpt_neox_japanese": lambda: hf.GPTNeoXJapaneseConfig(**SHORT, num_attention_heads=4),
    "xlnet": lambda: hf.XLNetConfig(vocab_size=64, d_model=32, n_layer=2, n_head=4, d_inner=32),
    "llava": lambda: hf.LlavaConfig(
        text_config=hf.LlamaConfig(**FULL), vision_config=hf.CLIPVisionConfig(**PICTURES), image_token_id=5
    ),
    "qwen2_5_vl": lambda: hf.Qwen2_5_VLConfig(
        text_config={**FULL, "num_attention_heads": 2, "model_type": "qwen2_5_vl_text", "rope_parameters": TURNS},
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32,
                       "patch_size": 14},
    ),
    "mistral3": lambda: hf.Mistral3Config(
        text_config=hf.MistralConfig(**TEXT), vision_config=hf.PixtralVisionConfig(**PICTURES), image_token_index=5
    ),
    "gemma3": lambda: hf.Gemma3Config(
        text_config=hf.Gemma3TextConfig(**TEXT), vision_config=hf.SiglipVisionConfig(**PICTURES), image_token_index=5,
        mm_tokens_per_image=4,
    ),
    "paligemma": lambda: hf.PaliGemmaConfig(
        text_config=hf.GemmaConfig(**TEXT), vision_config=hf.SiglipVisionConfig(**PICTURES, projection_dim=32),
        image_token_index=5, projection_dim=32,
    ),
    "idefics3": lambda: hf.Idefics3Config(text_config=hf.LlamaConfig(**FULL), vision_config=PICTURES, image_token_id=5),
    "qwen2_audio": lambda: hf.Qwen2AudioConfig(
        text_config=hf.Qwen2Config(**FULL), audio_token_index=5,
        audio_config={"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16},
    ),
}  # fmt: skip


@pytest.mark.parametrize("tied", [None, True, False])
@pytest.mark.parametrize("family", CONFIGS)
def test_what_is_read_is_what_the_model_multiplies_by(tmp_path: Path, family: str, tied: bool | None) -> None:
    torch.manual_seed(0)
    config = CONFIGS[family]()
    # The family's own tie is not written down.
    if tied is not None:
        config.tie_word_embeddings = tied
    causal = type(config) in hf.MODEL_FOR_CAUSAL_LM_MAPPING
    model = (hf.AutoModelForCausalLM if causal else hf.AutoModelForMultimodalLM).from_config(config)
    with torch.no_grad():
        # Padding tokens have rows of zeros, and some families begin with all alike.
        for part in (model.get_output_embeddings(), model.get_input_embeddings()):
            torch.nn.init.normal_(part.weight)
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    output, entry = geo.Unembedding.load(tmp_path), geo.Unembedding.load(tmp_path, side="input")
    assert torch.equal(output.matrix, head)
    assert torch.equal(entry.matrix, embedding)
    assert output.tied is entry.tied is torch.equal(head, embedding)
    assert output.family == config.model_type
