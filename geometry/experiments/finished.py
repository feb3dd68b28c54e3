"""Whether a study's results lie in a folder already, whole and of the same numbers."""

import json
from pathlib import Path
from typing import Any

from geometry.errors import GeometryError
from geometry.experiments.result import SCHEMA
from geometry.experiments.study import ModelStudy
from geometry.models import Unembedding
from geometry.output import LARGEST, RESULTS, file_sha256, read_bounded, settle
from geometry.version import __version__


def finished(study: ModelStudy[Any], folder: Path) -> bool:
    """Whether the folder holds what running a study of an unembedding would write there again.

    The same command, version and weights, and every file as it was written. The unembedding is read to know it, as a
    folder or a branch of that name may hold another by now. GeometryError: what reading the model raises.
    """
    try:
        settle(folder)
        content = json.loads(read_bounded(folder / RESULTS, LARGEST))
        same = {"schema": SCHEMA, "version": __version__, "analysis": study.name, "command": study.command}
        if any(content.get(key) != value for key, value in same.items()):
            return False
        if any(file_sha256(folder / name) != known for name, known in content["files"].items()):
            return False
        known = content["model"]["sha256"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, GeometryError):
        return False
    return bool(Unembedding.load(study.model).sha256 == known)
