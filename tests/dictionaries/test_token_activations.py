"""Rows of texts' tokens are those of single calls, the first and massive ones left out; an interrupt loses a part."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.dictionaries import read_tokens
from geometry.dictionaries import token_activations as module
from tests.steering import tiny

TEXTS = [tiny.text(tiny.tokens(length, seed=length)) for length in (5, 9, 3, 9, 1, 12, 7)]
SITE = "output.2"


def by_hand(model: Any, texts: list[str]) -> tuple[torch.Tensor, list[int], list[int]]:
    """One text at a time, whole."""
    rows, tokens, numbers = [], [], []
    for number, text in enumerate(texts):
        ids = tiny.tokenizer()(text, return_tensors="pt")["input_ids"]
        with geo.record_activations(model, [SITE]) as read, torch.no_grad():
            model(input_ids=ids)
        rows.append(read[SITE][0, 1:])
        tokens += ids[0, 1:].tolist()
        numbers += [number] * (ids.shape[1] - 1)
    return torch.cat(rows), tokens, numbers


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_rows_are_those_of_single_texts_but_for_the_first_token(name: str) -> None:
    model = tiny.build(name)
    rows, tokens, numbers = by_hand(model, TEXTS)
    read = read_tokens(model, tiny.tokenizer(), TEXTS, SITE, massive=None)
    torch.testing.assert_close(read.rows, rows, rtol=1e-4, atol=1e-4)
    assert (read.tokens.tolist(), read.texts.tolist(), read.n_texts) == (tokens, numbers, len(TEXTS))
    assert (read.site, read.n_massive) == (geo.Site("output", 2), 0)
    fewer = read_tokens(model, tiny.tokenizer(), TEXTS, SITE, n_tokens=13, massive=None)
    torch.testing.assert_close(fewer.rows, rows[:13], rtol=1e-4, atol=1e-4)
    assert fewer.n_texts == 3  # 4 + 8 + 1 of 2 tokens


def test_what_the_tokenizer_begins_with_is_left_out_and_nothing_more() -> None:
    model = tiny.build("llama")
    read = read_tokens(model, tiny.tokenizer(), TEXTS, SITE, bos=True, massive=None)
    assert read.tokens.tolist() == [int(word[1:]) for text in TEXTS for word in text.split()]
    short = read_tokens(model, tiny.tokenizer(), TEXTS, SITE, longest=4, massive=None)
    assert np.bincount(short.texts).max() == 3


@pytest.mark.parametrize("part", [2, 100])
def test_massive_tokens_are_left_out_and_counted(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", part)
    model = tiny.build("llama")
    with torch.no_grad():
        model.model.embed_tokens.weight[7] *= 1000
    # Once a token that all attend to is massive, the others stay as they are.
    texts = ["w2 w3 w4", "w5 w7", "w8 w9 w10"]
    read = read_tokens(model, tiny.tokenizer(), texts, SITE)
    everything = read_tokens(model, tiny.tokenizer(), texts, SITE, massive=None)
    assert (read.n_massive, read.tokens.tolist()) == (1, [3, 4, 9, 10])
    assert read.texts.tolist() == [0, 0, 2, 2]
    assert torch.equal(read.rows, everything.rows[[0, 1, 3, 4]])
    assert read.largest == pytest.approx(5 * float(everything.rows.norm(dim=1).median()))


def test_an_interrupt_loses_the_part_that_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 10)
    model, calls, real = tiny.build("llama"), [0], module._read
    whole = read_tokens(model, tiny.tokenizer(), TEXTS, SITE)

    def stops(*given: Any) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        real(*given)

    monkeypatch.setattr(module, "_read", stops)
    with pytest.raises(KeyboardInterrupt):
        read_tokens(model, tiny.tokenizer(), TEXTS, SITE, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    again = read_tokens(model, tiny.tokenizer(), TEXTS, SITE, cache=tmp_path)
    parts = len(list(tmp_path.iterdir()))
    assert calls[0] == 3 + parts - 2
    torch.testing.assert_close(again.rows, whole.rows)
    assert torch.equal(read_tokens(model, tiny.tokenizer(), TEXTS, SITE, cache=tmp_path).rows, again.rows)
    assert calls[0] == 1 + parts
    # Of another site, or other weights, nothing is taken.
    read_tokens(model, tiny.tokenizer(), TEXTS, "output.1", cache=tmp_path)
    with torch.no_grad():
        model.model.embed_tokens.weight[3] += 1
    read_tokens(model, tiny.tokenizer(), TEXTS, SITE, cache=tmp_path)
    assert calls[0] == 1 + 3 * parts


@pytest.mark.parametrize(
    ("texts", "changed", "says"),
    [
        (["w3"], {}, "no text has two tokens"),
        ("w3 w4", {}, "texts must be"),
        (["w3 w4", 5], {}, "text"),
        (["w3 w4"], {"n_tokens": 9}, "1 tokens after the first"),
        (["w3 w4"], {"n_tokens": 0}, "at least 1"),
        (["w3 w4"], {"longest": 1}, "longest is at least 2"),
        (["w3 w4"], {"massive": 1.0}, "above 1"),
        (["w3 w4"], {"site": "output.9"}, "no block 9"),
    ],
)
def test_refusals(texts: Any, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(geo.errors.GeometryError, match=says):
        read_tokens(tiny.build("llama"), tiny.tokenizer(), texts, **({"site": SITE} | changed))
