from pathlib import Path
from typing import Any

import pytest

import geometry as geo
from geometry.cli import main


def test_models_lists_names_sizes_and_licences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    *models, others = lines
    assert [line.split()[0] for line in models] == [
        "smollm2-135m", "gemma3-270m", "tinyllama-1.1b", "stories15m", "glove-6b-100d",
    ]  # fmt: skip
    assert "Apache-2.0" in lines[0]
    assert "present" in lines[0]
    assert "Gemma Terms" in lines[1]
    assert [line.endswith("(through npm)") for line in models] == [False, False, True, True, True]
    assert "openai-community/gpt2" in others


def test_fetch_finds_what_is_there(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert main(["fetch", "smollm2-135m"]) == 0
    assert "already in" in capsys.readouterr().out
    assert main(["fetch", str(tmp_path)]) == 0
    assert f"found at {tmp_path}" in capsys.readouterr().out
    assert main(["fetch", "smollm2-135m", str(tmp_path)]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["smollm2-135m", str(tmp_path)]


def test_bad_input_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "./nothing.gguf"]) == 2
    error = capsys.readouterr().err
    assert error == "error: './nothing.gguf': no such file or folder\n"


def test_unknown_commands_and_messages_of_several_lines_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["nonsense"])
    assert capsys.readouterr().err.count("\n") == 1
    assert str(geo.GeometryError("one\n  two")) == "one two"


def test_steer_shows_completions_without_and_with_the_vector(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, smollm2_model: Any
) -> None:
    monkeypatch.setattr("geometry.cli.steer.load_model", lambda _: smollm2_model)
    kept = tmp_path / "bird.gguf"
    prompt = "In the garden I saw a"
    options = ["--add", "animal", "--add", "bird:animal", "--coefficient", "1.5", "--hierarchy", "organisms"]
    assert main(["steer", *options, "--tokens", "8", prompt]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1.5 × animal + 1.5 × (bird − animal), at after_norm of 30 blocks"
    unsteered, steered = (line.split(maxsplit=1)[1] for line in lines[-2:])
    assert unsteered != steered
    assert "bird" in steered
    place = ["--site", "output.27", "--strength", "1", "--save", str(kept)]
    assert main(["steer", *options, *place]) == 0
    assert "saved" in capsys.readouterr().out
    assert geo.load_vector(kept).sites == (geo.Site("output", 27),)
    assert main(["steer", "--vector", str(kept), "--positions", "all", "--tokens", "4", prompt]) == 0
    assert "output.27 of 30 blocks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to add"),
        (["--add", "bird.n.01"], "give a prompt"),
        (["--add", "bird.n.01", " "], "empty prompt"),
        (["--add", "brid.n.01", "x"], "did you mean bird.n.01"),
        (["--add", "bird.n.01:plant.n.02", "x"], "no ancestor"),
        (["--add", "bird.n.01", "--site", "output.2", "x"], "add --strength"),
        (["--add", "bird.n.01", "--coefficient", "1", "--coefficient", "2", "x"], "not 2"),
        (["--add", "bird.n.01", "--save", "v.gguf"], "acts on the outputs of blocks"),
        (["--vector", "nothing.gguf", "x"], "nothing.gguf"),
        (["--vector", "v.gguf", "--coefficient", "2", "x"], "a file holds its own"),
    ],
)
def test_bad_steering_is_one_line_before_the_model_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr("geometry.cli.steer.load_model", lambda *_: pytest.fail("the model was loaded"))
    assert main(["steer", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
