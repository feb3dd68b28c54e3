"""Studies of several parts, and the result that holds them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from geometry.display import short_repr
from geometry.errors import GeometryError
from geometry.experiments.result import FigureSpec, Findings, StudyResult, TableSpec


class Part(Findings):
    """What one question of a study came to; a further part is one more subclass and one more line where it measures."""


@dataclass
class Measured:
    """What a study has measured so far.

    Attributes:
        parts: name → what was found. taken: name → CPU seconds. left_out: name → why it was not measured.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Its CPU seconds are kept; what the package refuses in it leaves out this part alone, and is said."""
        start = time.process_time()
        try:
            yield
        except GeometryError as error:
            self.left_out[name] = str(error)
        self.taken[name] = time.process_time() - start


@dataclass(frozen=True, eq=False, kw_only=True)
class PartsResult(StudyResult):
    """What a study of several parts gives.

    Attributes:
        parts: name → what was measured.
        taken: name → CPU seconds of a part.
        left_out: name → why a part was not measured.
    """

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
