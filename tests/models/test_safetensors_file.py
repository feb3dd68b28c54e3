from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import save_file

import geometry as geo
from tests.models.checkpoints import TOKENS, write_config, write_tokenizer

SIZES = {"vocab_size": len(TOKENS), "num_hidden_layers": 1, "num_attention_heads": 2}


def tiny(family: str, *, tied: bool = True) -> hf.PreTrainedModel:
    torch.manual_seed(0)
    if family == "gpt2":
        config = hf.GPT2Config(vocab_size=len(TOKENS), n_layer=1, n_head=2, n_embd=16)
        return hf.GPT2LMHeadModel(config)
    kinds = {"llama": hf.LlamaConfig, "gemma": hf.GemmaConfig, "qwen2": hf.Qwen2Config, "mistral": hf.MistralConfig}
    config = kinds[family](
        hidden_size=16, intermediate_size=32, num_key_value_heads=2, head_dim=8, tie_word_embeddings=tied, **SIZES
    )
    return hf.AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    ("family", "tied"),
    [("gpt2", True), ("llama", True), ("llama", False), ("gemma", True), ("qwen2", False), ("mistral", False)],
)
@pytest.mark.parametrize("shard", ["5GB", "4KB"])
def test_saved_models_of_every_family_whole_and_sharded(tmp_path: Path, family: str, tied: bool, shard: str) -> None:
    model = tiny(family, tied=tied)
    model.save_pretrained(tmp_path, max_shard_size=shard)
    write_tokenizer(tmp_path)
    expected = model.get_output_embeddings().weight
    loaded = geo.Unembedding.load(tmp_path)
    assert torch.equal(loaded.matrix, expected)
    assert (loaded.tied, loaded.family, loaded.name) == (tied, family, tmp_path.name)
    assert loaded.vocabulary.word_id("cat") == 3
    assert loaded.left_out == 1 + (family == "gemma")  # </s>, and Gemma's all-zero padding row
    for file in tmp_path.glob("*.safetensors*"):
        assert torch.equal(geo.Unembedding.load(file).matrix, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_stored_dtype_is_kept(tmp_path: Path, dtype: torch.dtype) -> None:
    matrix = torch.randn(len(TOKENS), 8).to(dtype)
    save_file({"lm_head.weight": matrix}, tmp_path / "model.safetensors")
    write_tokenizer(tmp_path)
    loaded = geo.Unembedding.load(tmp_path)
    assert loaded.matrix.dtype == dtype
    assert torch.equal(loaded.matrix, matrix)
    assert geo.CausalSpace.fit(loaded).mean.dtype == torch.float64


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks for the mapped file there")
def test_the_matrix_is_the_mapped_file_and_no_copy_of_it(tmp_path: Path) -> None:
    save_file({"lm_head.weight": torch.randn(len(TOKENS), 1 << 12).bfloat16()}, tmp_path / "model.safetensors")
    write_tokenizer(tmp_path)
    loaded = geo.Unembedding.load(tmp_path)
    mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]
    ranges = [[int(end, 16) for end in fields[0].split("-")] for fields in mapped]
    assert any(start <= loaded.matrix.data_ptr() < stop for start, stop in ranges)


def save_tiny(folder: Path, **tensors: torch.Tensor) -> Path:
    save_file(tensors or {"lm_head.weight": torch.randn(len(TOKENS), 8)}, folder / "model.safetensors")
    write_tokenizer(folder)
    return folder


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = save_tiny(tmp_path) / "model.safetensors"
    for size in (0, 5, path.stat().st_size // 2, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(geo.errors.ModelError, match="corrupt or truncated"):
            geo.Unembedding.load(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    tiny("llama").save_pretrained(tmp_path, max_shard_size="4KB")
    write_tokenizer(tmp_path)
    for file in tmp_path.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(geo.errors.ModelError, match="-of-"):
        geo.Unembedding.load(tmp_path)


def test_nan_rows_are_refused(tmp_path: Path) -> None:
    matrix = torch.randn(len(TOKENS), 8)
    matrix[3, 1], matrix[7, 0] = torch.nan, torch.inf
    save_tiny(tmp_path, **{"lm_head.weight": matrix})
    with pytest.raises(geo.errors.ModelError, match="2 unembedding rows hold NaN"):
        geo.Unembedding.load(tmp_path)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, **{"encoder.layer.0.weight": torch.randn(4, 4)})
    with pytest.raises(geo.errors.ModelError, match="no unembedding"):
        geo.Unembedding.load(tmp_path)


@pytest.mark.parametrize(
    "config", [{"tie_word_embeddings": False}, {"architectures": ["LlamaModel"], "tie_word_embeddings": False}]
)
def test_an_untied_embedding_is_not_taken_for_a_head(tmp_path: Path, config: dict) -> None:
    save_tiny(tmp_path, **{"model.embed_tokens.weight": torch.randn(len(TOKENS), 8)})
    write_config(tmp_path, **config)
    with pytest.raises(geo.errors.ModelError, match="causal language model"):
        geo.Unembedding.load(tmp_path)


def test_integer_weights_are_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, **{"lm_head.weight": torch.zeros(len(TOKENS), 8, dtype=torch.int8)})
    with pytest.raises(geo.errors.ModelError, match=r"lm_head\.weight is stored as I8"):
        geo.Unembedding.load(tmp_path)


def test_padding_rows_and_zero_rows_are_left_out(tmp_path: Path) -> None:
    matrix = torch.randn(len(TOKENS) + 32, 8)
    matrix[5] = 0
    save_tiny(tmp_path, **{"lm_head.weight": matrix})
    model = geo.Unembedding.load(tmp_path)
    assert model.left_out == 32 + 1 + 1  # padding, zero row, </s>
    assert 5 not in model.rows


def test_a_word_with_a_zero_row_is_no_word(tmp_path: Path) -> None:
    matrix = torch.randn(len(TOKENS), 8)
    matrix[TOKENS.index("Ġcat")] = 0
    model = geo.Unembedding.load(save_tiny(tmp_path, **{"lm_head.weight": matrix}))
    assert model.vocabulary.word_id("cat") is None
    assert model.vocabulary.word_id("dog") == TOKENS.index("Ġdog")


def test_added_tokens_beyond_the_matrix_are_without_a_row_and_others_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, **{"lm_head.weight": torch.randn(len(TOKENS), 8)})
    write_tokenizer(tmp_path, [*TOKENS, "<image>"], special=["<image>"])
    assert geo.Unembedding.load(tmp_path).left_out == 1
    write_tokenizer(tmp_path, added=["Ġmore", "<pad>"])
    model = geo.Unembedding.load(tmp_path)
    assert model.vocabulary.tokens[len(TOKENS) :] == ("Ġmore", "<pad>")
    assert model.vocabulary.word_id("more") is None
    assert model.rows.tolist() == [i for i in range(len(TOKENS)) if TOKENS[i] != "</s>"]
    write_tokenizer(tmp_path, [*TOKENS, "Ġmore"])
    with pytest.raises(geo.errors.ModelError, match="tokenizer does not belong"):
        geo.Unembedding.load(tmp_path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e30])
def test_rows_that_no_text_reaches_may_hold_anything(tmp_path: Path, value: float) -> None:
    matrix = torch.randn(len(TOKENS) + 32, 8)
    plain = geo.CausalSpace.fit(geo.Unembedding.load(save_tiny(tmp_path, **{"lm_head.weight": matrix})))
    matrix[len(TOKENS) :] = value
    matrix[TOKENS.index("</s>")] = value
    model = geo.Unembedding.load(save_tiny(tmp_path, **{"lm_head.weight": matrix}))
    assert model.left_out == 33
    assert torch.equal(geo.CausalSpace.fit(model).whitener, plain.whitener)


@pytest.mark.parametrize("shape", [(len(TOKENS), 8), (len(TOKENS), 0)])
def test_a_matrix_without_numbers_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save_tiny(tmp_path, **{"lm_head.weight": torch.zeros(shape)})
    with pytest.raises(geo.errors.ModelError, match="anything but zeros"):
        geo.Unembedding.load(tmp_path)


@pytest.mark.parametrize("shape", [(), (8,), (4, 4, 4)])
def test_a_head_that_is_no_matrix_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save_tiny(tmp_path, **{"lm_head.weight": torch.ones(shape)})
    with pytest.raises(geo.errors.ModelError, match=r"lm_head\.weight has shape .*, not vocabulary x width"):
        geo.Unembedding.load(tmp_path)


def test_a_side_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(geo.errors.ArgumentError, match="load: side must be one of 'output', 'input', not 'x'"):
        geo.Unembedding.load(save_tiny(tmp_path), side="x")  # type: ignore[arg-type]


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(geo.errors.ModelError, match=r"neither model\.safetensors"):
        geo.Unembedding.load(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(geo.errors.ModelError, match="pickled"):
        geo.Unembedding.load(tmp_path)
    save_tiny(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(geo.errors.ModelError, match=r"tokenizer\.json is missing"):
        geo.Unembedding.load(tmp_path)


def test_a_folder_of_gguf_says_to_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"")
    with pytest.raises(geo.errors.ModelError, match=r"name the file itself: .*model\.gguf"):
        geo.Unembedding.load(tmp_path)


@pytest.mark.parametrize("config", ["[1]", "[" * 100_000, "{", '{"architectures": 5}'])
def test_odd_configurations_are_no_tracebacks(tmp_path: Path, config: str) -> None:
    save_tiny(tmp_path)
    (tmp_path / "config.json").write_text(config)
    if config.startswith('{"'):
        assert geo.Unembedding.load(tmp_path).family == "unknown"
    else:
        with pytest.raises(geo.errors.ModelError, match=r"config\.json"):
            geo.Unembedding.load(tmp_path)
