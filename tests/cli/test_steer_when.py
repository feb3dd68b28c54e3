"""`concept-geometry steer --when`: prompts that the condition does not hold for are completed as unsteered."""

from pathlib import Path
from typing import Any

import pytest

import geometry as geo
from geometry.cli import main
from tests.steering import tiny

POSITIVES = [tiny.text(tiny.tokens(6, seed=seed)) for seed in range(4)]
NEGATIVES = [tiny.text(tiny.tokens(6, seed=seed)) for seed in range(4, 8)]


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Runs `steer` on a tiny model: status, lines of steered text, and the error output."""
    model, loaded = tiny.build("llama"), []
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("positive,negative\n" + "".join(map("{},{}\n".format, POSITIVES, NEGATIVES)))

    def run(*options: str, site: str = "output.1") -> tuple[int, list[str], str]:
        monkeypatch.setattr("geometry.cli.steer.require_language_model", lambda _: None)
        monkeypatch.setattr(
            "geometry.cli.steer.load_model", lambda _, **__: loaded.append(1) or (model, tiny.tokenizer())
        )
        path = tmp_path / "v.safetensors"
        geo.save_vector(tiny.vector(site), path)
        status = main(["steer", "--vector", str(path), "--tokens", "6", "--positions", "all", *options])
        out, err = capsys.readouterr()
        return status, [line.split(maxsplit=1)[1] for line in out.splitlines() if line.startswith("  ")], err

    run.model, run.loaded, run.pairs = model, loaded, str(pairs)  # type: ignore[attr-defined]
    return run


def test_texts_of_a_file_decide_for_each_prompt(console: Any) -> None:
    condition = geo.steering.Condition.between(console.model, tiny.tokenizer(), POSITIVES, NEGATIVES, "output.1")
    prompts = POSITIVES + NEGATIVES
    holds = condition.prompt_scores(console.model, tiny.tokenizer(), prompts) > condition.threshold
    assert 0 < holds.sum() < len(holds)
    status, lines, error = console("--when", console.pairs, *prompts)
    _, everywhere, _ = console(*prompts)
    assert status == 0
    for index, held in enumerate(holds):
        unsteered, steered = lines[2 * index : 2 * index + 2]
        assert steered == (everywhere[2 * index + 1] if held else unsteered)
    assert f"held for {holds.sum()} of 8 prompts\n" in error


def test_a_condition_that_never_held_is_said_in_a_line(console: Any) -> None:
    condition = geo.steering.Condition.between(console.model, tiny.tokenizer(), POSITIVES, NEGATIVES, "output.0")
    scores = condition.prompt_scores(console.model, tiny.tokenizer(), NEGATIVES)
    status, lines, error = console("--when", console.pairs, "--when-site", "output.0", NEGATIVES[scores.argmin()])
    assert status == 0
    assert lines[0] == lines[1]
    assert "read at output.0: held for 0 of 1 prompts, so the vector did nothing\n" in error
    assert "Warning" not in error
    assert "--coefficient" not in error


@pytest.mark.parametrize(
    ("options", "said", "loaded"),
    [
        (["--when-site", "output.0", "w2 w3"], "there is no --when", False),
        (["--when", "nowhere.csv", "w2 w3"], "nowhere.csv", False),
        (["--when", "PAIRS", "--save", "other.safetensors"], "give a prompt to complete", False),
        (["--when", "PAIRS", "--when-site", "after_norm", "w2 w3"], "after the vector acts at output.1", True),
    ],
)
def test_what_cannot_be_a_condition_is_refused(
    console: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str, loaded: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, error = console(*[console.pairs if option == "PAIRS" else option for option in options])
    assert status == 2
    assert said in error
    assert error.count("\n") == 1
    assert bool(console.loaded) == loaded


@pytest.mark.long
def test_a_concept_decides_for_each_token(capsys: pytest.CaptureFixture[str]) -> None:
    prompts = ["In the nest we found a", "The committee approved the"]
    given = ["--add", "bird.n.01", "--coefficient", "4", "--tokens", "4", "--positions", "all", "--when"]
    assert main(["steer", *given, "bird.n.01", *prompts]) == 0
    error = capsys.readouterr().err
    assert "bird.n.01, read at after_norm: held for" in error or "below it, read at after_norm: held for" in error
    assert main(["steer", *given, "gryphon.n.01", *prompts]) == 2
    assert "gryphon.n.01" in capsys.readouterr().err
