"""Next-token laws of the same prompts under several vectors in one batch; what all prompts begin with is run once."""

import copy
from collections.abc import Sequence

import torch

from geometry.errors import SteeringError
from geometry.steering.architecture import evaluating
from geometry.steering.hook_manager import HookManager
from geometry.steering.injection import steer_each
from geometry.steering.logit_shift import LogitShifts
from geometry.steering.measure import NextToken
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.steering.vector import SteeringVector

_ROWS = 192  # prompts that are run at a time, over all vectors


class SideBySide(NextToken):
    """`NextToken` of many vectors at a time, which counts the prompts that it runs through the model.

    Attributes:
        at_once: vectors that go through the model in one batch of at most `most_rows` prompts.
        kept_passes: prompts run for the kept beginnings and the unsteered law, twice each.
        passes: prompts run so far, these and one for each prompt under each vector that takes a pass.
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str], *, most_rows: int = _ROWS
    ) -> None:
        super().__init__(model, tokenizer, prompts)
        self.kept_passes = len(self.prompts) * (1 if self._past is None else 2)
        self.passes = self.kept_passes
        several = self._past is None or hasattr(self._past, "batch_repeat_interleave")
        self.at_once = max(1, most_rows // len(self.prompts)) if several else 1

    def shift(self, vector: SteeringVector) -> torch.Tensor | None:
        """What a vector adds to every logit where no pass is needed to know (`LogitShifts`), shape (V,)."""
        shifts: LogitShifts = self._shifts
        return shifts.of(vector)

    def laws(self, vectors: Sequence[SteeringVector]) -> list[torch.Tensor]:
        """log P(y | prompt) in nats under each vector at the last token, float32, each of shape (n, V).

        Raises SteeringError: what `steer` refuses, or a vector at work in the model.
        """
        if HookManager.at_work(self.model):
            raise SteeringError("the effect of a vector is measured without others at work; remove them first")
        laws: list[torch.Tensor | None] = [self._shifted(vector) for vector in vectors]
        waiting = [index for index, law in enumerate(laws) if law is None]
        for start in range(0, len(waiting), self.at_once):
            part = waiting[start : start + self.at_once]
            for index, law in zip(part, self._run([vectors[index] for index in part]), strict=True):
                laws[index] = law
        return [law for law in laws if law is not None]

    def _shifted(self, vector: SteeringVector) -> torch.Tensor | None:
        shift = self.shift(vector)
        return None if shift is None else (self.unsteered + shift.float()).log_softmax(dim=-1)

    def _run(self, vectors: Sequence[SteeringVector]) -> list[torch.Tensor]:
        times = len(vectors)
        self.passes += times * len(self.prompts)
        arguments = {}
        for name, ids in self._arguments.items():
            # The mask is of the cache's tokens too.
            last = ids if name == "attention_mask" else ids[:, -1:]
            arguments[name] = last.repeat_interleave(times, dim=0)
        past = copy.deepcopy(self._past)  # a cache grows in place
        if past is not None and times > 1:
            past.batch_repeat_interleave(times)
        each = [vector for _ in self.prompts for vector in vectors]
        with torch.no_grad(), evaluating(self.model), steer_each(self.model, each, positions="all"):
            logits: torch.Tensor = self.model(**arguments, past_key_values=past, use_cache=True).logits
        laws = logits[:, -1].float().cpu().log_softmax(dim=-1)
        return list(laws.view(len(self.prompts), times, -1).transpose(0, 1))
