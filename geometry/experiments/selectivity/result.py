"""What the selectivity study gives: its parts, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from geometry.display import short_repr
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.experiments.selectivity.part import Part

if TYPE_CHECKING:
    from geometry.experiments.selectivity.study import SelectivityStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class SelectivityResult(StudyResult):
    """Effects along the tree, and what else was asked.

    Attributes:
        targets: concepts that were steered to.
        parts: name → what was measured: "tree", "dual", "generation", …
        taken: name → CPU seconds of a part.
        left_out: name → why a part was not measured.
    """

    study: "SelectivityStudy"
    targets: tuple[str, ...]
    prompts: tuple[str, ...]
    parts: Mapping[str, Part]
    taken: Mapping[str, float]
    left_out: Mapping[str, str]

    __repr__ = short_repr

    def summary(self) -> list[str]:
        """The sentences of all parts."""
        said = [sentence for part in self.parts.values() for sentence in part.summary()]
        return said + [f"Not measured: {name}, {why}." for name, why in self.left_out.items()]

    def to_dict(self) -> dict[str, Any]:
        """The numbers of all parts, and the CPU seconds that each took."""
        return {
            "targets": list(self.targets),
            "prompts": list(self.prompts),
            "cpu_seconds": {name: round(value, 1) for name, value in self.taken.items()},
            "left_out": dict(self.left_out),
            **{name: part.to_dict() for name, part in self.parts.items()},
        }

    def figures(self) -> list[FigureSpec]:
        """Those of all parts."""
        return [spec for part in self.parts.values() for spec in part.figures()]

    def tables(self) -> list[TableSpec]:
        """Those of all parts."""
        return [table for part in self.parts.values() for table in part.tables()]

    def arrays(self) -> dict[str, ArrayLike]:
        """Those of all parts, under the part's name."""
        return {f"{name}/{key}": values for name, part in self.parts.items() for key, values in part.arrays().items()}
