"""The trainer finds a planted dictionary and none in noise, gives the same bits each time, and goes on after a stop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.dictionaries import Training, load_dictionary, save_dictionary, train_dictionary
from geometry.dictionaries import training as module
from geometry.dictionaries.topk_step import TopKState
from tests.dictionaries.planted import ACTIVE, D, found, planted, recovered

ROWS, DIRECTIONS = planted()
NOISE = np.random.default_rng(7).standard_normal(ROWS.shape).astype(np.float32)
SMALL: dict[str, Any] = {"epochs": 2, "batch": 64, "held_out": 0.1, "every": 5, "dead_after": 300}


def train(rows: Any, **changed: Any) -> Training:
    settings = {"epochs": 14, "batch": 128, "learning_rate": 1e-2, "dead_after": 1000, "held_out": 0.05}
    return train_dictionary(rows, 48, ACTIVE, **(settings | changed))


def test_planted_directions_are_found_and_noise_has_none() -> None:
    training = train(ROWS)
    assert found(training.dictionary.decoder.numpy(), DIRECTIONS) > 0.95
    # Nine atoms of ten at a cosine above .9; of the decoder that training begins with none is so near.
    beginning = TopKState.beginning(D, 48, torch.zeros(D), torch.Generator().manual_seed(0)).parameters["decoder"]
    assert recovered(training.dictionary.decoder.numpy(), DIRECTIONS) >= 0.9
    assert recovered(beginning.detach().numpy(), DIRECTIONS) <= 0.1
    quality = training.held_out
    assert quality.explained_variance > 0.85
    assert quality.explained_variance_interval[0] < quality.explained_variance < quality.explained_variance_interval[1]
    assert quality.l0 <= ACTIVE
    assert 0 < training.dead_share < 0.5  # 48 features for 32 directions
    # The same run on isotropic rows finds what random directions find, and explains little.
    control = train(NOISE)
    rng = np.random.default_rng(99)
    random = rng.standard_normal((48, D))
    by_chance = found(random / np.linalg.norm(random, axis=1, keepdims=True), DIRECTIONS)
    assert abs(found(control.dictionary.decoder.numpy(), DIRECTIONS) - by_chance) < 0.06
    assert control.held_out.explained_variance < 0.6


def test_decoder_rows_have_norm_1_and_numbers_are_in_the_units_of_the_rows() -> None:
    training = train(ROWS, epochs=1)
    torch.testing.assert_close(training.dictionary.decoder.norm(dim=1), torch.ones(48))
    assert training.unexplained[-1] < training.unexplained[0]
    scaled = train(ROWS * 100, epochs=1).dictionary
    assert torch.allclose(scaled.encode(ROWS[:50] * 100) / 100, training.dictionary.encode(ROWS[:50]), atol=0.05)


def test_the_same_bits_each_time_however_rows_are_kept(tmp_path: Path) -> None:
    half = ROWS[:600].astype(np.float16)
    np.save(tmp_path / "rows.npy", half)
    first = train_dictionary(half, 40, 3, **SMALL)
    for rows in (
        half.copy(),
        torch.from_numpy(half),
        tmp_path / "rows.npy",
        np.load(tmp_path / "rows.npy", mmap_mode="r"),
    ):
        again = train_dictionary(rows, 40, 3, **SMALL).dictionary
        assert torch.equal(again.encoder, first.dictionary.encoder)
        assert torch.equal(again.decoder_bias, first.dictionary.decoder_bias)
    other = train_dictionary(half, 40, 3, seed=1, **SMALL).dictionary
    assert not torch.equal(other.encoder, first.dictionary.encoder)


def test_after_an_interrupt_it_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ROWS[:600]
    whole = train_dictionary(rows, 40, 3, **SMALL)
    file, steps, real = tmp_path / "sae.safetensors", [0], module.take_step

    def stops(*given: Any, **named: Any) -> float:
        steps[0] += 1
        if steps[0] in (8, 14):  # within an epoch, and after it went on within the next one
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(module, "take_step", stops)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_dictionary(rows, 40, 3, checkpoint=file, **SMALL)
    done = train_dictionary(rows, 40, 3, checkpoint=file, **SMALL)
    total = len(whole.unexplained)
    assert steps[0] == total + 2 + 2  # two stops, and two steps since a checkpoint again
    for name in ("encoder", "encoder_bias", "decoder", "decoder_bias"):
        assert torch.equal(getattr(done.dictionary, name), getattr(whole.dictionary, name))
    np.testing.assert_array_equal(done.unexplained, whole.unexplained)
    assert done.dead_share == whole.dead_share
    # A finished one is read, not trained again.
    train_dictionary(rows, 40, 3, checkpoint=file, **SMALL)
    assert steps[0] == total + 4
    assert [path.name for path in tmp_path.iterdir()] == ["sae.safetensors"]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sae.safetensors"
    train_dictionary(ROWS[:300], 40, 3, checkpoint=file, **SMALL)
    for rows, changed, says in [(ROWS[:300], {"seed": 1}, "seed differ"), (ROWS[300:600], {}, "rows differ")]:
        with pytest.raises(geo.errors.EstimationError, match=says):
            train_dictionary(rows, 40, 3, checkpoint=file, **(SMALL | changed))
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(geo.errors.EstimationError, match="not a readable checkpoint"):
        train_dictionary(ROWS[:300], 40, 3, checkpoint=file, **SMALL)
    geo.save_vector(geo.SteeringVector({"output.1": torch.ones(4)}), tmp_path / "vector.safetensors")
    with pytest.raises(geo.errors.EstimationError, match="something else"):
        train_dictionary(ROWS[:300], 40, 3, checkpoint=tmp_path / "vector.safetensors", **SMALL)


def test_what_was_trained_is_saved_for_others(tmp_path: Path) -> None:
    trained = train_dictionary(ROWS[:300], 40, 3, site="output.15", model="smollm2-135m", **SMALL).dictionary
    again = load_dictionary(save_dictionary(trained, tmp_path / "sae"))
    assert torch.equal(again.encode(ROWS), trained.encode(ROWS))
    assert (again.site, again.model, again.k) == (geo.Site("output", 15), "smollm2-135m", 3)


def test_dead_features_are_revived_by_their_own_loss() -> None:
    x = torch.from_numpy(ROWS[:256]) / 10
    for auxiliary, alive in [(0.0, False), (1 / 32, True)]:
        state = TopKState.beginning(D, 48, x.mean(dim=0), torch.Generator().manual_seed(0))
        with torch.no_grad():
            state.parameters["encoder_bias"][24:] = -0.6  # so low that none of them is among the largest
        for _ in range(60):
            module.take_step(state, x, 3, rate=1e-2, dead_after=1000, auxiliary=auxiliary)
        assert bool((state.quiet[24:] < 1000).any()) is alive


@pytest.mark.parametrize(
    ("rows", "changed", "says"),
    [
        (ROWS[:10], {}, "at least 20"),
        (np.ones((50, 4), dtype=np.float32), {}, "at one point"),
        (np.ones((50, 4), dtype=int), {}, "floating-point"),
        (np.where(np.arange(D) == 3, np.nan, ROWS[:50]), {}, "NaN"),
        (ROWS[:50], {"k": 41}, "k is at most"),
        (ROWS[:50], {"epochs": 0}, "at least 1"),
        (ROWS[:50], {"held_out": 1.0}, "held_out"),
        (ROWS[:50], {"learning_rate": 0.0}, "learning_rate"),
        (ROWS[:50], {"dead_after": 0}, "dead_after"),
        ("nowhere.npy", {}, "not a readable .npy"),
    ],
)
def test_refusals(rows: Any, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=says):
        train_dictionary(rows, **({"n_features": 40, "k": 3} | SMALL | changed))
