"""Prompts: sets of them from data files, and as a batch, tokenised and padded on the left with mask and positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch

from geometry.concepts.data_file import DataFile
from geometry.errors import HierarchyError, SteeringError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LanguageModel: TypeAlias = "PreTrainedModel"
Tokenizer: TypeAlias = "PreTrainedTokenizerBase"


@dataclass(frozen=True, eq=False)
class Batch:
    """Token ids of several prompts, each shape (prompts, tokens).

    `attention_mask` is 1 on tokens and 0 on padding; `position_ids` count each prompt's own tokens from 0, which
    models with learned positions (GPT-2) need beside a mask.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    position_ids: torch.Tensor

    @property
    def arguments(self) -> dict[str, torch.Tensor]:
        """What to call a model with: `model(**batch.arguments)`."""
        return dict(vars(self))


def encode(
    tokenizer: Tokenizer, prompts: Sequence[str], *, bos: bool | None = None, device: torch.device | str = "cpu"
) -> Batch:
    """Tokenise prompts into one batch; `bos` puts the beginning-of-text token first, None: as the tokenizer does.

    Raises SteeringError: no prompts, one that is no text or has no token, or no such token where one is asked for.
    """
    if isinstance(prompts, str):
        raise SteeringError("prompts are a list of texts, not one text; write [prompt]")
    rows = [_tokens(tokenizer, prompt, bos) for prompt in prompts]
    if not rows:
        raise SteeringError("there are no prompts")
    longest = max(map(len, rows))
    # What stands in for padding is of no account, as the mask hides it.
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return Batch(ids, mask, (mask.cumsum(dim=1) - 1).clamp(min=0))


def _tokens(tokenizer: Tokenizer, prompt: str, bos: bool | None) -> list[int]:
    if not isinstance(prompt, str):
        raise SteeringError(f"a prompt is a text, not {prompt!r}")
    plain: list[int] = tokenizer.encode(prompt, add_special_tokens=False)
    if not plain:
        raise SteeringError(f"the prompt {prompt!r} has no tokens; an empty prompt cannot be steered")
    if bos is None:
        return tokenizer.encode(prompt)
    if bos and tokenizer.bos_token_id is None:
        raise SteeringError("this tokenizer has no beginning-of-text token; use bos=False")
    return [tokenizer.bos_token_id, *plain] if bos else plain


@dataclass(frozen=True)
class PromptSet:
    """Beginnings of sentences, whose next token is looked at, and whole texts, whose perplexity is."""

    name: str
    beginnings: tuple[str, ...]
    texts: tuple[str, ...]


def load_prompts(source: str | Path) -> PromptSet:
    """Read a packaged set ("neutral", "plain") or a YAML or JSON file of the same form.

    Raises SteeringError: no such file, malformed, or without beginnings or texts.
    """
    try:
        file = DataFile(source, "prompts", "prompts")
        file.mapping("prompts", known=("beginnings", "texts"))
        return PromptSet(file.name, *(tuple(file.texts("prompts", kind)) for kind in ("beginnings", "texts")))
    except HierarchyError as error:
        raise SteeringError(str(error)) from error
