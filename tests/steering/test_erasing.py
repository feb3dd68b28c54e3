"""Erasing while a model runs: what is erased where, and all else bit for bit as it was."""

from itertools import takewhile
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import GeometryError, SteeringError
from geometry.steering import Eraser, NextToken, TextCost, next_token_laws
from tests.steering import tiny

IDS = tiny.tokens(2, 6)
DTYPES = [pytest.param(torch.float32, id="float32"), pytest.param(torch.bfloat16, id="bfloat16")]
SITES = ["input.0", "output.1", "before_norm", "after_norm"]


def eraser(site: str = "output.1", rank: int = 2, reach: float = float("inf"), seed: int = 0) -> Eraser:
    """An oblique projection."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn((tiny.WIDTH, rank), generator=generator, dtype=torch.float64))[0].T
    right = left + 0.5 * torch.randn((rank, tiny.WIDTH), generator=generator, dtype=torch.float64)
    right = torch.linalg.solve(right @ left.T, right)
    mean = torch.randn(tiny.WIDTH, generator=generator, dtype=torch.float64)
    return Eraser(left, right, mean, geo.Site.parse(site), "mood", reach=reach)


def by_hand(erasing: Eraser, states: torch.Tensor) -> torch.Tensor:
    """x − Aᵀ(B(x − μ)) in the precision and the memory that hooks have, on which the last bit of a product depends."""
    held = torch.cat([erasing.mean[None], erasing.left, erasing.right]).float()
    mean, left, right = held.split([1, erasing.rank, erasing.rank])
    wide = states.float()
    return (wide - ((wide - mean[0]) @ right.T) @ left).to(states.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2"])
def test_the_site_changes_by_the_formula_and_nothing_before_it(name: str, site: str, dtype: torch.dtype) -> None:
    model, erasing = tiny.build(name, dtype), eraser(site)
    plain = tiny.run(model, IDS)
    with geo.steer(model, erasing):
        steered = tiny.run(model, IDS)
    assert all(torch.equal(steered[early], plain[early]) for early in takewhile(lambda place: place != site, plain))
    assert torch.equal(steered[site], by_hand(erasing, plain[site]))
    assert steered[site].dtype == dtype
    if dtype == torch.float32:
        left = (steered[site].double() - erasing.mean) @ erasing.right.T
        assert float(left.abs().max()) < 1e-4
    # After it, what the model makes of the changed stream: by a hook of one's own.
    if site == "output.1":
        block = tiny.blocks(model)[1]

        def own(_: Any, __: Any, output: Any) -> Any:
            return (by_hand(erasing, output[0]), *output[1:]) if isinstance(output, tuple) else by_hand(erasing, output)

        hook = block.register_forward_hook(own)
        wanted = tiny.run(model, IDS)
        hook.remove()
        assert all(torch.equal(steered[place], wanted[place]) for place in wanted)
    again = tiny.run(model, IDS)
    assert all(torch.equal(again[place], plain[place]) for place in plain)
    assert tiny.hook_count(model) == 0


def test_positions_and_prompts_are_respected(llama: Any) -> None:
    erasing, plain = eraser(), tiny.run(llama, IDS)
    whole = by_hand(erasing, plain["output.1"])
    mask = torch.zeros_like(IDS, dtype=torch.bool)
    mask[0, 2] = mask[1, 4] = True
    cases: list[tuple[Any, torch.Tensor]] = [
        ("last", tiny.pattern(".....0", ".....0")),
        ("first", tiny.pattern("0.....", "0.....")),
        ([1, -2], tiny.pattern(".0..0.", ".0..0.")),
        (mask, torch.where(mask, 0, -1)),
    ]
    for positions, where in cases:
        with geo.steer(llama, erasing, positions=positions):
            found = tiny.run(llama, IDS)["output.1"]
        assert torch.equal(found[where < 0], plain["output.1"][where < 0])
        torch.testing.assert_close(found[where >= 0], whole[where >= 0], rtol=1e-5, atol=1e-5)
        assert not torch.equal(found[where >= 0], plain["output.1"][where >= 0])
    with geo.steer(llama, erasing, prompts=[False, True]):
        found = tiny.run(llama, IDS)
    assert torch.equal(found["logits"][0], plain["logits"][0])
    torch.testing.assert_close(found["output.1"][1], whole[1], rtol=1e-5, atol=1e-5)
    with geo.steer_each(llama, [erasing, None]):
        found = tiny.run(llama, IDS)
    assert torch.equal(found["logits"][1], plain["logits"][1])
    assert not torch.equal(found["logits"][0], plain["logits"][0])


def test_states_beyond_its_reach_are_left(llama: Any) -> None:
    erasing, plain = eraser(), tiny.run(llama, IDS)["output.1"]
    distance = torch.linalg.vector_norm(plain.double() - erasing.mean, dim=-1)
    between = float(distance.flatten().sort().values[5:7].mean())
    with geo.steer(llama, eraser(reach=between)):
        found = tiny.run(llama, IDS)["output.1"]
    far = distance > between
    assert int(far.sum()) == 6
    assert torch.equal(found[far], plain[far])
    assert torch.equal(found[~far], by_hand(erasing, plain)[~far])


def test_erasing_about_zero_along_one_direction_is_ablating(model: Any) -> None:
    vector = tiny.vector("output.1")
    erasing = Eraser.orthogonal(vector["output.1"][None].numpy(), "output.1")
    found = []
    for acting, mode in ((vector, "ablate"), (erasing, "erase"), (erasing, None)):
        with geo.steer(model, acting, mode=mode):
            found.append(tiny.run(model, IDS)["logits"])
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-4)
    assert torch.equal(found[1], found[2])


def test_generation_with_a_cache_is_as_without(model: Any) -> None:
    unsteered = tiny.generated(model, IDS)
    for positions in ("all", "generated", "last"):
        texts = []
        for use_cache in (True, False):
            with geo.steer(model, eraser(rank=6), positions=positions):
                texts.append(tiny.generated(model, IDS, use_cache=use_cache))
        assert torch.equal(*texts), positions
        assert positions != "all" or not torch.equal(texts[0], unsteered)


def test_vectors_put_to_work_before_are_erased_and_after_are_not(llama: Any) -> None:
    erasing = eraser(rank=1)
    vector = geo.SteeringVector({"output.1": 3 * erasing.left[0]})
    plain = tiny.run(llama, IDS)["output.1"]
    with geo.steer(llama, vector, positions="all"), geo.steer(llama, erasing):
        before = tiny.run(llama, IDS)["output.1"]
    with geo.steer(llama, erasing), geo.steer(llama, vector, positions="all"):
        after = tiny.run(llama, IDS)["output.1"]
    torch.testing.assert_close(before, by_hand(erasing, plain), rtol=1e-5, atol=1e-5)
    assert torch.equal(after, torch.add(by_hand(erasing, plain), vector["output.1"]))


def test_a_condition_says_where_it_is_erased(llama: Any) -> None:
    erasing, plain = eraser(), tiny.run(llama, IDS)
    direction = torch.eye(tiny.WIDTH)[0]
    scores = plain["output.0"][..., 0]
    threshold = float(scores.flatten().sort().values[5:7].mean())
    when = geo.steering.Condition(direction, "output.0", threshold=threshold)
    with geo.steer(llama, erasing, when=when) as handle:
        found = tiny.run(llama, IDS)["output.1"]
    holds = scores > threshold
    assert (handle.fired, handle.asked, handle.acted) == (6, 12, 6)
    assert torch.equal(found[~holds], plain["output.1"][~holds])
    torch.testing.assert_close(found[holds], by_hand(erasing, plain["output.1"])[holds], rtol=1e-5, atol=1e-5)
    late = geo.steering.Condition(direction, "output.2", threshold=0.0)
    with pytest.raises(SteeringError, match="after the vector acts"):
        geo.steer(llama, erasing, when=late)


def test_what_measures_vectors_measures_erasers(llama: Any) -> None:
    tokenizer, erasing = tiny.tokenizer(), eraser("after_norm")
    prompts = ["w2 w3 w4", "w5 w6 w7"]
    laws = next_token_laws(llama, tokenizer, prompts, erasing, positions="last")
    with geo.steer(llama, erasing, positions="last"):
        wanted = tiny.run(llama, torch.tensor([[2, 3, 4], [5, 6, 7]]))["logits"][:, -1].log_softmax(-1)
    torch.testing.assert_close(laws, wanted, rtol=1e-4, atol=1e-4)
    next_token = NextToken(llama, tokenizer, prompts)
    effect = next_token.effect(erasing, {"few": np.array([3, 4])})
    torch.testing.assert_close(torch.from_numpy(effect.probability["few"]), laws[:, 3:5].double().exp().sum(1))
    assert TextCost(llama, tokenizer, prompts).ratio(erasing) != 1.0
    assert TextCost(llama, tokenizer, prompts).ratio(eraser(reach=1e-9)) == pytest.approx(1.0, abs=1e-6)


def test_what_does_not_fit_is_refused_before_the_model_runs(llama: Any) -> None:
    vector, wide = tiny.vector("output.1"), Eraser.orthogonal(np.eye(1, 8), "output.1")
    foreign = Eraser.orthogonal(np.eye(1, tiny.WIDTH), "output.1", model="gpt2")
    for acting, options, message in (
        (wide, {}, "8 wide"),
        (foreign, {}, "is for a gpt2"),
        (eraser("output.9"), {}, "no block 9"),
        (eraser(), {"mode": "add"}, "leave out mode"),
        (eraser(), {"mode": "ablate"}, "leave out mode"),
        (vector, {"mode": "erase"}, "fit an Eraser"),
        (eraser(), {"positions": "nowhere"}, "positions"),
        ("bird", {}, "vector must be SteeringVector or Eraser"),
    ):
        with pytest.raises(GeometryError, match=message):
            geo.steer(llama, acting, **options)
    assert tiny.hook_count(llama) == 0
