"""The unembedding of a model that is loaded already: the same numbers as by file, shared and never copied."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaModel,
    T5Config,
    T5EncoderModel,
)

import geometry as geo
from tests.steering import families, tiny

SMALL: dict[str, Any] = {"vocab_size": tiny.VOCABULARY, "hidden_size": 16, "intermediate_size": 24}
SMALL |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "initializer_range": 0.4}
SMALL |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
TOKENIZER = tiny.tokenizer()


def llama(**changes: Any) -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**{**SMALL, **changes})).eval()


def same(one: geo.Unembedding, other: geo.Unembedding) -> None:
    assert torch.equal(one.matrix, other.matrix)
    assert one.rows.tolist() == other.rows.tolist()
    assert one.vocabulary.tokens == other.vocabulary.tokens
    assert (one.tied, one.sha256, one.left_out) == (other.tied, other.sha256, other.left_out)
    spaces = geo.CausalSpace.fit(one), geo.CausalSpace.fit(other)
    assert torch.equal(spaces[0].unified, spaces[1].unified)
    assert torch.equal(spaces[0].mean, spaces[1].mean)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2", "gemma3", "qwen3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_in_memory_is_the_model_in_its_folder(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model = tiny.build(kind, dtype)
    model.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    held, read = geo.Unembedding.from_model(model, TOKENIZER), geo.Unembedding.load(tmp_path)
    same(held, read)
    assert held.family == read.family.removesuffix("_text")
    assert held.matrix.data_ptr() == model.get_output_embeddings().weight.data_ptr()
    assert not held.matrix.requires_grad


def test_the_default_model_in_memory_is_the_file(
    smollm2_model: tuple[Any, Any], smollm2: geo.Unembedding, smollm2_space: geo.CausalSpace
) -> None:
    held = geo.Unembedding.from_model(*smollm2_model, name=smollm2.name)
    assert held.summary() == smollm2.summary()
    assert held.vocabulary.words == smollm2.vocabulary.words
    space = geo.CausalSpace.fit(held)
    ours, theirs = (each.unify(smollm2.matrix[::97]) for each in (space, smollm2_space))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_tied_is_one_memory(tied: bool) -> None:
    model = llama(tie_word_embeddings=tied)
    assert geo.Unembedding.from_model(model, TOKENIZER).tied is tied
    if not tied:
        model.lm_head.weight.data = model.model.embed_tokens.weight.data.clone()
        assert not geo.Unembedding.from_model(model, TOKENIZER).tied
        model.lm_head.weight = nn.Parameter(model.model.embed_tokens.weight.data)
        assert geo.Unembedding.from_model(model, TOKENIZER).tied


def test_the_name_and_the_commit_are_those_of_where_it_was_loaded(tmp_path: Path) -> None:
    model = llama()
    assert geo.Unembedding.from_model(model, TOKENIZER).name == "LlamaForCausalLM"
    model.save_pretrained(tmp_path / "mine")
    loaded = LlamaForCausalLM.from_pretrained(tmp_path / "mine")
    assert geo.Unembedding.from_model(loaded, TOKENIZER).name == "mine"
    model.config._name_or_path, model.config._commit_hash = "lab/tiny", "a" * 40
    held = geo.Unembedding.from_model(model, TOKENIZER)
    assert (held.name, held.commit, held.family) == ("lab/tiny", "a" * 40, "llama")
    assert held.summary()["commit"] == "a" * 40
    assert geo.Unembedding.from_model(model, TOKENIZER, name="other").name == "other"


class Peft(nn.Module):
    """As PEFT's: it hands on what it does not know."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.base_model = model

    def get_base_model(self) -> Any:
        return self.base_model

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base_model"), name)


@pytest.mark.parametrize(
    "wrap",
    [
        Peft,
        nn.DataParallel,
        torch.compile,
        lambda model: SimpleNamespace(_model=model),
        lambda model: SimpleNamespace(_module=Peft(model)),
        lambda model: nn.DataParallel(Peft(model)),
    ],
)
def test_wrappers_are_looked_through(wrap: Callable[[Any], Any]) -> None:
    model = llama()
    held = geo.Unembedding.from_model(wrap(model), TOKENIZER)
    assert held.matrix.data_ptr() == model.lm_head.weight.data_ptr()
    assert held.name == "LlamaForCausalLM"


def test_vocabularies_come_from_tokenizers_of_all_kinds() -> None:
    model, backend = llama(), TOKENIZER.backend_tokenizer
    expected = geo.Unembedding.from_model(model, TOKENIZER)
    assert expected.left_out == 2
    for tokenizer in (backend, SimpleNamespace(tokenizer=TOKENIZER), expected.vocabulary):
        assert geo.Unembedding.from_model(model, tokenizer).rows.tolist() == expected.rows.tolist()


def test_tokens_added_beyond_the_matrix_and_rows_beyond_the_tokens_are_no_text() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(["w777"])
    expected = geo.Unembedding.from_model(llama(), TOKENIZER).rows.tolist()
    assert geo.Unembedding.from_model(llama(), tokenizer).rows.tolist() == expected
    assert geo.Unembedding.from_model(llama(vocab_size=tiny.VOCABULARY + 8), TOKENIZER).rows.tolist() == expected
    with pytest.raises(geo.errors.ModelError, match="the tokenizer does not belong to these weights"):
        geo.Unembedding.from_model(llama(vocab_size=tiny.VOCABULARY - 8), TOKENIZER)


class Int8(nn.Linear):
    def __init__(self) -> None:
        super().__init__(16, tiny.VOCABULARY, bias=False)
        self.weight = nn.Parameter(torch.ones(tiny.VOCABULARY, 16, dtype=torch.int8), requires_grad=False)


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("qweight", torch.ones(8, 16, dtype=torch.int32))


class Lora(nn.Module):
    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.base_layer, self.lora_A = inner, nn.Linear(16, 2)

    @property
    def weight(self) -> torch.Tensor:
        return self.base_layer.weight  # type: ignore[return-value]


class Subclass(torch.Tensor):
    """As torchao's, which say that they are of a floating point."""


def scaled() -> nn.Linear:
    head = nn.Linear(16, tiny.VOCABULARY, bias=False)
    head.register_buffer("weight_scale", torch.ones(1))
    return head


def with_weight(weight: torch.Tensor) -> nn.Linear:
    head = nn.Linear(16, tiny.VOCABULARY, bias=False)
    head.weight = nn.Parameter(weight, requires_grad=False)
    return head


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        (Int8(), r"its head holds a Parameter of torch\.int8, which is quantised"),
        (Packed(), "not plain numbers alone, as qweight belong to it; load the model without quantising"),
        (Lora(nn.Linear(16, tiny.VOCABULARY)), "as base_layer, lora_A belong to it; merge the adapter first"),
        (scaled(), "as weight_scale belong to it"),
        (with_weight(torch.ones(tiny.VOCABULARY, 16).to(torch.float8_e4m3fn)), "quantised, packed"),
        (with_weight(torch.ones(tiny.VOCABULARY, 16).as_subclass(Subclass)), "holds a Subclass of torch.float32"),
        (with_weight(torch.eye(tiny.VOCABULARY, 16).to_sparse()), "quantised, packed"),
        (nn.Linear(16, tiny.VOCABULARY, device="meta"), r"are not here but offloaded or not loaded \(a meta tensor\)"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(16, tiny.VOCABULARY)), "parametrizations belong to it"),
        (nn.Identity(), "has no weight"),
        (with_weight(torch.ones(3)), "must be a V x d matrix"),
        (with_weight(torch.tensor(1.0)), "must be a V x d matrix"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_heads_that_are_no_plain_numbers_are_refused(head: nn.Module, complaint: str) -> None:
    model = llama(tie_word_embeddings=False)
    model.lm_head = head
    with pytest.raises(geo.errors.ModelError, match=complaint) as caught:
        geo.Unembedding.from_model(model, TOKENIZER)
    assert "\n" not in str(caught.value)


def test_an_adapted_embedding_is_not_tied_to_a_plain_head() -> None:
    model = llama(tie_word_embeddings=True)
    model.model.embed_tokens = Lora(model.model.embed_tokens)
    assert not geo.Unembedding.from_model(model, TOKENIZER).tied


BERT: dict[str, Any] = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: LlamaModel(LlamaConfig(**SMALL)), "LlamaModel: predicts no tokens"),
        (lambda: LlamaForSequenceClassification(LlamaConfig(**SMALL)), "predicts no tokens"),
        (lambda: BertForMaskedLM(BertConfig(**BERT, intermediate_size=16)), "predicts no tokens"),
        (
            lambda: BertLMHeadModel(BertConfig(**BERT, intermediate_size=16, is_decoder=True)),
            r"as cls\.predictions\.transform\..* belong to it",
        ),
        (
            lambda: families.build("modernbert-decoder"),
            r"as lm_head\.dense\.weight, lm_head\.norm\.weight belong to it",
        ),
        (lambda: T5EncoderModel(T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1)), "no tokens"),
    ],
)
def test_models_without_a_plain_head_are_refused(make: Callable[[], Any], complaint: str) -> None:
    with pytest.raises(geo.errors.ModelError, match=complaint):
        geo.Unembedding.from_model(make(), TOKENIZER)


@pytest.mark.parametrize("model", [None, "smollm2-135m", nn.Linear(2, 2), torch.eye(3), {}, object()])
def test_what_is_no_model_is_named(model: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match=r"^Unembedding\.from_model: model must be a Hugging Face model"):
        geo.Unembedding.from_model(model, TOKENIZER)


@pytest.mark.parametrize("tokenizer", [None, "gpt2", ["Ġa"], {"Ġa": 0}, object()])
def test_what_is_no_tokenizer_is_named(tokenizer: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match=r"^Unembedding\.from_model: tokenizer must be the model's"):
        geo.Unembedding.from_model(llama(), tokenizer)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_matrix_may_be_an_array(dtype: Any) -> None:
    matrix = np.random.default_rng(0).normal(size=(4, 3)).astype(dtype)
    vocabulary = geo.Vocabulary(["Ġa", "Ġb", "Ġc", "Ġd"])
    held = geo.Unembedding(matrix, vocabulary, "mine")  # type: ignore[arg-type]
    assert held.matrix.numpy().tobytes() == matrix.tobytes()
    assert geo.CausalSpace.fit(held).unified.shape == (4, 3)
