"""Texts under vectors that are added at every token but the first: how probable they are, and what that costs."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.injection import steer_each
from geometry.steering.measure import encoded_texts, kl_divergence
from geometry.steering.prompts import LanguageModel, Tokenizer, encode
from geometry.steering.vector import SteeringVector

Numbers = NDArray[np.float64]
_ROWS = 16  # texts that are run at a time


def log_probabilities_of(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], vectors: Sequence[SteeringVector | None]
) -> list[Numbers]:
    """Mean log-probability of the tokens but the first of each text under each vector, nats, each of shape (n,).

    A text is run once for each.

    Raises SteeringError: a text of a single token, or what `steer` refuses.
    """
    found = [np.empty(len(texts)) for _ in vectors]
    for column, index, logits, targets in _run(model, tokenizer, texts, vectors):
        own = logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(dim=1)
        found[column][index] = float(own.double().mean())
    return found


class TextKL:
    """KL(steered ‖ unsteered) of next-token laws within texts, the mean over the tokens of each.

    The vector is added at every token but the first, and the laws there are compared; those at the first are the same.

    Attributes:
        texts: n of them.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        self._model, self._tokenizer, self.texts = model, tokenizer, tuple(texts)
        laws = _run(model, tokenizer, self.texts, [None])
        self._unsteered = {index: logits[1:].log_softmax(dim=1) for _, index, logits, _ in laws}
        if min(map(len, self._unsteered.values())) < 1:
            raise SteeringError("KL divergence within texts needs texts of at least three tokens")

    def of(self, vectors: Sequence[SteeringVector]) -> list[Numbers]:
        """Nats a token under each vector, each of shape (n,); a text is run once for each."""
        found = [np.empty(len(self.texts)) for _ in vectors]
        for column, index, logits, _ in _run(self._model, self._tokenizer, self.texts, vectors):
            found[column][index] = kl_divergence(logits[1:].log_softmax(dim=1), self._unsteered[index]).mean()
        return found


def _run(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], vectors: Sequence[SteeringVector | None]
) -> Iterator[tuple[int, int, torch.Tensor, torch.Tensor]]:
    """Vector, text, and of its tokens but the first the logits (t, V) before each and its id, float32 on the CPU."""
    architecture = Architecture.of(model)
    rows = [(column, index) for column in range(len(vectors)) for index in range(len(texts))]
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        chosen = [texts[index] for _, index in part]
        batch = encoded_texts(architecture, tokenizer, chosen)
        if int(batch.attention_mask.sum(dim=1).min()) < 2:
            raise SteeringError("log-probabilities need texts of at least two tokens")
        each = [vectors[column] for column, _ in part]
        after_first = encode(tokenizer, chosen).position_ids > 0
        with torch.no_grad(), evaluating(model), steer_each(model, each, positions=after_first):
            logits = model(**architecture.accepted(batch.arguments)).logits
        predicted = batch.attention_mask[:, 1:].bool() & batch.attention_mask[:, :-1].bool()
        for row, (column, index) in enumerate(part):
            kept = predicted[row]
            yield column, index, logits[row, :-1][kept].float().cpu(), batch.input_ids[row, 1:][kept].cpu()
