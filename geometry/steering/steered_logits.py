"""The logits of many texts, each under a vector of its own, in batches of like length. Imports injection."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.eraser import Eraser
from geometry.steering.hook_manager import HookManager
from geometry.steering.injection import steer_each
from geometry.steering.padding import heeds_padding
from geometry.steering.positions import Positions
from geometry.steering.prompts import Batch, LanguageModel, Tokenizer, encode, padded
from geometry.steering.vector import SteeringVector

Vector = SteeringVector | Eraser
Vectors = Vector | Sequence[Vector | None] | None
_MOST_NUMBERS = 1 << 24  # logits of a batch; more do not fit a processor's cache, and are slower
_FEWEST, _MOST = 8, 64  # rows of a batch


def each_of(vectors: Vectors, count: int) -> list[Vector | None]:
    """A vector, or None, for each of so many texts. SteeringError: another number of them."""
    if vectors is None or isinstance(vectors, Vector):
        return [vectors] * count
    if len(vectors) != count:
        raise SteeringError(f"{len(vectors)} vectors for {count} texts; give one for each, or one for all")
    return list(vectors)


def begins(vectors: Sequence[Vector | None], bos: bool | None) -> bool | None:
    """Whether texts are to begin with a beginning-of-text token: as asked, and as the vectors need.

    SteeringError where these disagree.
    """
    needed = {vector.bos for vector in vectors if vector is not None} - {None}
    if len(needed | {bos} - {None}) > 1:
        raise SteeringError(
            "the rows of a vector count from a beginning-of-text token, and texts begin without one, or the other way"
            " round; leave bos out, and steer by vectors that begin alike"
        )
    return next(iter(needed), bos)


def token_rows(tokenizer: Tokenizer, texts: Sequence[str], bos: bool | None = None) -> list[list[int]]:
    """The token ids of every text, begun as `encode` does."""
    batch = encode(tokenizer, texts, bos=bos)
    return [ids[kept].tolist() for ids, kept in zip(batch.input_ids, batch.attention_mask.bool(), strict=True)]


def steered_logits(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    vectors: Sequence[Vector | None],
    *,
    positions: Positions | None = None,
    last: bool = False,
) -> Iterator[tuple[list[int], Batch, torch.Tensor]]:
    """Logits of rows of token ids in batches: which rows, the batch (padded on the left), logits (rows, tokens, V).

    With `last`, of the last token alone. SteeringError: what `steer` refuses, or a vector at work in the model.
    """
    architecture = Architecture.of(model)
    if HookManager.at_work(model):
        raise SteeringError("texts are measured under the vectors given; remove those at work in the model first")
    language_model: Any = architecture.model
    most = 1 << 12 if last else _MOST_NUMBERS // int(language_model.config.get_text_config().vocab_size)
    lengths = list(map(len, rows))
    heeded = len(set(lengths)) == 1 or heeds_padding(architecture)
    only: dict[str, Any] = {"logits_to_keep": 1} if last else {}
    with torch.no_grad(), evaluating(language_model):
        for indices in _chunks(lengths, most, equal=not heeded):
            batch = padded([rows[index] for index in indices], architecture.device)
            architecture.check_tokens(batch.input_ids)
            chosen = [vectors[index] for index in indices]
            with steer_each(language_model, chosen, positions=positions):
                logits = language_model(**architecture.accepted(batch.arguments | only)).logits
            yield indices, batch, logits[:, -1:] if last else logits


def _chunks(lengths: Sequence[int], most: int, *, equal: bool) -> Iterator[list[int]]:
    """Indices of rows that are run together, shorter rows first; `equal`: of one length each time."""
    chunk: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        full = (len(chunk) >= _FEWEST and (len(chunk) + 1) * lengths[index] > most) or len(chunk) == _MOST
        if chunk and (full or (equal and lengths[index] != lengths[chunk[0]])):
            yield chunk
            chunk = []
        chunk.append(index)
    if chunk:
        yield chunk
