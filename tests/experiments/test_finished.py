"""Runs that are there already are not repeated, and those that are not whole, or would be others, are."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from geometry.cli import main
from geometry.experiments.claims.result import ClaimsResult
from geometry.report import collect
from tests.experiments.scripts import nonsense


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """A command that has been run, with a control that was not to be had, and its folder."""
    folder = tmp_path_factory.mktemp("ran")
    torch.manual_seed(1)
    model, words = nonsense(folder, words=80)
    options = ["--n-permutations", "3", "--n-twins", "2", "--control", str(folder / "control.npz")]
    command = ["run", "claims", str(model), "--hierarchies", str(words), *options, "--out", str(folder / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClaimsResult, "figures", lambda _: [])  # most of the time would go into them
        assert main(command) == 0
    return command, folder


@pytest.fixture
def repeats(ran: tuple[list[str], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Whether the command with further options runs again."""
    done: list[Path] = []
    monkeypatch.setattr("geometry.cli.run._into_folder", lambda _, out, **__: done.append(out))

    def again(*options: str) -> bool:
        done.clear()
        assert main([*ran[0], *options]) == 0
        return bool(done)

    return again


def test_what_is_there_is_not_repeated(
    ran: tuple[list[str], Path], repeats: Callable[..., bool], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not repeats()
    assert "already" in capsys.readouterr().out
    assert collect(ran[1]).runs == ("out",)


@pytest.mark.parametrize("change", [["--seed", "1"], ["--n-permutations", "4"]], ids=lambda change: change[0])
def test_other_settings_are_another_run(change: list[str], repeats: Callable[..., bool]) -> None:
    assert repeats(*change)


def test_results_of_another_version_are_not_these(
    repeats: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geometry.experiments.finished.__version__", "0.0.0")
    assert repeats()


def test_a_file_that_is_cut_short_is_made_again(ran: tuple[list[str], Path], repeats: Callable[..., bool]) -> None:
    arrays = ran[1] / "out" / "results.npz"
    kept = arrays.read_bytes()
    arrays.write_bytes(kept[:-1])
    try:
        assert repeats()
    finally:
        arrays.write_bytes(kept)


def test_another_checkpoint_under_the_same_name_is_run(
    ran: tuple[list[str], Path], repeats: Callable[..., bool]
) -> None:
    file = ran[1] / "model" / "model.safetensors"
    kept = file.read_bytes()
    file.write_bytes(kept[:-4] + b"\0\0\0\0")
    try:
        assert repeats()
    finally:
        file.write_bytes(kept)


def test_concepts_that_were_changed_since_are_run(ran: tuple[list[str], Path], repeats: Callable[..., bool]) -> None:
    words = ran[1] / "own.yaml"
    kept = words.stat()
    words.touch()
    try:
        assert repeats()
    finally:
        os.utime(words, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def test_a_control_that_has_been_fetched_since_is_taken(
    ran: tuple[list[str], Path], repeats: Callable[..., bool]
) -> None:
    control = ran[1] / "control.npz"
    control.touch()
    os.utime(control, (0, 0))  # a copy may keep its time
    try:
        assert repeats()
    finally:
        control.unlink()
