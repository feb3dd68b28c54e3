"""What vectors do to neutral texts, text by text, and means over vectors and texts with an interval over both."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.intervals import FEWEST_UNITS, RESAMPLES, central
from geometry.steering import SteeringVector, load_prompts, score_tokens
from geometry.steering.prompts import LanguageModel, Tokenizer

Array = NDArray[np.float64]
_SETS = ("neutral", "encyclopedia")
_LENGTH = 16  # tokens of a text


class Texts(Protocol):
    """What `NeutralTexts` is.

    Attributes:
        sets: name → how many texts are of it, in the order of the columns.
    """

    sets: dict[str, int]

    def rises(self, vectors: Sequence[SteeringVector]) -> Array:
        """Of each vector (rows) and text (columns)."""


class NeutralTexts:
    """The first tokens of as many texts, those of the set "neutral" first, then an encyclopedia's.

    Attributes:
        sets: name → how many texts are of it. scored: tokens of a text whose loss counts.
    """

    __repr__ = short_repr

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, count: int) -> None:
        texts = list(islice(((name, text) for name in _SETS for text in load_prompts(name).texts), count))
        self.sets = {name: sum(of == name for of, _ in texts) for name in _SETS}
        self._model, self._tokenizer, self._texts = model, tokenizer, [text for _, text in texts]
        shortest = min(len(tokenizer.encode(text, add_special_tokens=False)) for text in self._texts)
        self._most = min(_LENGTH, shortest)
        unsteered = score_tokens(model, tokenizer, self._texts, most_tokens=self._most)
        self._unsteered = np.stack([one.log_probabilities for one in unsteered])
        self.scored = self._unsteered.shape[1] - 2

    def rises(self, vectors: Sequence[SteeringVector]) -> Array:
        """By how much the loss rises with each vector at every token but the first, nats a token, shape (v, t).

        The first token's residual stream is of another order of magnitude; what is predicted from it does not count.
        """
        count = len(self._texts)
        each = [vector for vector in vectors for _ in range(count)]
        places = range(1, self._unsteered.shape[1])
        scored = score_tokens(
            self._model, self._tokenizer, self._texts * len(vectors), each, positions=places, most_tokens=self._most
        )
        rows = np.stack([one.log_probabilities for one in scored]).reshape(len(vectors), count, -1)
        return np.asarray((self._unsteered - rows)[:, :, 2:].mean(axis=2))


def crossed(rows: Array) -> dict[str, Any]:
    """The mean of values (v, t) with a 95% interval over vectors and over texts, rows with NaN left out.

    Vectors and texts are drawn again independently of each other (Owen, arXiv 0712.1111): a bootstrap of one of them
    takes the other for all that there is.
    """
    kept = rows[np.isfinite(rows).all(axis=1)]
    v, t = kept.shape
    if not kept.size:
        return {"mean": None, "sd": None, "n": 0, "texts": t, "interval": None}
    rng = np.random.default_rng(0)
    of_vectors, of_texts = (rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n for n in (v, t))
    drawn = ((of_vectors @ kept) * of_texts).sum(axis=1)
    interval = central(drawn) if min(v, t) >= FEWEST_UNITS else (np.nan, np.nan)
    return {
        "mean": float(kept.mean()), "sd": float(kept.mean(axis=1).std()), "n": v, "texts": t, "interval": list(interval)
    }  # fmt: skip


def by_set(rows: Array, sets: Iterable[tuple[str, int]]) -> dict[str, dict[str, Any]]:
    """The same of the texts of each set, which stand in this order."""
    found, start = {}, 0
    for name, count in sets:
        if count:
            found[name] = crossed(rows[:, start : start + count])
        start += count
    return found
