import pytest

import geometry as geo
from geometry.cli import main


def test_models_lists_names_sizes_and_licences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["smollm2-135m", "gemma3-270m"]
    assert "Apache-2.0" in lines[0]
    assert "present" in lines[0]
    assert "Gemma Terms" in lines[1]


def test_fetch_finds_what_is_there(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert main(["fetch", "smollm2-135m"]) == 0
    assert "already in" in capsys.readouterr().out
    assert main(["fetch", str(tmp_path)]) == 0
    assert f"found at {tmp_path}" in capsys.readouterr().out


def test_bad_input_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "./nothing.gguf"]) == 2
    error = capsys.readouterr().err
    assert error == "error: './nothing.gguf': no such file or folder\n"


def test_unknown_commands_and_messages_of_several_lines_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["nonsense"])
    assert capsys.readouterr().err.count("\n") == 1
    assert str(geo.GeometryError("one\n  two")) == "one two"
