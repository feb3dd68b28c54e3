"""From texts to a dictionary: kept, gone on with after a stop, and trained anew where what was kept is damaged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.cache import holdings
from geometry.dictionaries import Training, text_dictionary
from geometry.dictionaries import training as trainer
from tests.steering import tiny

TEXTS = [tiny.text(tiny.tokens(30, seed=seed)) for seed in range(90)]
SMALL: dict[str, Any] = {"n_tokens": 2500, "n_features": 24, "k": 3, "epochs": 2}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def train(**changed: Any) -> Training:
    given: dict[str, Any] = {"texts": TEXTS, "name": "tiny", **SMALL}
    return text_dictionary(tiny.build("llama"), tiny.tokenizer(), **(given | changed))


def same(one: Training, other: Training) -> bool:
    parts = ("encoder", "decoder", "encoder_bias", "decoder_bias")
    alike = all(torch.equal(getattr(one.dictionary, name), getattr(other.dictionary, name)) for name in parts)
    return alike and np.array_equal(one.unexplained, other.unexplained)


def test_it_is_trained_at_the_middle_block_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train()
    assert (first.dictionary.site, first.dictionary.model, first.dictionary.k) == (geo.Site("output", 2), "tiny", 3)
    assert first.unexplained[-1] < first.unexplained[0]
    assert first.held_out.explained_variance > 0.3
    assert first.dictionary.notes == ()
    assert holdings(cache)["dictionaries"].files == 1  # none of the unfinished training
    plain = train(cache=False)
    assert same(first, plain)
    assert first.held_out.explained_variance == plain.held_out.explained_variance

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(trainer, "take_step", never)
    again = train()
    assert same(first, again)
    assert again.held_out.explained_variance_interval == first.held_out.explained_variance_interval
    assert np.array_equal(again.held_out.rates, first.held_out.rates)
    with pytest.raises(AssertionError, match="trained again"):
        train(seed=1)
    with pytest.raises(AssertionError, match="trained again"):
        train(texts=TEXTS[1:])


def test_one_that_is_not_kept_is_refused_where_only_kept_ones_are_asked_for(cache: Path) -> None:
    with pytest.raises(geo.errors.EstimationError, match=r"no dictionary of these settings is kept; .* trains it"):
        train(kept_only=True)
    assert not (cache / "dictionaries").exists() or not list((cache / "dictionaries").iterdir())
    first = train()
    assert same(train(kept_only=True), first)
    for changed in ({"seed": 1}, {"k": 4}, {"cache": False}):
        with pytest.raises(geo.errors.EstimationError, match="is kept"):
            train(kept_only=True, **changed)


def test_after_an_interrupt_it_goes_on_to_the_same_bits(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, steps, real = train(cache=False), [0], trainer.take_step

    def stops(*given: Any, **named: Any) -> float:
        steps[0] += 1
        if steps[0] == 7:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(trainer, "take_step", stops)
    monkeypatch.setattr("geometry.dictionaries.from_texts.EVERY", 2)
    with pytest.raises(KeyboardInterrupt):
        train()
    assert holdings(cache)["dictionaries"].files == 1
    assert same(train(), whole)
    assert steps[0] == 7 + len(whole.unexplained) - 6
    assert holdings(cache)["dictionaries"].files == 1


def test_damaged_files_are_trained_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train()
    (kept,) = (cache / "dictionaries").iterdir()
    kept.write_bytes(kept.read_bytes()[:-5])
    assert same(train(), whole)

    def stops(*_: Any, **__: Any) -> float:
        raise KeyboardInterrupt

    kept.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("geometry.dictionaries.from_texts.EVERY", 1)
        calls, real = [0], trainer.take_step

        def later(*given: Any, **named: Any) -> float:
            calls[0] += 1
            return stops() if calls[0] > 3 else real(*given, **named)

        patch.setattr(trainer, "take_step", later)
        with pytest.raises(KeyboardInterrupt):
            train()
    (unfinished,) = (cache / "dictionaries").iterdir()
    unfinished.write_bytes(b"nonsense")
    assert same(train(), whole)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"k": 25}, "k is at most n_features"),
        ({"n_features": 0, "k": 1}, "at least 1"),
        ({"n_tokens": 0}, "at least 1"),
        ({"n_tokens": 5000}, "asked for"),
        ({"site": "output.7"}, "no block 7"),
    ],
)
def test_refusals(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(geo.errors.GeometryError, match=says):
        train(**changed)
