"""The console steers as the vector in a file was made, at the positions that were asked for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.cli import main
from tests.steering import tiny
from tests.steering.test_prompts import with_bos

PROMPT = "w7 w8 w9 w10 w11"


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `steer` on a tiny model: status, lines of steered text, and the error output."""
    model, loaded = tiny.build("llama"), []

    def run(tokenizer: Any, vector: geo.SteeringVector, path: Path, *options: str) -> tuple[int, list[str], str]:
        monkeypatch.setattr("geometry.cli.steer.require_language_model", lambda _: None)
        monkeypatch.setattr("geometry.cli.steer.load_model", lambda _, **__: loaded.append(1) or (model, tokenizer))
        geo.save_vector(vector, path)
        status = main(["steer", "--vector", str(path), "--tokens", "6", *options])
        out, err = capsys.readouterr()
        return status, [line.split(maxsplit=1)[1] for line in out.splitlines() if line.startswith("  steered")], err

    run.model, run.loaded = model, loaded  # type: ignore[attr-defined]
    return run


def by_hand(console: Any, tokenizer: Any, vector: geo.SteeringVector, prompt: str, positions: Any, bos: Any) -> str:
    with geo.steer(console.model, vector, positions=positions):
        ((generation,),) = geo.generate(
            console.model, tokenizer, [prompt], max_new_tokens=6, frequency_penalty=1.0, bos=bos
        )
    return " ".join(generation.text.split())


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("template", ["$A", "<s> $A", "<s> $A </s>"])
def test_a_vector_is_replayed_on_prompts_that_begin_as_its_own_did(
    console: Any, tmp_path: Path, made: bool, template: str
) -> None:
    tokenizer = with_bos(template=template)
    vector = 4 * geo.activation_addition(console.model, tokenizer, "w2 w3 w4", "w5 w6 w2", 1, bos=made)
    status, lines, _ = console(tokenizer, vector, tmp_path / "v.safetensors", PROMPT)
    assert status == 0
    wanted = by_hand(console, tokenizer, vector, PROMPT, "first", made)
    assert lines == [wanted]
    assert wanted != by_hand(console, tokenizer, replace(vector, bos=None), PROMPT, "first", not made)


@pytest.mark.parametrize("positions", ["first", "middle", "last", "front", "back", None])
def test_rows_go_where_they_are_asked_for(console: Any, tmp_path: Path, positions: str | None) -> None:
    vector = tiny.vector("input.1", rows=2)
    options = ["--positions", positions] if positions else []
    _, lines, _ = console(tiny.tokenizer(), vector, tmp_path / "v.safetensors", *options, PROMPT)
    assert lines == [by_hand(console, tiny.tokenizer(), vector, PROMPT, positions or "first", None)]


@pytest.mark.parametrize("positions", ["first", "middle", "last", "all", "prompt", "generated", None])
def test_so_does_a_part_for_one_position(console: Any, tmp_path: Path, positions: str | None) -> None:
    vector = tiny.vector("input.1")
    options = ["--positions", positions] if positions else []
    _, lines, _ = console(tiny.tokenizer(), vector, tmp_path / "v.safetensors", *options, PROMPT)
    assert lines == [by_hand(console, tiny.tokenizer(), vector, PROMPT, positions or "last", None)]


@pytest.mark.parametrize("positions", ["all", "prompt", "generated"])
@pytest.mark.parametrize("sites", [("input.1",), ("output.0", "input.1")])
def test_positions_that_rows_cannot_take_are_refused_before_the_model_is_loaded(
    console: Any, tmp_path: Path, positions: str, sites: tuple[str, ...]
) -> None:
    parts = {site: torch.ones(tiny.WIDTH) for site in sites} | {"input.1": torch.ones(2, tiny.WIDTH)}
    vector, options = geo.SteeringVector(parts), ["--positions", positions]
    status, _, error = console(tiny.tokenizer(), vector, tmp_path / "v.safetensors", *options, PROMPT)
    assert not console.loaded
    assert status == 2
    assert error.count("\n") == 1
    assert f"cannot be added at '{positions}' positions" in error


def test_what_was_done_to_the_prompts_is_said(console: Any, tmp_path: Path) -> None:
    tokenizer, vector = with_bos(template="<s> $A </s>"), tiny.vector("input.1")
    _, _, error = console(tokenizer, vector, tmp_path / "v.safetensors", f"<s> {PROMPT}")
    assert error.splitlines() == [
        "note: the tokenizer's <s> is left out before a text, as it stands there already",
        "note: the tokenizer's </s> is left out after a text, which is to go on",
    ]
    _, _, error = console(with_bos(), vector, tmp_path / "v.safetensors", PROMPT)
    assert error == ""


def test_a_beginning_that_the_tokenizer_lacks_is_one_line(console: Any, tmp_path: Path) -> None:
    vector = geo.SteeringVector({"input.1": torch.ones(2, tiny.WIDTH)}, bos=True)
    status, _, error = console(with_bos(adds=False, known=False), vector, tmp_path / "v.safetensors", PROMPT)
    assert status == 2
    assert error.startswith("error: this tokenizer has no beginning-of-text token")
    assert error.count("\n") == 1
