"""Which tensor is the unembedding, and when an absent one is the input embedding: by names and configurations alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

import geometry as geo
from geometry.models.checkpoint import Side, read_config
from geometry.models.safetensors_file import open_checkpoint
from geometry.models.tying import Choice, choose, declared_tied
from tests.steering import tiny

BODY = {
    "model.embed_tokens.weight": (64, 32),
    "model.layers.0.mlp.up_proj.weight": (64, 32),
    "model.norm.weight": (32,),
}
TIED = {"tie_word_embeddings": True, "architectures": ["LlamaForCausalLM"]}
HERE = Path("here")


def chosen(*names: str, side: Side = "output", **config: Any) -> Choice:
    return choose(dict.fromkeys(names), config, side, HERE)


@pytest.mark.parametrize(
    ("head", "embedding"),
    [
        ("lm_head.weight", "model.embed_tokens.weight"),
        ("embed_out.weight", "gpt_neox.embed_in.weight"),
        ("transformer.output_layer.weight", "transformer.embedding.word_embeddings.weight"),
        ("model.transformer.ff_out.weight", "model.transformer.wte.weight"),
        ("output.weight", "model.tok_embeddings.weight"),
        ("output.weight", "tok_embeddings.weight"),
        ("output_projection.weight", "biogpt.embed_tokens.weight"),
        ("head.weight", "rwkv.embeddings.weight"),
        ("lm_head.weight", "backbone.embeddings.weight"),
        ("lm_head.weight", "transformer.w.weight"),
        ("lm_head.weight", "transformer.tokens_embed.weight"),
        ("language_model.lm_head.weight", "language_model.model.embed_tokens.weight"),
        ("model.llm.unembed.weight", "model.llm.embed.weight"),
        ("lm_loss.weight", "transformer.word_embedding.weight"),
    ],
)
def test_both_matrices_by_the_names_of_many_families(head: str, embedding: str) -> None:
    around = ["model.norm.weight", "model.layers.0.attention.output.weight", "vision_tower.head.weight"]
    around += ["vision_tower.embeddings.weight", "model.layers.0.ff_out.weight", "model.embed_tokens_per_layer.weight"]
    assert chosen(head, embedding, *around) == Choice(head, embedding, tied=False)
    assert chosen(head, embedding, *around, side="input") == Choice(embedding, head, tied=False)
    for side in ("output", "input"):
        assert chosen(embedding, *around, side=side, **TIED) == Choice(embedding, None, tied=True)


HEADS = {
    "GPTQ": ["lm_head.qweight", "lm_head.qzeros", "lm_head.scales", "lm_head.g_idx"],
    "AWQ": ["lm_head.qweight", "lm_head.scales"],
    "HQQ": ["lm_head.W_q", "lm_head.meta"],
    "AQLM": ["lm_head.codes", "lm_head.codebooks"],
    "compressed-tensors": ["lm_head.weight_packed", "lm_head.weight_scale"],
    "torchao": ["lm_head._weight_qdata"],
    "weight norm": ["lm_head.parametrizations.weight.original0"],
    "saved modules": ["lm_head.modules_to_save.default.weight", "lm_head.original_module.weight"],
    "adapter's base": ["lm_head.base_layer.weight", "lm_head.lora_A.default.weight"],
    "transformed": ["lm_head.dense.weight", "lm_head.decoder.weight"],
    "masked": ["cls.predictions.transform.dense.weight"],
    "several": ["lm_heads.0.weight", "lm_heads.1.weight"],
    "sequential": ["lm_head.0.weight"],
    "linear": ["linear.weight"],
    "unembedding": ["unembedding.weight"],
    "reward": ["score.weight"],
    "value": ["v_head.summary.weight"],
    "classes": ["classifier.weight"],
    "answers": ["qa_outputs.weight"],
}


@pytest.mark.parametrize("case", HEADS)
def test_a_head_in_another_form_is_named_and_not_taken_for_a_tied_one(case: str) -> None:
    with pytest.raises(geo.errors.ModelError, match=HEADS[case][0]):
        chosen(*BODY, *HEADS[case], **TIED)


@pytest.mark.parametrize("name", ["final.weight", "model.vocabulary_map.weight", "model.layers.24.linear.weight"])
@pytest.mark.parametrize("shape", [(64, 32), (32, 64)])
def test_a_head_of_an_unknown_name_is_known_by_its_shape(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(geo.errors.ModelError, match=name):
        choose({**BODY, name: shape}, TIED, "output", HERE)
    assert choose({**BODY, name: (7, 32)}, TIED, "output", HERE).tied


def test_what_is_no_head_does_not_stand_in_the_way() -> None:
    around = [
        "model.hc_head.hc_fn",
        "lm_head.bias",
        "model.embed_positions.weight",
        "visual.merger.linear.weight",
        "talker.codec_head.weight",
    ]
    assert chosen(*BODY, *around, **TIED).tied
    # Layers hold matrices that may have the embedding's shape.
    assert choose(BODY, TIED, "output", HERE).tied


@pytest.mark.parametrize(
    "scale",
    [
        "weight_scale",
        "weight_scale_inv",
        "scale",
        "scales",
        "SCB",
        "weight.absmax",
        "weight.quant_state.bitsandbytes__nf4",
        "biases",
        "lora_A.weight",
        "base_layer.weight",
    ],
)
@pytest.mark.parametrize("module", ["lm_head", "model.embed_tokens"])
def test_a_matrix_with_scales_beside_it_is_refused(module: str, scale: str) -> None:
    with pytest.raises(geo.errors.ModelError, match=rf"{module}.weight is not plain numbers alone.* {module}.{scale}"):
        chosen(*BODY, f"{module}.weight", f"{module}.{scale}", **TIED)
    # Those of the other side are not in the way.
    if module == "lm_head":
        assert chosen(*BODY, "lm_head.weight", f"lm_head.{scale}", side="input").name == "model.embed_tokens.weight"


def test_what_must_be_done_is_said() -> None:
    with pytest.raises(geo.errors.ModelError, match="between the final norm and the unembedding"):
        chosen(*BODY, "lm_head.dense.weight", "lm_head.decoder.weight", **TIED)
    with pytest.raises(geo.errors.ModelError, match="between the final norm and the unembedding"):
        chosen(*BODY, "lm_head.weight", "lm_head.layer_norm.weight")
    with pytest.raises(geo.errors.ModelError, match="not a classifier or reward model"):
        chosen(*BODY, "score.weight", **TIED)


def test_a_norm_of_the_looked_up_is_no_part_of_the_matrix() -> None:
    assert chosen("model.embed_tokens.weight", "model.embed_tokens.embed_norm.weight", **TIED).tied


def test_an_adapter_says_to_merge_first() -> None:
    for name in ("lm_head.modules_to_save.default.weight", "lm_head.base_layer.weight", "lm_head.lora_A.weight"):
        with pytest.raises(geo.errors.ModelError, match="merge the adapter"):
            chosen(*BODY, name, **TIED)


@pytest.mark.parametrize(
    "architecture",
    [
        "LlamaForSequenceClassification",
        "Qwen2ForRewardModel",
        "InternLM2ForRewardModel",
        "LlamaForScore",
        "LlamaModelForScoring",
        "Qwen3ForReranking",
        "GPT2ForRegression",
        "BertForMaskedLM",
        "XEmbeddingModel",
    ],
)
def test_models_of_other_tasks_are_refused_with_or_without_a_head(architecture: str) -> None:
    for names in (BODY, [*BODY, "lm_head.weight"]):
        with pytest.raises(geo.errors.ModelError, match=f"{architecture}.*causal language model"):
            chosen(*names, architectures=[architecture], tie_word_embeddings=True)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a.lm_head.weight", "b.lm_head.weight"], "2 tensors could be an unembedding"),
        (["lm_head.weight", "output_layer.weight"], "2 tensors could be an unembedding"),
        (["lm_head.weight", "a.wte.weight", "b.wte.weight"], "2 tensors could be an input embedding"),
    ],
)
def test_two_of_a_kind_are_refused(names: list[str], found: str) -> None:
    with pytest.raises(geo.errors.ModelError, match=f"{found} .*{names[-1]}"):
        chosen(*names)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({}, "does not say that they are tied"),
        ({"model_type": "nobody_knows"}, "does not say that they are tied"),
        ({"tie_word_embeddings": False}, "says that they are not tied"),
        ({"model_type": "llama"}, "says that they are not tied"),
        ({"tie_word_embeddings": "yes"}, "does not say"),
        ({"tie_word_embeddings": True, "architectures": ["LlamaModel"]}, "a LlamaModel has none"),
        ({"model_type": "nobody_knows", "tie_word_embeddings": False, "text_config": {"tie_word_embeddings": True}},
         "does not say"),
    ],
)  # fmt: skip
def test_without_evidence_nothing_is_tied(config: dict[str, Any], complaint: str) -> None:
    with pytest.raises(geo.errors.ModelError, match=f"{complaint}.*") as refusal:
        choose(BODY, config, "output", HERE)
    if "none" not in complaint:
        assert "no unembedding (lm_head.weight or alike)" in str(refusal.value)
        assert "model.embed_tokens.weight" in str(refusal.value)


@pytest.mark.parametrize(
    ("model_type", "refused"),
    [("bert", True), ("roberta", True), ("electra", True), ("gpt2", False), ("gemma", False), ("paligemma", False)],
)
def test_without_an_architecture_an_encoder_is_no_language_model(model_type: str, refused: bool) -> None:
    names = dict.fromkeys(["embeddings.word_embeddings.weight", "model.layers.0.output.weight"])
    if not refused:
        assert choose(names, {"model_type": model_type}, "output", HERE).tied
        return
    with pytest.raises(geo.errors.ModelError, match=f"of the type '{model_type}' none with a plain one is known"):
        choose(names, {"model_type": model_type}, "output", HERE)


def test_a_part_of_a_model_is_no_evidence() -> None:
    with pytest.raises(geo.errors.ModelError, match="another shard is not there; it cannot be told"):
        choose(BODY, TIED, "output", HERE, missing="another shard is not there")
    assert (
        choose({**BODY, "lm_head.weight": None}, {}, "output", HERE, missing="another shard").name == "lm_head.weight"
    )


@pytest.mark.parametrize(
    ("config", "tied"),
    [
        ({"model_type": "gpt2"}, True),
        ({"model_type": "gemma"}, True),
        ({"model_type": "mistral"}, False),
        ({"model_type": "mamba"}, True),
        ({"model_type": "llava", "text_config": {"model_type": "llama", "tie_word_embeddings": True}}, True),
        ({"model_type": "unknown_chat", "llm_config": {"model_type": "qwen2", "tie_word_embeddings": True}}, True),
        ({"model_type": "unknown_chat", "llm_config": {"model_type": "qwen2"}}, None),
        # Lists as long as a number says are not made.
        ({"model_type": "gemma3_text", "num_hidden_layers": 10**12}, True),
        ({"model_type": ["a"]}, None),
        ({"model_type": "gpt2", "text_config": 5}, True),
    ],
)
def test_what_a_configuration_does_not_say_its_class_does(config: dict[str, Any], tied: bool | None) -> None:
    assert declared_tied(config) is tied


SMALL: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
SMALL |= {"num_attention_heads": 2, "num_key_value_heads": 2}
CLIP = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28}
CLIP |= {"patch_size": 14}
ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
WRAPPERS = {
    "llava": lambda top, text: hf.LlavaForConditionalGeneration(
        hf.LlavaConfig(
            text_config=hf.LlamaConfig(**SMALL, tie_word_embeddings=text),
            vision_config=hf.CLIPVisionConfig(**CLIP),
            image_token_id=5,
            tie_word_embeddings=top,
        )
    ),
    "qwen2_5_vl": lambda top, text: hf.Qwen2_5_VLForConditionalGeneration(
        hf.Qwen2_5_VLConfig(
            text_config={
                **SMALL,
                "model_type": "qwen2_5_vl_text",
                "rope_parameters": ROPE,
                "tie_word_embeddings": text,
            },
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": 32,
                "patch_size": 14,
            },
            tie_word_embeddings=top,
        )
    ),
    "mistral3": lambda top, text: hf.Mistral3ForConditionalGeneration(
        hf.Mistral3Config(
            text_config=hf.MistralConfig(**SMALL, head_dim=16, tie_word_embeddings=text),
            vision_config=hf.PixtralVisionConfig(**CLIP),
            image_token_index=5,
            tie_word_embeddings=top,
        )
    ),
}


@pytest.mark.parametrize("family", WRAPPERS)
@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("text", [True, False])
def test_of_two_configurations_that_disagree_the_model_heeds_the_same(
    tmp_path: Path, family: str, top: bool, text: bool
) -> None:
    torch.manual_seed(0)
    model = WRAPPERS[family](top, text)
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    config = read_config(tmp_path)
    # As older versions and other programs write it.
    config["tie_word_embeddings"], config["text_config"]["tie_word_embeddings"] = top, text
    (tmp_path / "config.json").write_text(json.dumps(config))
    tensors = load_file(tmp_path / "model.safetensors")
    for name in [name for name in tensors if "lm_head" in name]:
        del tensors[name]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded, report = type(model).from_pretrained(tmp_path, output_loading_info=True)
    if not any("lm_head" in key for key in report["missing_keys"]):
        read = geo.Unembedding.load(tmp_path)
        assert read.tied
        assert torch.equal(read.matrix, loaded.get_output_embeddings().weight)
    else:
        with pytest.raises(geo.errors.ModelError, match=r"no unembedding \(lm_head.weight or alike\)"):
            geo.Unembedding.load(tmp_path)
    assert open_checkpoint(tmp_path).missing == ""


@pytest.mark.parametrize(
    ("head", "embedding"),
    [
        ("ref_model.lm_head.weight", "model.embed_tokens.weight"),
        ("teacher.lm_head.weight", "student.model.embed_tokens.weight"),
        ("model.b.lm_head.weight", "model.a.embed_tokens.weight"),
    ],
)
@pytest.mark.parametrize("side", ["output", "input"])
def test_a_head_of_another_part_is_not_taken_for_the_models(head: str, embedding: str, side: Side) -> None:
    with pytest.raises(geo.errors.ModelError, match=f"{head} and {embedding} are of different parts"):
        chosen(head, embedding, side=side, **TIED)
