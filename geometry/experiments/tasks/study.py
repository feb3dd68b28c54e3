"""Can a vector stand for the demonstrations of a task? The question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError
from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.tasks.result import TasksResult


@dataclass(frozen=True, kw_only=True)
class TasksStudy(ModelStudy["TasksResult"]):
    """Function vectors of tasks, asked where no demonstration stands, beside what is no vector of the task.

    >>> import geometry as geo
    >>> study = geo.experiments.TasksStudy(tasks=("antonym", "plural"))
    >>> result = study.run()  # doctest: +SKIP
    >>> print(result.parts["accuracy"].tables()[0])  # doctest: +SKIP

    Vectors are made from 25 prompts a task and chosen on the pairs that these show; the other pairs judge.
    """

    name: ClassVar[str] = "tasks"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = "Can a vector stand for the demonstrations of a task?"
    quick: ClassVar[Mapping[str, Any]] = {
        "tasks": ("antonym", "plural"), "n_demonstrations": 5, "n_prompts": 10, "every": 10, "n_sentences": 2,
        "concepts": ("animal.n.01",),
    }  # fmt: skip
    full: ClassVar[Mapping[str, Any]] = {"every": 1}

    tasks: tuple[str, ...] = option(
        ("antonym", "capital", "plural", "past-tense", "next-in-series"),
        "packaged tasks, or YAML or JSON files like them",
    )
    n_demonstrations: int = option(10, "pairs shown in each prompt that vectors are made from", least=2)
    n_prompts: int = option(25, "prompts that the vectors of a task are means over", least=2)
    every: int = option(2, "accuracy by depth after every so many blocks", least=1)
    n_sentences: int = option(6, "sentences of either kind in another format, the first of each task; 0: none", least=0)
    concepts: tuple[str, ...] = option(
        ("animal.n.01", "food.n.01", "person.n.01"), "synsets whose vectors are added to those of tasks"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tasks:
            raise EstimationError("tasks: at least one is needed, a packaged name or a file")
        if len(set(self.tasks)) < len(self.tasks):
            raise EstimationError(f"tasks: one is named twice among {', '.join(self.tasks)}")

    def measure(self, step: Step) -> "TasksResult":
        """See `measure_tasks`."""
        from geometry.experiments.tasks.measure import measure_tasks

        return measure_tasks(self, step)
