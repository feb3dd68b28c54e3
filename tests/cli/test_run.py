"""`run`, `figures` and analysis scripts: fields as options, one line for bad input, folders whole or untouched."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

import geometry as geo
from geometry.cli import main, script
from geometry.cli.parser import finite_number, whole_number
from geometry.experiments import STUDIES, StudyResult
from geometry.experiments.result import FigureSpec
from geometry.experiments.study import Step
from tests.experiments.test_study import CountResult, CountStudy, blank


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setitem(STUDIES, "count", CountStudy)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["settings"]


def test_options_come_from_the_fields(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "count", "m", "--times", "3", "--kinds", "u", "v", "--pair", "p", "q", "--loud"]) == 0
    written = settings(counting / "figures" / "m" / "count")
    own = {"times": 3, "kinds": ["u", "v"], "pair": ["p", "q"], "way": "up", "loud": True}
    assert written == {"seed": 0, "device": "cpu", "dtype": "mixed", **own}
    out, err = capsys.readouterr()
    assert "Counted 3." in out
    assert "written in" in out
    assert [line.split("count: ")[1] for line in err.splitlines()] == ["counting", "drawing"]


def test_quick_fills_in_what_was_not_given(counting: Path) -> None:
    assert main(["run", "count", "--quick", "--out", "a"]) == 0
    assert settings(counting / "a")["times"] == 2
    assert main(["run", "count", "--quick", "--times", "4", "--out", "b"]) == 0
    assert settings(counting / "b")["times"] == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"], ["count", "--times", "0"], ["count", "--times", "x"], ["count", "--way", "sideways"],
        ["count", "--pair", "p"], ["count", "--seed", "-1"], ["count", "--times"], ["count", "m", "n"],
        ["count", "--out", ""], ["count", "--out", " "], ["count", "--seed", "2147483648"],
        ["count", "--seed", "18446744073709551616"], ["count", "--seed", "9" * 5000], ["count", "--seed", "٣"],
        ["count", "--seed", "1.5"], ["count", "--seed", "nan"], ["count", "--times", "9" * 5000],
    ],
)  # fmt: skip
def test_bad_options_are_one_line(counting: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", *arguments])
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert len(error) < 500
    assert not list(counting.iterdir())


def test_names_of_a_file_are_shown_and_not_obeyed(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "count", "m\x1b[2J", "--out", "a\x1b[31m"]) == 0
    out, err = capsys.readouterr()
    assert "a\\x1b[31m: written in" in out
    assert "\x1b" not in out + err


def test_running_out_of_memory_is_one_line(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def large(_: CountStudy) -> StudyResult:
        raise MemoryError

    assert script(CountStudy, large, None, ["--out", "there"]) == 2
    assert capsys.readouterr().err.startswith("error: out of memory")
    assert not (counting / "there").exists()


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "x", ""])
def test_numbers_are_finite(text: str) -> None:
    assert finite_number("1e3") == 1000
    with pytest.raises(argparse.ArgumentTypeError, match="not a finite number"):
        finite_number(text)


@pytest.mark.parametrize("text", ["-2", "abc", "1.5", "--1", "-", ""])
def test_whole_numbers_are_not_below_the_least(text: str) -> None:
    assert whole_number(-1)("-1") == -1
    for least in (-1, 0):
        with pytest.raises(argparse.ArgumentTypeError, match=f"is not a whole number of at least {least}"):
            whole_number(least)(text)


def test_an_unwritable_folder_is_refused_before_work(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (counting / "file").write_text("")
    assert main(["run", "count", "--out", "file/below"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def failing(study: CountStudy) -> StudyResult:
    raise geo.errors.ModelError(f"{study.model}: no such\nmodel")


def test_scripts_write_what_their_main_returns(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def body(study: CountStudy) -> CountResult:
        return study.run()

    assert script(CountStudy, body, "How many?", ["m", "--times", "1", "--out", "here"]) == 0
    assert settings(counting / "here")["times"] == 1
    capsys.readouterr()
    assert script(CountStudy, failing, None, ["m", "--out", "there"]) == 2
    assert capsys.readouterr().err == "error: m: no such model\n"
    assert not (counting / "there").exists()


def test_interrupts_leave_nothing(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: CountStudy) -> StudyResult:
        raise KeyboardInterrupt

    assert script(CountStudy, interrupted, None, ["--out", "there"]) == 130
    assert "nothing was left half-written" in capsys.readouterr().err
    assert not (counting / "there").exists()


def test_figures_of_word_vectors_leave_out_what_runs_a_language_model(
    counting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("claims", "steering", "maps", "behaviours", "layers"):
        fields = {"name": name, "whole_model": STUDIES[name].whole_model}
        monkeypatch.setitem(STUDIES, name, type("Own", (CountStudy,), fields))
    assert main(["figures", "glove-6b-100d", "--full"]) == 0
    line = "steering, behaviours and layers left out: word vectors have no language model behind them"
    assert capsys.readouterr().err.splitlines()[0] == line
    assert {path.name for path in (counting / "figures" / "glove-6b-100d").iterdir()} == {
        "claims",
        "maps",
        "index.html",
    }
    assert main(["figures", "mine.vec"]) == 0
    assert capsys.readouterr().err.startswith("steering left out: ")


def test_figures_runs_all_and_one_that_fails_does_not_stop_the_others(
    counting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(CountStudy):
        name = "claims"

        def measure(self, step: Step) -> CountResult:
            step("failing")
            return failing(self)

    for name in ("claims", "steering", "maps"):
        study = Failing if name == "claims" else type("Own", (CountStudy,), {"name": name})
        monkeypatch.setitem(STUDIES, name, study)
    assert main(["figures", "m", "--seed", "3"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1] == "error: claims: m: no such model"
    assert "claims: left out: m: no such model" in error
    for name in ("steering", "maps"):
        assert settings(counting / "figures" / "m" / name)["times"] == 2  # quick
    assert (counting / "figures" / "m" / "index.html").exists()
    assert main(["figures", "m", "--full", "--studies", "maps"]) == 0
    assert settings(counting / "figures" / "m" / "maps")["times"] == 5


def test_a_picture_is_there_as_soon_as_its_numbers_and_is_drawn_once(
    counting: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def draw(**heading: str) -> Any:
        seen.append(False)
        return blank(**heading)

    spec = FigureSpec("counts", "It counts", "Counts.", draw)

    def measure(study: CountStudy, step: Step) -> CountResult:
        step.figure(spec)
        seen.append((counting / "out" / ".unfinished" / "counts.png").is_file())
        return CountResult(study=study, counts=[1])

    monkeypatch.setattr(CountStudy, "measure", measure)
    monkeypatch.setattr(CountResult, "figures", lambda _: [spec])
    assert main(["run", "count", "--out", "out"]) == 0
    assert seen == [False, True]
    assert (counting / "out" / "counts.png").is_file()
    assert f"drawn: {Path('out') / '.unfinished' / 'counts.png'}" in capsys.readouterr().err
