"""What the study of tasks gives: its parts, one after the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geometry.display import short_repr
from geometry.experiments.parts import PartsResult

if TYPE_CHECKING:
    from geometry.experiments.tasks.study import TasksStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class TasksResult(PartsResult):
    """Parts: "accuracy", "depth", "transfer", "heads", "concepts"."""

    study: "TasksStudy"

    __repr__ = short_repr
