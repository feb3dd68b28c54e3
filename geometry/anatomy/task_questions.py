"""Questions that are put again and again under different vectors, several of them side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.errors import SteeringError, shown
from geometry.intervals import interval_of
from geometry.progress import progress_bar
from geometry.steering import SteeringVector
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.steering.side_by_side import SideBySide

Array = NDArray[np.float64]
_ROWS = 96  # questions that run at a time, over all vectors


@dataclass(frozen=True, eq=False)
class Answers:
    """Whether n questions were answered: the most probable next token begins the answer.

    Attributes:
        correct: 0 or 1, shape (n,); of several vectors' answers the fraction.
        probability: of the answer's first token, shape (n,).
    """

    correct: Array
    probability: Array

    __repr__ = short_repr

    @property
    def accuracy(self) -> float:
        """The fraction answered."""
        return float(self.correct.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap over questions."""
        return interval_of(self.correct)

    @property
    def log_probability(self) -> Array:
        """Its logarithm, in nats."""
        return np.log(np.maximum(self.probability, np.finfo(np.float64).tiny))

    @classmethod
    def mean(cls, several: "Sequence[Answers]") -> "Answers":
        """Averaged over vectors, question by question."""
        return cls(
            np.mean([each.correct for each in several], axis=0), np.mean([each.probability for each in several], axis=0)
        )


class Questions:
    """Prompts and the first tokens of their answers, for a model that is asked with and without vectors.

    Vectors act on the last token of the prompt alone, which alone is run again.

    Raises SteeringError: an answer without a token of its own, and what `NextToken` refuses.
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str], answers: Sequence[str]
    ) -> None:
        self._next = SideBySide(model, tokenizer, prompts, most_rows=_ROWS)
        self.ids = first_tokens(tokenizer, prompts, answers)

    @property
    def unsteered(self) -> torch.Tensor:
        """log P(y | prompt), shape (n, V)."""
        return self._next.unsteered

    def laws(self, vectors: Sequence[SteeringVector], says: str = "") -> Iterator[torch.Tensor]:
        """log P(y | prompt) under each vector, shape (n, V); with a bar, where it is called something."""
        starts = range(0, len(vectors), self._next.at_once)
        for start in progress_bar(starts, says) if says else starts:
            yield from self._next.laws(vectors[start : start + self._next.at_once])

    def ask(self, vectors: Sequence[SteeringVector], says: str = "") -> list[Answers]:
        """The answers under each vector."""
        return [self.answers(law) for law in self.laws(vectors, says)]

    def answers(self, law: torch.Tensor | None = None) -> Answers:
        """Those of a law, or unsteered."""
        law = self.unsteered if law is None else law
        correct = (law.argmax(dim=1) == self.ids).double().numpy()
        return Answers(correct, law.gather(1, self.ids[:, None])[:, 0].double().exp().numpy())


def first_tokens(tokenizer: Tokenizer, prompts: Sequence[str], answers: Sequence[str]) -> torch.Tensor:
    """Ids of the first token of each answer as it stands after its prompt, shape (n,)."""
    ids = []
    for prompt, answer in zip(prompts, answers, strict=True):
        before, after = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, f"{prompt} {answer}")
        )
        if after[: len(before)] != before or len(after) == len(before):
            raise SteeringError(
                f"the answer {shown(answer)} has no token of its own after {shown(prompt)}; ask for other words"
            )
        ids.append(after[len(before)])
    return torch.tensor(ids)
