"""The next token under vectors at the first tokens, and its KL divergence by token, against sums by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import GeometryError
from geometry.steering import kl_contributions, kl_divergence, next_token_laws
from tests.steering import tiny
from tests.steering.by_hand import logits_by_hand, stream_by_hand

PROMPTS = ["w5 w9 w4 w7", "w8 w3", "w2 w11 w30 w31 w32 w33"]
BLOCK = 2


@pytest.fixture
def gpt2() -> Any:
    return tiny.build("gpt2")


def ids_of(prompt: str) -> list[int]:
    return [0, *(int(word[1:]) for word in prompt.split())]


def vector_by_hand(model: Any) -> torch.Tensor:
    """The activations of <s> w20 less those of <s> w21, the first row left out."""
    difference = stream_by_hand(model, [0, 20], BLOCK) - stream_by_hand(model, [0, 21], BLOCK)
    difference[0] = 0
    return difference


def test_the_reference_is_the_model(gpt2: Any) -> None:
    with torch.no_grad():
        own = gpt2(torch.tensor([ids_of(PROMPTS[0])])).logits[0]
    torch.testing.assert_close(logits_by_hand(gpt2, ids_of(PROMPTS[0])), own, atol=1e-5, rtol=1e-5)


def test_activation_addition_at_the_first_tokens_is_that_by_hand(gpt2: Any) -> None:
    vector = geo.activation_addition(gpt2, tiny.tokenizer(), "w20", "w21", block=BLOCK)
    laws = next_token_laws(gpt2, tiny.tokenizer(), PROMPTS * 2, [None] * 3 + [3 * vector] * 3)
    rows = vector_by_hand(gpt2)
    for number, prompt in enumerate(PROMPTS):
        unsteered = logits_by_hand(gpt2, ids_of(prompt))[-1].log_softmax(0)
        steered = logits_by_hand(gpt2, ids_of(prompt), BLOCK, 3 * rows)[-1].log_softmax(0)
        torch.testing.assert_close(laws[number], unsteered, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(laws[3 + number], steered, atol=1e-5, rtol=1e-4)
        assert float((steered - unsteered).abs().max()) > 0.05


@pytest.mark.parametrize(("place", "start"), [("first", 0), ("middle", 2), ("last", 5)])
def test_positions_are_where_they_are_said_to_be(gpt2: Any, place: Any, start: int) -> None:
    vector = geo.activation_addition(gpt2, tiny.tokenizer(), "w20", "w21", block=BLOCK)
    law = next_token_laws(gpt2, tiny.tokenizer(), [PROMPTS[2]], 4 * vector, positions=place)[0]
    steered = logits_by_hand(gpt2, ids_of(PROMPTS[2]), BLOCK, 4 * vector_by_hand(gpt2), start)[-1]
    torch.testing.assert_close(law, steered.log_softmax(0), atol=1e-5, rtol=1e-4)


def test_contributions_are_the_terms_of_the_divergence() -> None:
    steered, unsteered = torch.tensor([[0.7, 0.2, 0.1]]).log(), torch.tensor([[0.25, 0.5, 0.25]]).log()
    expected = [0.7 * math.log(0.7 / 0.25), 0.2 * math.log(0.2 / 0.5), 0.1 * math.log(0.1 / 0.25)]
    assert kl_contributions(steered, unsteered)[0] == pytest.approx(expected, rel=1e-5)
    assert kl_contributions(steered, unsteered).sum() == pytest.approx(kl_divergence(steered, unsteered)[0], rel=1e-5)


def test_a_token_that_the_steered_law_excludes_adds_nothing() -> None:
    steered, unsteered = torch.tensor([1.0, 0.0]).log(), torch.tensor([0.5, 0.5]).log()
    assert kl_contributions(steered, unsteered) == pytest.approx([math.log(2), 0.0])
    assert kl_contributions(steered, steered) == pytest.approx([0.0, 0.0])
    with pytest.raises(GeometryError, match="unsteered: gives probability 0 to a token"):
        kl_contributions(unsteered, steered)


def test_contributions_of_random_laws_add_up() -> None:
    generator = torch.Generator().manual_seed(0)
    laws = torch.randn((2, 4, 50), generator=generator).log_softmax(dim=-1)
    assert kl_contributions(*laws).sum(axis=-1) == pytest.approx(kl_divergence(*laws), rel=1e-4)
    assert (kl_contributions(*laws).sum(axis=-1) > 0).all()


@pytest.mark.parametrize(
    ("prompts", "vectors", "options", "complaint"),
    [
        ([], 0, {}, "there are no prompts"),
        (PROMPTS, 2, {}, "2 vectors for 3 texts"),
        (PROMPTS, 3, {"bos": False}, "count from a beginning-of-text token"),
        (PROMPTS, 3, {"positions": "nowhere"}, "positions"),
        (["w5", "w8 w3", "w4"], 3, {"positions": [5, 6]}, "too short|tokens"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    gpt2: Any, prompts: list[str], vectors: int, options: dict[str, Any], complaint: str
) -> None:
    vector = geo.activation_addition(gpt2, tiny.tokenizer(), "w20", "w21", block=BLOCK)
    with pytest.raises(GeometryError, match=complaint):
        next_token_laws(gpt2, tiny.tokenizer(), prompts, [vector] * vectors, **options)


def test_a_vector_at_work_is_refused(gpt2: Any) -> None:
    vector = tiny.vector("output.1")
    with geo.steer(gpt2, vector, positions="all"), pytest.raises(GeometryError, match="remove those at work"):
        next_token_laws(gpt2, tiny.tokenizer(), PROMPTS)


def test_other_laws_of_another_shape_are_refused() -> None:
    law = torch.zeros(2, 3).log_softmax(dim=-1)
    for wrong in (law * torch.nan, law.exp(), law + torch.inf):
        for pair in ((wrong, law), (law, wrong)):
            with pytest.raises(GeometryError, match="laws are log-probabilities, at most 0 and not nan"):
                kl_contributions(*pair)
    with pytest.raises(GeometryError, match="laws of one shape"):
        kl_contributions(torch.zeros(2, 3), torch.zeros(3, 3))


def test_every_architecture_gives_each_prompt_what_it_gives_alone(model: Any) -> None:
    vector = tiny.vector("input.2", rows=2)
    together = next_token_laws(model, tiny.tokenizer(), PROMPTS, vector)
    alone = [next_token_laws(model, tiny.tokenizer(), [prompt], vector)[0] for prompt in PROMPTS]
    assert np.allclose(together.numpy(), torch.stack(alone).numpy(), atol=1e-4)
