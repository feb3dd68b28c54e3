"""Accuracy of every way of asking: with demonstrations, without, with vectors, and in sentences of another format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from geometry.anatomy.function_vectors import ABLE, N_RANDOM, TaskVectors
from geometry.anatomy.task_questions import Answers, Questions
from geometry.concepts.tasks import GAP
from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.tasks.labels import TELLING
from geometry.experiments.tasks.setup import Bench
from geometry.intervals import interval_of, summarise

_EACH = 8  # questions in each sentence
WAYS = ("demonstrations", "zero-shot", "residual", "heads", "shuffled labels", "random", "random heads")


@dataclass(frozen=True, eq=False)
class Sentences:
    """Answers in sentences of another format, of one task.

    Attributes:
        sentence: of each question the number of its sentence, shape (n,).
        answers: way → answers of n questions: "zero-shot", "residual", "shuffled labels", "random".
        texts: the sentences.
    """

    sentence: np.ndarray[Any, np.dtype[np.int64]]
    answers: Mapping[str, Answers]
    texts: tuple[str, ...]

    __repr__ = short_repr

    def interval(self, way: str) -> tuple[float, float]:
        """95% bootstrap over sentences."""
        return interval_of(self.answers[way].correct, self.sentence)

    def to_dict(self) -> dict[str, Any]:
        """Accuracies, and the unsteered and steered one of each sentence."""
        by_sentence = {
            text: {way: float(got.correct[self.sentence == index].mean()) for way, got in self.answers.items()}
            for index, text in enumerate(self.texts)
        }
        whole = {
            way: {"accuracy": got.accuracy, "interval": list(self.interval(way)), "n": len(got.correct)}
            for way, got in self.answers.items()
        }
        return {"ways": whole, "by_sentence": by_sentence}


@dataclass(frozen=True, eq=False)
class AccuracyPart(Part):
    """What every way of asking comes to.

    Attributes:
        found: task → vectors and answers.
        sentences: "telling", "neutral" → task → answers in sentences that tell the task, or do not.
    """

    found: Mapping[str, TaskVectors]
    sentences: Mapping[str, Mapping[str, Sentences]]

    __repr__ = short_repr

    @property
    def able(self) -> list[str]:
        """Tasks that the model does with demonstrations."""
        return [name for name, each in self.found.items() if each.able]

    def mean(self, way: str) -> float:
        """Over able tasks; nan where none was asked so."""
        rates = [self.found[name].answers[way].accuracy for name in self.able if way in self.found[name].answers]
        return float(np.mean(rates)) if rates else float("nan")

    def in_sentences(self, kind: str, way: str) -> float:
        """Over able tasks that have sentences of the kind; nan where none has."""
        rates = [told.answers[way].accuracy for told in self.sentences.get(kind, {}).values()]
        return float(np.mean(rates)) if rates else float("nan")

    def summary(self) -> list[str]:
        """A sentence a task, and what becomes of the vectors in sentences."""
        lines = [f"{each.summary()}." for each in self.found.values()]
        for kind, of_tasks in self.sentences.items():
            for name, told in of_tasks.items():
                got = {way: f"{answers.accuracy:.0%}" for way, answers in told.answers.items()}
                low, high = told.interval("residual")
                lines.append(
                    f"{name}, in {len(told.texts)} sentences of another format that {TELLING[kind]}: residual vector"
                    f" {got['residual']} [{low:.0%}, {high:.0%}], unsteered {got['zero-shot']}, shuffled labels"
                    f" {got['shuffled labels']}, random {got['random']}."
                )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Of every task: accuracies with intervals, sites, strength, heads."""
        return {
            name: {
                "able": each.able,
                "accuracy": {way: summarise(got.correct) for way, got in each.answers.items()},
                "probability": {way: summarise(got.probability) for way, got in each.answers.items()},
                "sites": {way: str(vector.sites[0]) for way, vector in each.vectors.items()},
                "strength": each.strength,
                "heads": [list(head) for head in each.heads],
                "training_pairs": len(each.training),
                "held_out_pairs": len(each.held_out),
                "notes": list(each.notes),
                "sentences": {kind: of[name].to_dict() for kind, of in self.sentences.items() if name in of},
            }
            for name, each in self.found.items()
        }

    def figures(self) -> list[FigureSpec]:
        """Every way of asking, task by task."""
        from geometry.experiments.tasks.figures import accuracy

        return [accuracy(self)]

    def tables(self) -> list[TableSpec]:
        """The same in numbers."""
        rows = []
        for name, each in self.found.items():
            cells = [_cell(each.answers[way]) if way in each.answers else "–" for way in WAYS]
            rows.append([name + ("" if each.able else f" (below {ABLE:.0%})"), *cells, str(len(each.held_out))])
        return [
            TableSpec(
                "Accuracy on held-out questions",
                ["task", *WAYS, "questions"],
                rows,
                "The most probable next token begins the answer; 95% intervals over questions. Random: means of"
                f" {N_RANDOM} vectors of the same norm, random heads: of {N_RANDOM} sets of as many heads, summed.",
            )
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Whether each question was answered."""
        return {f"{name}/{way}": got.correct for name, each in self.found.items() for way, got in each.answers.items()}


def _cell(answers: Answers) -> str:
    low, high = answers.interval
    return f"{answers.accuracy:.0%} [{low:.0%}, {high:.0%}]"


def asked_in_sentences(bench: Bench, name: str, kind: str) -> Sentences | None:
    """Held-out questions in the sentences of their task, a few in each; None of a task without sentences."""
    found = bench.found[name]
    texts = (found.task.neutral if kind == "neutral" else found.task.sentences)[: bench.study.n_sentences]
    if not texts:
        return None
    pairs = found.held_out
    each = min(_EACH, len(pairs))
    chosen = [(index, pairs[(index * each + i) % len(pairs)]) for index in range(len(texts)) for i in range(each)]
    prompts = [texts[index].replace(GAP, asked) for index, (asked, _) in chosen]
    questions = Questions(bench.model, bench.tokenizer, prompts, [answer for _, (_, answer) in chosen])
    vector = bench.vector(name)
    (site,) = vector.sites
    random = [vector.random(bench.study.seed + draw) for draw in range(3)]
    residual, shuffled, *drawn = questions.ask([vector, found.residual(site, shuffled=True), *random])
    answers = {
        "zero-shot": questions.answers(), "residual": residual, "shuffled labels": shuffled,
        "random": Answers.mean(drawn),
    }  # fmt: skip
    return Sentences(np.array([index for index, _ in chosen]), answers, texts)
