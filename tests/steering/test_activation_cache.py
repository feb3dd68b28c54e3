"""Activations kept in files: the same bit for bit, read anew as soon as anything that decides them changes."""

from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

import geometry as geo
from geometry.cache import LIMIT, Entry
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


@pytest.mark.parametrize("wrong", ["rows", "width", "axes", "dtype", "another site", "another order", "a new NaN"])
def test_a_file_of_something_else_is_replaced(model: Any, tmp_path: Path, wrong: str) -> None:
    first = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole, arrays = path.read_bytes(), load_file(path)
    rows = arrays["after_norm"]
    if wrong == "a new NaN":
        place = whole.index(rows.tobytes())
        path.write_bytes(whole[:place] + np.float32("nan").tobytes() + whole[place + 4 :])
    else:
        changed = {"rows": rows[:2], "width": rows[:, :3], "axes": rows[:, None], "dtype": rows.astype("f8")}
        name = "before_norm" if wrong == "another site" else "after_norm"
        kept = {"output.1": arrays["output.1"], name: changed.get(wrong, rows)}
        # Whole in itself, and under its own name.
        Entry(path, "activations").write(dict(reversed(list(kept.items()))) if wrong == "another order" else kept)
    assert path.read_bytes() != whole
    assert same(first, geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path))
    assert path.read_bytes() == whole


def test_the_limit_of_the_cache_is_of_its_own_folder_alone(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    plain = geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=True)
    (path,) = (tmp_path / "activations").iterdir()
    monkeypatch.setenv(LIMIT, "0")
    path.unlink()
    assert same(plain, geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=True))
    assert not list((tmp_path / "activations").iterdir())
    monkeypatch.setenv(LIMIT, "much")
    with pytest.raises(geo.errors.OutputError, match=LIMIT):
        geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=True)
    assert same(plain, geo.read_activations(model, tiny.tokenizer(), PROMPTS, SITES, cache=tmp_path / "mine"))
    assert len(list((tmp_path / "mine").iterdir())) == 1


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
