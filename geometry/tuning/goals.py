"""What a vector is to bring about: words that become probable after prompts, texts that become so beside others."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.errors import GeometryError, SteeringError, shown
from geometry.steering.measure import probability

Numbers = NDArray[np.float64]
_TINY = 1e-12


@checked
class TextContrast:
    """Texts that are to become more probable, beside others: the goal of vectors that no single word names.

    Example::

        goal = geo.tuning.TextContrast(hostile[1::2], peaceful[1::2])
        geo.tune(model, tokenizer, class_difference(means, "hostile"), goal)

    The effect on a text of `promoted` is the change of its mean log-probability per token (nats) less that of the
    `suppressed` texts on average. As texts are read whole, the vector is added at every token but the first of a text,
    and so it is where its cost is measured. Give texts that the vector was not made from.

    Raises SteeringError: no texts of either kind.
    """

    def __init__(self, promoted: Sequence[str], suppressed: Sequence[str]) -> None:
        if not promoted or not suppressed:
            raise SteeringError("a contrast of texts needs some to promote and some to suppress")
        self.promoted, self.suppressed = tuple(promoted), tuple(suppressed)

    @property
    def texts(self) -> tuple[str, ...]:
        """All, the promoted first."""
        return *self.promoted, *self.suppressed

    def effects(self, steered: Numbers, unsteered: Numbers) -> Numbers:
        """The effect on each promoted text, from log-probabilities per token of `texts`."""
        gains, n = steered - unsteered, len(self.promoted)
        return np.asarray(gains[:n] - gains[n:].mean())


Measure: TypeAlias = Callable[[torch.Tensor], ArrayLike]
Goal: TypeAlias = ArrayLike | Measure | TextContrast


class WordGoal:
    """The summed probability of words after prompts, or any number that can be read off next-token laws."""

    def __init__(self, goal: ArrayLike | Measure, vocabulary: int) -> None:
        self.label = "effect" if callable(goal) else "P(words)"
        self.tokens = np.empty(0, np.int64) if callable(goal) else _checked(goal, vocabulary)
        self._measure = goal if callable(goal) else None

    def effects(self, law: torch.Tensor) -> Numbers:
        """Of a law (n, V), shape (n,); SteeringError for another shape or no numbers."""
        if self._measure is None:
            return probability(law, self.tokens)
        try:
            values = np.asarray(self._measure(law), dtype=np.float64)
        except GeometryError:
            raise
        except Exception as error:  # whatever a function of the user's does
            raise SteeringError(f"goal: the function failed on laws of shape {tuple(law.shape)}: {error}") from error
        if values.shape != (len(law),) or not np.isfinite(values).all():
            raise SteeringError(
                f"goal: a function gives a finite number for each of {len(law)} prompts, not {shown(values.tolist())}"
            )
        return values

    def level(self, effect: float) -> float:
        """The scale on which the effect is about linear in the strength: log-odds of a probability."""
        if self._measure is not None:
            return effect
        return float(np.log(max(effect, _TINY)) - np.log(max(1 - effect, _TINY)))


def _checked(goal: ArrayLike, vocabulary: int) -> NDArray[np.int64]:
    try:
        ids = np.asarray(goal)
    except ValueError:
        ids = np.empty((0, 0))
    whole = ids.ndim == 1 and ids.dtype.kind in "iu" and bool(len(ids))
    if not whole or int(ids.min()) < 0 or int(ids.max()) >= vocabulary or len(np.unique(ids)) < len(ids):
        raise SteeringError(
            f"goal: ids of tokens from 0 to {vocabulary - 1}, each once, a function of next-token laws, or a"
            f" TextContrast, not {shown(goal)}; hierarchy['bird.n.01'].tokens are a concept's"
        )
    return ids.astype(np.int64)
