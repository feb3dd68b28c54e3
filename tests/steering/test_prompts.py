from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

import geometry as geo
from tests.steering import tiny


def with_bos(*, adds: bool = True, known: bool = True, template: str = "<s> $A") -> PreTrainedTokenizerFast:
    """A tokenizer that puts <s> before every text by itself, as Llama's and Gemma's do, or frames it otherwise."""
    words = {"<s>": 0, "</s>": 1, **{f"w{number}": number for number in range(2, 20)}}
    inner = Tokenizer(WordLevel(words, unk_token="</s>"))
    inner.pre_tokenizer = WhitespaceSplit()
    # As in real tokenizers, so that a text can hold them.
    inner.add_special_tokens(["<s>", "</s>"])
    if adds:
        inner.post_processor = TemplateProcessing(single=template, special_tokens=[("<s>", 0), ("</s>", 1)])
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


@pytest.mark.parametrize("template", ["$A </s>", "<s> $A </s>", "<s> $A </s> <s>", "</s> <s> $A </s> </s>"])
@pytest.mark.parametrize(
    ("text", "own"),
    [("w2 w3", [2, 3]), ("w2", [2]), ("w2 </s>", [2, 1]), ("</s>", [1]), ("w2 </s> w3", [2, 1, 3]), ("w2 <s>", [2, 0])],
)
def test_a_prompt_ends_with_the_last_token_of_its_text(template: str, text: str, own: list[int]) -> None:
    tokenizer = with_bos(template=template)
    before = [["<s>", "</s>"].index(mark) for mark in template.split("$A")[0].split()]
    for bos, start in ((None, before), (True, [0]), (False, [])):
        batch = geo.steering.encode(tokenizer, [text], bos=bos)
        # Where a text begins with what would stand before it, that stands once.
        wanted = start[:-1] if start[-1:] == own[:1] else start
        assert batch.input_ids.tolist() == [wanted + own]
        assert any("after a text" in note for note in batch.notes) == (bos is None)


@pytest.mark.parametrize("bos", [None, True, False])
@pytest.mark.parametrize(
    ("template", "text", "ids"),
    [
        ("<s> $A", "<s> w2 w3", [0, 2, 3]),
        ("<s> $A </s>", "<s> w2 </s> w3", [0, 2, 1, 3]),
        ("<s> $A", "<s>", [0]),
        ("<s> $A", "<s> w2 <s> w3", [0, 2, 0, 3]),
        ("$A", "<s> w2", [0, 2]),
        ("$A </s>", "<s> w2", [0, 2]),
    ],
)
def test_a_text_that_brings_its_beginning_is_given_no_second(
    template: str, text: str, ids: list[int], bos: bool | None
) -> None:
    batch = geo.steering.encode(with_bos(template=template), [text], bos=bos)
    assert batch.input_ids.tolist() == [ids]
    put = bos if bos is not None else template.startswith("<s>")
    assert any("stands there already" in note for note in batch.notes) == put


def test_a_beginning_of_several_tokens_is_completed() -> None:
    tokenizer = with_bos(template="</s> <s> $A")
    for text in ("w2", "<s> w2", "</s> <s> w2"):
        assert geo.steering.encode(tokenizer, [text]).input_ids.tolist() == [[1, 0, 2]]
    # This is no end of the beginning.
    assert geo.steering.encode(tokenizer, ["</s> w2"]).input_ids.tolist() == [[1, 0, 1, 2]]


def test_a_batch_says_where_the_tokenizer_was_not_followed() -> None:
    tokenizer = with_bos(template="<s> $A </s>")
    before = "the tokenizer's <s> is left out before a text, as it stands there already"
    after = "the tokenizer's </s> is left out after a text, which is to go on"
    assert geo.steering.encode(tokenizer, ["<s> w2", "w3"]).notes == (f"{before} (1 of 2 prompts)", after)
    assert geo.steering.encode(tokenizer, ["<s> w2", "<s> w3"], bos=True).notes == (before,)
    assert geo.steering.encode(with_bos(), ["w2", "w3"]).notes == ()
    assert list(geo.steering.encode(tokenizer, ["w2"]).arguments) == ["input_ids", "attention_mask", "position_ids"]


def test_whether_all_prompts_begin_with_a_token() -> None:
    begun = geo.steering.encode(with_bos(), ["w2 w3 w4", "w5"])
    assert begun.begins_with(0)
    assert not begun.begins_with(2)
    assert not begun.begins_with(None)
    assert not geo.steering.encode(with_bos(), ["<s> w3 w4", "w5"], bos=False).begins_with(0)


def test_every_door_reads_the_last_token_of_the_text(llama: Any) -> None:
    """Under a tokenizer that closes texts all is as under one that does not."""
    closing, plain = with_bos(template="<s> $A </s>"), with_bos()
    prompts, more = ["w2 w3 w4", "w5", "w6 w7"], ["w8 w9", "w10 w11 w12"]
    vector = tiny.vector("output.1")

    def numbers(tokenizer: Any) -> list[Any]:
        read = geo.read_activations(llama, tokenizer, prompts, ["output.2"])[geo.Site("output", 2)]
        means = geo.class_means(llama, tokenizer, {"a": prompts, "b": more}, ["output.2"], token="mean")
        pairs = geo.contrastive_activation_addition(llama, tokenizer, [("w2 w3", "w4 w5")], ["output.1"])
        with geo.steer(llama, vector, positions="last"):
            generated = geo.generate(llama, tokenizer, prompts, max_new_tokens=4)
        effect = geo.steering.NextToken(llama, tokenizer, prompts).effect(vector, {"some": [3, 4]})
        loss = geo.steering.perplexity(llama, tokenizer, more)
        strength = geo.steering.to_absolute(vector.relative(1.0), llama, tokenizer, prompts)
        texts = [[generation.token_ids for generation in row] for row in generated]
        tensors = (read, means["a"]["output.2"], means["b"]["output.2"], pairs["output.1"], strength["output.1"])
        return [*(tensor.tolist() for tensor in tensors), texts, effect.kl.tolist(), effect.top1.tolist(), loss]

    assert numbers(closing) == numbers(plain)


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


@pytest.mark.parametrize("tokenizer", ["gpt2", None, 3])
def test_what_is_no_tokenizer_is_refused(tokenizer: Any) -> None:
    with pytest.raises(geo.errors.SteeringError, match="a tokenizer of transformers is needed"):
        geo.steering.encode(tokenizer, ["w2"])


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


class Slow(PreTrainedTokenizer):
    """A tokenizer in Python that frames texts and, as many do, does not say which of the tokens are its own."""

    def __init__(self, before: list[int], after: list[int]) -> None:
        self.before, self.after = before, after
        super().__init__(bos_token="<s>", eos_token="</s>")

    @property
    def vocab_size(self) -> int:
        return tiny.VOCABULARY

    def get_vocab(self) -> dict[str, int]:
        return {"<s>": 0, "</s>": 1, **{f"w{number}": number for number in range(2, tiny.VOCABULARY)}}

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return text.split()

    def _convert_token_to_id(self, token: str) -> int:
        return self.get_vocab()[token]

    def _convert_id_to_token(self, index: int) -> str:
        return list(self.get_vocab())[index]

    def build_inputs_with_special_tokens(self, ids: list[int], _: Any = None) -> list[int]:
        return [*self.before, *ids, *self.after]


@pytest.mark.parametrize(("before", "after"), [([0], [1]), ([0], []), ([], [1]), ([1, 0], [1, 1]), ([], [])])
def test_a_tokenizer_that_does_not_mark_its_tokens_is_framed_alike(before: list[int], after: list[int]) -> None:
    tokenizer = Slow(before, after)
    batch = geo.steering.encode(tokenizer, ["w5 w6"])
    assert batch.input_ids.tolist() == [[*before, 5, 6]]
    assert not any(word in note for note in batch.notes for word in ("w5", "w6"))
    assert geo.steering.encode(tokenizer, ["<s> w5"]).input_ids.tolist() == [[*before[:-1], 0, 5]]


def test_a_text_that_is_written_otherwise_between_special_tokens_is_refused() -> None:
    tokenizer = Slow([0], [])
    tokenizer.build_inputs_with_special_tokens = lambda ids, _=None: [0, *ids[::-1]]
    with pytest.raises(geo.errors.SteeringError, match="otherwise between its special tokens"):
        geo.steering.encode(tokenizer, ["w5 w6"])
