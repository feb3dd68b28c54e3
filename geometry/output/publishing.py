"""Staged results become a folder's, all of them at once: results.json lists them, and what it listed before goes.

A folder of finished results is first renamed to `.publishing` in the folder where they are to be. That decides: before
it nothing has happened, after it whoever comes next (`settle`) moves what is left, should the run have been killed.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from geometry.errors import OutputError
from geometry.output.checked import file_sha256, read_bounded
from geometry.output.locks import Busy, locked, remove

RESULTS = "results.json"
LARGEST = 32_000_000  # bytes of results.json; those of a study have less than one million
STAGING = ".unfinished"
_DECIDED = ".publishing"
_PATIENCE = 10.0


def publish(staged: Path, folder: Path) -> None:
    """Move what is in `staged`, a folder within the locked `folder`, up, and remove what earlier results listed.

    With results.json go its "files": the sha256 of every other file by name.

    OutputError: a folder stands where a file should go. OSError: the files cannot be moved.
    """
    names = sorted(path.name for path in staged.iterdir())
    _refuse_folders(names, folder)  # before anything has happened
    if RESULTS in names:
        content = json.loads((staged / RESULTS).read_text(encoding="utf-8"))
        content["files"] = {name: file_sha256(staged / name) for name in names if name != RESULTS}
        write_json(staged / RESULTS, content)
    staged.rename(folder / _DECIDED)
    _finish(folder)


def settle(folder: Path) -> None:
    """Finish what a killed run had begun to publish in `folder`; for those who read it.

    OutputError: another run is at it for long, or the files cannot be moved.
    """
    try:
        if (folder / _DECIDED).is_dir():
            with locked(folder, _PATIENCE):
                _finish(folder)
    except Busy as error:
        raise OutputError(f"{folder}: another run is writing there; try again when it is done") from error
    except OSError as error:
        says = "results that a killed run left half in place cannot be finished"
        raise OutputError(f"{folder}: {says}: {error}; run the study again") from error


def sweep_unfinished(folder: Path) -> None:
    """Finish or remove what killed runs left in a locked folder, under an earlier version's names too."""
    _finish(folder)
    for path in [*folder.glob(STAGING), *folder.glob(f"{STAGING}-????????")]:
        remove(path)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """UTF-8, indented; what is not a number must be null already."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def listed(content: object) -> set[str]:
    """The files that results list, results.json among them, by "files"; of an earlier version its figures and pages."""
    if not isinstance(content, dict):
        return set()
    if isinstance(content.get("files"), dict):
        names = set(content["files"])
    else:
        entries = [(end, entry) for end in (".png", ".svg") for entry in _entries(content, "figures")]
        entries += [("", entry) for entry in _entries(content, "pages")]
        names = {f"{entry.get('name')}{end}" for end, entry in entries} | {"results.npz"}
    return {name for name in names if Path(name).name == name and not name.startswith(".")} | {RESULTS}


def _entries(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = content.get(key)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _finish(folder: Path) -> None:
    decided = folder / _DECIDED
    if not decided.is_dir():
        return
    _refuse_folders([path.name for path in decided.iterdir()], folder)
    # The list goes last: until then it can be asked which files were there and which are to be.
    if (decided / RESULTS).exists():
        for path in decided.iterdir():
            if path.name != RESULTS:
                path.replace(folder / path.name)
        new = _listed_in(decided)
        for path in [folder / name for name in _listed_in(folder) - new if new]:
            if path.is_file() or path.is_symlink():
                path.unlink()
        (decided / RESULTS).replace(folder / RESULTS)
    for path in decided.iterdir():
        path.replace(folder / path.name)
    decided.rmdir()


def _refuse_folders(names: Iterable[str], folder: Path) -> None:
    if blocked := [name for name in names if (folder / name).is_dir()]:
        raise OutputError(f"{folder / blocked[0]}: a folder stands where a result should go; remove it")


def _listed_in(folder: Path) -> set[str]:
    try:
        return listed(json.loads(read_bounded(folder / RESULTS, LARGEST)))
    except (OSError, ValueError, RecursionError):  # none, or one that is damaged or too long
        return set()
