"""`concept-geometry cache`: what is kept, and clearing what can be computed again."""

from pathlib import Path

import pytest

from geometry.cache import LIMIT
from geometry.cli import main
from tests.cache.kept import entry, is_kept, numbers


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two spectra, one set of activations, a fetched model of 2 MB and a tensor of the hub's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(folder))
    for number, kind in ((0, "spectra"), (1, "spectra"), (0, "activations")):
        entry(folder, number, kind).write(numbers(number))
    (folder / "hub" / "lab").mkdir(parents=True)
    (folder / "hub" / "lab" / "tensor").write_bytes(bytes(3 * 10**6))
    (folder / "model.gguf").write_bytes(bytes(2 * 10**6))
    return folder


def test_it_lists_each_kind_with_its_size(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"{cache}: at most 4 GB (CONCEPT_GEOMETRY_CACHE_LIMIT) of what can be computed again"
    assert [tuple(line.split()[:5]) for line in lines] == [
        ("spectra", "2", "files,", "0.0", "MB"),
        ("activations", "1", "file,", "0.0", "MB"),
        ("claims", "0", "files,", "0.0", "MB"),
        ("forecasts", "0", "files,", "0.0", "MB"),
        ("dictionaries", "0", "files,", "0.0", "MB"),
        ("fetched", "1", "file,", "2.0", "MB"),
        ("hub", "1", "file,", "3.0", "MB"),
    ]


@pytest.mark.parametrize(("words", "left"), [(["spectra"], 1), (["activations"], 2), ([], 0), (["spectra"] * 2, 1)])
def test_it_clears_what_is_asked_for_and_nothing_that_was_fetched(
    cache: Path, capsys: pytest.CaptureFixture[str], words: list[str], left: int
) -> None:
    assert main(["cache", "--clear", *words]) == 0
    assert capsys.readouterr().out.startswith(f"removed {3 - left} file")
    kept = [is_kept(cache, 0), is_kept(cache, 1), is_kept(cache, 0, "activations")]
    assert kept == ["spectra" not in words and left > 0] * 2 + ["activations" not in words and left > 0]
    assert (cache / "model.gguf").exists()
    assert (cache / "hub" / "lab" / "tensor").exists()


def test_an_empty_cache_and_a_limit_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv(LIMIT, "0")
    assert main(["cache", "--clear"]) == 0
    removed, head, *lines = capsys.readouterr().out.splitlines()
    assert removed == "removed 0 files, 0.0 MB"
    assert head.endswith(f"nothing is kept of what can be computed again ({LIMIT} is 0)")
    assert len(lines) == 6
    assert not (tmp_path / "none").exists()


def test_bad_input_is_one_line_and_status_2(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cache", "--clear", "hub"])
    assert "invalid choice: 'hub'" in capsys.readouterr().err
    monkeypatch.setenv(LIMIT, "much")
    assert main(["cache", "--clear"]) == 2
    error = capsys.readouterr().err
    assert error == f"error: {LIMIT} is 'much'; set it to a number of gigabytes, such as 4, or to 0 to keep none\n"
    assert is_kept(cache)
