"""A vector for each prompt of a batch: every prompt as if steered alone, the others bit for bit as they are."""

from typing import Any

import pytest
import torch

import geometry as geo
from tests.steering import tiny

IDS = tiny.tokens(3, 6)
SITES = ["input.0", "output.1", "before_norm", "after_norm", "output.2.relative"]
UP, DOWN = (tiny.vector("output.1", seed=seed, size=4) for seed in (1, 2))


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", tiny.ALL)
def test_chosen_prompts_move_exactly_and_the_others_not_at_all(name: str, site: str) -> None:
    model, vector = tiny.build(name), tiny.vector(site, size=0.5)
    plain = tiny.run(model, IDS)
    for positions in ("all", "last", [1, -1]):
        with geo.steer(model, vector, positions=positions):
            whole = tiny.run(model, IDS)
        with geo.steer(model, vector, positions=positions, prompts=[False, True, False]):
            steered = tiny.run(model, IDS)
        for place, residual in steered.items():
            assert torch.equal(residual[1], whole[place][1])
            assert torch.equal(residual[[0, 2]], plain[place][[0, 2]])
        assert not torch.equal(steered["logits"][1], plain["logits"][1])


@pytest.mark.parametrize("positions", ["all", "generated", "last"])
@pytest.mark.parametrize("cache", [True, False])
def test_each_prompt_is_continued_as_if_steered_alone(model: Any, positions: Any, cache: bool) -> None:
    prompts = [tiny.text(tiny.tokens(length, seed=length)) for length in (9, 4, 14, 6)]
    vectors = [UP, None, DOWN, UP]
    options = {"max_new_tokens": tiny.NEW, "use_cache": cache}
    with geo.steer_each(model, vectors, positions=positions):
        together = geo.generate(model, tiny.tokenizer(), prompts, **options)
    alone = []
    for prompt, vector in zip(prompts, vectors, strict=True):
        with geo.steer_each(model, [vector], positions=positions):
            alone += geo.generate(model, tiny.tokenizer(), [prompt], **options)
    assert together == alone
    if positions == "all":
        assert together != geo.generate(model, tiny.tokenizer(), prompts, **options)
    assert tiny.hook_count(model) == 0


def test_one_vector_for_all_is_plain_steering(model: Any) -> None:
    with geo.steer(model, UP, positions="all"):
        whole = tiny.generated(model, IDS)
    with geo.steer_each(model, [UP, UP, UP], positions="all"):
        assert torch.equal(tiny.generated(model, IDS), whole)


def test_all_generations_and_beams_of_a_prompt_are_steered(model: Any) -> None:
    """As in a batch in which the vector is at work for everything, the chosen prompt alone."""
    for options in ({"num_beams": 3}, {"num_return_sequences": 2, "do_sample": True}):
        copies = 2 if "do_sample" in options else 1
        rows = copies if "do_sample" in options else 3
        torch.manual_seed(0)
        plain = tiny.generated(model, IDS, **options)
        torch.manual_seed(0)
        with geo.steer(model, UP, positions="all"):
            whole = tiny.generated(model, IDS, **options)
        torch.manual_seed(0)
        with geo.steer(model, UP, prompts=[False, False, True], num_return_sequences=rows, positions="all"):
            some = tiny.generated(model, IDS, **options)
        # Sampling draws one number a row, whatever the other rows are.
        assert torch.equal(some[: 2 * copies], plain[: 2 * copies])
        assert torch.equal(some[2 * copies :], whole[2 * copies :])


def test_rows_and_padding_are_counted_in_the_chosen_prompts() -> None:
    model, part = tiny.build("llama"), tiny.vector("output.1", rows=2)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]])
    plain = tiny.run(model, IDS, attention_mask=mask)
    with geo.steer(model, part, positions="first", prompts=torch.tensor([True, False, True])):
        steered = tiny.run(model, IDS, attention_mask=mask)
    where = tiny.pattern("..01..", "......", "...01.")
    assert torch.equal(steered["output.1"], tiny.moved(plain["output.1"], part["output.1"], where))


def test_smollm2_writes_under_many_vectors_what_it_writes_under_each(smollm2_model: tuple[Any, Any]) -> None:
    model, tokenizer = smollm2_model
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn((2, model.config.hidden_size), generator=generator)
    one, other = (geo.SteeringVector({"output.14": part}).relative(0.5) for part in parts)
    prompts = ["The robin is a kind of", "Yesterday I", "In the middle of the night, a small dog"]
    with geo.steer_each(model, [one, None, other], positions="all"):
        together = geo.generate(model, tokenizer, prompts, max_new_tokens=5)
    for place, vector in enumerate([one, None, other]):
        with geo.steer_each(model, [vector], positions="all"):
            assert geo.generate(model, tokenizer, [prompts[place]], max_new_tokens=5)[0] == together[place]


@pytest.mark.parametrize(
    ("prompts", "complaint"),
    [
        ([], "a bool for each prompt"),
        ([False, False, False], "somewhere true"),
        ([0, 2], r"prompts must be .*, not \[0, 2\]"),
        (torch.ones(3, 1, dtype=torch.bool), r"not torch.bool \(3, 1\)"),
    ],
)
def test_prompts_are_bools(prompts: Any, complaint: str) -> None:
    with pytest.raises(geo.GeometryError, match=complaint):
        geo.steer(tiny.build("llama"), UP, prompts=prompts, positions="all")


def test_another_number_of_prompts_is_refused_before_a_block_runs() -> None:
    model = tiny.build("llama")
    with (
        geo.steer_each(model, [UP, None], positions="all"),
        tiny.counting(model) as ran,
        pytest.raises(geo.errors.SteeringError, match="for some of 2 prompts, the batch has 3"),
    ):
        tiny.run(model, IDS)
    assert not ran
    with (
        pytest.raises(geo.errors.SteeringError, match="there are no vectors"),
        geo.steer_each(model, [], positions="all"),
    ):
        pass
    assert tiny.hook_count(model) == 0


def test_prompts_are_not_taken_for_generations_of_fewer() -> None:
    model, four = tiny.build("llama"), tiny.tokens(4, 6)
    with (
        geo.steer_each(model, [UP, None], positions="all"),
        tiny.counting(model) as ran,
        pytest.raises(geo.errors.SteeringError, match="for some of 2 prompts, the batch has 4"),
    ):
        tiny.run(model, four)
    assert not ran
    with geo.steer_each(model, [UP, None], num_return_sequences=2, positions="all"):
        said = tiny.run(model, four)["logits"]
    with geo.steer_each(model, [UP, UP, None, None], positions="all"):
        assert torch.equal(tiny.run(model, four)["logits"], said)
    for wrong in (0, -1, True, 1.0, None):
        with pytest.raises(geo.GeometryError, match="num_return_sequences"):
            geo.steer(model, UP, num_return_sequences=wrong, positions="all")


def test_generate_says_how_many_generations_a_prompt_has() -> None:
    model, texts = tiny.build("llama"), [tiny.text(ids) for ids in tiny.tokens(2, 6)]
    options = {"max_new_tokens": 3, "temperature": 1.0}
    with geo.steer_each(model, [UP, None], positions="all"):
        found = geo.generate(model, tiny.tokenizer(), texts, num_return_sequences=2, **options)
        with pytest.raises(geo.errors.SteeringError, match="the batch has 4"):
            geo.generate(model, tiny.tokenizer(), texts * 2, **options)
    assert [len(generations) for generations in found] == [2, 2]
    with geo.steer_each(model, [UP, UP, None, None], positions="all"):
        wanted = geo.generate(model, tiny.tokenizer(), [texts[0]] * 2 + [texts[1]] * 2, **options)
    assert [one for many in found for one in many] == [one for many in wanted for one in many]


def test_vectors_for_another_model_leave_none_at_work() -> None:
    model, wide = tiny.build("llama"), geo.SteeringVector({"output.1": torch.ones(5)})
    with pytest.raises(geo.errors.SteeringError, match="5 wide"), geo.steer_each(model, [UP, wide], positions="all"):
        pass
    assert tiny.hook_count(model) == 0
