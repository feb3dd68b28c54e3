import gc
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from typing import Any

import pytest
import torch

import geometry as geo
from tests.steering import tiny
from tests.steering.test_positions import CASES

SITES = ["input.0", "input.2", "output.0", "output.1", "output.3", "before_norm", "after_norm"]
DTYPES = [pytest.param(torch.float32, id="float32"), pytest.param(torch.bfloat16, id="bfloat16")]
IDS = tiny.tokens(2, 6)


def runs(
    model: Any, ids: torch.Tensor, vector: geo.SteeringVector, cases: list[Any], mode: Any = "add"
) -> Iterator[Any]:
    """The part used, where its rows go, and what the model did without and with it, for every kind of positions."""
    ((site, whole),) = vector.parts.items()
    unsteered: dict[str, dict[str, torch.Tensor]] = {}  # by mask
    for positions, rows, mask, where in cases:
        part = whole[:rows] if rows else whole[0]
        plain = unsteered.get(str(mask)) or unsteered.setdefault(str(mask), tiny.run(model, ids, attention_mask=mask))
        with geo.steer(model, geo.SteeringVector({site: part}), positions=positions, mode=mode):
            steered = tiny.run(model, ids, attention_mask=mask)
        yield part, tiny.pattern(*where), plain, steered


def assert_steered_exactly(model: Any, ids: torch.Tensor, vector: geo.SteeringVector, cases: list[Any]) -> None:
    """At the vector's site the residual stream moves by it where asked, and is the same bits elsewhere and before."""
    (site,) = map(str, vector.sites)
    for part, where, plain, steered in runs(model, ids, vector, cases):
        assert list(steered) == list(plain)
        assert all(torch.equal(steered[early], plain[early]) for early in takewhile(lambda place: place != site, plain))
        assert torch.equal(steered[site], tiny.moved(plain[site], part, where))
        assert steered[site].dtype == plain[site].dtype
        assert torch.equal(steered["logits"], plain["logits"]) == bool((where < 0).all())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", tiny.ALL)
def test_the_residual_stream_moves_by_exactly_the_vector_where_asked(name: str, site: str, dtype: torch.dtype) -> None:
    assert_steered_exactly(tiny.build(name, dtype), IDS, tiny.vector(site, rows=4), CASES)


@pytest.mark.parametrize("site", ["input.0", "output.14", "output.29", "before_norm", "after_norm"])
def test_smollm2_moves_by_exactly_the_vector_where_asked(smollm2_model: tuple[Any, Any], site: str) -> None:
    model, _ = smollm2_model
    generator = torch.Generator().manual_seed(0)
    part = torch.randn((4, model.config.hidden_size), generator=generator)
    ids = torch.randint(100, 40000, (2, 6), generator=generator)
    assert_steered_exactly(model, ids, geo.SteeringVector({site: part}), CASES[::5])
    assert tiny.hook_count(model) == 0


def residual_norm(model: Any, residual: torch.Tensor) -> torch.Tensor:
    """Norm of the residual stream, float64; of GPT-2, whose LayerNorms take the mean away, without it."""
    wide = residual.double()
    if model.config.model_type == "gpt2":
        wide = wide - wide.mean(dim=-1, keepdim=True)
    return wide.square().sum(dim=-1, keepdim=True).sqrt()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", tiny.ALL)
def test_relative_parts_grow_with_the_residual_norm(name: str, site: str, dtype: torch.dtype) -> None:
    model, vector = tiny.build(name, dtype), tiny.vector(f"{site}.relative", size=0.2, rows=4)
    for part, where, plain, steered in runs(model, IDS, vector, CASES[::2]):
        added = residual_norm(model, plain[site]) * part.double().reshape(-1, tiny.WIDTH)[where.clamp(min=0)]
        wanted = torch.where(where[..., None] >= 0, torch.add(plain[site], added.to(dtype)), plain[site])
        assert torch.equal(steered[site][where < 0], plain[site][where < 0])
        # A rounding of the product may fall to the other side, of the sum too then.
        slack = (4 if dtype == torch.float32 else 1) * torch.finfo(dtype).eps
        assert bool(((steered[site] - wanted).abs() <= slack * (added.abs() + wanted.abs())).all())


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", tiny.ALL)
def test_ablation_removes_the_component_along_the_vector(name: str, site: str) -> None:
    model = tiny.build(name)
    for part, where, plain, steered in runs(model, IDS, tiny.vector(site, rows=4), CASES[::2], "ablate"):
        unit = part.double() / part.double().square().sum(dim=-1, keepdim=True).sqrt()
        unit = unit.reshape(-1, tiny.WIDTH)[where.clamp(min=0)]
        wide = plain[site].double()
        wanted = wide - (wide * unit).sum(dim=-1, keepdim=True) * unit
        assert torch.equal(steered[site][where < 0], plain[site][where < 0])
        found, slack = steered[site].double()[where >= 0], 2e-6 * float(wide.norm(dim=-1).max())
        torch.testing.assert_close(found, wanted[where >= 0], rtol=0, atol=slack)
        assert bool(((found * unit[where >= 0]).sum(dim=-1).abs() < slack).all())


def test_by_default_the_last_token_is_steered_and_ablation_is_everywhere(llama: Any) -> None:
    vector = tiny.vector("output.1", size=1)
    for mode, meant in (("add", "last"), ("ablate", "all")):
        found = []
        for positions in (None, meant):
            with geo.steer(llama, vector, mode=mode, positions=positions):
                found.append(tiny.run(llama, IDS)["output.1"])
        assert torch.equal(*found), mode
        moved = (found[0] != tiny.run(llama, IDS)["output.1"]).any(dim=-1)
        assert moved.tolist() == [[meant == "all"] * 5 + [True]] * 2, mode


@pytest.mark.parametrize("size", [1e-30, 1e-13, 1e-3, 1e3, 1e25])
def test_ablation_asks_for_a_direction_only(llama: Any, size: float) -> None:
    direction = tiny.vector("output.1", size=1)["output.1"]
    with geo.steer(llama, geo.SteeringVector({"output.1": size * direction.double()}), mode="ablate", positions="all"):
        residual = tiny.run(llama, IDS)["output.1"].double()
    left = residual @ (direction.double() / direction.double().norm())
    assert float(left.abs().max()) < 1e-5 * float(residual.norm(dim=-1).max())


def test_coefficient_0_and_a_difference_of_equals_change_nothing(model: Any) -> None:
    plain = tiny.run(model, IDS)
    vector = tiny.vector("input.1", "output.1", "output.2.relative", "before_norm", "after_norm")
    for nothing in (0 * vector, vector - vector):
        with geo.steer(model, nothing, positions="all"):
            steered = tiny.run(model, IDS)
        assert all(torch.equal(steered[place], plain[place]) for place in plain)


def test_parts_at_several_sites_all_act(model: Any) -> None:
    first, last = tiny.vector("input.1", "output.1", "before_norm"), tiny.vector("after_norm", seed=2)
    with geo.steer(model, first, positions="all"):
        fewer = tiny.run(model, IDS)
    with geo.steer(model, first + last, positions="all"):
        steered = tiny.run(model, IDS)
    assert torch.equal(steered["input.1"], torch.add(tiny.run(model, IDS)["input.1"], first["input.1"]))
    assert torch.equal(steered["after_norm"], torch.add(fewer["after_norm"], last["after_norm"]))


class Stop(Exception):  # noqa: N818 (nothing went wrong)
    pass


def interruptions(model: Any, vector: geo.SteeringVector, **options: Any) -> Iterator[None]:
    """Every way for a vector to be taken out of a model again."""
    handle = geo.steer(model, vector, **options)
    tiny.run(model, IDS)
    handle.remove()
    yield
    with handle:
        pass
    yield
    with pytest.raises(Stop), geo.steer(model, vector, **options):
        tiny.run(model, IDS)
        raise Stop
    yield

    def stop(*_: Any) -> None:
        raise Stop

    for block in (tiny.blocks(model)[0], tiny.blocks(model)[-1]):
        with geo.steer(model, vector, **options):
            breaking = block.register_forward_hook(stop)
            with pytest.raises(Stop):
                tiny.run(model, IDS)
            breaking.remove()
        yield


@pytest.mark.parametrize("positions", ["all", "prompt", "generated", "last", [0, -1]])
@pytest.mark.parametrize("mode", ["add", "ablate"])
def test_a_vector_taken_out_leaves_no_trace(model: Any, positions: Any, mode: Any) -> None:
    vector = tiny.vector("input.0", "output.1", "output.1.relative", "before_norm", "after_norm")
    plain = tiny.run(model, IDS)
    assert tiny.hook_count(model) == 0
    for _ in interruptions(model, vector, positions=positions, mode=mode):
        assert tiny.hook_count(model) == 0
        again = tiny.run(model, IDS)
        assert all(torch.equal(again[place], plain[place]) for place in plain)


def test_an_exception_in_the_model_does_not_disturb_the_next_call(model: Any) -> None:
    vector = tiny.vector("output.1")

    def stop(*_: Any) -> None:
        raise Stop

    for positions in ("all", "last", [0, 2]):
        with geo.steer(model, vector, positions=positions):
            wanted = tiny.run(model, IDS)
            breaking = tiny.blocks(model)[2].register_forward_hook(stop)
            with pytest.raises(Stop):
                tiny.run(model, IDS)
            breaking.remove()
            assert positions == "all" or not any(block._forward_hooks for block in tiny.blocks(model))
            after = tiny.run(model, IDS)
        assert all(torch.equal(after[place], wanted[place]) for place in wanted)


def test_smollm2_is_itself_again(smollm2_model: tuple[Any, Any]) -> None:
    model, _ = smollm2_model
    part = torch.randn(model.config.hidden_size, generator=torch.Generator().manual_seed(0))
    vector = geo.SteeringVector({"input.3": part, "output.14": part, "after_norm": part}, model="llama")
    plain = tiny.run(model, IDS)
    with geo.steer(model, vector, positions="all"):
        assert not torch.equal(tiny.run(model, IDS)["logits"], plain["logits"])
    again = tiny.run(model, IDS)
    assert all(torch.equal(again[place], plain[place]) for place in plain)


def test_a_residual_stream_that_someone_kept_is_not_changed(llama: Any) -> None:
    kept: list[torch.Tensor] = []
    plain = tiny.run(llama, IDS)["output.1"]
    tiny.blocks(llama)[1].register_forward_hook(lambda _, __, output: kept.append(output))
    for positions in ("all", "last"):
        with geo.steer(llama, tiny.vector("input.2"), positions=positions):
            llama(input_ids=IDS)
    assert all(torch.equal(residual, plain) for residual in kept)


def removed(residual: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    unit = part.double() / part.double().norm()
    return residual.double() - (residual.double() @ unit)[..., None] * unit


ADD, ABLATE = tiny.vector("output.1", seed=1), tiny.vector("output.1", seed=2)
KINDS = ["all", "prompt", "last", [-1]]


@pytest.mark.parametrize("ablation", KINDS, ids=str)
@pytest.mark.parametrize("addition", KINDS, ids=str)
@pytest.mark.parametrize("adding_first", [True, False])
def test_nested_vectors_act_in_the_order_of_making(
    llama: Any, addition: Any, ablation: Any, adding_first: bool
) -> None:
    plain = tiny.run(llama, IDS)["output.1"][:, -1]
    added = plain.double() + ADD["output.1"].double()
    if adding_first:
        wanted = removed(added, ABLATE["output.1"])
    else:
        wanted = removed(plain, ABLATE["output.1"]) + ADD["output.1"].double()
    steps = [(ADD, addition, "add"), (ABLATE, ablation, "ablate")]
    with ExitStack() as nested:
        for vector, positions, mode in steps if adding_first else steps[::-1]:
            nested.enter_context(geo.steer(llama, vector, positions=positions, mode=mode))
        # The hooks of the prompt leave after each of these and come back for the next.
        for prompt in range(3):
            found = tiny.run(llama, IDS)["output.1"][:, -1]
            torch.testing.assert_close(found.double(), wanted, atol=1e-4, rtol=1e-5, msg=f"at prompt {prompt}")


@pytest.mark.parametrize("place", ["input.2", "output.1", "before_norm", "after_norm"])
def test_nested_vectors_act_alike_at_every_prompt(model: Any, place: str) -> None:
    both = tiny.vector(place) + tiny.vector(f"{place}.relative", seed=2)
    with (
        geo.steer(model, both, positions="last"),
        geo.steer(model, tiny.vector(place, seed=3), mode="ablate", positions="all"),
        geo.steer(model, tiny.vector(place, seed=4), positions="last"),
    ):
        prompts = [tiny.run(model, IDS) for _ in range(3)]
    assert all(torch.equal(prompts[0][site], later[site]) for later in prompts[1:] for site in later)


def test_absolute_and_relative_parts_of_a_site_act_alike_at_every_prompt(llama: Any) -> None:
    with geo.steer(llama, tiny.vector("output.1") + tiny.vector("output.1.relative", seed=2), positions="last"):
        prompts = [tiny.run(llama, IDS)["output.1"] for _ in range(3)]
    assert all(torch.equal(prompts[0], later) for later in prompts[1:])


@pytest.mark.parametrize("positions", ["all", "last"])
@pytest.mark.parametrize("mode", ["add", "ablate"])
@pytest.mark.parametrize("outer", ["before_norm", "after_norm"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_relative_vector_can_be_nested_in_one_at_the_final_norm(
    name: str, outer: str, mode: Any, positions: Any
) -> None:
    # Whether the model takes means away is found out with its final norm, at which another vector is at work.
    model = tiny.build(name)
    inner = tiny.vector("output.1.relative", seed=2, size=0.2)
    with geo.steer(model, inner, positions="all"):
        wanted = tiny.run(model, IDS)["output.1"]
    with geo.steer(model, tiny.vector(outer), mode=mode, positions=positions), geo.steer(model, inner, positions="all"):
        assert torch.equal(tiny.run(model, IDS)["output.1"], wanted)


def test_a_hook_of_someone_else_sees_the_same_at_every_prompt(llama: Any) -> None:
    prompts: list[torch.Tensor] = []
    tiny.blocks(llama)[1].register_forward_hook(lambda _, __, output: prompts.append(output))
    with geo.steer(llama, tiny.vector("output.1"), positions="last"):
        for _ in range(3):
            llama(input_ids=IDS)
    assert all(torch.equal(prompts[0], later) for later in prompts[1:])


def test_a_handle_removed_twice_leaves_the_others_in_their_order(llama: Any) -> None:
    with geo.steer(llama, ADD, positions="all"), geo.steer(llama, ABLATE, mode="ablate", positions="all"):
        wanted = tiny.run(llama, IDS)
    stale = geo.steer(llama, ADD, positions="all")
    stale.remove()
    with geo.steer(llama, ADD, positions="all"):
        stale.remove()
        with geo.steer(llama, ABLATE, mode="ablate", positions="all"):
            assert torch.equal(tiny.run(llama, IDS)["output.1"], wanted["output.1"])
    assert tiny.hook_count(llama) == 0


def test_a_model_that_is_still_steered_can_be_let_go(llama: Any) -> None:
    model = tiny.build("llama")
    geo.steer(model, ADD, positions="all")
    kept = weakref.ref(model)
    del model
    gc.collect()
    assert kept() is None
