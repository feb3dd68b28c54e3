"""Activations kept in files: the same bit for bit, read anew as soon as anything that decides them changes."""

from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import geometry as geo
from tests.steering import tiny

PROMPTS = ["w1 w2 w3", "w4 w5", "w6 w7 w8 w9"]
SITES = ["output.1", "after_norm"]


@pytest.fixture
def model() -> Any:
    return tiny.build("llama")


def same(one: dict[Any, torch.Tensor], other: dict[Any, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[site], other[site]) for site in one)


def forbidden(*_: object, **__: object) -> None:
    raise AssertionError("the model was run")


def test_the_second_time_nothing_is_run(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES)
    first = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path)
    monkeypatch.setattr(model, "forward", forbidden)
    second = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path)
    assert same(plain, first)
    assert same(plain, second)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


@pytest.mark.parametrize("change", ["weights", "prompts", "sites", "token", "bos", "attention"])
def test_whatever_changes_is_read_anew(model: Any, tmp_path: Path, change: str) -> None:
    geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path)
    prompts, sites, options = PROMPTS, SITES, {}
    if change == "weights":
        with torch.no_grad():
            model.model.layers[0].mlp.up_proj.weight[0, 0] += 1
    elif change == "prompts":
        prompts = [*PROMPTS[:2], "w6 w7 w8 w10"]
    elif change == "sites":
        sites = ["output.2", "after_norm"]
    elif change == "attention":
        model.config.rms_norm_eps = 0.5
        for module in model.modules():
            if hasattr(module, "variance_epsilon"):
                module.variance_epsilon = 0.5
    else:
        options = {"token": {"token": "mean"}, "bos": {"bos": True}}[change]
    plain = geo.read_activations(model, tiny.tokenizer(), prompts, sites, **options)
    found = geo.read_activations(model, tiny.tokenizer(), prompts, sites, cache=tmp_path, **options)
    assert same(plain, found)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "folder"])
def test_a_damaged_file_is_replaced_or_passed_over(model: Any, tmp_path: Path, damage: str) -> None:
    first = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    assert same(first, geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path))
    assert list(tmp_path.iterdir()) == [path]
    assert damage == "folder" or path.read_bytes() == whole


@pytest.mark.parametrize("wrong", ["rows", "width", "axes", "dtype", "NaN", "infinite", "another site"])
def test_a_file_of_something_else_is_replaced(model: Any, tmp_path: Path, wrong: str) -> None:
    first = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole, tensors = path.read_bytes(), load_file(path)
    changed = tensors["after_norm"]
    changed = {
        "rows": changed[:2],
        "width": changed[:, :3],
        "axes": changed[:, None],
        "dtype": changed.half(),
        "NaN": changed.index_fill(0, torch.tensor(1), torch.nan),
        "infinite": changed.index_fill(1, torch.tensor(1), torch.inf),
        "another site": changed,
    }[wrong]
    name = "before_norm" if wrong == "another site" else "after_norm"
    kept = {"output.1": tensors["output.1"], name: changed.contiguous()}
    save_file(kept, path, metadata={"format": "concept-geometry activations 1"})
    assert same(first, geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path))
    assert path.read_bytes() == whole


class Sharded(nn.Parameter):
    """A tensor with more to it than its numbers."""


def offloaded(model: Any) -> Any:
    return accelerate.cpu_offload(model, execution_device=torch.device("cpu"))


def sharded(model: Any) -> Any:
    head = model.lm_head
    head.weight = Sharded(head.weight.detach(), requires_grad=False)
    return model


def quantised(model: Any) -> Any:
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def packed(model: Any) -> Any:
    model.hf_quantizer = object()
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", [offloaded, sharded, quantised, packed])
def test_weights_that_cannot_all_be_seen_are_read_anew(place: Any, tmp_path: Path) -> None:
    found = []
    for seed in (0, 1):
        # All else alike, so that only what is packed away tells them apart.
        model = tiny.build("llama")
        torch.manual_seed(seed)
        for name, parameter in model.named_parameters():
            if name.endswith("proj.weight"):
                nn.init.normal_(parameter, std=0.3)
        placed = place(model)
        plain = geo.read_activations(placed, tiny.tokenizer(), PROMPTS, SITES)
        found.append(geo.read_activations(placed, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path))
        assert same(plain, found[-1])
    assert not same(*found)
    assert not list(tmp_path.iterdir())


def test_a_steered_model_is_neither_kept_nor_taken_from_a_file(model: Any, tmp_path: Path) -> None:
    plain = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path)
    vector = geo.SteeringVector({geo.Site("output", 0): torch.ones(tiny.WIDTH)}, "ones")
    with geo.steer(model, vector, positions="all"):
        steered = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path)
    assert not same(plain, steered)
    assert len(list(tmp_path.iterdir())) == 1
    assert same(plain, geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path))


def test_where_nothing_can_be_kept_the_answer_is_the_same(model: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    found = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=blocked)
    assert same(found, geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES))


def test_bad_prompts_are_refused_before_a_file_is_made(model: Any, tmp_path: Path) -> None:
    with pytest.raises(geo.errors.SteeringError, match="no tokens"):
        geo.read_activations(model, tiny.tokenizer(), [""], SITES, cache=tmp_path)
    assert not list(tmp_path.iterdir())
