"""What the analyses of a model left in its folder, read without trust: any file may be missing, damaged or foreign."""

import html
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

__all__ = ["Analysis", "FigureFile", "number", "part", "read_analyses"]

_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_HEAD = 1 << 16


@dataclass(frozen=True)
class FigureFile:
    """A figure on disk.

    Attributes
    ----------
    finding, detail : what its PNG says about itself; empty if nothing.
    svg : the same figure as SVG, if it is there.
    problem : why the PNG cannot be read; empty if it can.
    """

    png: Path
    svg: Path | None = None
    finding: str = ""
    detail: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Analysis:
    """The folder of one analysis.

    Attributes
    ----------
    model, settings, results : those of results.json; empty if it cannot be read.
    seconds : how long it ran, or None.
    written : when results.json was, or None.
    pages : (HTML file, its title).
    problem : why results.json cannot be read; empty if it can.
    """

    name: str
    folder: Path
    model: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    written: datetime | None = None
    figures: tuple[FigureFile, ...] = ()
    pages: tuple[tuple[Path, str], ...] = ()
    arrays: tuple[Path, ...] = ()
    problem: str = ""


def read_analyses(folder: Path) -> list[Analysis]:
    """The analyses in the subfolders of `folder` that hold results.json or a figure, by name; OSError if it cannot."""
    if not folder.is_dir():
        return []
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [_read(path) for path in inside if (path / "results.json").exists() or _files(path, ".png")]


def part(content: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The object that lies at these keys one inside the other; empty if there is none."""
    found: Any = content
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def number(value: object) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _read(folder: Path) -> Analysis:
    found = Analysis(
        folder.name,
        folder,
        figures=tuple(_figure(path) for path in _files(folder, ".png")),
        pages=tuple((path, _title(path)) for path in _files(folder, ".html")),
        arrays=tuple(_files(folder, ".npz")),
    )
    path = folder / "results.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        model, settings, results = (content[key] for key in ("model", "settings", "results"))
        if not all(isinstance(some, dict) for some in (model, settings, results)):
            raise TypeError("its model, settings or results are no object")
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return replace(found, problem="results.json was not found")
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        lacks = "it lacks " if isinstance(error, LookupError) else ""
        return replace(found, problem=f"results.json is not readable: {lacks}{error}")
    seconds = number(content.get("seconds"))
    return replace(found, model=model, settings=settings, results=results, seconds=seconds, written=written)


def _files(folder: Path, ending: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{ending}") if path.is_file() and not path.name.startswith("."))


def _figure(png: Path) -> FigureFile:
    svg = png.with_suffix(".svg")
    beside = svg if svg.is_file() else None
    try:
        with Image.open(png, formats=("PNG",)) as image:
            image.load()  # the head of a truncated file is whole
            said = [str(image.info.get(key, "")) for key in ("Title", "Description")]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return FigureFile(png, beside, problem=f"{png.name} is not readable: {error}")
    return FigureFile(png, beside, *said)


def _title(page: Path) -> str:
    try:
        with page.open("rb") as file:
            found = _TITLE.search(file.read(_HEAD).decode("utf-8", errors="replace"))
    except OSError:
        return ""
    return " ".join(html.unescape(found[1]).split()) if found else ""
