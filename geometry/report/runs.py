"""The claims that runs left below a folder, read without trust."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from geometry.errors import OutputError, shown
from geometry.experiments.result import SCHEMA
from geometry.output import LARGEST, RESULTS, read_bounded, settle
from geometry.output.publishing import STAGING
from geometry.results.result import LEVEL

_DEEPEST = 16  # folders; a run may be called by the whole path of its model
STUDY = "claims"
COLUMNS = (
    "run", "model", "family", "commit", "width", "hierarchy", "claim", "value", "low", "high", "permuted",
    "exact_twin", "standing", "power", "p_value", "verdict", "n_permutations", "seed", "version", "sha256",
)  # fmt: skip


def runs_below(top: Path) -> list[Path]:
    """Folders of results, or in which a run is not at its end, in natural order: step2 before step10."""
    return sorted(_walk(top), key=lambda path: _natural(str(path.relative_to(top))))


def read_run(path: Path, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A mapping a claim with the keys `COLUMNS`, of another study none, and the settings, the version among them.

    What a killed run has half published is finished first. OutputError: it cannot be read, in words for a reader.
    """
    try:
        settle(path)
        if not (path / RESULTS).exists():
            raise OutputError("a run is not at its end there, or was killed; run it again")
        content = json.loads(read_bounded(path / RESULTS, LARGEST))
        if not isinstance(content, dict) or "analysis" not in content:
            raise OutputError("its results.json is of another program, or damaged")
        if content["analysis"] != STUDY:
            return [], {}
        if content.get("schema") != SCHEMA:
            raise OutputError(f"results of another version: schema {shown(content.get('schema'))}, not {SCHEMA}")
        run = {"run": name, "version": str(content.get("version", "unknown")), **_model(content["model"])}
        settings = {**content["settings"], "version": run["version"]}
        run |= {key: settings.get(key) for key in ("n_permutations", "seed")}
        return [run | _claim(claim) for claim in content["results"]["claims"]], settings
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputError(f"{type(error).__name__}: {error}") from error


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    named = {key: model.get(key, "") for key in ("family", "commit")}
    return {"model": str(model["name"]), **named, "width": model.get("width"), "sha256": str(model["sha256"])}


def _claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    low, high = claim.get("interval") or (None, None)
    numbers = {"value": claim["value"], "low": low, "high": high, "standing": claim.get("standing")}
    numbers |= {"permuted": claim["nulls"].get("permuted"), "exact_twin": claim.get("twin", {}).get("exact")}
    numbers |= {"p_value": claim.get("p_value"), "power": _power(claim)}
    known = {name: math.nan if value is None else float(value) for name, value in numbers.items()}
    return known | {key: str(claim[key]) for key in ("hierarchy", "claim", "verdict")}


def _power(claim: Mapping[str, Any]) -> float | None:
    """The share of exact twins that would be significant; None where so few permutations find nothing at all."""
    power, floor = claim.get("power"), claim.get("p_floor")
    return power["exact"] / power["of"] if power and floor is not None and floor <= LEVEL else None


def _walk(top: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(top):
        depth = len(Path(place).relative_to(top).parts)
        if RESULTS in files or STAGING in folders:
            yield Path(place)
        folders[:] = [] if depth >= _DEEPEST else [name for name in folders if not name.startswith(".")]


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Numbers within a name by their size, letters whether large or small."""
    return [
        (0, int(part)) if part.isdecimal() else (1, part.casefold()) for part in re.findall(r"\d{1,18}|\D+|\d+", text)
    ]
