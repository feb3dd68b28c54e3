"""What the studies of a model left in its folder, read without trust: any file may be missing, damaged or foreign."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from geometry.errors import OutputError
from geometry.experiments.result import SCHEMA, TableSpec


@dataclass(frozen=True)
class FigureFile:
    """A figure on disk: its files, what results.json says of it, and why the PNG cannot be read, if it cannot."""

    png: Path
    svg: Path | None = None
    title: str = ""
    caption: str = ""
    problem: str = ""


@dataclass(frozen=True)
class StudyFolder:
    """The folder of one study.

    Attributes:
        question, command, summary, model, settings, tables: as results.json has them; empty if it cannot be read.
        seconds, written: how long it ran, and when results.json was written, or None.
        figures: those that results.json names, in its order; of an unreadable one all PNG files there are.
        pages: (HTML file, its title).
        problem: why results.json cannot be read; empty if it can.
    """

    name: str
    folder: Path
    question: str = ""
    command: str = ""
    summary: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    tables: tuple[TableSpec, ...] = ()
    seconds: float | None = None
    written: datetime | None = None
    figures: tuple[FigureFile, ...] = ()
    pages: tuple[tuple[Path, str], ...] = ()
    arrays: tuple[Path, ...] = ()
    problem: str = ""


def read_studies(folder: Path) -> list[StudyFolder]:
    """The studies in the subfolders of `folder` that hold results.json or a figure, by name; OSError if it cannot.

    Raises OutputError: results of an earlier layout alone.
    """
    if not folder.is_dir():
        return []
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    studies = [_read(path) for path in inside if (path / "results.json").exists() or _files(path, ".png")]
    if studies and all(study.problem == _OLD for study in studies):
        raise OutputError(f"{folder}: {', '.join(study.name for study in studies)}: {_OLD}")
    return studies


_OLD = "written by an earlier version; run `concept-geometry figures` anew and remove the old folders"


def _read(folder: Path) -> StudyFolder:
    bare = StudyFolder(folder.name, folder, arrays=tuple(_files(folder, ".npz")))
    path = folder / "results.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("it holds no object")
        if content.get("schema") != SCHEMA:
            old = "schema" not in content and "results" in content
            raise ValueError(_OLD if old else f"its schema is {content.get('schema')!r}, not {SCHEMA}")
        pages = [(folder / _name(entry), _text(entry.get("title"))) for entry in _list(content.get("pages"))]
        return replace(
            bare,
            question=_text(content.get("question")),
            command=_text(content.get("command")),
            summary=tuple(_text(line) for line in _list(content.get("summary"))),
            model=_mapping(content.get("model")),
            settings=_mapping(content.get("settings")),
            tables=tuple(map(_table, _list(content.get("tables")))),
            seconds=_number(content.get("seconds")),
            written=datetime.fromtimestamp(path.stat().st_mtime, UTC),
            figures=tuple(
                _figure(folder / f"{_name(entry)}.png", _text(entry.get("title")), _text(entry.get("caption")))
                for entry in _list(content.get("figures"))
            ),
            pages=tuple(page for page in pages if page[0].is_file()),
        )
    except FileNotFoundError:
        problem = "results.json was not found"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problem = _OLD if str(error) == _OLD else f"results.json is not readable: {error}"
    pictures = [] if problem == _OLD else _files(folder, ".png")
    return replace(bare, figures=tuple(map(_figure, pictures)), problem=problem)


def _figure(png: Path, title: str = "", caption: str = "") -> FigureFile:
    svg = png.with_suffix(".svg")
    try:
        with Image.open(png, formats=("PNG",)) as image:
            image.load()  # the head of a truncated file is whole
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return FigureFile(png, None, title, caption, f"{png.name} is not readable: {error}")
    return FigureFile(png, svg if svg.is_file() else None, title, caption)


def _name(entry: Mapping[str, Any]) -> str:
    """A plain file name: what stands in a file may not lead out of its folder."""
    name = entry["name"]
    if not isinstance(name, str) or Path(name).name != name or name.startswith("."):
        raise ValueError(f"{name!r} is not a plain file name")
    return name


def _table(entry: Mapping[str, Any]) -> TableSpec:
    head, rows = [_text(cell) for cell in entry["head"]], [[_text(cell) for cell in row] for row in entry["rows"]]
    if any(len(row) != len(head) for row in rows):
        raise ValueError("a table's row is not as long as its head")
    return TableSpec(_text(entry.get("title")), head, rows, _text(entry.get("caption")))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if good and math.isfinite(value) else None  # type: ignore[arg-type]


def _files(folder: Path, ending: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{ending}") if path.is_file() and not path.name.startswith("."))
