"""`steer --auto` chooses site and strength as `geo.tune` does, says so in a line, refuses what it decides itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import geometry as geo
from geometry.cli import main
from geometry.steering import class_difference, class_means
from geometry.tuning import Calibration, TextContrast
from geometry.tuning.features import FEATURES
from tests.cli.test_steer_sources import CLASSES, PROMPT, console, files
from tests.steering import tiny

__all__ = ["console", "files"]
NEUTRAL = ["w4 w9", "w5 w8 w30 w3", "w7 w11"]


@pytest.fixture(autouse=True)
def known_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The neutral prompts in words that the tiny tokenizer has."""
    prompts = geo.steering.PromptSet("neutral", tuple(NEUTRAL * 4), ("w4 w9 w12", "w5 w8 w30 w3"))
    monkeypatch.setattr("geometry.tuning.choosing.load_prompts", lambda _: prompts)


def test_a_class_is_tuned_on_the_half_of_its_sentences_that_made_no_vector(console: Any, files: dict[str, str]) -> None:
    entry = f"{files['yaml']}:cross/calm"
    status, out, err = console("--behaviour", entry, "--auto", "--bound", "0.3", PROMPT)
    assert status == 0, err
    family = geo.load_behaviour(files["yaml"])
    texts = {name: family.texts()[name] for name in ("cross", "calm")}
    sites = [f"output.{block}" for block in range(tiny.DEPTH)]
    means = class_means(console.model, tiny.tokenizer(), {name: each[::2] for name, each in texts.items()}, sites)
    goal = TextContrast(texts["cross"][1::2], texts["calm"][1::2])
    tuned = geo.tuning.tune(console.model, tiny.tokenizer(), class_difference(means, "cross"), goal, bound=0.3)
    first = out.splitlines()[0]
    assert first.startswith(f"auto: {tuned.site} at strength {tuned.strength:.3g} × residual norm; gain of")
    assert f"KL {tuned.cost:.2f} of 0.3 nats on 2 neutral texts; {tuned.passes:,} forward passes" in first
    assert PROMPT in out
    assert "the middle one" not in out
    # What cannot be given is not to be made larger.
    _, _, err = console("--behaviour", entry, "--auto", "--bound", "1e-5", PROMPT)
    assert "no text changed; a larger --bound or" in err


def test_a_concept_is_tuned_with_the_forecast_that_was_kept(
    console: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concepts of a tiny model whose unembedding and words are its own; the forecast is of that model and bound."""
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "cache"))
    matrix = console.model.get_output_embeddings().weight.detach()
    vocabulary = geo.Vocabulary(["<s>", "</s>", *(f"Ġw{number}" for number in range(2, 64))])
    unembedding = geo.Unembedding(matrix, vocabulary, "tiny", "llama")
    groups = {f"group {n}": [f"w{2 + 10 * n + i}" for i in range(10)] for n in range(6)}
    for name in ("geometry.cli.steer_sources.Unembedding", "geometry.cli.steer_auto.Unembedding"):
        monkeypatch.setattr(f"{name}.load", lambda *_, **__: unembedding)
    tree = tmp_path / "tree.yaml"
    tree.write_text(yaml.safe_dump({"all": groups}))
    asked = ["--add", "group 1", "--hierarchy", str(tree), "--auto", PROMPT]
    monkeypatch.setattr("geometry.tuning.features.load_prompts", lambda _: geo.steering.PromptSet("n", NEUTRAL, ()))
    monkeypatch.setattr("geometry.tuning.features.load_contexts", lambda **_: ["w5 {}"])
    status, out, err = console(*asked)
    assert status == 0, err
    assert out.startswith("auto: ")
    assert "P(group 1's words)" in out.splitlines()[0]
    flat = np.zeros(len(FEATURES))
    Calibration(flat, flat, flat + 1, 2.5, 0.7, False, "x").keep(unembedding, 0.5)
    status, out, err = console(*asked)
    assert status == 0, err
    assert out.splitlines()[0] == (
        "forecast from the unsteered model, after the final norm at 0.5 nats: +2.50 ± 0.70 rise of log-odds, nats"
        " (root mean square error on held-out concepts); the forecast is no better than chance on held-out concepts"
    )
    _, out, _ = console(*asked, "--bound", "0.4")
    assert "forecast" not in out
    # Nothing is left that a forecast could tell the root from.
    status, out, err = console(*[{"group 1": "all"}.get(option, option) for option in asked])
    assert status == 0, err
    assert out.startswith("auto: ")


def test_pairs_need_a_half_to_be_measured_on(console: Any, files: dict[str, str], tmp_path: Path) -> None:
    status, _, err = console("--pairs", files["csv"], "--auto", PROMPT)
    assert (status, len(err.splitlines())) == (2, 1)
    assert "has 3, and 4 are needed" in err
    assert not console.loaded
    more = tmp_path / "more.csv"
    more.write_text(Path(files["csv"]).read_text().replace("w7,", "w7 w6,") + "w20 w21,w22 w23\n")
    status, out, err = console("--pairs", str(more), "--auto", PROMPT)
    assert status == 0, err
    assert out.startswith("auto: output.")
    assert "nan" not in out  # of two pairs there is no interval


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--site", "2"], "leave out --site"),
        (["--strength", "1", "--coefficient", "2"], "leave out --strength, --coefficient"),
        (["--bound", "0"], "--bound is a number of nats such as 0.5, at least 1e-05, not 0"),
        (["--behaviour", "emotion:joy"], "for one thing to add"),
    ],
)
def test_what_auto_decides_is_not_given(console: Any, options: list[str], complaint: str) -> None:
    status, _, err = console("--behaviour", "aggression:hostile", "--auto", *options, PROMPT)
    assert (status, len(err.splitlines())) == (2, 1)
    assert complaint in err
    assert not console.loaded


def test_a_vector_a_pair_and_a_bound_alone_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for options, complaint in (
        (["--vector", "x.safetensors", "--auto"], "leave out --vector"),
        (["--pair", "w2", "w3", "--auto"], "no goal for a --pair"),
        (["--add", "bird", "--bound", "1"], "there is no --auto"),
    ):
        assert main(["steer", *options, PROMPT]) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert complaint in err


def test_classes_of_few_sentences_are_refused() -> None:
    from geometry.cli.steer_auto import _check_enough

    _check_enough(4, "sentences", "class calm")
    with pytest.raises(geo.errors.SteeringError, match="class calm has 3, and 4 are needed"):
        _check_enough(3, "sentences", "class calm")
    assert len(CLASSES) == 3
