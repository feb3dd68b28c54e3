"""How likely a steered model finds what follows a context: the vector's positions count in the context alone."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby

import torch

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.steering import Architecture, Condition, Positions, SteeringVector, steer
from geometry.steering.architecture import evaluating
from geometry.steering.padding import heeds_padding
from geometry.steering.positions import checked_positions, select
from geometry.steering.prompts import LanguageModel, Tokenizer, padded

Pair = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True, eq=False)
class Continuations:
    """A model with a vector, asked for log-likelihoods of continuations.

    Parameters:
        vector: None: unsteered.
        positions, when: as of `steer`; the prompt is the context. Positions are names or indices.
        batch_size: pairs at a time.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    vector: SteeringVector | None
    positions: Positions | None = None
    when: Condition | None = None
    batch_size: int = 8

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if isinstance(self.positions, torch.Tensor):
            raise SteeringError("contexts of any length have no mask of positions in common; give a name or indices")
        if self.batch_size < 1:
            raise SteeringError(f"a batch holds at least one text, not {self.batch_size}")
        if self.when is not None and self.vector is None:
            raise SteeringError("a condition is that of a vector, and there is none")
        if self.vector is not None:
            rows = {len(part) if part.ndim == 2 else 1 for part in self.vector.parts.values()}
            if len(rows) > 1:
                raise SteeringError(f"{self.vector.provenance}: its parts have rows for other numbers of positions")
            with steer(self.model, self.vector, positions=self.positions, when=self.when):
                pass  # refuses what does not suit

    def log_likelihoods(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        """Of pairs of token ids, context and continuation: the sum of log P in nats, and whether each token is the
        most probable one.

        Raises SteeringError: an empty context or continuation, or more tokens than the model has positions.
        """
        if any(not context or not continuation for context, continuation in pairs):
            raise SteeringError("a context and a continuation need a token each")
        architecture = Architecture.of(self.model)
        order = sorted(range(len(pairs)), key=lambda index: len(pairs[index][0]) + len(pairs[index][1]))
        chunks = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        if not heeds_padding(architecture):
            by_length = (groupby(chunk, key=lambda index: sum(map(len, pairs[index]))) for chunk in chunks)
            chunks = [list(alike) for groups in by_length for _, alike in groups]
        found: dict[int, tuple[float, bool]] = {}
        for chunk in chunks:
            found |= zip(chunk, self._batch(architecture, [pairs[index] for index in chunk]), strict=True)
        return [found[index] for index in range(len(pairs))]

    def _batch(self, architecture: Architecture, pairs: Sequence[Pair]) -> Iterator[tuple[float, bool]]:
        # The last token predicts nothing that is asked for.
        batch = padded([[*context, *continuation][:-1] for context, continuation in pairs], architecture.device)
        architecture.check_tokens(batch.input_ids)
        after = torch.tensor([len(continuation) - 1 for _, continuation in pairs], device=architecture.device)
        width = batch.input_ids.shape[1]
        column = torch.arange(width, device=architecture.device)
        context = batch.attention_mask.bool() & (column < width - after[:, None])
        with torch.no_grad(), evaluating(architecture.model), self.steered(batch.attention_mask.bool(), context, pairs):
            kept = logits_kept(architecture, max(len(continuation) for _, continuation in pairs))
            logits = self.model(**architecture.accepted(batch.arguments), **kept).logits
        for row, (_, continuation) in zip(logits, pairs, strict=True):
            wanted = torch.tensor(continuation, device=row.device)
            log_probabilities = row[-len(continuation) :].float().log_softmax(dim=-1)
            total = log_probabilities.gather(1, wanted[:, None]).double().sum()
            yield float(total), bool((log_probabilities.argmax(dim=-1) == wanted).all())

    @contextmanager
    def steered(self, real: torch.Tensor, context: torch.Tensor, pairs: Sequence[Pair]) -> Iterator[None]:
        """The vector at work on a batch of whole texts, (batch, tokens), whose contexts alone are prompts."""
        vector, prompts, when = self.vector, None, self.when
        if vector is not None and when is not None and when.scope == "prompt":
            prompts, when = self._decided([pair[0] for pair in pairs]), None
            vector = vector if bool(prompts.any()) else None
        with ExitStack() as at_work:
            if vector is not None and (mask := self._mask(vector, real, context)) is not None:
                at_work.enter_context(steer(self.model, vector, positions=mask, prompts=prompts, when=when))
            yield

    def _mask(self, vector: SteeringVector, real: torch.Tensor, context: torch.Tensor) -> Positions | None:
        """Where the vector acts in texts whose contexts end at other columns; None: nowhere."""
        part = next(iter(vector.parts.values()))
        rows = len(part) if part.ndim == 2 else None
        asked = checked_positions(self.positions, rows)
        if isinstance(asked, str) and asked == "all":
            return asked
        if isinstance(asked, str) and asked == "generated":
            mask = real & ~context
        else:
            chosen = select(asked, rows, context, context.shape[1])
            mask = torch.zeros_like(real)
            if chosen is not None:
                order = mask.index_put((chosen.batch, chosen.position), torch.tensor(True)).cumsum(dim=1) - 1
                if rows and not torch.equal(order[chosen.batch, chosen.position], chosen.row):
                    raise SteeringError(
                        f"the rows of {vector.provenance} must go to positions in the order of the text"
                    )
                mask[chosen.batch, chosen.position] = True
        return mask if bool(mask.any()) else None

    def _decided(self, contexts: Sequence[Sequence[int]]) -> torch.Tensor:
        """For which contexts a condition on prompts holds."""
        if self.when is None:
            raise SteeringError("there is no condition")
        scores = self.when.scores_of_ids(self.model, contexts)
        return self.when.holds(torch.from_numpy(scores))


def logits_kept(architecture: Architecture, count: int) -> dict[str, int]:
    """What has a model compute the logits of the last so many tokens alone, if it can: a head takes long."""
    known = "logits_to_keep" in inspect.signature(architecture.model.forward).parameters
    return {"logits_to_keep": count} if known else {}
