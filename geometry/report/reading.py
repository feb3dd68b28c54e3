"""What the studies of a model left in its folder, read without trust: any file may be missing, damaged or foreign."""

import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from geometry.errors import OutputError, shown
from geometry.experiments.result import SCHEMA, TableSpec
from geometry.output import LARGEST, RESULTS, file_sha256, listed, open_regular, read_bounded, settle

_MOST_FIGURES = 200
_MOST_BYTES = 100_000_000  # of a file that is looked into
_MOST_PIXELS = 40_000_000  # our own have less than 10 million


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
        figures: those that results.json names, in its order; no other picture in the folder belongs to the study.
        pages: (HTML file, its title).
        arrays: its .npz files.
        changed: names of its files that are not as they were written.
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
    changed: tuple[str, ...] = ()
    problem: str = ""


def read_studies(folder: Path) -> list[StudyFolder]:
    """The studies in the subfolders of `folder` that hold results.json, by name; OSError if it cannot.

    What a killed run has half published is finished first.

    Raises OutputError: results of an earlier layout alone, a results.json that is no file, or another run's at work.
    """
    inside = study_folders(folder)
    for path in inside:
        settle(path)
    found = [path for path in inside if os.path.lexists(path / RESULTS)]
    if odd := next((path / RESULTS for path in found if not (path / RESULTS).is_file()), None):
        raise OutputError(f"{odd}: no ordinary file, but a folder, pipe, device or broken link; remove it")
    studies = [_read(path) for path in found]
    if studies and all(study.problem == _OLD for study in studies):
        raise OutputError(f"{folder}: {', '.join(study.name for study in studies)}: {_OLD}")
    return studies


def study_folders(folder: Path) -> list[Path]:
    """The subfolders in which a study may lie, by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


_OLD = "written by an earlier version; run `concept-geometry figures` anew and remove the old folders"


def _read(folder: Path) -> StudyFolder:
    bare = StudyFolder(folder.name, folder)
    path = folder / RESULTS
    try:
        content = json.loads(read_bounded(path, LARGEST))
        if not isinstance(content, dict):
            raise TypeError("it holds no object")
        if content.get("schema") != SCHEMA:
            old = "schema" not in content and "results" in content
            raise ValueError(_OLD if old else f"its schema is {shown(content.get('schema'))}, not {SCHEMA}")
        if len(named := _list(content.get("figures"))) > _MOST_FIGURES:
            raise ValueError(f"it names {len(named)} figures, of which at most {_MOST_FIGURES} are shown")
        pages = [(folder / _name(entry), _text(entry.get("title"))) for entry in _list(content.get("pages"))]
        files = listed(content)
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
                for entry in named
            ),
            pages=tuple(page for page in pages if page[0].is_file()),
            arrays=tuple(
                folder / name for name in sorted(files) if name.endswith(".npz") and (folder / name).is_file()
            ),
            changed=tuple(_changed(folder, _mapping(content.get("files")))),
        )
    except FileNotFoundError:
        problem = "results.json was not found"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, MemoryError) as error:
        says = str(getattr(error, "strerror", None) or error)[:200]
        problem = _OLD if str(error) == _OLD else f"results.json is not readable: {says}"
    return replace(bare, problem=problem)


def _changed(folder: Path, files: Mapping[str, object]) -> Iterator[str]:
    """Names of the listed files that hold something else; those that are missing or unreadable are told elsewhere."""
    for name, sha256 in files.items():
        with suppress(OSError, ValueError):
            path = folder / name
            if path.name == name and path.stat().st_size <= _MOST_BYTES and file_sha256(path) != sha256:
                yield name


def _figure(png: Path, title: str = "", caption: str = "") -> FigureFile:
    svg = png.with_suffix(".svg")
    try:
        with open_regular(png) as file, _opened(file) as image:
            if (size := os.fstat(file.fileno()).st_size) > _MOST_BYTES:
                raise ValueError(f"{size} bytes, of which at most {_MOST_BYTES} are read")
            # Said in its head, before a small file is unpacked to gigabytes.
            if (pixels := image.width * image.height) > _MOST_PIXELS:
                raise ValueError(f"{pixels} pixels, of which at most {_MOST_PIXELS} are shown")
            image.load()  # the head of a truncated file is whole
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        says = getattr(error, "strerror", None) or error
        return FigureFile(png, None, title, caption, f"{png.name} is not readable: {says}")
    return FigureFile(png, svg if svg.is_file() else None, title, caption)


def _opened(file: BinaryIO) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is refused by a lower bound
        return Image.open(file, formats=("PNG",))


def _name(entry: Mapping[str, Any]) -> str:
    """A plain file name: what stands in a file may not lead out of its folder."""
    name = entry["name"]
    if not isinstance(name, str) or Path(name).name != name or name.startswith("."):
        raise ValueError(f"{shown(name)} is not a plain file name")
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
