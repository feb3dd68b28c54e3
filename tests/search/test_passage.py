"""From a vector at one site to the residual stream at another: as steering does it, and with the right gradient."""

from typing import Any

import pytest
import torch

import geometry as geo
from geometry.search import LaterChanges, later_changes
from geometry.search.measures import moved
from geometry.search.passage import Passage, differentiable
from tests.steering import tiny

SITE, READ = geo.Site.parse("output.0"), geo.Site.parse("output.3")
# One is longer than the window of Gemma's sliding layers.
TEXTS = ["w5 w9 w30", "w7 w12 w3 w44 w21 w6 w17 w23 w50", "w40 w41"]
FAMILIES = ["llama", "gpt2", "gemma2", "gemma3"]


def directions(count: int, seed: int = 3) -> torch.Tensor:
    rows = torch.randn((count, tiny.WIDTH), generator=torch.Generator().manual_seed(seed))
    return 0.4 * rows / rows.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("site", ["output.0", "input.1"])
def test_a_passage_is_what_steering_with_the_vector_does(family: str, site: str) -> None:
    model, rows = tiny.build(family), directions(3)
    vectors = [geo.SteeringVector({f"{site}.relative": row}) for row in rows]
    with differentiable(model), torch.no_grad():
        # As many rows at a time as `later_changes` runs, of which the unsteered are one: sums then round alike.
        steered = Passage(model, tiny.tokenizer(), TEXTS, geo.Site.parse(site), READ).steered(
            torch.cat([torch.zeros(1, tiny.WIDTH), rows])
        )
    changes = later_changes(model, tiny.tokenizer(), vectors, TEXTS, "output.3")
    assert torch.equal(steered[0], changes.unsteered)
    assert torch.equal(steered[1:], changes.steered)


def test_texts_of_one_token_are_run_whole() -> None:
    model, row = tiny.build("llama"), directions(1)
    with differentiable(model), torch.no_grad():
        passage = Passage(model, tiny.tokenizer(), ["w5", "w9"], SITE, READ)
    vector = geo.SteeringVector({"output.0.relative": row[0]})
    changes = later_changes(model, tiny.tokenizer(), [vector], ["w5", "w9"], READ)
    read = geo.read_activations(model, tiny.tokenizer(), ["w5", "w9"], [READ], vectors=[vector] * 2, positions="last")
    torch.testing.assert_close(changes.steered[0], read[READ])
    torch.testing.assert_close(passage.steered(row)[0], read[READ])


@pytest.mark.parametrize("family", FAMILIES)
def test_later_changes_are_those_of_a_vector_added_by_hand_to_whole_texts(family: str) -> None:
    model, row = tiny.build(family), directions(1)[0]
    changes = later_changes(model, tiny.tokenizer(), [geo.SteeringVector({"output.1.relative": row})], TEXTS, READ)
    for place, text in enumerate(TEXTS):
        ids = tiny.tokenizer()(text, return_tensors="pt").input_ids

        def add(_: Any, __: Any, output: Any) -> Any:
            residual = (output[0] if isinstance(output, tuple) else output).clone()
            last = residual[0, -1]
            read = last - last.mean() if family == "gpt2" else last
            residual[0, -1] = last + read.norm() * row
            return (residual, *output[1:]) if isinstance(output, tuple) else residual

        unsteered = tiny.run(model, ids)["output.3"][0, -1]
        hook = tiny.blocks(model)[1].register_forward_hook(add)
        steered = tiny.run(model, ids)["output.3"][0, -1]
        hook.remove()
        torch.testing.assert_close(changes.unsteered[place], unsteered, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(changes.steered[0, place], steered, rtol=1e-4, atol=1e-4)
        change = (steered - unsteered).norm() / unsteered.norm()
        assert changes.moved()[0, place] == pytest.approx(float(change), rel=1e-3)


# Norms of Llama and Gemma compute in float32 whatever the model's type, so that differences there are rough.
@pytest.mark.parametrize(("family", "step", "tolerance"), [("gpt2", 1e-6, 1e-6), ("llama", 3e-3, 5e-3),
                                                           ("gemma3", 3e-3, 5e-3)])  # fmt: skip
@pytest.mark.parametrize("measure", ["change", "direction"])
def test_gradients_are_finite_differences(family: str, step: float, tolerance: float, measure: Any) -> None:
    model = tiny.build(family, torch.float64)
    with differentiable(model):
        passage = Passage(model, tiny.tokenizer(), TEXTS, SITE, READ)

        def objective(rows: torch.Tensor) -> torch.Tensor:
            return moved(passage.steered(rows), passage.unsteered, measure).mean(dim=1).sum()

        rows = directions(2).double().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(rows), rows)
        ahead = directions(2, seed=8).double()
        ahead /= ahead.norm()
        with torch.no_grad():
            slope = (objective(rows + step * ahead) - objective(rows - step * ahead)) / (2 * step)
    expected = float((gradient * ahead).sum())
    assert abs(expected) > 0.02  # a slope near 0 would agree with anything
    assert float(slope) == pytest.approx(expected, rel=tolerance)


def test_the_model_is_left_as_it_was() -> None:
    model = tiny.build("llama").train()
    model.lm_head.weight.requires_grad_(False)
    wanted = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    with differentiable(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert not model.training
        Passage(model, tiny.tokenizer(), TEXTS, SITE, READ)
    assert {name: parameter.requires_grad for name, parameter in model.named_parameters()} == wanted
    assert model.training
    assert tiny.hook_count(model) == 0


def test_blocks_after_the_read_site_do_not_run() -> None:
    model = tiny.build("llama")
    with differentiable(model), torch.no_grad():
        passage = Passage(model, tiny.tokenizer(), TEXTS, SITE, geo.Site.parse("output.1"))
        with tiny.counting(model) as ran:
            passage.steered(directions(2))
    assert len(ran) == 2


def test_dimensions_of_a_change_by_hand() -> None:
    unsteered = torch.tensor([[0.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
    moved_by = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 5.0]], [[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]]])
    changes = LaterChanges(READ, unsteered, unsteered + moved_by)
    assert changes.moved().round(6).tolist() == [[round(2**0.5 / 2, 6), 1.0], [1.0, 0.4]]
    assert changes.coordinates.round(6).tolist() == [[2.0, 1.0], [1.0, 1.0]]
    assert changes.effective_dimension.round(6).tolist() == [2.0, 1.0]  # orthogonal, and the same after both
    assert changes.cosine(changes).round(6).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    along = torch.tensor([[[0.0, 0.0, 2.0], [0.0, 3.0, 4.0]]])
    assert LaterChanges(READ, unsteered, unsteered + along).moved("direction").round(6).tolist() == [[0, 0]]
