"""Phrases kept in files: the same bit for bit, a file a context, read anew as soon as what decides them changes."""

from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo
from tests.steering import tiny

PHRASES = ["w5", "w6 w7", "w8 w9 w10"]
CONTEXTS = ["w20 w21 w22 {}", "{} w3"]


def read(model: Any, cache: Any, **options: Any) -> geo.layers.PhraseActivations:
    settings = {"phrases": PHRASES, "contexts": CONTEXTS, "sites": ["output.1", "mlp.2"], "progress": False, **options}
    return geo.read_phrases(model, tiny.tokenizer(), cache=cache, **settings)


def same(one: geo.layers.PhraseActivations, other: geo.layers.PhraseActivations) -> bool:
    return one.sites == other.sites and all(torch.equal(one[site], other[site]) for site in one.sites)


def forbidden(*_: object, **__: object) -> None:
    raise AssertionError("the model was run")


def test_the_second_time_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.build("gemma3")
    plain, first = read(model, False), read(model, tmp_path)
    monkeypatch.setattr(model, "forward", forbidden)
    assert same(plain, first)
    assert same(plain, read(model, tmp_path))
    assert len(list(tmp_path.iterdir())) == len(CONTEXTS)


def test_another_context_is_another_file_and_the_others_are_taken(tmp_path: Path) -> None:
    model = tiny.build("llama")
    first = read(model, tmp_path)
    more = read(model, tmp_path, contexts=[*reversed(CONTEXTS), "w4 {}"])
    assert len(list(tmp_path.iterdir())) == 3
    assert torch.equal(more["mlp.2"][:2], first["mlp.2"].flip(0))
    assert same(more, read(model, False, contexts=[*reversed(CONTEXTS), "w4 {}"]))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"phrases": ["w5", "w6 w7", "w8 w9 w11"]}, id="phrases"),
        pytest.param({"phrases": [*PHRASES[1:], PHRASES[0]]}, id="order"),
        pytest.param({"sites": ["output.1", "attention.2"]}, id="sites"),
        pytest.param({"bos": True}, id="bos"),
        pytest.param({"batch_size": 1}, id="batch size"),
    ],
)
def test_other_requests_are_other_files(tmp_path: Path, options: dict[str, Any]) -> None:
    model = tiny.build("llama")
    read(model, tmp_path)
    assert same(read(model, tmp_path, **options), read(model, False, **options))
    assert len(list(tmp_path.iterdir())) == 2 * len(CONTEXTS)


def test_another_weight_is_another_file(tmp_path: Path) -> None:
    model = tiny.build("llama")
    first = read(model, tmp_path)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] += 1
    assert not same(first, read(model, tmp_path))
    assert same(read(model, False), read(model, tmp_path))
    assert len(list(tmp_path.iterdir())) == 2 * len(CONTEXTS)


def test_it_is_not_taken_for_what_prompts_gave(tmp_path: Path) -> None:
    model, sites = tiny.build("llama"), ["output.1"]
    geo.read_activations(model, tiny.tokenizer(), PHRASES, sites, cache=tmp_path)
    read(model, tmp_path, contexts=["{}"], sites=sites)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "one bit"])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: str) -> None:
    model = tiny.build("llama")
    first = read(model, tmp_path, contexts=CONTEXTS[:1])
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    flipped = whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "one bit": flipped}[damage])
    assert same(first, read(model, tmp_path, contexts=CONTEXTS[:1]))
    assert path.read_bytes() == whole


def test_a_steered_model_is_neither_kept_nor_taken_from_a_file(tmp_path: Path) -> None:
    model = tiny.build("llama")
    plain = read(model, tmp_path)
    with geo.steer(model, tiny.vector("output.0"), positions="all"):
        assert not same(plain, read(model, tmp_path))
    assert len(list(tmp_path.iterdir())) == len(CONTEXTS)
    assert same(plain, read(model, tmp_path))
