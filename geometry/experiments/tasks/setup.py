"""What the parts of the study of tasks are measured on: a model, vectors of tasks, and their held-out questions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geometry.anatomy.function_vectors import TaskVectors
from geometry.anatomy.task_questions import Questions
from geometry.display import short_repr
from geometry.steering import Architecture, Site, SteeringVector

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.experiments.tasks.study import TasksStudy


@dataclass(frozen=True, eq=False)
class Bench:
    """What all parts share.

    Attributes:
        found: task → its vectors and what they answer.
    """

    study: "TasksStudy"
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    found: Mapping[str, TaskVectors]
    _asked: dict[str, Questions] = field(default_factory=dict)

    __repr__ = short_repr

    @property
    def able(self) -> dict[str, TaskVectors]:
        """The tasks that the model does with demonstrations."""
        return {name: each for name, each in self.found.items() if each.able}

    def questions(self, name: str) -> Questions:
        """The held-out questions of a task, without demonstrations."""
        if name not in self._asked:
            task, pairs = self.found[name].task, self.found[name].held_out
            prompts = [task.prompt([], asked) for asked, _ in pairs]
            self._asked[name] = Questions(self.model, self.tokenizer, prompts, [answer for _, answer in pairs])
        return self._asked[name]

    @property
    def sites(self) -> list[Site]:
        """Outputs of every so many blocks, the last of them the last."""
        blocks = range(len(Architecture.of(self.model).blocks))
        return [Site("output", block) for block in [*blocks][:: -self.study.every][::-1]]

    def vector(self, name: str) -> SteeringVector:
        """A task's residual vector, where and as strong as chosen."""
        return self.found[name].vectors["residual"]
