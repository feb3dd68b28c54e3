"""Prompts: sets of them from data files, and as a batch, tokenised and padded on the left with mask and positions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch

from geometry.concepts.data_file import DataFile
from geometry.display import short_repr
from geometry.errors import HierarchyError, SteeringError, shown

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LanguageModel: TypeAlias = "PreTrainedModel"
Tokenizer: TypeAlias = "PreTrainedTokenizerBase"


@dataclass(frozen=True, eq=False)
class Batch:
    """Token ids of several prompts, each shape (prompts, tokens).

    `attention_mask` is 1 on tokens and 0 on padding; `position_ids` count each prompt's own tokens from 0, which
    models with learned positions (GPT-2) need beside a mask. `notes` say where the tokenizer was not followed.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    position_ids: torch.Tensor
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    @property
    def arguments(self) -> dict[str, torch.Tensor]:
        """What to call a model with: `model(**batch.arguments)`."""
        return {name: getattr(self, name) for name in ("input_ids", "attention_mask", "position_ids")}

    def begins_with(self, token: int | None) -> bool:
        """Whether the first token of every prompt is this one."""
        return token is not None and bool((self._firsts == token).all())

    def brings(self, token: int | None) -> bool:
        """Whether the first token of any prompt is this one."""
        return token is not None and bool((self._firsts == token).any())

    @property
    def _firsts(self) -> torch.Tensor:
        return self.input_ids[torch.arange(len(self.input_ids)), self.attention_mask.argmax(dim=1)]


def encode(
    tokenizer: Tokenizer, prompts: Sequence[str], *, bos: bool | None = None, device: torch.device | str = "cpu"
) -> Batch:
    """Tokenise prompts into one batch, each from the beginning-of-text token, if any, to the last token of its text.

    Example::

        batch = geo.steering.encode(tokenizer, ["In the garden I saw a", "The robin is a"])
        logits = model(**batch.arguments).logits[:, -1]

    All that steers, reads or measures tokenises here. What a tokenizer puts after a text ("</s>", "[SEP]") is left out,
    as the text is to go on; and a text that begins with what the tokenizer would put before it, as those of chat
    templates do, is not given it twice. `Batch.notes` say where either was done.

    Parameters:
        bos: True puts the beginning-of-text token first, False nothing, None what the tokenizer puts there.

    Raises SteeringError: no prompts, one that is no text or has no token, or no such token where one is asked for.
    """
    if isinstance(prompts, str):
        raise SteeringError("prompts are a list of texts, not one text; write [prompt]")
    if isinstance(tokenizer, str) or not hasattr(tokenizer, "encode"):
        raise SteeringError(f"a tokenizer of transformers is needed, not {type(tokenizer).__name__}")
    framed = [_framed(tokenizer, prompt, bos) for prompt in prompts]
    if not framed:
        raise SteeringError("there are no prompts")
    notes = (
        _note(tokenizer, [twice for _, twice, _ in framed], "before a text, as it stands there already"),
        _note(tokenizer, [after for _, _, after in framed], "after a text, which is to go on"),
    )
    return replace(padded([row for row, _, _ in framed], device), notes=tuple(filter(None, notes)))


def padded(rows: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Batch:
    """Token ids of several prompts as one batch."""
    longest = max(map(len, rows))
    # What stands in for padding is of no account, as the mask hides it.
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return Batch(ids, mask, (mask.cumsum(dim=1) - 1).clamp(min=0))


def beginning(tokenizer: Tokenizer, text: str, bos: bool | None = None) -> list[int]:
    """The tokens that `encode` puts before a text."""
    own = tokenizer.encode(text, add_special_tokens=False)
    row, _, _ = _framed(tokenizer, text, bos)
    return row[: len(row) - len(own)]


def _framed(tokenizer: Tokenizer, prompt: str, bos: bool | None) -> tuple[list[int], list[int], list[int]]:
    """The tokens of a prompt, and what was not put before it and after it."""
    if not isinstance(prompt, str):
        raise SteeringError(f"a prompt is a text, not {shown(prompt)}")
    text: list[int] = tokenizer.encode(prompt, add_special_tokens=False)
    if not text:
        raise SteeringError(f"the prompt {shown(prompt)} has no tokens; an empty prompt cannot be steered")
    if bos and tokenizer.bos_token_id is None:
        raise SteeringError("this tokenizer has no beginning-of-text token; use bos=False")
    before, after = _frame(tokenizer, prompt, text) if bos is None else ([tokenizer.bos_token_id] * bos, [])
    twice = next(size for size in range(len(before), -1, -1) if before[len(before) - size :] == text[:size])
    return before[: len(before) - twice] + text, text[:twice], after


def _frame(tokenizer: Tokenizer, prompt: str, text: list[int]) -> tuple[list[int], list[int]]:
    """What a tokenizer puts before a text of these tokens, and after it."""
    framed = tokenizer(prompt, return_special_tokens_mask=True)
    ids: list[int] = framed["input_ids"]
    # Not by looking for special tokens, as the text may hold some itself; but slow tokenizers may mark none.
    marked = next((place for place, special in enumerate(framed["special_tokens_mask"]) if not special), 0)
    places = (marked, *range(len(ids) - len(text) + 1))
    start = next((start for start in places if ids[start : start + len(text)] == text), None)
    if start is None:
        raise SteeringError(f"this tokenizer writes the prompt {shown(prompt)} otherwise between its special tokens")
    return ids[:start], ids[start + len(text) :]


def _note(tokenizer: Tokenizer, left_out: Sequence[list[int]], where: str) -> str:
    """What was left out of a batch, if anything."""
    tokens = dict.fromkeys(token for row in left_out for token in row)
    if not tokens:
        return ""
    names = " ".join(str(tokenizer.convert_ids_to_tokens(token)) for token in tokens)
    return f"the tokenizer's {names} is left out {where}" + (
        "" if all(left_out) else f" ({sum(map(bool, left_out))} of {len(left_out)} prompts)"
    )


@dataclass(frozen=True)
class PromptSet:
    """Beginnings of sentences, whose next token is looked at, and whole texts, whose perplexity is."""

    name: str
    beginnings: tuple[str, ...]
    texts: tuple[str, ...]

    __repr__ = short_repr


def load_prompts(source: str | Path) -> PromptSet:
    """Read a packaged set, such as "neutral" or "encyclopedia", or a YAML or JSON file of the same form.

    Raises SteeringError: no such file, malformed, or without beginnings or texts.
    """
    try:
        file = DataFile(source, "prompts", "prompts")
        file.mapping("prompts", known=("beginnings", "texts"))
        return PromptSet(file.name, *(tuple(file.texts("prompts", kind)) for kind in ("beginnings", "texts")))
    except HierarchyError as error:
        raise SteeringError(str(error)) from error
