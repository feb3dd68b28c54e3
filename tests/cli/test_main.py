import os
import subprocess
import sys
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


def test_fetch_finds_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "smollm2-135m"]) == 0
    assert "already in" in capsys.readouterr().out
    own = str(geo.models.cached_path(geo.models.CATALOGUE["smollm2-135m"]))
    assert main(["fetch", "smollm2-135m", own]) == 0
    known, found = capsys.readouterr().out.splitlines()
    assert known.startswith("smollm2-135m: already in")
    assert found.startswith(f"{own}: found, Unembedding(")


def test_fetch_goes_on_after_one_that_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["fetch", str(tmp_path / "first"), "smollm2-135m", str(tmp_path / "last")]) == 2
    told = capsys.readouterr()
    assert "smollm2-135m" in told.out + told.err
    (line,) = [line for line in told.err.splitlines() if str(tmp_path) in line]
    assert str(tmp_path / "first") in line
    assert str(tmp_path / "last") in line


def test_fetch_finds_no_model_where_there_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("notes", "notes.gguf", "notes.safetensors", "notes.vec"):
        (tmp_path / name).write_text("some text")
        assert main(["fetch", str(tmp_path / name)]) == 2
    assert main(["fetch", str(tmp_path)]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 5
    assert all(line.startswith("error: ") for line in error.splitlines())


def test_a_damaged_file_is_not_present(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    assert main(["models"]) == 0
    assert capsys.readouterr().out.count("not fetched") == 5
    geo.models.cached_path(geo.models.CATALOGUE["smollm2-135m"]).write_bytes(b"GGUF")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines[:2]] == ["damaged", "not"]


def test_bad_input_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "./nothing.gguf"]) == 2
    error = capsys.readouterr().err
    assert error == "error: './nothing.gguf': no such file or folder\n"


def test_unknown_commands_and_messages_of_several_lines_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["nonsense"])
    assert capsys.readouterr().err.count("\n") == 1
    assert str(geo.GeometryError("one\n  two")) == "one two"


@pytest.mark.parametrize("word", ["a\0b", "folder/\0", "text \udcff", "\ud800.gguf"])
@pytest.mark.parametrize("command", [["fetch"], ["report"], ["run", "claims"], ["figures"], ["run", "claims", "--out"]])
def test_what_is_no_text_is_refused_before_anything_else(
    capsys: pytest.CaptureFixture[str], command: list[str], word: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*command, word])
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "is no text" in error
    assert error.count("\n") == 1
    assert error.strip().isprintable()


def test_escapes_of_a_terminal_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = str(tmp_path / "a\x1b[31mred\x07.gguf")
    assert main(["fetch", name]) == 2
    assert "a\\x1b[31mred\\x07.gguf" in capsys.readouterr().err
    Path(name).write_bytes(geo.models.cached_path(geo.models.CATALOGUE["smollm2-135m"]).read_bytes())
    assert main(["fetch", name]) == 0
    assert capsys.readouterr().out.strip().isprintable()


def test_terminals_that_know_few_letters(tmp_path: Path) -> None:
    code = "import sys; from geometry.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LANG": "C", "PYTHONUTF8": "0"}
    for arguments in (["fetch", "é × .gguf"], ["run", "claims", "--help"], ["models"], ["×"]):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="ascii")
        assert "Traceback" not in done.stderr
        assert done.returncode == (2 if "×" in arguments[-1] else 0)
        assert done.stderr.count("\n") == (done.returncode == 2)


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    code = "from geometry.cli.parser import one_line; import sys; sys.exit(one_line(lambda: print('x' * 10**6)))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.skipif(os.name == "nt", reason="a shell that can close streams")
@pytest.mark.parametrize(("closed", "words", "status"), [(">&-", "models", 0), ("<&- >&- 2>&-", "fetch /", 2)])
def test_closed_streams_end_no_command(closed: str, words: str, status: int) -> None:
    done = subprocess.run(  # noqa: S602 (our own words)
        f'"{sys.executable}" -m geometry.cli {words} {closed}', shell=True, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert done.stderr == ""


def test_steer_shows_completions_without_and_with_the_vector(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, smollm2_model: Any
) -> None:
    monkeypatch.setattr("geometry.cli.steer.load_model", lambda _, **__: smollm2_model)
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
        (["--hierarchy", "organisms", "--add", "brid", "x"], "did you mean bird"),
        (["--hierarchy", "organisms", "--add", "bird:plant", "x"], "no ancestor"),
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
    monkeypatch.setattr("geometry.cli.steer.load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    assert main(["steer", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_working_directory_that_is_gone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["models"]) == 2
    assert capsys.readouterr().err == "error: the working directory is gone; change to one that is there\n"
