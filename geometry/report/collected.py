"""One table and one figure from the claims of many runs: models, sizes, or the checkpoints of one model."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geometry.display import html_table, in_short, listed
from geometry.errors import OutputError, shown
from geometry.evidence.verdicts import ENOUGH_POWER
from geometry.output import OutputFolder
from geometry.report.runs import COLUMNS, read_run, runs_below

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

_MOST_RUNS = 2000
_LIMITS = (-0.25, 1.25)  # of colours
_NO_SCALE = "no figure: no claim of these runs has a scale from its null to a theory twin"
_WRITTEN = 12  # runs at most of which the numbers are written into the cells


@dataclass(frozen=True, eq=False)
class Collected:
    """The claims of many runs.

    Attributes:
        rows: a mapping a claim of a run, with the keys `COLUMNS`; runs in natural order, step2 before step10.
        left_out: folder of a run that could not be read → why.
        settings: folder of a run → what it was run with, and by which version.
    """

    rows: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]

    @property
    def runs(self) -> tuple[str, ...]:
        """Folders of the runs, below the one that was collected."""
        return tuple(dict.fromkeys(row["run"] for row in self.rows))

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before runs are compared: settings that differ, runs of the same weights, no figure."""
        notes = []
        for name, values in self._differing().items():
            notes.append(f"runs differ in {name}: {listed(values)}")
        alike: dict[str, dict[str, None]] = {}
        for row in self.rows:
            alike.setdefault(f"{row['sha256']} {self.settings[row['run']]}", {})[row["run"]] = None
        notes += [f"one and the same unembedding: {listed([*runs])}" for runs in alike.values() if len(runs) > 1]
        return tuple(notes if self._drawn() else [*notes, _NO_SCALE])

    def _drawn(self) -> list[Mapping[str, Any]]:
        """Claims with a scale: orthogonality has another, and a twin that is like the null is no end of one."""
        scaled = [row for row in self.rows if math.isfinite(row["standing"]) and math.isfinite(row["permuted"])]
        return [row for row in scaled if not row["power"] < ENOUGH_POWER]

    def _differing(self) -> dict[str, list[str]]:
        """Settings that are not the same in all runs → their values."""
        names = dict.fromkeys(name for run in self.runs for name in self.settings[run])
        values = {name: [_said(self.settings[run].get(name, "none")) for run in self.runs] for name in names}
        return {name: [*dict.fromkeys(said)] for name, said in values.items() if len(set(said)) > 1}

    def to_frame(self) -> "DataFrame":
        """A row a claim of a run."""
        from pandas import DataFrame

        return DataFrame(list(self.rows), columns=list(COLUMNS))

    def figure(self) -> "Figure":
        """Claims × runs, a panel a hierarchy: where each stands between permuted lemmas (0) and the exact twin (1)."""
        import geometry.plots as plots
        from geometry.plots.style import literal

        drawn = self._drawn()
        if not drawn:
            raise OutputError(_NO_SCALE)
        labels, shared = told_apart(self.runs)
        short = dict(zip(self.runs, labels, strict=True))
        panels = []
        for hierarchy in dict.fromkeys(row["hierarchy"] for row in drawn):
            own = [row for row in drawn if row["hierarchy"] == hierarchy]
            standing = {(row["run"], row["claim"]): row["standing"] for row in own}
            runs = dict.fromkeys(row["run"] for row in self.rows if row["hierarchy"] == hierarchy)
            named = dict.fromkeys(row["claim"] for row in self.rows)
            claims = [claim for claim in named if any((run, claim) in standing for run in runs)]
            values = [[standing.get((run, claim), math.nan) for run in runs] for claim in claims]
            label = "from permuted lemmas (0) to the exact theory twin (1)"
            look: dict[str, Any] = {"colourbar": label, "limits": _LIMITS, "column_axis": literal(shared)}
            if len(runs) <= _WRITTEN:
                look["texts"] = [[_text(value) for value in row] for row in values]
            panels.append(plots.HeatmapPanel(values, claims, [short[run] for run in runs], hierarchy, **look))
        title = f"Claims of {len(self.runs)} runs, where each stands between its null and its theory twin"
        caption = (
            f"Blank: not measured, or the exact twin is no better than the null (power below {ENOUGH_POWER}), as before"
            " anything is learnt. Claims of orthogonality have no such null: see the table."
        )
        if differing := self._differing():
            caption += f" Runs differ in {listed([*differing])}."
        return plots.heatmap(panels, title=title, caption=caption)

    def write(self, folder: str | Path) -> Path:
        """Write collected.csv and collected.png into a folder, all or nothing; returns the folder.

        No picture where no claim has a scale from its null to a theory twin. OutputError: the folder cannot be written.
        """
        with OutputFolder(folder) as output:
            output.text("collected.csv", self.to_frame().to_csv(index=False))
            if self._drawn():
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
    settings: dict[str, Mapping[str, Any]] = {}
    found = runs_below(top)
    if len(found) > _MOST_RUNS:
        raise OutputError(f"{shown(str(folder))}: {len(found)} runs, of which at most {_MOST_RUNS} are collected")
    for path in found:
        name = str(path.relative_to(top)) if path != top else path.resolve().name
        try:
            own, given = read_run(path, name)
        except OutputError as error:
            left_out[name] = in_short(str(error))
        else:
            rows += own
            settings |= {name: given} if own else {}
    if not rows:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items()) or "run: concept-geometry run claims"
        raise OutputError(f"{shown(str(folder))}: no results of claims below it ({in_short(why)})")
    return Collected(rows, left_out, settings)


def _said(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def told_apart(names: Sequence[str]) -> tuple[list[str], str]:
    """What tells names apart, and what they share: (["1", "20"], "pythia@step…") of pythia@step1 and pythia@step20.

    Cut is between words and before numbers, not after them: 135m and 15m stay what they are.
    """
    words = [re.findall(r"\d+(?:\.\d+)*|[^\W\d_]+|[\W_]", name) for name in names]
    shortest = min(map(len, words))
    first = next((n for n in range(shortest) if len({own[n] for own in words}) > 1), shortest)
    if first == shortest:  # one name, or one that begins all others
        return [*names], ""
    last = next((n for n in range(shortest - first) if len({own[-1 - n] for own in words}) > 1), 0)
    while first and words[0][first - 1].isalnum() and not all(own[first][0].isdecimal() for own in words):
        first -= 1
    while last and words[0][-last].isalnum():
        last -= 1
    before, after = "".join(words[0][:first]), "".join(words[0][len(words[0]) - last :])
    labels = ["".join(own[first : len(own) - last]) for own in words]
    return labels, f"{before}…{after}" if before or after else ""


def _text(standing: float) -> str:
    """What is written into a cell; far beyond both ends no number means anything."""
    if not math.isfinite(standing):
        return ""
    return f"{standing:.2f}" if -1 < standing < 2 else "> 2" if standing > 0 else "< \N{MINUS SIGN}1"
