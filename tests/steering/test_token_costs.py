"""Texts token by token and perplexity ratios, against sums by hand on a small random GPT-2."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import GeometryError
from geometry.steering import PerplexityRatio, ScoredText, perplexity_ratio, score_tokens
from tests.steering import tiny
from tests.steering.by_hand import logits_by_hand

TEXTS = ["w5 w9 w4 w7 w12", "w8 w3 w40 w41", "w2 w11 w30 w31 w32 w33", "w6 w6 w7 w8", "w22 w23 w24 w25 w26"]
BLOCK = 2


@pytest.fixture
def gpt2() -> Any:
    return tiny.build("gpt2")


@pytest.fixture
def vector() -> geo.SteeringVector:
    made = tiny.vector(f"input.{BLOCK}", rows=2)
    return geo.SteeringVector(made.parts, bos=True)


def ids_of(text: str) -> list[int]:
    return [0, *(int(word[1:]) for word in text.split())]


def scores_by_hand(model: Any, ids: list[int], rows: torch.Tensor | None = None) -> list[float]:
    laws = logits_by_hand(model, ids, BLOCK, rows).log_softmax(dim=-1)
    return [float(laws[place, token]) for place, token in enumerate(ids[1:])]


def test_every_token_has_the_log_probability_that_it_has_by_hand(gpt2: Any, vector: geo.SteeringVector) -> None:
    scored = score_tokens(gpt2, tiny.tokenizer(), TEXTS * 2, [None] * 5 + [vector] * 5)
    for number, text in enumerate(TEXTS * 2):
        rows = None if number < 5 else vector[f"input.{BLOCK}"]
        assert scored[number].ids.tolist() == ids_of(text)
        assert math.isnan(scored[number].log_probabilities[0])
        expected = scores_by_hand(gpt2, ids_of(text), rows)
        assert scored[number].log_probabilities[1:] == pytest.approx(expected, abs=1e-4)


def test_the_ratio_is_of_the_tokens_that_are_predicted_after_the_steered_ones(
    gpt2: Any, vector: geo.SteeringVector
) -> None:
    scored = score_tokens(gpt2, tiny.tokenizer(), TEXTS * 2, [None] * 5 + [vector] * 5)
    rises = []
    for text in TEXTS:
        before = scores_by_hand(gpt2, ids_of(text))
        after = scores_by_hand(gpt2, ids_of(text), vector[f"input.{BLOCK}"])
        rises += [first - second for first, second in zip(before[2:], after[2:], strict=True)]
    ratio = perplexity_ratio(scored[5:], scored[:5], steered_tokens=2)
    assert len(ratio.rises) == len(rises) == sum(len(text.split()) - 2 for text in TEXTS)
    assert ratio.value == pytest.approx(math.exp(sum(rises) / len(rises)), rel=1e-4)
    assert ratio.interval[0] < ratio.value < ratio.interval[1]
    assert perplexity_ratio(scored[:5], scored[:5]).value == 1


def test_what_is_prepended_is_read_and_not_scored(gpt2: Any) -> None:
    (scored,) = score_tokens(gpt2, tiny.tokenizer(), ["w5 w9 w4"], bos=True, prepended="w30 w31")
    expected = scores_by_hand(gpt2, [0, 30, 31, 5, 9, 4])
    assert scored.ids.tolist() == [0, 5, 9, 4]
    assert scored.log_probabilities[1:] == pytest.approx(expected[2:], abs=1e-4)


def test_a_cut_text_is_its_first_tokens(gpt2: Any) -> None:
    whole = score_tokens(gpt2, tiny.tokenizer(), TEXTS, bos=True)
    for cut, full in zip(score_tokens(gpt2, tiny.tokenizer(), TEXTS, bos=True, most_tokens=3), whole, strict=True):
        assert cut.ids.tolist() == full.ids[:4].tolist()
        assert cut.log_probabilities[1:] == pytest.approx(full.log_probabilities[1:4], abs=1e-4)


def texts_of(*rows: list[float]) -> list[ScoredText]:
    return [ScoredText(np.arange(len(row) + 1), np.array([np.nan, *row])) for row in rows]


def test_texts_are_drawn_whole_and_paired_ratios_cancel() -> None:
    nothing = texts_of(*[[0.0] * 4] * 6)
    # Within a text all tokens agree, so that intervals of tokens would be too narrow by half.
    levels = [-0.3, -0.1, 0.0, 0.1, 0.2, 0.4]
    ratio = perplexity_ratio(texts_of(*[[-level] * 4 for level in levels]), nothing)
    assert ratio.value == pytest.approx(math.exp(np.mean(levels)))
    draws = np.random.default_rng(1).choice(levels, (20000, 6)).mean(axis=1)
    assert np.log(ratio.interval) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.02)
    more = perplexity_ratio(texts_of(*[[-level - 0.05] * 4 for level in levels]), nothing)
    assert more.over(ratio).interval == pytest.approx((math.exp(0.05), math.exp(0.05)))


def test_long_texts_count_for_more() -> None:
    steered, unsteered = texts_of([-1.0], *[[0.0] * 9] * 4), texts_of([0.0], *[[0.0] * 9] * 4)
    assert perplexity_ratio(steered, unsteered).value == pytest.approx(math.exp(1 / 37))


@pytest.mark.parametrize(
    ("steered", "steered_tokens", "complaint"),
    [
        (texts_of(*[[0.0] * 4] * 4), 0, "4 steered and 5 unsteered texts"),
        (texts_of(*[[0.0] * 3] * 5), 0, "other tokens than the unsteered one"),
        (texts_of(*[[0.0] * 4] * 5), 4, "a text of 5 tokens ends where 4 are steered"),
    ],
)
def test_what_cannot_be_compared_is_refused(steered: list[ScoredText], steered_tokens: int, complaint: str) -> None:
    with pytest.raises(GeometryError, match=complaint):
        perplexity_ratio(steered, texts_of(*[[0.0] * 4] * 5), steered_tokens=steered_tokens)


def test_fewer_than_no_steered_tokens_are_refused() -> None:
    texts = texts_of(*[[0.0] * 4] * 5)
    with pytest.raises(GeometryError, match=r"steered_tokens: .* 0 or more, not -5"):
        perplexity_ratio(texts, texts, steered_tokens=-5)
    lost = perplexity_ratio(texts_of(*[[0.0, math.nan, 0.0, 0.0]] * 5), texts)
    assert math.isnan(lost.value)


def test_ratios_of_other_tokens_are_not_paired() -> None:
    first, second = (PerplexityRatio(np.zeros(6), np.repeat(np.arange(count), 6 // count)) for count in (2, 3))
    with pytest.raises(GeometryError, match="same tokens of the same texts"):
        first.over(second)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"prepended": "   "}, "prepended: ' ' has no tokens"),
        ({"most_tokens": 0}, "most_tokens: .* 1 token"),
        ({"vectors": tiny.vector("output.1")}, "positions: .* nothing is predicted"),
        ({"vectors": tiny.vector("output.1"), "positions": "last"}, "positions: .* nothing is predicted"),
    ],
)
def test_bad_input_is_refused(gpt2: Any, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(GeometryError, match=complaint):
        score_tokens(gpt2, tiny.tokenizer(), TEXTS, **options)


def test_a_text_shorter_than_the_vector_is_refused(gpt2: Any) -> None:
    long = geo.SteeringVector(tiny.vector("input.1", rows=6).parts, bos=True)
    with pytest.raises(GeometryError, match="too short for a vector with rows for 6"):
        score_tokens(gpt2, tiny.tokenizer(), ["w3 w4"], long)
