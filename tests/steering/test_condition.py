"""`steer(..., when=condition)`: where the condition holds as without one, elsewhere bit for bit as unsteered."""

import warnings
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.errors import SteeringError
from tests.steering import tiny

IDS = tiny.tokens(4, 7)
VECTOR = tiny.vector("output.1", size=4)
DIRECTION = torch.randn(tiny.WIDTH, generator=torch.Generator().manual_seed(5))
READ_AT = ["input.1", "output.0", "output.1"]


def scores_of(model: Any, site: str, ids: torch.Tensor = IDS, **arguments: Any) -> torch.Tensor:
    """Projections of the unsteered residual stream, by hooks of our own: shape (batch, tokens)."""
    return tiny.run(model, ids, **arguments)[site].double() @ DIRECTION.double()


def between(scores: torch.Tensor, share: float = 0.5) -> float:
    """A threshold midway between two neighbours among the scores, far from rounding."""
    ordered = scores.flatten().sort().values
    at = int(share * len(ordered))
    return float(ordered[at - 1] + ordered[at]) / 2


def condition(site: str, threshold: float, **options: Any) -> geo.steering.Condition:
    return geo.steering.Condition(DIRECTION, site, threshold, **options)


def decided(handle: geo.steering.SteeringHandle) -> torch.Tensor:
    assert handle.decisions is not None
    return handle.decisions


@pytest.mark.parametrize("site", READ_AT)
@pytest.mark.parametrize("above", [True, False])
def test_each_tokens_own_state_decides_for_it(model: Any, site: str, above: bool) -> None:
    scores = scores_of(model, site)
    threshold = between(scores)
    holds = scores > threshold if above else scores < threshold
    unsteered = tiny.run(model, IDS)
    with geo.steer(model, VECTOR, positions="all", when=condition(site, threshold, above=above)) as handle:
        steered = tiny.run(model, IDS)
    where = torch.where(holds, 0, -1)
    assert torch.equal(steered["output.1"], tiny.moved(unsteered["output.1"], VECTOR["output.1"], where))
    for prompt in range(len(IDS)):
        first = int(holds[prompt].int().argmax()) if holds[prompt].any() else IDS.shape[1]
        assert torch.equal(steered["logits"][prompt, :first], unsteered["logits"][prompt, :first])
    assert torch.equal(decided(handle), holds)
    assert (handle.fired, handle.asked) == (int(holds.sum()), holds.numel())
    assert tiny.hook_count(model) == 0


def test_where_it_holds_and_where_the_vector_is_added_are_counted_apart(llama: Any) -> None:
    scores = scores_of(llama, "output.0")
    threshold = between(scores)
    holds = scores > threshold
    for positions, acted in (("all", int(holds.sum())), ("last", int(holds[:, -1].sum()))):
        with geo.steer(llama, VECTOR, positions=positions, when=condition("output.0", threshold)) as handle:
            tiny.run(llama, IDS)
        assert (handle.fired, handle.acted) == (int(holds.sum()), acted)


@pytest.mark.parametrize("pooling", ["max", "last", "mean"])
def test_a_prompt_is_decided_once(model: Any, pooling: str) -> None:
    scores = scores_of(model, "output.0")
    pooled = {"max": scores.amax(1), "last": scores[:, -1], "mean": scores.mean(1)}[pooling]
    holds = pooled > between(pooled)
    with geo.steer(model, VECTOR, positions="all"):
        everywhere = tiny.run(model, IDS)["logits"]
    unsteered = tiny.run(model, IDS)["logits"]
    when = condition("output.0", between(pooled), scope="prompt", pooling=pooling)
    with geo.steer(model, VECTOR, positions="all", when=when) as handle:
        steered = tiny.run(model, IDS)["logits"]
    assert torch.equal(steered[holds], everywhere[holds])
    assert torch.equal(steered[~holds], unsteered[~holds])
    assert torch.equal(decided(handle), holds)
    assert (handle.fired, handle.asked) == (2, 4)


@pytest.mark.parametrize("scope", ["token", "prompt"])
@pytest.mark.parametrize("positions", ["last", "all", "first"])
def test_padding_is_neither_asked_nor_steered(model: Any, scope: str, positions: str) -> None:
    padding = 3
    ids = torch.cat([torch.full((4, padding), 1), IDS], dim=1)
    mask = (torch.arange(ids.shape[1]) >= padding).long().repeat(4, 1)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    arguments = {"attention_mask": mask, "position_ids": places}
    scores = scores_of(model, "output.0", ids, **arguments)[:, padding:]
    asked = scores.amax(1) if scope == "prompt" else scores
    # Below, so that padding would count for something if it were taken for a text without the concept.
    when = condition("output.0", between(asked), above=False, scope=scope)
    holds = asked < between(asked)
    with geo.steer(model, VECTOR, positions=positions, when=when) as handle:
        steered = tiny.run(model, ids, **arguments)["output.1"]
    assert handle.asked == holds.numel()
    assert handle.fired == int(holds.sum())
    column = torch.arange(ids.shape[1])
    chosen = {"all": column >= padding, "first": column == padding, "last": column == ids.shape[1] - 1}[positions]
    full = torch.zeros_like(ids, dtype=torch.bool)
    full[:, padding:] = holds[:, None] if scope == "prompt" else holds
    where = torch.where(full & chosen, 0, -1)
    unsteered = tiny.run(model, ids, **arguments)["output.1"]
    assert torch.equal(steered, tiny.moved(unsteered, VECTOR["output.1"], where))


def test_rows_of_a_part_stay_with_their_tokens(llama: Any) -> None:
    rows = tiny.vector("output.1", rows=3)
    scores = scores_of(llama, "output.1")
    holds = scores > between(scores)
    with geo.steer(llama, rows, positions=[0, 2, -1], when=condition("output.1", between(scores))):
        steered = tiny.run(llama, IDS)["output.1"]
    where = torch.where(holds, tiny.pattern(*["0.1...2"] * 4), -1)
    assert torch.equal(steered, tiny.moved(tiny.run(llama, IDS)["output.1"], rows["output.1"], where))


def test_any_of_several_directions_will_do(llama: Any) -> None:
    directions, offsets = torch.stack([DIRECTION, -2 * DIRECTION.flip(0)]), torch.tensor([0.5, -1.0])
    states = tiny.run(llama, IDS)["output.0"].double()
    scores = torch.maximum(states @ directions[0].double() - 0.5, states @ directions[1].double() + 1.0)
    when = geo.steering.Condition(directions, "output.0", between(scores), offsets=offsets)
    with geo.steer(llama, VECTOR, positions="all", when=when) as handle:
        tiny.run(llama, IDS)
    assert torch.equal(decided(handle), scores > between(scores))


def test_through_the_final_norm_it_reads_what_comes_out_of_it(model: Any) -> None:
    scores = scores_of(model, "after_norm")
    decisions = []
    for options in ({"site": "before_norm", "lens": True}, {"site": "after_norm"}):
        when = condition(threshold=between(scores), **options)
        with geo.steer(model, tiny.vector("after_norm"), positions="all", when=when) as handle:
            tiny.run(model, IDS)
        decisions.append(decided(handle))
    assert torch.equal(decisions[0], scores > between(scores))
    assert torch.equal(decisions[1], scores > between(scores))


def test_a_cosine_does_not_count_how_long_a_state_is(llama: Any) -> None:
    tiny.blocks(llama)[0].register_forward_hook(lambda _, __, output: output * torch.tensor([1e4] + [1.0] * 6)[:, None])
    states = tiny.run(llama, IDS)["output.0"].double()
    cosines = states @ DIRECTION.double() / states.norm(dim=2) / DIRECTION.double().norm()
    when = condition("output.0", between(cosines), cosine=True)
    with geo.steer(llama, VECTOR, positions="all", when=when) as handle:
        tiny.run(llama, IDS)
    assert torch.equal(decided(handle), cosines > between(cosines))


def test_it_is_read_without_its_own_vector_and_with_earlier_ones(llama: Any) -> None:
    earlier = tiny.vector("output.0", seed=8, size=2)
    with geo.steer(llama, earlier, positions="all"):
        scores = scores_of(llama, "output.1")
    holds = scores > between(scores)
    when = condition("output.1", between(scores))
    with geo.steer(llama, earlier, positions="all"), geo.steer(llama, VECTOR, positions="all", when=when) as handle:
        tiny.run(llama, IDS)
    assert torch.equal(decided(handle), holds)
    # Two sites of one vector: at both the same tokens, by the one reading before the first.
    both = VECTOR + tiny.vector("output.2", seed=9)
    plain = scores_of(llama, "output.1")
    with geo.steer(llama, both, positions="all", when=condition("output.1", between(plain))) as handle:
        steered = tiny.run(llama, IDS)
    where = torch.where(plain > between(plain), 0, -1)
    assert torch.equal(decided(handle), plain > between(plain))
    with geo.steer(llama, VECTOR, positions="all", when=condition("output.1", between(plain))):
        before = tiny.run(llama, IDS)["output.2"]
    assert torch.equal(steered["output.2"], tiny.moved(before, both["output.2"], where))


def test_ablation_on_a_condition_leaves_the_others(llama: Any) -> None:
    scores = scores_of(llama, "output.1")
    holds = scores > between(scores)
    with geo.steer(llama, VECTOR, mode="ablate", when=condition("output.1", between(scores))):
        steered = tiny.run(llama, IDS)["output.1"]
    unsteered = tiny.run(llama, IDS)["output.1"]
    assert torch.equal(steered[~holds], unsteered[~holds])
    assert float((steered[holds] @ VECTOR["output.1"]).abs().max()) < 1e-4


def test_prompts_of_a_batch_with_vectors_of_their_own(llama: Any) -> None:
    other = tiny.vector("output.1", seed=3)
    scores = scores_of(llama, "output.0")
    holds = scores > between(scores)
    with geo.steering.steer_each(
        llama, [VECTOR, None, other, VECTOR], positions="all", when=condition("output.0", between(scores))
    ):
        steered = tiny.run(llama, IDS)["output.1"]
    unsteered = tiny.run(llama, IDS)["output.1"]
    for prompt, vector in enumerate([VECTOR, None, other, VECTOR]):
        where = torch.where(holds[[prompt]], 0, -1)
        expected = unsteered[[prompt]] if vector is None else tiny.moved(unsteered[[prompt]], vector["output.1"], where)
        assert torch.equal(steered[[prompt]], expected)


def test_a_condition_that_never_held_is_said(llama: Any) -> None:
    never = condition("output.0", 1e9, name="geese")
    said = pytest.warns(UserWarning, match=r"geese never held \(0 of 28 tokens\)")
    with said, geo.steer(llama, VECTOR, positions="all", when=never):
        steered = tiny.run(llama, IDS)["logits"]
    assert torch.equal(steered, tiny.run(llama, IDS)["logits"])
    handle = geo.steer(llama, VECTOR, when=condition("output.0", 1e9, scope="prompt"))
    tiny.run(llama, IDS)
    with pytest.warns(UserWarning, match="0 of 4 prompts"):
        handle.remove()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        handle.remove()  # it is out already
        with geo.steer(llama, VECTOR, when=never):
            pass  # it was not asked
        with geo.steer(llama, VECTOR, when=condition("output.0", -1e9)):
            tiny.run(llama, IDS)
        with pytest.raises(ZeroDivisionError), geo.steer(llama, VECTOR, when=never):
            tiny.run(llama, IDS)
            _ = 1 / 0
    assert tiny.hook_count(llama) == 0


def test_a_stream_that_is_not_finite_decides_nothing(llama: Any) -> None:
    tiny.blocks(llama)[0].register_forward_hook(lambda _, __, output: output * torch.nan)
    refused = pytest.raises(SteeringError, match=r"output\.1 is not finite")
    with refused, geo.steer(llama, VECTOR, when=condition("output.1", 0.0)):
        tiny.run(llama, IDS)
    assert tiny.hook_count(llama) == 1
