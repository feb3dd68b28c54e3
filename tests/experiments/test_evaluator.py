"""The evaluator on a tiny model: what a vector costs, the rule for its strength, texts side by side."""

from math import exp, log
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.experiments.evaluator import BOUND, Evaluator, sampling_note
from tests.steering.tiny import build, tokenizer, vector

# What the model writes itself, so that whatever is done to it costs something.
TEXTS = [
    f"{prompt} {each.text}"
    for prompt, length in {"w3 w9": 4, "w20": 9, "w41 w5": 6}.items()
    for (each,) in geo.generate(build("llama"), tokenizer(), [prompt], max_new_tokens=length)
]
STRENGTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


@pytest.fixture(scope="module")
def model() -> Any:
    return build("llama")


@pytest.fixture(scope="module")
def evaluator(model: Any) -> Evaluator:
    return Evaluator(model, tokenizer(), TEXTS)


def loss(model: Any, line: str, shift: geo.SteeringVector | None) -> tuple[float, int]:
    """Summed loss of a text alone and how many tokens it is of, the first token unsteered."""
    ids = geo.steering.encode(tokenizer(), [line]).input_ids
    indices = list(range(1, ids.shape[1]))
    handle = geo.steer(model, shift, positions=indices) if shift else None
    with torch.no_grad():
        logits = model(ids).logits[0, :-1].double()
    if handle:
        handle.remove()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")), ids.shape[1] - 1


def by_hand(model: Any, shift: geo.SteeringVector) -> float:
    """The log of the perplexity ratio, text by text without padding."""
    steered, unsteered = ([loss(model, line, each) for line in TEXTS] for each in (shift, None))
    return (sum(x for x, _ in steered) - sum(x for x, _ in unsteered)) / sum(n for _, n in steered)


def test_the_cost_is_that_of_all_tokens_but_the_first(model: Any, evaluator: Evaluator) -> None:
    for site in ("output.1", "after_norm"):
        shift = vector(site)
        assert evaluator.perplexity_ratio(shift) == pytest.approx(exp(by_hand(model, shift)), rel=1e-4)
    first = geo.steering.encode(tokenizer(), TEXTS).position_ids == 0
    with geo.steer(model, vector("output.1"), positions=first):
        assert geo.steering.perplexity(model, tokenizer(), TEXTS) != evaluator.unsteered_perplexity


def test_the_cost_of_several_vectors_is_their_geometric_mean(evaluator: Evaluator) -> None:
    shifts = [vector("output.1"), vector("output.2", seed=3)]
    first, second = (evaluator.perplexity_ratio(shift) for shift in shifts)
    assert evaluator.perplexity_ratio(*shifts) == pytest.approx(exp((log(first) + log(second)) / 2), rel=1e-4)
    assert evaluator.perplexity_ratio(None) == 1
    assert evaluator.perplexity_ratio(shifts[0], None) == pytest.approx(first**0.5, rel=1e-4)


@pytest.mark.parametrize("bound", [1.001, 1.05, 1.3, 1e9])
def test_the_strongest_within_the_bound_is_that_of_a_look_at_all(evaluator: Evaluator, bound: float) -> None:
    ratios = {strength: evaluator.perplexity_ratio(strength * vector("output.1")) for strength in STRENGTHS}
    assert list(ratios.values()) == sorted(ratios.values())
    wanted = max([strength for strength in STRENGTHS if ratios[strength] <= bound], default=min(STRENGTHS))
    strength = evaluator.strongest_within(STRENGTHS[::-1], lambda factor: factor * vector("output.1"), bound)
    assert (strength.value, strength.within) == (wanted, ratios[wanted] <= bound)
    assert strength.ratio == pytest.approx(ratios[wanted])
    beyond = [strength for strength in STRENGTHS if ratios[strength] > bound]
    assert max(strength.ratios) == min(beyond, default=max(STRENGTHS))


def test_where_no_strength_is_within_the_smallest_is_taken_and_said_so(evaluator: Evaluator) -> None:
    strength = evaluator.strongest_within((30, 10, 20), lambda factor: [factor * vector("output.1")] * 2)
    assert (strength.value, strength.within) == (10, False)
    assert strength.ratio > BOUND


def test_a_perplexity_that_is_no_number_breaks_the_bound(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    ratios = iter((1.5, float("nan"), 1.0))
    monkeypatch.setattr(evaluator, "perplexity_ratio", lambda *_: next(ratios))
    strength = evaluator.strongest_within((1, 2, 3), lambda factor: factor * vector("output.1"))
    assert (strength.value, strength.within) == (1, True)


def test_texts_side_by_side_differ_by_the_vector_alone(evaluator: Evaluator) -> None:
    vectors = {"unsteered": None, "again": None, "steered": 5 * vector("after_norm")}
    prompts = ["w3 w4", "w5 w6 w7"]
    texts = evaluator.generations(prompts, vectors, max_new_tokens=6, seed=1)
    assert list(texts) == prompts
    for by_name in texts.values():
        assert by_name["unsteered"] == by_name["again"] != by_name["steered"]
    assert texts != evaluator.generations(prompts, vectors, max_new_tokens=6, seed=2)
    last = evaluator.generations(prompts, vectors, positions="last", max_new_tokens=6, seed=1)
    assert last["w3 w4"]["steered"] != texts["w3 w4"]["steered"]
    assert "seed 1" in sampling_note(1)
