from typing import Any

import pytest
import torch

import geometry as geo
from geometry.steering.positions import checked_positions, every_token, select
from tests.steering import tiny

LEFT = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
RIGHT = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
# Prompts of 6 and 4 tokens: which row of a part goes where, by hand.
MASK = torch.tensor([[False, True, True, False, False, False], [False, False, True, True, False, False]])
CASES: list[tuple[Any, int, torch.Tensor, tuple[str, str]]] = [
    ("all", 0, LEFT, ("000000", "..0000")),
    ("all", 0, RIGHT, ("000000", "0000..")),
    ("prompt", 0, LEFT, ("000000", "..0000")),
    ("prompt", 0, RIGHT, ("000000", "0000..")),
    ("generated", 0, LEFT, ("......", "......")),
    ("first", 0, LEFT, ("0.....", "..0...")),
    ("first", 0, RIGHT, ("0.....", "0.....")),
    ("middle", 0, LEFT, ("..0...", "...0..")),
    ("middle", 0, RIGHT, ("..0...", ".0....")),
    ("last", 0, LEFT, (".....0", ".....0")),
    ("last", 0, RIGHT, (".....0", "...0..")),
    ([0, -1], 0, LEFT, ("0....0", "..0..0")),
    ([0, -1], 0, RIGHT, ("0....0", "0..0..")),
    ([-4, 1], 0, LEFT, (".00...", "..00..")),
    ([3], 0, RIGHT, ("...0..", "...0..")),
    (MASK, 0, LEFT, (".00...", "..00..")),
    (MASK, 0, RIGHT, (".00...", "..00..")),
    ("first", 3, LEFT, ("012...", "..012.")),
    ("first", 3, RIGHT, ("012...", "012...")),
    ("middle", 3, LEFT, (".012..", "..012.")),
    ("middle", 2, RIGHT, ("..01..", ".01...")),
    ("middle", 4, RIGHT, (".0123.", "0123..")),
    ("last", 2, LEFT, ("....01", "....01")),
    ("last", 2, RIGHT, ("....01", "..01..")),
    ("last", 1, RIGHT, (".....0", "...0..")),
    ([-1, 0, 2], 3, LEFT, ("1.2..0", "..1.20")),
    ([-1, 0, 2], 3, RIGHT, ("1.2..0", "1.20..")),
    (MASK, 2, LEFT, (".01...", "..01..")),
    (MASK, 2, RIGHT, (".01...", "..01..")),
]
NAMES = [
    f"{'mask' if isinstance(positions, torch.Tensor) else positions}-{rows}-{'left' if pads is LEFT else 'right'}"
    for positions, rows, pads, _ in CASES
]


def chosen(positions: Any, rows: int, real: torch.Tensor, prompt: int, copies: int = 1) -> torch.Tensor:
    found = torch.full(real.shape, -1)
    selection = select(checked_positions(positions, rows or None), rows or None, real.bool(), prompt, None, copies)
    if selection is not None:
        # Written one by one, so that a place chosen twice would show.
        for batch, position, row in zip(selection.batch, selection.position, selection.row, strict=True):
            assert found[batch, position] == -1
            found[batch, position] = row
    return found


@pytest.mark.parametrize(("positions", "rows", "real", "where"), CASES, ids=NAMES)
def test_positions_count_real_tokens_only(
    positions: Any, rows: int, real: torch.Tensor, where: tuple[str, str]
) -> None:
    assert chosen(positions, rows, real, 6).tolist() == tiny.pattern(*where).tolist()


@pytest.mark.parametrize(
    ("positions", "where"),
    [
        ("all", ("000000", "..0000")),
        ("prompt", ("0000..", "..00..")),
        ("generated", ("....00", "....00")),
        ("first", ("0.....", "..0...")),
        ("middle", (".0....", "..0...")),
        ("last", ("...0..", "...0..")),
        ([-1, 0], ("0..0..", "..00..")),
        (MASK[:, :4], (".00...", "..00..")),
    ],
)
def test_positions_stay_in_the_prompt_when_tokens_follow_it(positions: Any, where: tuple[str, str]) -> None:
    assert chosen(positions, 0, LEFT, 4).tolist() == tiny.pattern(*where).tolist()


@pytest.mark.parametrize(
    ("length", "rows", "start"), [(1, 1, 0), (2, 1, 0), (3, 1, 1), (7, 3, 2), (8, 3, 2), (5, 5, 0)]
)
def test_the_middle_leaves_as_much_before_as_after_but_for_one(length: int, rows: int, start: int) -> None:
    found = chosen("middle", rows, torch.ones(1, length), length)
    assert found[0].tolist() == [-1] * start + list(range(rows)) + [-1] * (length - rows - start)


def test_a_mask_serves_every_generation_of_its_prompt() -> None:
    copies = chosen(MASK, 0, torch.ones(6, 6), 6, copies=3)
    first, second = tiny.pattern(".00...", "..00..").tolist()
    assert copies.tolist() == [first, first, first, second, second, second]
    assert chosen(MASK[:1], 0, torch.ones(3, 6), 6, copies=3).tolist() == [first] * 3


@pytest.mark.parametrize(("rows", "copies"), [(6, 1), (6, 2), (2, 3), (3, 1), (4, 1)])
def test_other_prompts_are_not_taken_for_generations(rows: int, copies: int) -> None:
    real = torch.ones(rows, 6, dtype=torch.bool)
    with pytest.raises(geo.errors.SteeringError, match="say how many with num_return_sequences"):
        select(MASK, None, real, 6, None, copies)
    for call in (select, every_token):
        given = ("all", None, real, 6, MASK[:, 1], copies) if call is select else (MASK[:, 1], real, copies)
        with pytest.raises(geo.errors.SteeringError, match="for some of 2 prompts"):
            call(*given)


def test_a_mask_without_rows_steers_nothing_on_padding() -> None:
    assert chosen(torch.ones(2, 6, dtype=torch.bool), 0, LEFT, 6).tolist() == tiny.pattern("000000", "..0000").tolist()


def test_a_mask_that_puts_rows_on_padding_is_refused() -> None:
    # Otherwise the row meant for padding would push the others one token on.
    mask = torch.tensor([[True, True, False, False, False, False], [False, True, True, False, False, False]])
    with pytest.raises(geo.errors.SteeringError):
        chosen(mask, 2, LEFT, 6)


@pytest.mark.parametrize(
    "positions",
    [
        "end",
        "ALL",
        "",
        [],
        [1.0],
        ["first"],
        [True, False],
        3,
        1.5,
        [0, 0],
        [2, -1, 2],
        torch.tensor([0, 1]),
        torch.ones(6, dtype=torch.bool),
        torch.zeros(2, 6, dtype=torch.bool),
        torch.ones(2, 6),
    ],
    ids=str,
)
def test_unknown_positions_are_refused(positions: Any) -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"position|mask"):
        checked_positions(positions, None)


@pytest.mark.parametrize("positions", ["all", "prompt", "generated", [0, 1], MASK])
def test_rows_need_as_many_positions(positions: Any) -> None:
    with pytest.raises(geo.errors.SteeringError, match="row"):
        checked_positions(positions, 3)


def test_the_default_is_the_last_token_or_the_first_ones_for_rows() -> None:
    assert checked_positions(None, None) == "last"
    assert checked_positions(None, 3) == "first"


@pytest.mark.parametrize(("name", "synonym"), [("first", "front"), ("last", "back")])
def test_front_and_back_mean_the_first_and_the_last_tokens(llama: Any, name: str, synonym: Any) -> None:
    assert checked_positions(synonym, None) == checked_positions(synonym, 2) == name
    ids, steered = tiny.tokens(1, 6), []
    for positions in (name, synonym):
        with geo.steer(llama, tiny.vector("output.1", rows=2), positions=positions):
            steered.append(tiny.generated(llama, ids))
    assert torch.equal(*steered)


@pytest.mark.parametrize("index", [4, -5, 6, -7, 100])
def test_an_index_outside_the_shortest_prompt_is_refused(index: int) -> None:
    with pytest.raises(geo.errors.SteeringError, match="outside a prompt of 4 tokens"):
        chosen([index], 0, LEFT, 6)


def test_indices_that_meet_in_a_short_prompt_are_refused() -> None:
    assert chosen([3, -2], 0, torch.ones(1, 6), 6).tolist() == tiny.pattern("...00.").tolist()
    with pytest.raises(geo.errors.SteeringError, match="name a token twice in a prompt of 4 tokens"):
        chosen([2, -2], 0, LEFT, 6)


@pytest.mark.parametrize("positions", ["first", "middle", "last"])
def test_a_prompt_too_short_for_the_rows_is_refused(positions: str) -> None:
    with pytest.raises(
        geo.errors.SteeringError, match="a prompt of 4 tokens is too short for a vector with rows for 5"
    ):
        chosen(positions, 5, LEFT, 6)


@pytest.mark.parametrize("shape", [(2, 5), (2, 7), (3, 6), (4, 6)])
def test_a_mask_of_another_shape_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(geo.errors.SteeringError, match="mask of positions has shape"):
        chosen(torch.ones(shape, dtype=torch.bool), 0, LEFT, 6)


def test_prompts_that_continue_each_other_are_steered_as_prompts(llama: Any) -> None:
    prompts, site = ["w3 w4 w5", "w3 w4 w5 w6"], geo.Site("output", 1)
    with geo.steer(llama, tiny.vector("output.1"), positions="last"):
        alone = [geo.read_activations(llama, tiny.tokenizer(), [prompt], [site])[site][0] for prompt in prompts[::-1]]
        found = geo.read_activations(llama, tiny.tokenizer(), prompts, [site], batch_size=1)[site]
    assert torch.equal(found, torch.stack(alone[::-1]))


@pytest.mark.parametrize("positions", ["prompt", "first", "last", [0, -1], torch.ones(2, 6, dtype=torch.bool)], ids=str)
@pytest.mark.parametrize("stays", ["all", "generated"])
def test_vectors_for_the_prompt_leave_the_blocks_once_it_has_run(model: Any, positions: Any, stays: str) -> None:
    ids, counts = tiny.tokens(2, 6), []
    prompts: list[torch.Tensor] = []

    def look(_: Any, __: Any, output: torch.Tensor) -> None:
        if output.shape[1] == 1:
            counts.append([len(block._forward_hooks) for block in tiny.blocks(model)])
        else:
            prompts.append(output.clone())

    with (
        geo.steer(model, tiny.vector("output.0"), positions=positions),
        geo.steer(model, tiny.vector("output.1"), positions=positions),
        geo.steer(model, tiny.vector("output.2", seed=4), positions=stays),
    ):
        looking = tiny.blocks(model)[1].register_forward_hook(look)
        for _ in range(2):
            tiny.generated(model, ids, max_new_tokens=3)
        looking.remove()
    # Of the hook that looks, and of the vector that stays.
    assert counts == [[0, 1, 1, 0]] * 4
    assert torch.equal(*prompts)
    assert not torch.equal(prompts[0], tiny.run(model, ids)["output.1"])


def test_a_refused_call_without_cache_is_no_beginning_of_the_next(llama: Any) -> None:
    ids = tiny.tokens(2, 6)
    with geo.steer(llama, tiny.vector("output.1"), positions=[5]):
        wanted = tiny.run(llama, ids)["output.1"]
        with pytest.raises(geo.errors.SteeringError):
            llama(input_ids=ids[:, :5], use_cache=False)
        assert torch.equal(tiny.run(llama, ids, use_cache=False)["output.1"], wanted)
