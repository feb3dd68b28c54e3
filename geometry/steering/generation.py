"""Completions of prompts, greedy or sampled, in batches: a thin door to the model's own `generate`.

Steering is whatever is at work in the model; nothing here knows of vectors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture
from geometry.steering.prompts import encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Generation", "generate"]


@dataclass(frozen=True)
class Generation:
    """What a model wrote after a prompt: `text` without the prompt, and its token ids up to the end of text."""

    prompt: str
    text: str
    tokens: tuple[int, ...]


def generate(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    *,
    tokens: int = 40,
    completions: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    frequency_penalty: float = 0.0,
    seed: int = 0,
    bos: bool | None = None,
    use_cache: bool = True,
) -> list[list[Generation]]:
    """Complete prompts of any lengths in one batch, padded on the left.

    Parameters
    ----------
    tokens : at most so many new ones a prompt.
    completions : of each prompt; more than one needs a temperature.
    temperature : 0 takes the most probable token each time.
    top_p : sample from the most probable tokens that together have this probability.
    frequency_penalty : subtracted from a token's logit (after division by the temperature, before `top_p`)
        for every time it stands in the prompt or the completion so far.
    seed : of the sampling; the generators of the caller are left as they were.
    bos : see `encode`; True for vectors of activation addition.

    Returns
    -------
    list
        For each prompt a list of its completions.

    Raises
    ------
    SteeringError
        An empty prompt, a number out of its range, or several completions without a temperature.

    References
    ----------
    The penalty is that of Turner et al., arXiv 2308.10248.
    """
    from transformers import GenerationConfig, LogitsProcessorList

    if tokens < 1 or completions < 1 or not 0 <= temperature < math.inf or not 0 < top_p <= 1:
        raise SteeringError(
            "tokens and completions are at least 1, the temperature at least 0, and top_p above 0 and at most 1"
        )
    if not math.isfinite(frequency_penalty):
        raise SteeringError(f"the frequency penalty must be a finite number, not {frequency_penalty}")
    if completions > 1 and not temperature:
        raise SteeringError("without a temperature all completions of a prompt are the same; set one, such as 0.8")
    batch = encode(tokenizer, prompts, bos=bos, device=Architecture.of(model).device)
    end = model.generation_config.eos_token_id if model.generation_config else None
    ends = {end} if isinstance(end, int) else set(end or [tokenizer.eos_token_id]) - {None}
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "top_k": 0} if temperature else {}
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=bool(temperature),
        max_new_tokens=tokens,
        num_return_sequences=completions,
        eos_token_id=sorted(ends) or None,
        pad_token_id=min(ends, default=0),
        use_cache=use_cache,
        repetition_penalty=1.0,
        **sampling,
    )
    penalty = _FrequencyPenalty(frequency_penalty * (temperature or 1.0), batch.mask.repeat_interleave(completions, 0))
    # What is not set in the settings would be taken from the model's own defaults.
    whole_model, defaults = cast(Any, model), model.generation_config
    whole_model.generation_config = settings
    try:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            written = whole_model.generate(
                input_ids=batch.ids,
                attention_mask=batch.mask,
                generation_config=settings,
                logits_processor=LogitsProcessorList([penalty] if frequency_penalty else []),
            )
    finally:
        whole_model.generation_config = defaults
    rows = [_until(row, ends) for row in written[:, batch.ids.shape[1] :].tolist()]
    texts = [str(tokenizer.decode(row, skip_special_tokens=True)) for row in rows]
    whole = [Generation(prompts[i // completions], texts[i], tuple(rows[i])) for i in range(len(rows))]
    return [whole[start : start + completions] for start in range(0, len(whole), completions)]


class _FrequencyPenalty:
    """Lowers the logit of each token by `penalty` for every time it has occurred, padding left out."""

    def __init__(self, penalty: float, mask: torch.Tensor) -> None:
        self.penalty = penalty
        self.mask = mask

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        occurred = torch.ones_like(ids, dtype=logits.dtype)
        occurred[:, : self.mask.shape[1]] = self.mask.to(logits.dtype)
        return logits - self.penalty * torch.zeros_like(logits).scatter_add_(1, ids, occurred)


def _until(row: list[int], ends: set[int]) -> list[int]:
    """A row up to its first end-of-text token."""
    return row[: next((place for place, token in enumerate(row) if token in ends), len(row))]
