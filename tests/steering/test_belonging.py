"""Vectors of one model's unembedding steer that model, its quantised copies, and no other."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

import geometry as geo
from geometry.steering.belonging import RowSample, check_belongs, check_source
from tests.steering import families, tiny


def vocabulary(size: int = tiny.VOCABULARY) -> geo.Vocabulary:
    return geo.Vocabulary([f"Ġw{number}" for number in range(size)])


def unembedding(model: Any, **changes: Any) -> geo.Unembedding:
    matrix = changes.pop("matrix", model.get_output_embeddings().weight)
    return geo.Unembedding(matrix, vocabulary(len(matrix)), name="theirs", **changes)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "gemma3"])
def test_its_own_passes_and_no_other(name: str) -> None:
    model, other = tiny.build(name), tiny.build(name, seed=1)
    own = unembedding(model)
    check_belongs(model, own)
    assert tiny.hook_count(model) == 0
    matrix = own.matrix
    for wrong in (
        other.get_output_embeddings().weight,
        matrix.roll(1, 0),
        matrix.flip(0),
        matrix.roll(1, 1),
        -matrix,
        matrix + 5 * matrix.mean(dim=0) + matrix.std() * torch.randn(matrix.shape),
    ):
        with pytest.raises(geo.errors.SteeringError, match="theirs is not the unembedding of this") as refusal:
            check_belongs(model, unembedding(model, matrix=wrong))
        assert "\n" not in str(refusal.value)


def test_what_all_rows_share_tells_nothing() -> None:
    model = tiny.build("llama")
    with torch.no_grad():
        model.lm_head.weight += 20.0 * torch.linspace(-1, 1, tiny.WIDTH)
    check_belongs(model, unembedding(model))
    with pytest.raises(geo.errors.SteeringError, match="is not the unembedding"):
        check_belongs(model, unembedding(model, matrix=model.lm_head.weight.roll(1, 0)))


@pytest.mark.parametrize("name", ["cohere", "falcon_h1", "minicpm3", "nanochat", "recurrent_gemma", "rwkv", "llava"])
def test_scales_caps_and_wrappers_do_not_matter(name: str) -> None:
    model = families.build(name)
    check_belongs(model, unembedding(model))
    with pytest.raises(geo.errors.SteeringError, match="is not the unembedding"):
        check_belongs(model, unembedding(model, matrix=model.get_output_embeddings().weight.roll(3, 0)))


def test_the_input_embedding_of_an_untied_model_is_refused() -> None:
    model = tiny.build("llama")
    with pytest.raises(geo.errors.SteeringError, match="is not the unembedding"):
        check_belongs(model, unembedding(model, matrix=model.get_input_embeddings().weight))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["int8", "bfloat16", "four bits"])
def test_quantised_copies_pass(kind: str) -> None:
    model = tiny.build("llama")
    own = unembedding(model)
    if kind == "int8":
        rough: Any = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear}, dtype=torch.qint8)
    elif kind == "bfloat16":
        rough = copy.deepcopy(model).bfloat16()
    else:
        rough = copy.deepcopy(model)
        for parameter in rough.parameters():
            step = parameter.data.abs().amax(dim=-1, keepdim=True) / 7
            parameter.data = (parameter.data / step).round() * step
    assert not torch.equal(rough(tiny.tokens(1, 4)).logits.float(), model(tiny.tokens(1, 4)).logits)
    check_belongs(rough, own)


def test_another_width_or_vocabulary_is_refused() -> None:
    model = tiny.build("llama")
    with pytest.raises(geo.errors.SteeringError, match="theirs is 8 wide, LlamaForCausalLM 16"):
        check_belongs(model, unembedding(model, matrix=torch.randn(64, 8)))
    with pytest.raises(geo.errors.SteeringError, match="has a token 99, LlamaForCausalLM gives 64 logits"):
        check_belongs(model, unembedding(model, matrix=torch.randn(100, 16)))
    with pytest.raises(geo.errors.SteeringError, match="gives no logits"):
        check_belongs(model.model, unembedding(model))


def test_it_is_measured_once() -> None:
    model = tiny.build("llama")
    own = unembedding(model)
    with tiny.counting(model) as ran:
        check_belongs(model, own)
        blocks = len(ran)
        check_belongs(model, RowSample.of(own))
        check_belongs(model, unembedding(model))
    assert blocks == len(ran) == tiny.DEPTH


def test_a_vector_that_remembers_its_unembedding_is_checked_where_it_steers() -> None:
    model, other = tiny.build("llama"), tiny.build("llama", seed=1)
    vector = geo.SteeringVector({"after_norm": torch.ones(tiny.WIDTH)})
    check_source(other, vector)
    vector = dataclasses.replace(vector, sample=RowSample.of(unembedding(model)))
    with geo.steer(model, vector, positions="all"):
        model(tiny.tokens(1, 4))
    pulled_back = geo.pull_back(vector, model, "before_norm")
    for attempt in (
        lambda: geo.steer(other, vector, positions="all"),
        lambda: geo.steer_each(other, [None, vector], positions="all").__enter__(),
        lambda: geo.pull_back(vector, other, "before_norm"),
        lambda: geo.steer(other, 2 * pulled_back, positions="all"),
    ):
        with pytest.raises(geo.errors.SteeringError, match="theirs is not the unembedding of this LlamaForCausalLM"):
            attempt()
    assert tiny.hook_count(other) == 0


def test_smollm2_belongs_to_its_file(smollm2_model: tuple[Any, Any], smollm2: geo.Unembedding) -> None:
    check_belongs(smollm2_model[0], smollm2)
    moved = geo.Unembedding(smollm2.matrix.roll(1, 0), smollm2.vocabulary, name="moved")
    with pytest.raises(geo.errors.SteeringError, match="moved is not the unembedding"):
        check_belongs(smollm2_model[0], moved)
