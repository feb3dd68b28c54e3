import json
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, LlamaModel, Qwen2Config, Qwen2ForCausalLM

import geometry as geo
from geometry.models import locate
from tests.steering import tiny

SMALL: dict[str, Any] = {"vocab_size": tiny.VOCABULARY, "hidden_size": 32, "intermediate_size": 32}
SMALL |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "initializer_range": 0.2}
SMALL |= {"max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False}
IDS = torch.tensor([[0, 5, 9, 3]])


def llama(**changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**{**SMALL, **changes})).eval()


def saved(folder: Path, model: Any = None, *, tokenizer: bool = True, **options: Any) -> Path:
    (llama() if model is None else model).save_pretrained(folder, **options)
    if tokenizer:
        tiny.tokenizer().save_pretrained(folder)
    return folder


def qwen() -> Qwen2ForCausalLM:
    torch.manual_seed(1)
    model = Qwen2ForCausalLM(Qwen2Config(**SMALL)).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return model


def write_gguf(path: Path, *, kind: gguf.GGMLQuantizationType | None = None, without: str = "") -> Path:
    """A whole model in one file, with what llama.cpp calls its tensors."""
    writer = gguf.GGUFWriter(path, "qwen2")
    for key in ("block_count", "attention.head_count", "attention.head_count_kv"):
        writer.add_uint32(f"qwen2.{key}", 2)
    for key, value in {"embedding_length": 32, "feed_forward_length": 32, "context_length": 64}.items():
        writer.add_uint32(f"qwen2.{key}", value)
    writer.add_float32("qwen2.attention.layer_norm_rms_epsilon", 1e-6)
    writer.add_float32("qwen2.rope.freq_base", 10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(
        ["<s>", "</s>", "Ġ", "a", "b", "ab", *(f"Ġw{number}" for number in range(6, tiny.VOCABULARY))]
    )
    writer.add_token_types([3, 3, *[1] * (tiny.VOCABULARY - 2)])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    short = {
        "embed_tokens": "token_embd",
        "norm": "output_norm",
        "lm_head": "output",
        "self_attn.o_proj": "attn_output",
    }
    short |= {f"self_attn.{letter}_proj": f"attn_{letter}" for letter in "qkv"}
    short |= {f"mlp.{name}_proj": f"ffn_{name}" for name in ("gate", "up", "down")}
    short |= {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    for name, tensor in qwen().state_dict().items():
        inner, _, ending = name.removeprefix("model.").rpartition(".")
        _, block, inner = inner.split(".", 2) if inner.startswith("layers.") else ("", "", inner)
        called = (f"blk.{block}." if block else "") + f"{short[inner]}.{ending}"
        array = tensor.numpy()
        if called == without:
            continue
        if kind is not None and array.ndim == 2:
            writer.add_tensor(called, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(called, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


def test_the_real_model_has_the_rows_of_the_unembedding(
    smollm2_model: tuple[Any, Any], smollm2: geo.Unembedding
) -> None:
    model, tokenizer = smollm2_model
    assert torch.equal(model.get_output_embeddings().weight, smollm2.matrix)
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    for word in ("bird", "sailor", "é"):
        assert tokenizer.encode(f" {word}") == [smollm2.vocabulary.word_id(word)]


def test_a_folder_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    original = llama()
    folder = saved(tmp_path / "whole", original)
    shards = saved(tmp_path / "shards", original, max_shard_size="20KB")
    assert len(list(shards.glob("*.safetensors"))) > 1
    for path in (folder, str(folder), folder / "model.safetensors", shards, shards / "model.safetensors.index.json"):
        model, tokenizer = geo.load_model(path)
        assert torch.equal(logits(model), logits(original))
        assert not model.training
        assert tokenizer.encode("w5 w9 w3") == IDS[0, 1:].tolist()
    half, _ = geo.load_model(folder, dtype=torch.bfloat16)
    assert torch.equal(half.lm_head.weight, original.lm_head.weight.bfloat16())


def test_a_gguf_file_is_parsed_once_and_what_parses_it_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []

    class Counting(gguf.GGUFReader):
        def __init__(self, path: str) -> None:
            parsed.append(path)
            super().__init__(path)

    monkeypatch.setattr(gguf, "GGUFReader", Counting)
    names = gguf.get_tensor_name_map
    geo.load_model(write_gguf(tmp_path / "m.gguf"))
    assert parsed == [str(tmp_path / "m.gguf")]
    with pytest.raises(geo.errors.ModelError):
        geo.load_model(write_gguf(tmp_path / "bad.gguf", without="token_embd.weight"))
    assert gguf.GGUFReader is Counting
    assert gguf.get_tensor_name_map is names


@pytest.mark.parametrize("kind", [None, gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F16])
def test_a_gguf_file_is_dequantised_and_can_be_saved(tmp_path: Path, kind: gguf.GGMLQuantizationType | None) -> None:
    path = write_gguf(tmp_path / "m.gguf", kind=kind)
    model, tokenizer = geo.load_model(path)
    expected = qwen()
    for parameter in expected.parameters():
        if kind is not None and parameter.ndim == 2:
            rough = gguf.quants.dequantize(gguf.quants.quantize(parameter.detach().numpy(), kind), kind)
            parameter.data = torch.from_numpy(np.asarray(rough, dtype=np.float32))
    torch.testing.assert_close(logits(model), logits(expected))
    assert torch.equal(model.lm_head.weight, geo.Unembedding.load(path).matrix)
    model.save_pretrained(tmp_path / "saved")
    tokenizer.save_pretrained(tmp_path / "saved")
    assert "quantization_config" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    again, _ = geo.load_model(tmp_path / "saved")
    assert torch.equal(logits(again), logits(model))


def lacking(folder: Path, name: str) -> Path:
    weights = load_file(saved(folder) / "model.safetensors")
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    "make",
    [
        lambda path: lacking(path, "model.layers.1.mlp.down_proj.weight"),
        lambda path: lacking(path, "lm_head.weight"),
        lambda path: lacking(path, "model.embed_tokens.weight"),
        lambda path: saved(path, LlamaModel(LlamaConfig(**SMALL))),
        lambda path: saved(path, BertModel(BertConfig(**SMALL))),
        lambda path: write_gguf(path.with_suffix(".gguf"), without="blk.1.ffn_down.weight"),
        lambda path: write_gguf(path.with_suffix(".gguf"), without="token_embd.weight"),
    ],
    ids=["block", "head", "embedding", "no head at all", "encoder", "gguf block", "gguf embedding"],
)
def test_weights_that_are_not_there_are_not_made_up(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(geo.errors.ModelError):
        geo.load_model(make(tmp_path / "m"))


def test_the_weights_that_are_named_are_read_or_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    doubled = {name: 2 * tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(doubled, folder / "other.safetensors", metadata={"format": "pt"})
    try:
        model, _ = geo.load_model(folder / "other.safetensors")
    except geo.errors.ModelError:
        return
    assert torch.equal(model.lm_head.weight, doubled["lm_head.weight"])


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    folder, trace = saved(tmp_path / "m"), tmp_path / "trace"
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(trace)))
    for path in (folder, folder / "pytorch_model.bin"):
        with pytest.raises(geo.errors.ModelError, match="safetensors"):
            geo.load_model(path)
    assert not trace.exists()
    pickle.loads((folder / "pytorch_model.bin").read_bytes())  # noqa: S301
    assert trace.exists(), "the bomb would have gone off"


@pytest.mark.parametrize("kind", ["llama", "nonesuch"])
def test_no_code_of_the_repository_is_run(tmp_path: Path, kind: str) -> None:
    folder, trace = saved(tmp_path / "m"), tmp_path / "trace"
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": kind, "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(trace)!r}, 'w')\nclass C: pass\nclass M: pass\n")
    if kind == "llama":
        assert torch.equal(logits(geo.load_model(folder)[0]), logits(llama()))
    else:
        with pytest.raises(geo.errors.ModelError):
            geo.load_model(folder)
    assert not trace.exists()


def damaged(folder: Path, name: str, content: bytes | None) -> Path:
    saved(folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    return folder


def cut(path: Path, share: float, source: Path | None = None) -> Path:
    whole = (source or write_gguf(path)).read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    return path


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: damaged(path, "config.json", None), "config.json is missing"),
        (lambda path: damaged(path, "config.json", b"{"), "config.json"),
        (lambda path: damaged(path, "config.json", b"[]"), None),
        (lambda path: damaged(path, "config.json", b"{}"), "model_type"),
        (lambda path: damaged(path, "config.json", b'{"model_type": "nonesuch"}'), "nonesuch"),
        (lambda path: damaged(path, "model.safetensors", None), "safetensors"),
        (lambda path: damaged(path, "model.safetensors", b""), "header"),
        (lambda path: damaged(path, "model.safetensors", bytes(100)), None),
        (lambda path: damaged(path, "tokenizer.json", b"{"), None),
        (lambda path: saved(path, tokenizer=False), "tokenizer"),
        (lambda path: cut(path.with_suffix(".gguf"), 0.6), None),
        (lambda path: cut(path.with_suffix(".gguf"), 0.01), None),
        (lambda path: cut(path.with_suffix(".gguf"), 0), None),
        (lambda path: cut(path.with_suffix(".gguf"), 0.5, locate("smollm2-135m")), None),
        (lambda path: geo.save_vector(tiny.vector("output.1"), path.with_suffix(".gguf")), "controlvector"),
        (lambda path: path / "nothing", "no such file"),
    ],
)
def test_what_is_no_model_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], Path], complaint: str | None
) -> None:
    path = make(tmp_path / "m")
    capfd.readouterr()
    with pytest.raises(geo.errors.ModelError, match=complaint) as caught:
        geo.load_model(path)
    assert str(path.parent) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_names_that_are_not_here_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    with pytest.raises(geo.errors.ModelError, match="run: concept-geometry fetch smollm2-135m"):
        geo.load_model("smollm2-135m")
    with pytest.raises(geo.errors.ModelError, match="not a model"):
        geo.load_model("wordnet-3.0")
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    with pytest.raises(geo.errors.ModelError, match="sha256"):
        geo.load_model("smollm2-135m")


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    for device in ("nonesuch", "cuda:77"):
        with pytest.raises(geo.errors.EstimationError, match=f"device '{device}' cannot be computed on"):
            geo.load_model(folder, device=device)


def test_loading_prints_nothing_where_nobody_watches(tmp_path: Path) -> None:
    paths = [str(saved(tmp_path / "m")), str(write_gguf(tmp_path / "q.gguf", kind=gguf.GGMLQuantizationType.Q8_0))]
    code = "import sys, geometry\nfor path in sys.argv[1:]: geometry.load_model(path)\nprint('loaded')"
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("loaded\n", "", 0)


def test_loading_leaves_logging_and_chance_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger, stream = logging.getLogger("transformers"), sys.stderr
    monkeypatch.setattr(logger, "level", logging.INFO)
    for path in (saved(tmp_path / "m"), write_gguf(tmp_path / "q.gguf"), tmp_path / "nothing.gguf"):
        torch.manual_seed(3)
        expected = torch.randn(2)
        torch.manual_seed(3)
        with nullcontext() if path.exists() else pytest.raises(geo.errors.ModelError):
            geo.load_model(path)
        assert torch.equal(torch.randn(2), expected)
        assert (logger.level, sys.stderr) == (logging.INFO, stream)
