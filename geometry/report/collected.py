"""One table and one figure from the claims of many runs: models, sizes, or the checkpoints of one model."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geometry.display import html_table, in_short
from geometry.errors import OutputError, shown
from geometry.experiments.result import SCHEMA
from geometry.output import LARGEST, RESULTS, OutputFolder, read_bounded, settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

_DEEPEST = 6  # folders
_MOST_RUNS = 2000
_LIMITS = (-0.25, 1.25)  # of colours
_WRITTEN = 12  # runs at most of which the numbers are written into the cells
STUDY = "claims"
COLUMNS = (
    "run", "model", "family", "commit", "width", "hierarchy", "claim", "value", "low", "high", "permuted",
    "exact_twin", "standing", "p_value", "verdict", "n_permutations", "seed",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Collected:
    """The claims of many runs.

    Attributes:
        rows: a mapping a claim of a run, with the keys `COLUMNS`; runs in natural order, step2 before step10.
        left_out: folder of a run that could not be read → why.
    """

    rows: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, str]

    @property
    def runs(self) -> tuple[str, ...]:
        """Folders of the runs, below the one that was collected."""
        return tuple(dict.fromkeys(row["run"] for row in self.rows))

    def to_frame(self) -> "DataFrame":
        """A row a claim of a run."""
        from pandas import DataFrame

        return DataFrame(list(self.rows), columns=list(COLUMNS))

    def figure(self) -> "Figure":
        """Claims × runs, a panel a hierarchy: where each stands between permuted lemmas (0) and the exact twin (1)."""
        import geometry.plots as plots

        # Of orthogonality the null is the tilted twin, which is another scale.
        drawn = [row for row in self.rows if math.isfinite(row["standing"]) and math.isfinite(row["permuted"])]
        if not drawn:
            raise OutputError("no claim of these runs stands between its null and a theory twin; run them with twins")
        panels = []
        for hierarchy in dict.fromkeys(row["hierarchy"] for row in drawn):
            own = [row for row in drawn if row["hierarchy"] == hierarchy]
            standing = {(row["run"], row["claim"]): row["standing"] for row in own}
            runs, claims = (list(dict.fromkeys(row[key] for row in own)) for key in ("run", "claim"))
            values = [[standing.get((run, claim), math.nan) for run in runs] for claim in claims]
            label = "from permuted lemmas (0) to the exact theory twin (1)"
            look: dict[str, Any] = {"colourbar": label, "limits": _LIMITS}
            if len(runs) <= _WRITTEN:
                look["texts"] = [[_text(value) for value in row] for row in values]
            panels.append(plots.HeatmapPanel(values, claims, runs, hierarchy, **look))
        title = f"Claims of {len(self.runs)} runs, where each stands between its null and its theory twin"
        caption = "Blank: not measured, or without a twin. Claims of orthogonality have no such null: see the table."
        return plots.heatmap(panels, title=title, caption=caption)

    def write(self, folder: str | Path) -> Path:
        """Write collected.csv and collected.png into a folder, all or nothing; returns the folder.

        OutputError: the folder cannot be written.
        """
        with OutputFolder(folder) as output:
            output.text("collected.csv", self.to_frame().to_csv(index=False))
            output.figure("collected", self.figure())
        return output.folder

    def __repr__(self) -> str:
        left = f", {len(self.left_out)} left out" if self.left_out else ""
        return in_short(f"Collected({len(self.runs)} runs, {len(self.rows)} claims{left})")

    def _repr_html_(self) -> str:
        shown_columns = ("run", "hierarchy", "claim", "value", "permuted", "exact_twin", "verdict")
        return html_table(shown_columns, ([row[name] for name in shown_columns] for row in self.rows), repr(self))


def collect(folder: str | Path) -> Collected:
    """The claims of every run below a folder; a run that cannot be read does not stop the others.

    >>> from geometry.report import collect
    >>> collect("runs").write("runs/all")  # doctest: +SKIP

    A run is a folder with the results.json of the study of claims, as `concept-geometry run claims MODEL --out
    runs/NAME` leaves it.

    OutputError: no such folder, no run of claims in it, or more than 2,000.
    """
    top = Path(folder)
    if not top.is_dir():
        raise OutputError(f"{shown(str(folder))}: no such folder")
    rows: list[Mapping[str, Any]] = []
    left_out: dict[str, str] = {}
    found = sorted(_runs(top), key=lambda path: _natural(str(path.relative_to(top))))
    if len(found) > _MOST_RUNS:
        raise OutputError(f"{shown(str(folder))}: {len(found)} runs, of which at most {_MOST_RUNS} are collected")
    for path in found:
        name = str(path.relative_to(top)) if path != top else path.resolve().name
        try:
            settle(path)
            rows += _rows(name, json.loads(read_bounded(path / RESULTS, LARGEST)))
        except (OutputError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            left_out[name] = in_short(f"{type(error).__name__}: {error}")
    if not rows:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items()) or "run: concept-geometry run claims"
        raise OutputError(f"{shown(str(folder))}: no results of claims below it ({in_short(why)})")
    return Collected(rows, left_out)


def _runs(top: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(top):
        depth = len(Path(place).relative_to(top).parts)
        folders[:] = [] if depth >= _DEEPEST else [name for name in folders if not name.startswith(".")]
        if RESULTS in files:
            yield Path(place)


def _rows(run: str, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of results of another study none."""
    if content["analysis"] != STUDY:
        return []
    if content["schema"] != SCHEMA:
        raise ValueError(f"its schema is {shown(content['schema'])}, not {SCHEMA}; run it again")
    model, settings = content["model"], content["settings"]
    rows = []
    for claim in content["results"]["claims"]:
        low, high = claim.get("interval") or (None, None)
        row = {
            "run": run,
            "model": str(model["name"]),
            "family": model.get("family", ""),
            "commit": model.get("commit", ""),
            "width": model.get("width"),
            "hierarchy": str(claim["hierarchy"]),
            "claim": str(claim["claim"]),
            "verdict": str(claim["verdict"]),
            "n_permutations": settings.get("n_permutations"),
            "seed": settings.get("seed"),
        }
        numbers = {"value": claim["value"], "low": low, "high": high, "standing": claim.get("standing")}
        numbers |= {"permuted": claim["nulls"].get("permuted"), "exact_twin": claim.get("twin", {}).get("exact")}
        numbers["p_value"] = claim.get("p_value")
        rows.append(row | {name: math.nan if value is None else float(value) for name, value in numbers.items()})
    return rows


def _text(standing: float) -> str:
    """What is written into a cell; far beyond both ends no number means anything."""
    if not math.isfinite(standing):
        return ""
    return f"{standing:.2f}" if -1 < standing < 2 else "> 2" if standing > 0 else "< \N{MINUS SIGN}1"


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Numbers within a name by their size."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.findall(r"\d{1,18}|\D+|\d+", text)]
