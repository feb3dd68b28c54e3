"""Function vectors on tiny models: heads add up to the attention, choices are made on training questions alone."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.anatomy import function_vectors
from geometry.anatomy.attention_heads import mean_head_outputs, output_projections, summed_head_outputs
from geometry.anatomy.function_vectors import TaskVectors, random_heads, split_pairs
from geometry.anatomy.task_questions import Answers, Questions
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
        torch.testing.assert_close(whole, read[geo.Site("attention", block)].mean(dim=0), rtol=1e-4, atol=1e-5)


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
    ways = {"demonstrations", "zero-shot", "residual", "heads", "shuffled labels", "random", "random heads"}
    assert set(found.answers) == ways
    assert len(found.heads) == 10
    assert {len(got.correct) for got in found.answers.values()} == {12}
    assert set(map(str, found.by_site)) == {"output.1", "output.2"}
    for name, vector in found.vectors.items():
        (site,) = vector.sites
        assert torch.equal(vector[site], again.vectors[name][site])
    without = function_vectors(model, tokenizer, spaced, heads=False, **options)
    assert set(without.vectors) == {"residual"}
    assert not without.heads
    assert list(found.to_frame().columns) == ["accuracy", "low", "high", "probability"]
    assert found.summary().startswith("next:")
    # The vector is what demonstrations change at the last token, on average over prompts, times its strength.
    (site,) = found.vectors["residual"].sites
    assert found.shifts["demonstrations"][site].shape == (6, tiny.WIDTH)
    assert torch.allclose(found.residual(site)[site], found.vectors["residual"][site])
    assert not torch.allclose(found.residual(site, shuffled=True)[site], found.vectors["residual"][site])
    assert not set(found.training) & set(found.held_out)
    assert sorted(found.training + found.held_out) == sorted(spaced.pairs)


def test_shifts_are_those_of_prompts_read_by_themselves() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    found = function_vectors(model, tokenizer, Spaced("a", "b", task().pairs), n_demonstrations=2, n_prompts=3)
    bare = [f"w60 {asked}" for asked, _ in found.training[:3]]
    site = geo.Site("output", 2)
    unshown = geo.read_activations(model, tokenizer, bare, [site])[site]
    shown = found.shifts["demonstrations"][site] + unshown
    # Every prompt ends in its question, two demonstrations before it.
    options = [[*first, *second, asked] for asked, _ in found.training[:1] for first in found.training[1:]
               for second in found.training[1:] if first != second]  # fmt: skip
    every = geo.read_activations(model, tokenizer, [f"w60 {' '.join(words)}" for words in options], [site])[site]
    assert (every - shown[0]).abs().amax(dim=1).min() < 1e-4
    with summed_head_outputs(model) as sums:
        geo.read_activations(model, tokenizer, bare, ["output.3"])
    torch.testing.assert_close(sums.mean(3), mean_head_outputs(model, tokenizer, bare))
    with pytest.raises(SteeringError, match="saw 3 prompts and not 4"):
        sums.mean(4)


def test_pairs_demonstrate_or_judge() -> None:
    rng = np.random.default_rng(0)
    for count, prompts, expected in ((44, 25, 25), (24, 25, 12), (39, 25, 19), (24, 6, 12)):
        made, judged = split_pairs(task(count), 3, prompts, rng)
        assert len(made) == expected
        assert not set(made) & set(judged)
        assert len(made) + len(judged) == count


def test_several_vectors_at_once_are_asked_as_one_after_the_other() -> None:
    model, tokenizer = tiny.build("gpt2"), tiny.tokenizer()
    prompts, answers = ["w60 w5", "w60 w7", "w60 w9"], ["w6", "w8", "w10"]
    vectors = [tiny.vector("output.1", seed=seed) for seed in range(6)]
    questions = Questions(model, tokenizer, prompts, answers)
    laws = list(questions.laws(vectors))
    for vector, law in zip(vectors, laws, strict=True):
        for row, prompt in zip(law, prompts, strict=True):
            ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
            with torch.no_grad(), geo.steer(model, vector, positions="last"):
                alone = model(input_ids=ids).logits[0, -1].log_softmax(dim=-1)
            torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-4)
    got = questions.answers(laws[0])
    assert got.probability == pytest.approx(laws[0].exp()[[0, 1, 2], [6, 8, 10]].numpy(), rel=1e-5)
    assert got.correct.tolist() == [
        float(row.argmax() == token) for row, token in zip(laws[0], (6, 8, 10), strict=True)
    ]
    assert Answers.mean([got, got]).accuracy == got.accuracy
    assert got.log_probability == pytest.approx(np.log(got.probability))


def test_random_heads_are_none_of_those_chosen() -> None:
    chosen = ((0, 1), (2, 3))
    sets = random_heads(torch.zeros(4, 4, 8), chosen, np.random.default_rng(0))
    assert all(len(heads) == 2 and not set(heads) & set(chosen) for heads in sets)
    assert len(set(sets)) > 1


def test_a_task_that_the_model_cannot_do_is_said_to_be_one() -> None:
    def answers(rate: float) -> Answers:
        correct = (np.arange(10) < 10 * rate).astype(float)
        return Answers(correct, correct)

    vector = geo.SteeringVector({geo.Site("output", 1): torch.ones(tiny.WIDTH)})
    ways = ("demonstrations", "zero-shot", "residual", "shuffled labels", "random")
    cannot = TaskVectors(task(), {"residual": vector}, {way: answers(0.1) for way in ways}, {}, ())
    assert "below the 50% asked for" in cannot.summary()
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
    with pytest.raises(HierarchyError, match="1 pairs: demonstrations may be 2 to 2"):
        function_vectors(model, tokenizer, task(1))
    with pytest.raises(HierarchyError, match="has an empty text"):
        function_vectors(model, tokenizer, Task("a", "b", (*task().pairs, ("", ""))))
    with pytest.raises(SteeringError, match="2 at least, not n_prompts=1"):
        function_vectors(model, tokenizer, task(), n_prompts=1)
    with pytest.raises(SteeringError, match="has no token of its own"):
        Questions(model, tokenizer, ["w5"], [" "])
