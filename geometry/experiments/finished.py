"""Whether a study's results lie in a folder already, whole and of the same numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geometry.errors import GeometryError
from geometry.experiments.result import SCHEMA
from geometry.experiments.session import Session
from geometry.experiments.study import ModelStudy
from geometry.models import display_name, locate
from geometry.output import LARGEST, RESULTS, file_sha256, read_bounded, settle
from geometry.version import __version__

_ROUNDED = 0.1  # seconds in results are whole tenths


def finished(study: ModelStudy[Any], folder: Path, session: Session) -> bool:
    """Whether the folder holds what running a study of an unembedding would write there again.

    The same command, version and weights, every file as it was written, no file of concepts that was changed since,
    and no control that was not to be had. The unembedding is read to know it, as a folder or a branch of that name may
    hold another by now; `session` keeps it for a run. GeometryError: what reading the model raises.
    """
    try:
        settle(folder)
        content = json.loads(read_bounded(folder / RESULTS, LARGEST))
        same = {"schema": SCHEMA, "version": __version__, "analysis": study.name, "command": study.command}
        if any(content.get(key) != value for key, value in same.items()):
            return False
        if any(file_sha256(folder / name) != known for name, known in content["files"].items()):
            return False
        started = (folder / RESULTS).stat().st_mtime - content["seconds"] + _ROUNDED
        if any(path.stat().st_mtime > started for path in _files(study)) or _has_control_now(study, content):
            return False
        known = content["model"]["sha256"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, GeometryError):
        return False
    return bool(session.unembedding(study.model, study.placement).sha256 == known)


def _files(study: ModelStudy[Any]) -> list[Path]:
    """Those that options name: the command says what they are called, not what is in them."""
    given = [each for value in study.settings.values() for each in (value if isinstance(value, tuple) else (value,))]
    return [path for path in (Path(each).expanduser() for each in given if isinstance(each, str)) if path.is_file()]


def _has_control_now(study: ModelStudy[Any], content: Mapping[str, Any]) -> bool:
    """Whether the run did without a control that has been fetched since."""
    control = str(study.settings.get("control"))
    if "control" not in content["results"].get("skipped", {}) or display_name(study.model) == display_name(control):
        return False
    try:
        return locate(control).exists()
    except GeometryError:
        return False
