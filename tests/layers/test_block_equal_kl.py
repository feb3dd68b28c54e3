"""Coefficients at equal KL divergence: recomputed by hooks of our own; where there is none; the search itself."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import SteeringError
from geometry.layers.equal_kl import EqualKL, _Search, off_target_kl
from tests.steering import tiny

PROMPTS = ["w4 w9", "w5 w8 w30 w3", "w7", "w40 w41 w42"]


def last_law(model: Any, ids: list[int], block: int, added: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """log P of the next token of one prompt whose last residual stream after a block is changed; float64, (V,)."""

    def change(_: Any, __: Any, output: Any) -> Any:
        residual = output[0] if isinstance(output, tuple) else output
        residual = torch.cat([residual[:, :-1], added(residual[0, -1])[None, None]], dim=1)
        return (residual, *output[1:]) if isinstance(output, tuple) else residual

    hook = tiny.blocks(model)[block].register_forward_hook(change)
    try:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids])).logits[0, -1].double().log_softmax(dim=0)
    finally:
        hook.remove()


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_divergence_at_the_coefficient_is_the_one_asked_for(name: str) -> None:
    model, tokenizer = tiny.build(name), tiny.tokenizer()
    sites = [(f"output.{block}.relative", block, seed) for block in (0, 2) for seed in (1, 2)]
    vectors = [tiny.vector(site, seed=seed) for site, _, seed in sites]
    equal = EqualKL(model, tokenizer, PROMPTS, 0.3, most_rows=12)
    found = sorted(equal.find(vectors), key=lambda at: at.index)
    assert [at.index for at in found] == [0, 1, 2, 3]
    centred = name == "gpt2"
    for at, (site, block, _), vector in zip(found, sites, vectors, strict=True):
        assert at.reached
        assert at.log_probabilities is not None
        direct = []
        for prompt, law in zip(PROMPTS, at.log_probabilities, strict=True):
            ids = tokenizer.encode(prompt)

            def steered(h: torch.Tensor, vector: Any = vector, site: str = site, at: Any = at) -> torch.Tensor:
                seen = h - h.mean() if centred else h
                return h + at.coefficient * seen.norm() * vector[site]

            after, before = last_law(model, ids, block, steered), last_law(model, ids, block, lambda h: h)
            torch.testing.assert_close(law.double(), after, rtol=1e-3, atol=1e-3)
            direct.append(float((after.exp() * (after - before)).sum()))
        np.testing.assert_allclose(at.kl, direct, rtol=1e-3, atol=1e-4)
        assert np.mean(direct) == pytest.approx(0.3, rel=0.011)


def test_how_many_run_side_by_side_does_not_matter() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    vectors = [tiny.vector("output.1.relative", seed=seed) for seed in range(5)]
    alone, together = (
        {at.index: at.coefficient for at in EqualKL(model, tokenizer, PROMPTS, 0.5, most_rows=rows).find(vectors)}
        for rows in (1, 40)
    )
    assert alone.keys() == together.keys() == set(range(5))
    assert [together[index] for index in range(5)] == pytest.approx([alone[index] for index in range(5)], rel=1e-4)


def test_what_is_not_reached_is_said_with_what_is() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    zero = geo.SteeringVector({"output.1.relative": torch.zeros(tiny.WIDTH)}, "nothing")
    at_work = EqualKL(model, tokenizer, PROMPTS, 0.5)
    nothing, reached = sorted(at_work.find([zero, tiny.vector("output.1.relative")]), key=lambda at: at.index)
    assert nothing.why_not.endswith("nats at 64 times the vector")
    assert not nothing.reached
    assert math.isnan(nothing.coefficient)
    assert np.isnan(nothing.kl).all()
    assert nothing.log_probabilities is None
    assert reached.reached
    (far,) = EqualKL(model, tokenizer, PROMPTS, 1e4).find([tiny.vector("output.1.relative")])
    assert far.why_not


def searched(divergence: Callable[[float], float], nats: float = 0.5) -> _Search:
    search = _Search(nats)
    while not search.tell(divergence(search.coefficient), 0.01) and not search.why_not:
        assert search.steps < 50
    return search


def test_the_search_meets_what_grows_in_whatever_way() -> None:
    shapes: dict[str, tuple[Callable[[float], float], int]] = {
        "square": (lambda c: 30 * c**2, 3),
        "tiny": (lambda c: 1e-3 * c**2, 6),
        "huge": (lambda c: 1e6 * c**2, 6),
        "steep": (lambda c: 1e-4 * math.expm1(9 * c), 7),
        "saturating": (lambda c: 0.6 * c**2 / (1 + c**2), 12),
        "overflowing": (lambda c: c**2 if c < 1 else math.nan, 8),
        "not monotone": (lambda c: abs(math.sin(c)) * c, 6),
    }
    for name, (divergence, most) in shapes.items():
        search = searched(divergence)
        assert not search.why_not, name
        assert divergence(search.coefficient) == pytest.approx(0.5, rel=0.01), name
        assert search.steps <= most, (name, search.steps)


def test_the_search_ends_where_there_is_nothing() -> None:
    assert searched(lambda _: 0.0).why_not == "0 nats at 64 times the vector"
    assert searched(lambda c: 0.4 * c**2 / (1 + c**2)).why_not == "0.4 nats at 64 times the vector"
    assert "no coefficient found in 40 steps" in searched(lambda c: 0.1 if c < 0.7 else 0.9).why_not
    assert "no coefficient found in 40 steps" in searched(lambda _: math.nan).why_not


def test_off_target_kl_by_hand() -> None:
    steered = torch.tensor([[0.5, 0.1, 0.4], [0.8, 0.1, 0.1]]).log()
    unsteered = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.4, 0.4]]).log()
    first = 0.2 * math.log(0.2 / (2 / 3)) + 0.8 * math.log(0.8 / (1 / 3))
    np.testing.assert_allclose(off_target_kl(steered, unsteered, np.array([0])), [first, 0.0], atol=1e-6)


def test_bad_input_is_refused() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    for options, complaint in (
        ({"prompts": []}, "there are no prompts"),
        ({"nats": -1.0}, "a positive number, not -1.0"),
        ({"nats": math.nan}, "a positive number, not nan"),
        ({"tolerance": 0.0}, "between 0 and 1, not 0.0"),
    ):
        with pytest.raises(SteeringError, match=complaint):
            EqualKL(**({"model": model, "tokenizer": tokenizer, "prompts": PROMPTS, "nats": 0.5} | options))
    equal = EqualKL(model, tokenizer, PROMPTS, 0.5)
    with (
        geo.steer(model, tiny.vector("output.1")),
        pytest.raises(SteeringError, match="measured without others at work"),
    ):
        next(equal.find([tiny.vector("output.1.relative")]))
