"""Function vectors on tiny models: heads add up to the attention, choices are made on training questions alone."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.anatomy import function_vectors
from geometry.anatomy.attention_heads import mean_head_outputs, output_projections
from geometry.anatomy.function_vectors import Answers, TaskVectors
from geometry.concepts.tasks import Task
from geometry.errors import HierarchyError, SteeringError
from tests.steering import tiny

PROMPTS = ["w5 w9 w30", "w7 w12", "w40 w41 w2 w3", "w8 w8 w9"]


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_heads_add_up_to_what_the_attention_adds(family: str) -> None:
    model, tokenizer = tiny.build(family), tiny.tokenizer()
    outputs = mean_head_outputs(model, tokenizer, PROMPTS)
    assert outputs.shape == (tiny.DEPTH, 4, tiny.WIDTH)
    read = geo.read_activations(model, tokenizer, PROMPTS, [f"attention.{block}" for block in range(tiny.DEPTH)])
    for block, projection in enumerate(output_projections(model)):
        bias = getattr(projection, "bias", None)
        whole = outputs[block].sum(dim=0) + (0 if bias is None else bias.detach())
        torch.testing.assert_close(whole, read[f"attention.{block}"].mean(dim=0), rtol=1e-4, atol=1e-5)


def task(count: int = 24) -> Task:
    """Question and answer are numbers that differ by one, of the made-up words."""
    return Task("next", "the next word", tuple((f"w{i}", f"w{i + 1}") for i in range(3, 3 + count)))


class Spaced(Task):
    """Prompts of made-up words alone, which the tiny tokenizer knows."""

    def prompt(self, demonstrations: Any, question: str) -> str:
        return " ".join(["w60", *(word for pair in demonstrations for word in pair), question])


def test_vectors_are_differences_of_means_and_reproducible() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    spaced = Spaced(task().name, task().says, task().pairs)
    options: Any = {"sites": ["output.1", "output.2"], "n_demonstrations": 3, "n_prompts": 6}
    found, again = (function_vectors(model, tokenizer, spaced, **options) for _ in range(2))
    assert set(found.answers) == {"demonstrations", "zero-shot", "residual", "heads", "shuffled labels", "random"}
    assert len(found.heads) == 10
    assert {len(got.correct) for got in found.answers.values()} == {12}
    assert set(map(str, found.by_site)) == {"output.1", "output.2"}
    for name, vector in found.vectors.items():
        (site,) = vector.sites
        assert torch.equal(vector[site], again.vectors[name][site])
    without = function_vectors(model, tokenizer, spaced, heads=False, **options)
    assert set(without.vectors) == {"residual"}
    assert not without.heads
    # The random control has the residual vector's norm.
    assert list(found.to_frame().columns) == ["accuracy", "low", "high", "probability"]


def test_a_task_that_the_model_cannot_do_is_said_to_be_one() -> None:
    def answers(rate: float) -> Answers:
        correct = (np.arange(10) < 10 * rate).astype(float)
        return Answers(correct, correct)

    vector = geo.SteeringVector({"output.1": torch.ones(tiny.WIDTH)})
    ways = ("demonstrations", "zero-shot", "residual", "shuffled labels", "random")
    cannot = TaskVectors(task(), {"residual": vector}, {way: answers(0.1) for way in ways}, {}, ())
    assert "cannot do it" in cannot.summary()
    can = TaskVectors(
        task(), {"residual": vector}, {way: answers(0.9 if way != "random" else 0.0) for way in ways}, {}, ()
    )
    assert "90% right with demonstrations" in can.summary()
    assert "random 0%" in can.summary()


def test_refusals() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    with pytest.raises(SteeringError, match="outputs of blocks"):
        function_vectors(model, tokenizer, task(), sites=["input.1"])
    with pytest.raises(SteeringError, match="no block 9"):
        function_vectors(model, tokenizer, task(), sites=["output.9"])
    with pytest.raises(HierarchyError, match="demonstrations may be"):
        function_vectors(model, tokenizer, task(12), n_demonstrations=10)
