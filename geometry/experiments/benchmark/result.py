"""What the benchmark gives: comparisons, which promises they keep, and a picture of their ratios."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geometry.display import short_repr
from geometry.experiments.benchmark.common import SUBJECTS, Comparison
from geometry.experiments.benchmark.figure import draw_ratios
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec


@dataclass(frozen=True, eq=False, kw_only=True)
class Benchmark(StudyResult):
    """All comparisons, by subject.

    Attributes:
        comparisons: of two ways each.
        machine: processors, torch's threads, and the load at the start and at the end.
    """

    comparisons: Sequence[Comparison]
    machine: Mapping[str, Any]

    __repr__ = short_repr

    @property
    def broken(self) -> list[Comparison]:
        """Those whose promise is not kept."""
        return [comparison for comparison in self.comparisons if comparison.kept is False]

    @property
    def difference(self) -> float:
        """The largest relative difference of a concept vector from the textbook's; nan where none was looked at."""
        found = [each.difference for each in self.comparisons if each.difference == each.difference]
        return max(found, default=float("nan"))

    @property
    def ordered(self) -> list[Comparison]:
        """The comparisons, subject by subject."""
        return sorted(self.comparisons, key=lambda comparison: SUBJECTS.index(comparison.subject))

    def summary(self) -> list[str]:
        """How many promises are kept, and which are not."""
        promises = [comparison for comparison in self.comparisons if comparison.promised is not None]
        said = [f"Of {len(promises)} promised ratios {len(promises) - len(self.broken)} are kept."] if promises else []
        said += [
            f"Not kept: {each.measured} (instead: {each.instead}): {each.ratio:.3g}, promised {each.promised:.3g}."
            for each in self.broken
        ]
        if self.difference == self.difference:
            said.append(f"Concept vectors differ from the textbook's by {self.difference:.1e} at most, relatively.")
        return said or ["Nothing is promised of this."]

    def to_dict(self) -> dict[str, Any]:
        """Every comparison with all its rounds."""
        comparisons = [comparison.to_dict() for comparison in self.ordered]
        return {"comparisons": comparisons, "difference": self.difference, "machine": dict(self.machine)}

    def tables(self) -> list[TableSpec]:
        """A line a comparison."""
        head = ("measured", "ours", "instead", "ratio", "of medians", "promised")
        caption = "Of steering, instead is not to steer or a bare hook: a ratio of 1 costs nothing."
        rows = [comparison.row() for comparison in self.ordered]
        return [TableSpec("Speed and memory, side by side", head, rows, caption)]

    def figures(self) -> list[FigureSpec]:
        """The ratios, by subject."""
        promises = [comparison for comparison in self.comparisons if comparison.promised is not None]
        title = f"{len(self.comparisons)} comparisons of speed and memory"
        if promises:
            title = (
                f"{len(promises) - len(self.broken)} of {len(promises)} promised ratios of speed and memory are kept"
            )
        caption = (
            "What the other way takes, over what this package takes, both in turn on one machine: marks are the ratio"
            " of the best rounds, lines reach to that of the medians. Grey ticks: what is promised at least."
        )
        return [FigureSpec("ratios", title, caption, lambda **heads: draw_ratios(self.ordered, **heads))]
