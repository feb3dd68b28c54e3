"""Vectors of concepts remember by which unembedding they were made, and other models refuse them."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import geometry as geo
from geometry.steering.belonging import RowSample
from tests.steering import tiny


def unembedding(model: Any, noise: float = 0.0) -> geo.Unembedding:
    matrix = model.lm_head.weight.detach().clone()
    matrix += noise * matrix.std() * torch.randn(matrix.shape, generator=torch.Generator().manual_seed(0))
    words = [f"Ġw{number}" for number in range(tiny.VOCABULARY)]
    return geo.Unembedding(matrix, geo.Vocabulary(words), name=f"noise {noise}", family="llama")


def vector_of(source: geo.Unembedding) -> geo.SteeringVector:
    words = {"low": [f"w{number}" for number in range(2, 30)], "high": [f"w{number}" for number in range(30, 60)]}
    hierarchy = geo.concepts.hierarchy_from_words("halves", words, {}, source.vocabulary, forms="none")
    space = geo.CausalSpace.fit(source)
    return geo.ConceptSteering(space, geo.ConceptDirections.fit(space, hierarchy))["low"]


def test_a_vector_is_for_models_with_its_unembedding_alone(llama: Any) -> None:
    other = tiny.build("llama", seed=1)
    for vector in (vector_of(unembedding(llama)), vector_of(unembedding(llama, noise=0.05))):
        with geo.steer(llama, 2 * vector, positions="all"):
            llama(torch.tensor([[2, 3]]))
        for changed in (vector, -vector, vector.relative(1), vector.random(0), vector + tiny.vector("output.1")):
            with pytest.raises(geo.errors.SteeringError, match="is not the unembedding of this LlamaForCausalLM"):
                geo.steer(other, changed, positions="all")


def test_a_file_remembers_it(llama: Any, tmp_path: Path) -> None:
    vector = vector_of(unembedding(llama))
    again = geo.load_vector(geo.save_vector(vector, tmp_path / "v.safetensors"))
    assert again.sites == vector.sites
    assert again.sample is not None
    assert vector.sample is not None
    assert again.sample.key == vector.sample.key == copy.deepcopy(vector).sample.key  # type: ignore[union-attr]
    with geo.steer(llama, again, positions="all"):
        llama(torch.tensor([[2, 3]]))
    with pytest.raises(geo.errors.SteeringError, match="is not the unembedding"):
        geo.steer(tiny.build("llama", seed=1), again, positions="all")
    assert geo.load_vector(geo.save_vector(tiny.vector("output.1"), tmp_path / "w.safetensors")).sample is None


def test_vectors_of_two_unembeddings_are_not_added(llama: Any) -> None:
    vector, copied = vector_of(unembedding(llama)), vector_of(unembedding(llama, noise=0.05))
    other = vector_of(unembedding(tiny.build("llama", seed=1)))
    assert (vector + copied).sample is vector.sample
    assert (tiny.vector("after_norm") - vector).sample is vector.sample
    for add in (lambda: vector + other, lambda: other - vector):
        with pytest.raises(geo.errors.SteeringError, match="come from different unembeddings"):
            add()
    assert abs(vector.cosine(other)) < 1


@pytest.mark.parametrize(
    "change",
    [
        {"unembedding.ids": torch.arange(3)},
        {"unembedding.ids": torch.arange(4.0)},
        {"unembedding.ids": torch.tensor([-1, 2, 3, 4])},
        {"unembedding.rows": torch.full((4, tiny.WIDTH), torch.nan)},
        {"unembedding.rows": torch.ones(4, tiny.WIDTH, dtype=torch.float16)},
        {"unembedding.rows": torch.ones(4)},
        {"unembedding.rows": torch.ones(0, tiny.WIDTH), "unembedding.ids": torch.arange(0)},
    ],
)
def test_a_malformed_sample_is_refused(tmp_path: Path, change: dict[str, torch.Tensor]) -> None:
    sample = RowSample("mine", torch.arange(4), torch.randn(4, tiny.WIDTH))
    vector = geo.SteeringVector({"after_norm": torch.ones(tiny.WIDTH)}, sample=sample)
    path = geo.save_vector(vector, tmp_path / "v.safetensors")
    assert geo.load_vector(path).sample is not None
    record = {"format": "concept-geometry steering vector 1", "unembedding": "mine"}
    save_file(load_file(path) | change, path, metadata=record)
    with pytest.raises(geo.errors.SteeringError, match=r"v\.safetensors: the sample of its unembedding"):
        geo.load_vector(path)
