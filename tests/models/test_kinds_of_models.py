"""What `load_model` is given beyond a plain language model: images or sound, adapters, classifiers, revisions."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import (
    AutoConfig,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma2ForSequenceClassification,
    Gemma2ForTokenClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

import geometry as geo
from tests.steering import families, tiny

SMALL: dict[str, Any] = {"vocab_size": tiny.VOCABULARY, "hidden_size": 32, "intermediate_size": 32}
SMALL |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
SMALL |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 1}


def saved(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def rewritten(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


@pytest.mark.parametrize("name", families.WRAPPERS)
def test_a_model_of_images_or_sound_is_loaded_whole(name: str, tmp_path: Path) -> None:
    original, ids = families.build(name), torch.tensor([[2, 9, 4, 7]])
    model, tokenizer = geo.load_model(saved(tmp_path, original))
    assert type(model) is type(original)
    assert not model.training
    assert tokenizer.encode("w5 w9") == [5, 9]
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, original(input_ids=ids).logits)
    architecture = geo.steering.Architecture.of(model)
    assert len(architecture.blocks) == 2
    assert architecture.head is model.get_output_embeddings()
    assert architecture.family == model.config.model_type
    texts = ["w3 w4", "w7 w8 w9 w10"]
    vector = geo.SteeringVector({"output.0": torch.linspace(-1, 2, 32)})
    with geo.steer(model, vector, positions="last"):
        both = geo.generate(model, tokenizer, texts, max_new_tokens=4)
        assert both == [geo.generate(model, tokenizer, [text], max_new_tokens=4)[0] for text in texts]


@pytest.mark.parametrize("beside", [False, True])
def test_an_adapter_is_to_be_merged_first(beside: bool, tmp_path: Path) -> None:
    if beside:
        saved(tmp_path, LlamaForCausalLM(LlamaConfig(**SMALL)))
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "x/y"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(geo.errors.ModelError, match=r"holds an adapter .* merge it into its model first") as refusal:
        geo.load_model(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", [Gemma2ForSequenceClassification, Gemma2ForTokenClassification])
def test_a_classifier_of_a_tied_family_is_no_language_model(kind: Any, tmp_path: Path) -> None:
    # Of a tied model no tensor of the head would be missing.
    folder = saved(tmp_path, kind(Gemma2Config(**SMALL)))
    with pytest.raises(geo.errors.ModelError, match=f"a {kind.__name__} predicts no tokens"):
        geo.load_model(folder)


@pytest.mark.parametrize("name", ["Gemma2ForRewardModel", "Gemma2RewardModel", "OurClassifier"])
def test_a_reward_model_of_unknown_code_is_no_language_model(name: str, tmp_path: Path) -> None:
    folder = rewritten(saved(tmp_path, Gemma2ForCausalLM(Gemma2Config(**SMALL))), architectures=[name])
    with pytest.raises(geo.errors.ModelError, match=f"a {name} predicts no tokens"):
        geo.load_model(folder)
    rewritten(folder, architectures=["OurGemma2ForCausalLM"])
    assert type(geo.load_model(folder)[0]) is Gemma2ForCausalLM
    for left_out in (None, []):
        rewritten(folder, architectures=left_out)
        assert type(geo.load_model(folder)[0]) is Gemma2ForCausalLM


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: LlamaForSequenceClassification(LlamaConfig(**SMALL)), "predicts no tokens"),
        (
            lambda: T5ForConditionalGeneration(T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1)),
            "a t5 encoder-decoder; a decoder-only",
        ),
    ],
)
def test_other_kinds_are_refused_in_a_line(make: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(geo.errors.ModelError, match=complaint) as refusal:
        geo.load_model(saved(tmp_path, make()))
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    ("given", "revision"), [("lab/tiny", "main"), ("lab/tiny@v1", "v1"), (("lab/tiny", "v1"), "v1")]
)
def test_a_revision_is_passed_on_wherever_the_hub_is_asked(
    given: Any, revision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = saved(tmp_path, LlamaForCausalLM(LlamaConfig(**SMALL))), []

    def of_the_folder(kind: Any) -> Any:
        theirs = kind.from_pretrained

        def loaded(source: str, *rest: Any, **options: Any) -> Any:
            # They ask each other in turn, then of the folder.
            if source == "lab/tiny":
                assert options["trust_remote_code"] is False
                asked.append(options.pop("revision"))
            return theirs(folder, *rest, **options)

        return staticmethod(loaded)

    for kind in (AutoConfig, AutoTokenizer, transformers.AutoModelForCausalLM):
        monkeypatch.setattr(kind, "from_pretrained", of_the_folder(kind))
    name, *rest = (given,) if isinstance(given, str) else given
    model, _ = geo.load_model(name, **({"revision": rest[0]} if rest else {}))
    assert type(model) is LlamaForCausalLM
    assert asked == [revision] * 3


def test_only_a_hub_id_has_a_revision_and_one_alone(tmp_path: Path) -> None:
    folder = saved(tmp_path, LlamaForCausalLM(LlamaConfig(**SMALL)))
    for wrong in (folder, "lab/tiny@v1"):
        with pytest.raises(geo.errors.ModelError, match="revision 'v2'"):
            geo.load_model(wrong, revision="v2")
