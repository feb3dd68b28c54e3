"""What vectors cost: the perplexity of texts that have nothing to do with them, asked for again and again."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.eraser import Eraser
from geometry.steering.hook_manager import HookManager
from geometry.steering.injection import steer, steer_each
from geometry.steering.logit_shift import LogitShifts
from geometry.steering.measure import encoded_texts, perplexity
from geometry.steering.prompts import LanguageModel, Tokenizer, encode
from geometry.steering.vector import SteeringVector

_MOST_BYTES = 1 << 30
_ROWS = 256
_LARGEST = 700.0  # whose exponential is a float


class _Kept(NamedTuple):
    """Of every predicted token its unsteered log-probabilities (n, V), its id, and whether its place is steered."""

    log_probabilities: torch.Tensor
    targets: torch.Tensor
    steered: torch.Tensor

    def loss(self, shift: torch.Tensor) -> float:
        """The mean negative log-probability where every logit of a steered place is shifted."""
        total = 0.0
        for rows, targets, steered in zip(*(torch.split(part, _ROWS) for part in self), strict=True):
            shifted = rows + steered[:, None] * shift.float()
            own = shifted.gather(1, targets[:, None])[:, 0]
            total += float((shifted.logsumexp(dim=1) - own).double().sum())
        return total / len(self.targets)


class TextCost:
    """Perplexity of texts under vectors, each added at every token but the first of a text.

    The first token's residual stream is of another order of magnitude. A vector after the final norm takes no pass of
    the model where its shift of the logits is known (`LogitShifts`).

    Example::

        cost = geo.steering.TextCost(model, tokenizer, geo.steering.load_prompts("neutral").texts)
        cost.ratio(vector)

    Attributes:
        unsteered: the texts' perplexity.

    Raises SteeringError: what `perplexity` refuses, or a vector at work in the model.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        if HookManager.at_work(model):
            raise SteeringError("make TextCost before steering: what it compares with is to be unsteered")
        if isinstance(texts, str):
            raise SteeringError("texts are a list of texts; write [text] for one")
        self.model, self.tokenizer, self.texts = model, tokenizer, tuple(texts)
        self.unsteered = perplexity(model, tokenizer, self.texts)

    def ratio(self, *vectors: SteeringVector | Eraser | None) -> float:
        """Perplexity under a vector over that without; of several, the geometric mean. None: unsteered.

        Raises SteeringError: what `steer` refuses.
        """
        every = [vector for vector in vectors if vector is not None]
        if not every:
            return 1.0
        if HookManager.at_work(self.model):
            raise SteeringError("the cost of a vector is measured without others at work; remove them first")
        shifts = []
        for vector in every:
            with steer(self.model, vector, positions="all"):  # refuses what does not belong to the model
                shifts.append(self._shifts.of(vector))
        if all(shift is not None for shift in shifts) and (kept := self._kept) is not None:
            steered = sum(kept.loss(shift) for shift in shifts if shift is not None)
            rise = (steered - len(every) * math.log(self.unsteered)) / len(vectors)
            return math.exp(rise) if rise < _LARGEST else math.inf
        # As every vector has the same tokens, the mean loss of the batch is the mean of theirs.
        texts = self.texts * len(vectors)
        each = [vector for vector in vectors for _ in self.texts]
        with steer_each(self.model, each, positions=encode(self.tokenizer, texts).position_ids > 0):
            return perplexity(self.model, self.tokenizer, texts) / self.unsteered

    @cached_property
    def _shifts(self) -> LogitShifts:
        return LogitShifts(Architecture.of(self.model))

    @cached_property
    def _kept(self) -> _Kept | None:
        """None where it would take more than a gigabyte."""
        architecture = Architecture.of(self.model)
        batch = encoded_texts(architecture, self.tokenizer, self.texts)
        predicted = batch.attention_mask[:, 1:].bool() & batch.attention_mask[:, :-1].bool()
        with torch.no_grad(), evaluating(self.model):
            logits = self.model(**architecture.accepted(batch.arguments)).logits[:, :-1]
        if 4 * int(predicted.sum()) * logits.shape[-1] > _MOST_BYTES:
            return None
        rows = logits[predicted].float().cpu().log_softmax(dim=-1)
        steered = batch.position_ids[:, :-1][predicted] > 0
        return _Kept(rows, batch.input_ids[:, 1:][predicted].cpu(), steered.cpu())
