"""`geo.tune` on tiny models: the planted site is chosen as by the grid, passes are counted, the bound is kept."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import SteeringError
from geometry.steering import NextToken, TextCost
from geometry.steering.side_by_side import SideBySide
from geometry.tuning import TextContrast, tune
from geometry.tuning.whole_texts import TextKL, log_probabilities_of
from tests.steering import tiny

PROMPTS = ["w4 w9", "w5 w8 w30 w3", "w7 w11", "w40 w41 w42"]
TEXTS = ["w4 w9 w12", "w30 w3 w4 w5"]
GOAL = [20, 21, 22]


def candidates(model: Any, good: int) -> dict[int, geo.SteeringVector]:
    """Away from the goal's words at all blocks but one, where it is towards them."""
    rows = model.get_output_embeddings().weight.detach().float()
    towards = rows[GOAL].mean(dim=0) - rows.mean(dim=0)
    return {
        block: geo.SteeringVector({f"output.{block}": towards if block == good else -towards}, f"candidate {block}")
        for block in range(tiny.DEPTH)
    }


def counted(model: Any) -> tuple[list[int], Any]:
    """How many texts every call of the model was given, counted where tokens enter."""
    rows: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _, args, __: rows.append(len(args[0])))
    return rows, hook


@pytest.mark.parametrize("good", [1, 3])
def test_the_block_that_works_is_chosen_as_by_the_grid(good: int) -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    found = {
        search: tune(model, tokenizer, candidates(model, good), GOAL, prompts=PROMPTS, search=search)
        for search in ("guided", "exhaustive")
    }
    grid, tuned = found["exhaustive"], found["guided"]
    assert str(tuned.site) == str(grid.site) == f"output.{good}"
    assert tuned.effect >= 0.9 * grid.effect
    assert tuned.effect > tuned.unsteered.mean()
    assert tuned.passes < grid.passes == tuned.exhaustive_passes == 2 * 4 + 4 * 4 * 8
    effect = NextToken(model, tokenizer, PROMPTS).effect(tuned.vector, {"goal": np.array(GOAL)})
    assert effect.kl.mean() == pytest.approx(tuned.cost, rel=1e-3)
    assert 0 < tuned.cost <= tuned.bound
    np.testing.assert_allclose(effect.probability["goal"], tuned.chosen.effects, rtol=1e-3)
    again = tune(model, tokenizer, candidates(model, good), GOAL, prompts=PROMPTS)
    assert again.rows() == tuned.rows()
    assert torch.equal(again.vector[again.vector.sites[0]], tuned.vector[tuned.vector.sites[0]])


@pytest.mark.parametrize("measure", ["kl", "perplexity"])
@pytest.mark.parametrize("contrast", [False, True])
def test_every_text_that_is_run_counts_once(measure: Any, contrast: bool) -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    goal: Any = TextContrast(["w20 w21 w22", "w21 w20"], ["w33 w34"]) if contrast else GOAL
    given: Any = {"prompts": PROMPTS, "measure": measure, "texts": TEXTS, "bound": 0.3}
    tune(model, tokenizer, candidates(model, 2), goal, **given)  # looks at the model's architecture, once
    rows, hook = counted(model)
    try:
        tuned = tune(model, tokenizer, candidates(model, 2), goal, **given)
    finally:
        hook.remove()
    assert tuned.passes == sum(row for row in rows if row > 1)  # single ones look at how the head reads out
    assert sum(trial.passes for trial in tuned.trials) < tuned.passes
    assert tuned.cost <= 0.3
    if measure == "perplexity":
        assert tuned.cost == pytest.approx(math.log(TextCost(model, tokenizer, TEXTS).ratio(tuned.vector)), rel=1e-4)


def test_after_the_final_norm_no_pass_is_taken() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    rows = model.get_output_embeddings().weight.detach().float()
    vector = geo.SteeringVector({"after_norm": rows[GOAL].mean(dim=0)}, "towards")
    alone = tune(model, tokenizer, {"after_norm": vector}, GOAL, prompts=PROMPTS)
    assert alone.passes == 2 * len(PROMPTS)
    assert {trial.passes for trial in alone.trials} == {0}
    assert 0.93 * 0.5 <= alone.cost <= 0.5
    pulled = tune(model, tokenizer, vector, GOAL, prompts=PROMPTS)
    assert pulled.n_sites == tiny.DEPTH + 1
    assert pulled.effect >= alone.effect
    assert {str(trial.site) for trial in pulled.trials} > {"after_norm", f"output.{tiny.DEPTH - 1}"}
    by_hand = geo.pull_back(vector, model, "output.2").relative(1)
    from geometry.tuning.choosing import candidates as made

    there = made(vector, model)[geo.steering.Site("output", 2)]
    assert there.provenance == by_hand.provenance
    assert torch.equal(there["output.2.relative"], by_hand["output.2.relative"])


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3"])
def test_side_by_side_is_one_by_one(name: str) -> None:
    model, tokenizer = tiny.build(name), tiny.tokenizer()
    vectors = [tiny.vector("output.1.relative", seed=1), tiny.vector("after_norm", seed=2), tiny.vector("output.3")]
    together = SideBySide(model, tokenizer, PROMPTS)
    for vector, law in zip(vectors, together.laws(vectors), strict=True):
        with geo.steer(model, vector, positions="all"):
            alone = NextToken.log_probabilities(together)
        torch.testing.assert_close(law, alone, rtol=1e-3, atol=1e-4)
    assert together.passes == 2 * 4 + 2 * 4


def test_the_divergence_within_texts_by_hand() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    model.requires_grad_(False)
    vector = tiny.vector("output.1", seed=3)
    (found,) = TextKL(model, tokenizer, TEXTS).of([vector])
    for index, text in enumerate(TEXTS):
        ids = torch.tensor([tokenizer.encode(text)])
        before = model(ids).logits[0, 1:-1].double().log_softmax(dim=-1)
        with geo.steer(model, vector, positions=torch.arange(ids.shape[1])[None] > 0):
            after = model(ids).logits[0, 1:-1].double().log_softmax(dim=-1)
        assert found[index] == pytest.approx(float((after.exp() * (after - before)).sum(dim=-1).mean()), rel=1e-3)
    with pytest.raises(SteeringError, match="at least three tokens"):
        TextKL(model, tokenizer, ["w3 w4"])
    goal = TextContrast(["w20 w21 w22", "w21 w20"], ["w33 w34"])
    tuned = tune(model, tokenizer, candidates(model, 2), goal, prompts=PROMPTS, texts=TEXTS, bound=0.3)
    (cost,) = TextKL(model, tokenizer, TEXTS).of([tuned.vector])
    assert cost.mean() == pytest.approx(tuned.cost, rel=1e-3)
    assert cost.mean() <= 0.3


def test_the_log_probability_of_texts_by_hand() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    vector = tiny.vector("output.1", seed=3)
    model.requires_grad_(False)
    unsteered, steered = log_probabilities_of(model, tokenizer, TEXTS, [None, vector])
    for index, text in enumerate(TEXTS):
        ids = torch.tensor([tokenizer.encode(text)])
        for values, at_work in ((unsteered, None), (steered, vector)):
            mask = torch.arange(ids.shape[1])[None] > 0
            if at_work is None:
                logits = model(ids).logits
            else:
                with geo.steer(model, at_work, positions=mask):
                    logits = model(ids).logits
            law = logits[0, :-1].double().log_softmax(dim=-1)
            assert values[index] == pytest.approx(float(law.gather(1, ids[0, 1:, None]).mean()), rel=1e-4)
    contrast = TextContrast(["a", "b"], ["c", "d"])
    after, before = np.array([-1.0, -2.0, -4.0, -5.0]), np.array([-2.0, -2.0, -3.0, -4.0])
    np.testing.assert_allclose(contrast.effects(after, before), [2.0, 1.0])


def test_a_goal_may_be_a_function_and_says_what_it_gives() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    found = tune(model, tokenizer, candidates(model, 1), lambda law: law[:, 20], prompts=PROMPTS)
    assert found.goal == "effect"
    assert found.effect > found.unsteered.mean()
    with pytest.raises(SteeringError, match="a finite number for each of 4 prompts"):
        tune(model, tokenizer, candidates(model, 1), lambda law: law[0], prompts=PROMPTS)


def test_the_result_shows_itself() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    tuned = tune(model, tokenizer, candidates(model, 1), GOAL, prompts=PROMPTS)
    assert repr(tuned).startswith("Tuned(output.1 at ")
    frame = tuned.to_frame()
    assert len(frame) == len(tuned.trials)
    assert frame["Pareto front"].sum() == len(tuned.front)
    assert "<table" in tuned._repr_html_()
    assert tuned.to_dict()["site"] == "output.1"
    figure = tuned.plot()
    assert figure.axes[0].get_xlabel().startswith("KL")
    plt.close("all")


def test_where_nothing_helps_it_is_said() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    away = {block: vector for block, vector in candidates(model, 1).items() if block != 1}
    unsteered = NextToken(model, tokenizer, PROMPTS)
    rare = int(unsteered.unsteered.mean(dim=0).argmax())
    tuned = tune(model, tokenizer, away, lambda law: -(law - unsteered.unsteered)[:, rare].abs(), prompts=PROMPTS)
    assert "do not steer with it" in tuned.notes[-1]


def test_bad_input_is_refused() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    good = candidates(model, 1)
    rows = geo.SteeringVector({"output.1": torch.ones(2, tiny.WIDTH)})
    for given, complaint in (
        ({"bound": 0.0}, "a positive number of nats of KL"),
        ({"bound": 1e-12}, "at least 1e-05, not 1e-12"),
        ({"bound": math.nan, "measure": "perplexity"}, "of log-perplexity"),
        ({"prompts": []}, "no prompts to choose on"),
        ({"vectors": {}}, "there are no candidates"),
        ({"vectors": {"output.2": good[1]}}, "parts at output.1, not there alone"),
        ({"vectors": {"output.1": rows}}, "a row for each of several positions"),
        ({"vectors": {1: good[1], "output.1": good[1]}}, "output.1 has two candidates"),
        ({"vectors": {"output.9": tiny.vector("output.9")}}, "output.9"),
        ({"goal": [3, 3]}, "each once"),
        ({"goal": lambda _: 1 / 0}, "goal: the function failed .* division by zero"),
        ({"goal": lambda law: [math.nan] * len(law)}, r"not \[nan, "),
        ({"goal": [[1], [2, 3]]}, "ids of tokens"),
        ({"goal": [999]}, "ids of tokens from 0 to 63"),
        ({"n_passes": 9}, "9 are too few, a first trial takes 12"),
        ({"measure": "perplexity", "texts": []}, "no texts on which the cost"),
    ):
        options: Any = {"vectors": good, "goal": GOAL, "prompts": PROMPTS, **given}
        with pytest.raises(SteeringError, match=complaint):
            tune(model, tokenizer, **options)
    with pytest.raises(SteeringError, match="some to promote and some to suppress"):
        TextContrast([], ["a"])
