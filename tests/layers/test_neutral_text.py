"""The covariance of neutral text: which tokens, and the inverse of what scikit-learn estimates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf

import geometry as geo
from geometry.layers import NeutralText
from geometry.steering.activation_table import Activations
from tests.steering import tiny

SITES = ["input.0", "attention.1", "output.2"]
TEXTS = [tiny.text(tiny.tokens(length, seed=length)) for length in (30, 4, 12, 5, 40)]


def read(model: Any, **options: Any) -> NeutralText:
    settings = {"sites": SITES, "texts": TEXTS, "progress": False, **options}
    return NeutralText.read(model, tiny.tokenizer(), **settings)


def of(rows: np.ndarray) -> NeutralText:
    return NeutralText(Activations({geo.Site("output", 2): torch.from_numpy(rows.astype(np.float32))}))


@pytest.mark.parametrize("kind", ["llama", "gemma3", "gpt2"])
def test_they_are_all_tokens_but_the_first_four_of_each_text(kind: str) -> None:
    model = tiny.build(kind)
    found = read(model)
    for site in SITES:
        expected = []
        for text in TEXTS:
            with geo.record_activations(model, [site]) as recorded:
                model(input_ids=geo.steering.encode(tiny.tokenizer(), [text]).input_ids)
            expected.append(recorded[site][0, 4:].detach())
        torch.testing.assert_close(found.activations[site], torch.cat(expected))
    assert len(found.activations["output.2"]) == 26 + 0 + 8 + 1 + 36


@pytest.mark.parametrize("most", [2, 26, 27, 35, 70, 71, 10_000])
def test_at_most_so_many_are_read(most: int) -> None:
    model = tiny.build("llama")
    found, every = read(model, most_tokens=most), read(model)
    for site in SITES:
        torch.testing.assert_close(found.activations[site], every.activations[site][:most])


@pytest.mark.parametrize("options", [{"texts": TEXTS[1:2]}, {"texts": []}, {"most_tokens": 1}, {"most_tokens": 0}])
def test_too_little_text_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"neutral text: [01] tokens beyond the first 4 of each text"):
        read(tiny.build("llama"), **options)


def test_a_site_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"output\.9: .* has blocks 0 to 3"):
        read(tiny.build("llama"), sites=["output.9"])


def test_text_that_overflows_is_refused() -> None:
    model = tiny.build("llama")
    with torch.no_grad():
        model.model.embed_tokens.weight[:] = float("nan")
    with pytest.raises(geo.errors.SteeringError, match="not finite on neutral text; use float32"):
        read(model)


def test_it_is_kept_and_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.build("llama")
    plain, first = read(model), read(model, cache=tmp_path)
    read(model, cache=tmp_path, most_tokens=9)
    assert len(list(tmp_path.iterdir())) == 2

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(model, "forward", forbidden)
    again = read(model, cache=tmp_path)
    for site in SITES:
        assert torch.equal(plain.activations[site], first.activations[site])
        assert torch.equal(plain.activations[site], again.activations[site])


@pytest.mark.parametrize("count", [5, 40, 3000])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_metric_is_the_inverse_of_the_shrunk_covariance(count: int, scale: float) -> None:
    rng = np.random.default_rng(0)
    rows = scale * (rng.standard_normal((count, 12)) @ rng.standard_normal((12, 12)) + 50 * rng.standard_normal(12))
    rows = rows.astype(np.float32).astype(np.float64)
    found = of(rows).covariance("output.2")
    expected = np.linalg.inv(LedoitWolf().fit(rows).covariance_)
    np.testing.assert_allclose(found.matrix.numpy(), expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    assert found.site == geo.Site("output", 2)
    assert found.note.startswith(f"{count:,} tokens of neutral text, shrinkage ")


def test_of_many_tokens_it_is_that_of_numpy() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((100_000, 4)) * [1, 2, 3, 4] @ np.linalg.qr(rng.standard_normal((4, 4)))[0]
    found = of(rows).covariance("output.2").matrix.numpy()
    np.testing.assert_allclose(found @ np.cov(rows.T), np.eye(4), atol=5e-3)


def test_differences_in_its_units_are_white() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((20_000, 5)) * [1, 2, 3, 4, 5] @ np.linalg.qr(rng.standard_normal((5, 5)))[0]
    rows = mixed.astype(np.float32)
    vectors = geo.layers.PhraseVectors(
        torch.from_numpy(rows), geo.Vocabulary([f" w{i}" for i in range(len(rows))]), "x"
    )
    space = geo.CausalSpace.with_metric(vectors, of(rows).covariance("output.2").matrix)
    np.testing.assert_allclose(np.cov(space.unified.numpy().T), np.eye(5), atol=1e-2)


@pytest.mark.parametrize("value", [0.0, 1e-30, 0.1, 1e30])
def test_a_layer_that_does_not_vary_is_refused(value: float) -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"output\.2: neutral text does not vary there"):
        of(np.full((50, 3), value)).covariance("output.2")


def test_one_dead_dimension_is_shrunk_and_not_refused() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 3))
    rows[:, 1] = 7
    matrix = of(rows).covariance("output.2").matrix
    assert matrix.isfinite().all()
    assert torch.linalg.eigvalsh(matrix)[0] > 0


def test_a_site_at_which_nothing_was_read_is_refused() -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"nothing was read at output\.3"):
        of(np.eye(3)).covariance("output.3")
