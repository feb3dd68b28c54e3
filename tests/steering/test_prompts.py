from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

import geometry as geo
from tests.steering import tiny


def with_bos(*, adds: bool = True, known: bool = True) -> PreTrainedTokenizerFast:
    """A tokenizer that puts <s> before every text by itself, as Llama's and Gemma's do."""
    words = {"<s>": 0, "</s>": 1, **{f"w{number}": number for number in range(2, 20)}}
    inner = Tokenizer(WordLevel(words, unk_token="</s>"))
    inner.pre_tokenizer = WhitespaceSplit()
    if adds:
        inner.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, **({"bos_token": "<s>"} if known else {}))


def test_prompts_are_padded_on_the_left_and_counted_from_zero() -> None:
    batch = geo.steering.encode(tiny.tokenizer(), ["w2 w3 w4", "w5", "w6 w7"])
    assert batch.attention_mask.tolist() == [[1, 1, 1], [0, 0, 1], [0, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2], [0, 0, 0], [0, 0, 1]]
    assert batch.input_ids[0].tolist() == [2, 3, 4]
    assert batch.input_ids[1, 2:].tolist() == [5]
    assert batch.input_ids[2, 1:].tolist() == [6, 7]
    assert {tensor.dtype for tensor in (batch.input_ids, batch.attention_mask, batch.position_ids)} == {torch.int64}


def test_the_tokenizers_own_padding_is_of_no_account() -> None:
    tokenizer = tiny.tokenizer()
    expected = geo.steering.encode(tokenizer, ["w2 w3 w4", "w5"])
    tokenizer.pad_token, tokenizer.padding_side = "w9", "right"
    tokenizer.backend_tokenizer.enable_padding(length=8, pad_id=9, pad_token="w9")
    tokenizer.backend_tokenizer.enable_truncation(2)
    found = geo.steering.encode(tokenizer, ["w2 w3 w4", "w5"])
    assert found.attention_mask.tolist() == expected.attention_mask.tolist()
    assert (found.input_ids * found.attention_mask).tolist() == (expected.input_ids * expected.attention_mask).tolist()


@pytest.mark.parametrize(
    ("tokenizer", "bos", "ids"),
    [
        (with_bos(), None, [0, 2, 3]),
        (with_bos(), True, [0, 2, 3]),
        (with_bos(), False, [2, 3]),
        (with_bos(adds=False), None, [2, 3]),
        (with_bos(adds=False), True, [0, 2, 3]),
        (with_bos(adds=False), False, [2, 3]),
        (with_bos(adds=False, known=False), None, [2, 3]),
    ],
)
def test_the_beginning_of_text_stands_once_or_not_at_all(
    tokenizer: PreTrainedTokenizerFast, bos: bool | None, ids: list[int]
) -> None:
    assert geo.steering.encode(tokenizer, ["w2 w3"], bos=bos).input_ids.tolist() == [ids]


def test_the_real_tokenizer(smollm2_model: tuple[Any, Any]) -> None:
    _, tokenizer = smollm2_model
    texts = ["In the garden", " bird", "Ärger, 喜び\n"]
    batch = geo.steering.encode(tokenizer, texts)
    for text, ids, mask in zip(texts, batch.input_ids, batch.attention_mask, strict=True):
        assert tokenizer.decode(ids[mask.bool()]) == text
    begun = geo.steering.encode(tokenizer, texts, bos=True)
    firsts = begun.input_ids[torch.arange(3), begun.attention_mask.shape[1] - begun.attention_mask.sum(dim=1)]
    assert firsts.tolist() == [tokenizer.bos_token_id] * 3


def test_any_sequence_of_texts_will_do() -> None:
    expected = geo.steering.encode(tiny.tokenizer(), ["w2", "w3 w4"]).input_ids.tolist()
    assert geo.steering.encode(tiny.tokenizer(), ("w2", "w3 w4")).input_ids.tolist() == expected


@pytest.mark.parametrize("bos", [None, True, False])
@pytest.mark.parametrize(
    "prompts", [[], "w2 w3", [""], ["w2", ""], ["w2", "   "], ["w2", None], ["w2", 3], [["w2"]], [b"w2"]]
)
def test_what_is_no_prompt_is_refused(prompts: Any, bos: bool | None) -> None:
    with pytest.raises(geo.errors.SteeringError):
        geo.steering.encode(with_bos(), prompts, bos=bos)


def test_a_missing_beginning_of_text_is_refused() -> None:
    with pytest.raises(geo.errors.SteeringError, match="use bos=False"):
        geo.steering.encode(with_bos(adds=False, known=False), ["w2"], bos=True)


def test_prompt_sets_are_read_and_malformed_ones_refused(tmp_path: Path) -> None:
    neutral = geo.steering.load_prompts("neutral")
    assert len(neutral.beginnings) == len(set(neutral.beginnings)) >= 36
    assert all(text.endswith(".") for text in neutral.texts)
    path = tmp_path / "own.yaml"
    for content in ("prompts: {beginnings: []}", "prompts: {beginnings: [a], texts: 3}", "prompts: {x: [a]}", "- a"):
        path.write_text(content)
        with pytest.raises(geo.errors.SteeringError, match="own"):
            geo.steering.load_prompts(path)
    path.write_text("prompts: {beginnings: ['A  b'], texts: [c]}")
    assert geo.steering.load_prompts(path) == geo.steering.PromptSet("own.yaml", ("A b",), ("c",))
