"""The report where files are not what they are called: pipes, devices, loops, and small files of enormous pictures."""

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geometry.cli import main
from geometry.output import LARGEST
from geometry.report import reading, report_page
from tests.report.test_report import Read, put

KINDS: dict[str, Callable[[Path], Any]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/tty"),
    "loop": lambda path: path.symlink_to(path),
    "nowhere": lambda path: path.symlink_to("nowhere"),
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("kind", KINDS)
def test_results_that_are_no_file_are_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    put(tmp_path, "claims", "overview")
    (tmp_path / "maps").mkdir()
    KINDS[kind](tmp_path / "maps" / "results.json")
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "maps/results.json: no ordinary file, but a folder, pipe, device or broken link; remove it" in error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["overview.png", "overview.svg", "generations.html", "results.npz"])
def test_a_figure_or_page_that_is_no_file_is_named_or_left_out(tmp_path: Path, kind: str, name: str) -> None:
    put(tmp_path, "claims", "overview")
    (tmp_path / "claims" / name).unlink(missing_ok=True)
    KINDS[kind](tmp_path / "claims" / name)
    page = Read(report_page(tmp_path))
    assert ("overview.png is not readable" in page.said) == (name == "overview.png")
    assert f"claims/{name}" not in page.addresses


def test_a_page_replaces_what_stands_in_its_place_or_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "claims", "overview")
    os.mkfifo(tmp_path / "index.html")
    assert main(["report", str(tmp_path)]) == 0
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html").mkdir()
    assert main(["report", str(tmp_path)]) == 2
    assert not list(tmp_path.glob(".*"))


def enormous(width: int, height: int) -> bytes:
    """A picture in one colour, small as a file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("shape", [(13_000, 13_000), (40_000_001, 1), (1, 50_000_000)])
def test_a_picture_is_refused_by_its_size_before_it_is_unpacked(tmp_path: Path, shape: tuple[int, int]) -> None:
    put(tmp_path, "claims", "overview", "existence")
    (tmp_path / "claims" / "overview.png").write_bytes(enormous(*shape))
    said = Read(report_page(tmp_path)).said
    assert f"overview.png is not readable: {shape[0] * shape[1]} pixels, of which at most 40000000 are shown" in said
    assert "Figure 1, existence." in said


def test_files_that_go_on_for_long_are_not_read(tmp_path: Path) -> None:
    put(tmp_path, "claims", "overview", "existence")
    for name in ("overview.png", "existence.svg"):
        os.truncate(tmp_path / "claims" / name, 10**13)
    said = Read(report_page(tmp_path)).said
    assert "overview.png is not readable: 10000000000000 bytes, of which at most 100000000 are read" in said
    assert "Figure 1, existence." in said


def test_results_have_bounds(tmp_path: Path) -> None:
    put(tmp_path, "claims", "overview")
    path = tmp_path / "claims" / "results.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["figures"] *= reading._MOST_FIGURES + 1
    path.write_text(json.dumps(content))
    assert "names 201 figures, of which at most 200 are shown" in Read(report_page(tmp_path)).said
    os.truncate(path, LARGEST + 1)
    said = Read(report_page(tmp_path)).said
    assert f"results.json is not readable: {LARGEST + 1} bytes, of which at most {LARGEST} are read" in said
    content["schema"] = ["x" * 100_000] * 10
    path.write_text(json.dumps(content))
    assert len(report_page(tmp_path)) < 100_000
