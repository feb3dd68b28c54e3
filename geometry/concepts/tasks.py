"""Tasks of in-context learning: pairs of a question and its answer, and the prompts that demonstrate them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geometry.arguments import checked
from geometry.concepts.data_file import DataFile, packaged_names
from geometry.display import short_repr
from geometry.errors import HierarchyError, shown

Pair = tuple[str, str]
HEADING = "Words and answers."
GAP = "{}"


@dataclass(frozen=True)
class Task:
    """What is asked and answered.

    Attributes:
        name: of the task.
        says: what it is, in words.
        pairs: of a question and its answer.
        sentences: beginnings of text in another format, with a gap "{}" for the question, which the answer may follow.
        neutral: the same, of text that does not tell the task.
    """

    name: str
    says: str
    pairs: tuple[Pair, ...]
    sentences: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()

    __repr__ = short_repr

    def prompt(self, demonstrations: Sequence[Pair], question: str) -> str:
        """A heading, demonstrations, a line each, and a question to answer.

        Example::

            load_task("antonym").prompt([("hot", "cold")], "up")  # a heading, "hot: cold" and "up:" in three lines

        Without the heading the first word would be the first token, in which models keep hardly anything of the word.
        """
        return "\n".join([HEADING, *(f"{asked}: {answer}" for asked, answer in demonstrations), f"{question}:"])

    def shuffled(self, demonstrations: Sequence[Pair], rng: np.random.Generator) -> list[Pair]:
        """The same questions, each with the answer to another: what demonstrations show beside the task itself."""
        answers = [answer for _, answer in demonstrations]
        order = rng.permutation(len(answers))
        # A cycle, so that no answer stays where it was.
        moved = {int(order[i]): answers[order[i - 1]] for i in range(len(order))}
        return [(asked, moved[i]) for i, (asked, _) in enumerate(demonstrations)]


@checked
def load_task(source: str | Path) -> Task:
    """A packaged task (antonym, capital, plural, past-tense, next-in-series) or a YAML or JSON file like these.

    Raises HierarchyError: no such file, malformed, fewer than 10 pairs, a question twice, one answer to all, a
        sentence without a gap; with line and field.
    """
    file = DataFile(source, "tasks", "task")
    known = ("says", "pairs", "sentences", "neutral")
    listed = file.mapping("task", known=known).get("pairs")
    if not isinstance(listed, list) or len(listed) < 10:
        raise file.refuse(("task", "pairs"), "must be a list of at least 10 pairs of a question and its answer")
    pairs = tuple(file.pair("task", "pairs", index) for index in range(len(listed)))
    seen: set[str] = set()
    for index, (asked, _) in enumerate(pairs):
        if asked in seen:
            raise file.refuse(("task", "pairs", index), f"the question {asked!r} is there twice")
        seen.add(asked)
    if len({answer for _, answer in pairs}) == 1:
        raise file.refuse(("task", "pairs"), f"all have the answer {pairs[0][1]!r}: give a task with several answers")
    name = Path(source).stem
    says = file.text("task", "says", default=name)
    return Task(name, says, pairs, *(_with_gaps(file, key) for key in ("sentences", "neutral")))


def _with_gaps(file: DataFile, key: str) -> tuple[str, ...]:
    sentences = tuple(file.texts("task", key)) if file.get("task", key) is not None else ()
    for index, sentence in enumerate(sentences):
        if sentence.count(GAP) != 1 or sentence == GAP:
            raise file.refuse(("task", key, index), f"write the place of the question as {GAP}, once, in a text")
    return sentences


def packaged_tasks() -> tuple[str, ...]:
    """Names of the tasks that come with the package."""
    return packaged_names("tasks")


def check_task(task: Task, n_demonstrations: int) -> None:
    """HierarchyError for an empty text, and for too few pairs to demonstrate the task and ask some of it."""
    if empty := [pair for pair in task.pairs if not all(text.strip() for text in pair)]:
        raise HierarchyError(
            f"task {task.name!r}: the pair {shown(empty[0])} has an empty text; give question and answer"
        )
    if n_demonstrations < 2 or n_demonstrations > len(task.pairs) - 5:
        raise HierarchyError(
            f"task {task.name!r} has {len(task.pairs)} pairs: demonstrations may be 2 to"
            f" {max(2, len(task.pairs) - 5)}, so that 5 are left to ask, not {n_demonstrations}"
        )
