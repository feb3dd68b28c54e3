"""`--device` and `--dtype`: of every study and command, handed on to what reads, fits and runs, kept in results."""

import argparse
from dataclasses import fields
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.cli import main
from geometry.experiments import STUDIES

NAMES = tuple(STUDIES)
QUICK = ("claims", "behaviours", "calibration")


class ToldError(Exception):
    """Ends a study once what it hands on is known."""


@pytest.mark.parametrize("name", NAMES)
def test_every_study_takes_both_and_says_so(name: str) -> None:
    study = STUDIES[name](dtype="float32")
    assert (study.settings["device"], study.settings["dtype"]) == ("cpu", "float32")
    assert study.command.endswith("--dtype float32")
    assert {"device", "dtype"} <= {field.name for field in fields(study)}
    with pytest.raises(geo.GeometryError, match="device 'cuda:99' cannot be computed on"):
        STUDIES[name](device="cuda:99")


def test_what_auto_was_is_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    study = STUDIES["claims"](device="auto")
    assert study.settings["device"] == "cpu"
    assert "--device" not in study.command


@pytest.mark.parametrize(
    "command",
    [*(f"run {name}" for name in NAMES), "figures", "steer hello --pair a b"],
    ids=lambda text: text.split()[-1],
)
def test_commands_refuse_what_there_is_not_before_they_read(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--device", "cuda:99"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: device 'cuda:99' cannot be computed on")
    assert error.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        main([*command.split(), "--dtype", "int8"])
    assert "argument --dtype: invalid choice: 'int8'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in NAMES]
)
def test_studies_fit_as_they_are_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    def fit(_: Any, **options: Any) -> None:
        told.append(options)
        raise ToldError

    monkeypatch.setattr(geo.CausalSpace, "fit", fit)
    quick: dict[str, dict[str, Any]] = {
        "claims": {"hierarchies": ("organisms",)},
        "comparison": {"models": ("stories15m", "smollm2-135m"), "control": "none"},
    }
    with pytest.raises(ToldError):
        STUDIES[name](dtype="float32", **quick.get(name, {})).run()
    assert told == [{"device": "cpu", "dtype": torch.float32}]


@pytest.mark.parametrize("name", ["behaviours", pytest.param("steering", marks=pytest.mark.long)])
def test_studies_load_the_model_as_they_are_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    def load(_: str, **options: Any) -> None:
        told.append(options)
        raise ToldError

    monkeypatch.setattr("geometry.experiments.session.load_model", load)
    with pytest.raises(ToldError):
        STUDIES[name](dtype="bfloat16").run()
    assert told == [{"device": "cpu", "dtype": torch.bfloat16}]


def test_steer_loads_the_model_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    def load(_: str, **options: Any) -> None:
        told.append(options)
        raise geo.errors.ModelError("told")

    monkeypatch.setattr("geometry.cli.steer.load_model", load)
    assert main(["steer", "hello", "--pair", "a", "b", "--dtype", "float16"]) == 2
    assert told == [{"device": "cpu", "dtype": torch.float16}]


def test_options_of_a_script_that_is_no_study_are_the_same() -> None:
    parser = argparse.ArgumentParser()
    geo.cli.add_placement(parser)
    assert geo.cli.placement_of(parser.parse_args(["--dtype", "float64"])).of_model["dtype"] == torch.float64
    with pytest.raises(geo.GeometryError, match="cuda:99"):
        geo.cli.placement_of(parser.parse_args(["--device", "cuda:99"]))
