"""What cannot be read is refused in one line, before the model is run."""

from typing import Any

import pytest
import torch

import geometry as geo
from tests.steering import tiny

SITES = ["output.1"]


def read(model: Any, phrases: Any, **options: Any) -> geo.layers.PhraseActivations:
    settings = {"contexts": ["w3 {}"], "sites": SITES, "progress": False, **options}
    return geo.read_phrases(model, tiny.tokenizer(), phrases, **settings)


@pytest.mark.parametrize(
    ("phrases", "options", "message"),
    [
        pytest.param([], {}, "no phrases to read", id="no phrases"),
        pytest.param(["w4", "w5", "w4"], {}, "'w4' stands twice", id="a phrase twice"),
        pytest.param([""], {}, "'' is empty or has spaces around it", id="an empty phrase"),
        pytest.param(["w4", " "], {}, "' ' is empty or has spaces", id="a space"),
        pytest.param(["w4 "], {}, "'w4 ' is empty or has spaces", id="a space after it"),
        pytest.param(["w4", "w5"], {"batch_size": 0}, "at least one phrase, not 0", id="empty batches"),
        pytest.param(["w4"], {"contexts": ["w3"]}, "write the place of the phrase", id="no gap"),
        pytest.param(["w4"], {"contexts": ["{}x"]}, "shares the token 'w4x'", id="a token shared"),
        pytest.param(["w4"], {"contexts": {"w4": ["w5 w44"]}}, "'w4' is not in its context", id="not in its text"),
        pytest.param(["w4"], {"contexts": {"w5": ["w5"]}}, "'w4' has no contexts", id="no text"),
        pytest.param(["w4"], {"sites": []}, "at least one site", id="no sites"),
        pytest.param(["w4"], {"sites": ["output.9"]}, "has blocks 0 to 3", id="no such block"),
        pytest.param(["w4"], {"sites": ["output.1.relative"]}, "none that is relative", id="a relative site"),
        pytest.param(["w4"], {"sites": ["nowhere.1"]}, "unknown place", id="no such place"),
    ],
)
def test_bad_requests_are_refused(
    phrases: list[str], options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.build("llama")

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(model, "forward", forbidden)
    with pytest.raises(geo.errors.SteeringError, match=message) as refused:
        read(model, phrases, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("phrases", ["w4", [4], None], ids=["a text", "numbers", "nothing"])
def test_what_are_no_phrases_is_refused(phrases: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match="phrases must be"):
        read(tiny.build("llama"), phrases)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_text_beyond_the_window_is_refused_by_its_context(kind: str) -> None:
    model = tiny.build(kind)
    long = " ".join(f"w{2 + number % 60}" for number in range(127))
    assert read(model, ["w4"], contexts=[f"{long} {{}}"])["output.1"].shape == (1, 1, tiny.WIDTH)
    with pytest.raises(geo.errors.SteeringError, match=r"context 'w2 .*129 tokens, .* has a window of 128; shorten it"):
        read(model, ["w4", "w4 w5"], contexts=["w3 {}", f"{long} {{}}"])


def test_a_tokenizer_of_a_larger_model_is_refused() -> None:
    model = tiny.build("llama")
    model.resize_token_embeddings(50)
    with pytest.raises(geo.errors.SteeringError, match=r"has the token 55, .* an embedding of 50 rows"):
        read(model, ["w4", "w55"])


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_activations_that_are_not_finite_are_refused_and_not_kept(value: str, tmp_path: Any) -> None:
    model = tiny.build("llama")
    with torch.no_grad():
        model.model.embed_tokens.weight[7, 0] = float(value)
    with pytest.raises(geo.errors.SteeringError, match=r"output\.1 is not finite on these phrases; use float32"):
        read(model, ["w6", "w7"], cache=tmp_path)
    assert not list(tmp_path.iterdir())
    assert read(model, ["w6", "w8"])["output.1"].isfinite().all()


@pytest.mark.parametrize("name", ["attention", "mlp"])
def test_parts_of_blocks_are_read_and_not_steered(name: str) -> None:
    with pytest.raises(geo.errors.SteeringError, match=name):
        geo.SteeringVector({f"{name}.1": torch.ones(tiny.WIDTH)})
